"""Headless Chromium without a network, for pages that are opened from disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypedDict
from urllib.parse import urldefrag

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

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


@contextmanager
def opened(
    browser: Browser,
    path: Path,
    *,
    width: int = WIDE,
    color_scheme: Literal["light", "dark"] = "light",
) -> Iterator[Page]:
    """A page opened from disk with the network off.

    Fails when the page complains, asks for anything but itself, or is wider than the window.
    """
    address = path.resolve().as_uri()
    requests: list[str] = []
    complaints: list[str] = []
    context = browser.new_context(
        offline=True, viewport={"width": width, "height": 900}, color_scheme=color_scheme
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.on("request", lambda request: requests.append(urldefrag(request.url).url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        page.goto(address)
        yield page
        assert complaints == []
        # What the page carries within itself is no request.
        assert {url for url in requests if not url.startswith(("data:", "blob:"))} == {address}
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        context.close()


def accessibility_findings(page: Page) -> list[str]:
    """What axe-core holds against a page and calls serious or critical, one line per rule."""
    violations: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {[node['html'] for node in rule['nodes'][:3]]}"
        for rule in violations
        if rule["impact"] in ("serious", "critical")
    ]
