"""Headless Chromium without a network, for pages that are opened from disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypedDict
from urllib.parse import urldefrag

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from docs import chromium

WIDE, NARROW = 1440, 320
"""Widths in pixels of a desk's screen and a phone's."""


WITHOUT_ADDRESS_BAR = "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup"
"""Headless, too, Chromium makes lists for its address bar: a third of the time of a page.

It heeds the last of such switches alone. Playwright's, which this replaces, are for pages from the
network.
"""


class Look(TypedDict):
    """What decides on how a page looks, as `opened` takes it."""

    width: int
    color_scheme: Literal["light", "dark"]


LOOKS: dict[str, Look] = {
    "light-wide": {"width": WIDE, "color_scheme": "light"},
    "dark-narrow": {"width": NARROW, "color_scheme": "dark"},
}
"""Each width and each colour scheme once: axe-core takes two seconds for a visit."""

each_look = pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium; in CI its absence is a failure, elsewhere the tests are left out."""
    found = chromium.find()
    if found is None:
        reason = f"no Chromium found ({chromium.LOOKED_FOR}): install it, or let CI judge"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=[WITHOUT_ADDRESS_BAR])
        yield launched
        launched.close()


@dataclass(frozen=True)
class Visit:
    """A page, with what it asked for and what its console said since it was lent."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


_idle: dict[tuple[Browser, int, str, bool], list[Visit]] = {}
"""Pages that were given back: a new one takes Chromium longer than to load what is tested."""


@contextmanager
def lent(
    browser: Browser,
    *,
    width: int = WIDE,
    color_scheme: Literal["light", "dark"] = "light",
    offline: bool = True,
    script: str | None = None,
) -> Iterator[Visit]:
    """An empty page, on which earlier visits left nothing; a narrow one is touched.

    Args:
        browser: that has it.
        width: of the window.
        color_scheme: that pages are asked for.
        offline: whether the network is off.
        script: runs before those of pages.
    """
    idle = _idle.setdefault((browser, width, color_scheme, offline), [])
    visit = idle.pop() if idle and script is None else None
    if visit is None:
        context = browser.new_context(
            offline=offline,
            viewport={"width": width, "height": 900},
            color_scheme=color_scheme,
            has_touch=width == NARROW,
        )
        visit = Visit(context.new_page())
        visit.page.set_default_timeout(60_000)
        visit.page.on("request", lambda request: visit.requests.append(request.url))
        visit.page.on("console", lambda message: visit.complaints.append(message.text))
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        if script is not None:
            visit.page.add_init_script(script)
    try:
        yield visit
        if script is None:
            visit.page.evaluate("localStorage.clear()")
            visit.page.goto("about:blank")
            visit.requests.clear()
            visit.complaints.clear()
            idle.append(visit)
    finally:
        if visit not in idle:
            visit.page.context.close()


@contextmanager
def opened(
    browser: Browser,
    path: Path,
    *,
    width: int = WIDE,
    color_scheme: Literal["light", "dark"] = "light",
    script: str | None = None,
) -> Iterator[Page]:
    """A page opened from disk with the network off; other arguments are those of `lent`.

    Fails when the page complains, asks for anything but itself, or is wider than the window.
    """
    address = path.resolve().as_uri()
    with lent(browser, width=width, color_scheme=color_scheme, script=script) as visit:
        visit.page.goto(address)
        yield visit.page
        assert visit.complaints == []
        # What the page carries within itself is no request.
        asked = {urldefrag(url).url for url in visit.requests}
        assert {url for url in asked if not url.startswith(("data:", "blob:"))} == {address}
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


def accessibility_findings(page: Page, *within: str) -> list[str]:
    """What axe-core holds against a page and calls serious or critical, one line per rule.

    Args:
        page: as it is shown.
        within: selectors of the parts to look at; without any, the whole page.
    """
    parts = [[selector] for selector in within] or None
    violations: list[dict[str, Any]] = Axe().run(page, parts).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {[node['html'] for node in rule['nodes'][:3]]}"
        for rule in violations
        if rule["impact"] in ("serious", "critical")
    ]


PAPER = 688
"""Width in pixels of A4 within the margins."""


@contextmanager
def printed(page: Page) -> Iterator[None]:
    """A page as it is laid out on paper."""
    before = page.viewport_size
    assert before
    page.set_viewport_size({"width": PAPER, "height": before["height"]})
    page.emulate_media(media="print")
    try:
        yield
    finally:
        page.emulate_media(media="null")
        page.set_viewport_size(before)


def paper_findings(page: Page) -> list[str]:
    """What is wrong on paper, one line for each: cut, useless there, without colour, torn apart."""
    found: list[str] = page.evaluate(
        """() => {
          const found = [];
          const check = (selector, isRight, complaint) => {
            for (const each of document.querySelectorAll(selector)) {
              if (each.checkVisibility() && !isRight(each)) {
                found.push(`${complaint}: ${each.outerHTML.slice(0, 80)}`);
              }
            }
          };
          const style = (name, value) => (each) => getComputedStyle(each)[name] === value;
          check("html, .wide", (each) => each.scrollWidth <= each.clientWidth, "cut");
          check("nav, select, [type=reset], .more, .hint, kbd", () => false, "useless");
          check("details:not([open])", (each) => each.className === "code", "useless");
          check(".sortable th button",
            (each) => getComputedStyle(each, "::after").content === "none", "an arrow");
          check(".length, .interval, .bar, .matrix button, .scale span, .differs, .legend button",
            (each) => [null, "::before"].some(
              (part) => getComputedStyle(each, part).printColorAdjust === "exact"),
            "without colour");
          check("figure, tr, li, .matrix", style("breakInside", "avoid"), "torn apart");
          return found;
        }"""
    )
    return found


@contextmanager
def high_contrast(page: Page) -> Iterator[None]:
    """A page in the colours of a user who needs contrast."""
    page.emulate_media(forced_colors="active")
    try:
        yield
    finally:
        page.emulate_media(forced_colors="null")


def is_coloured(part: Locator) -> bool:
    """Whether a picture of it holds more than greys."""
    picture = Image.open(BytesIO(part.screenshot())).convert("RGB")
    return bool(np.ptp(np.asarray(picture, np.int16), axis=2).max() > 15)
