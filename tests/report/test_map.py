"""The map in a browser: what pointer, keys, the form and the address do."""

import re
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from pipeline import stages
from pipeline.data.dataset import TrainingDigits, UnlabelledDigits
from pipeline.stages import report
from tests.browser import (
    NARROW,
    Look,
    accessibility_findings,
    each_look,
    high_contrast,
    is_coloured,
    opened,
    paper_findings,
    printed,
)
from tests.conftest import PARAMS
from tests.results import predict_with, write_results

ERRORS = {4: (9, 0.99), 14: (9, 0.7), 45: (3, 0.55)}


@pytest.fixture(scope="module")
def folder(
    training_digits: TrainingDigits,
    test_digits: UnlabelledDigits,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """The map of three folds of twenty images, in the current folder."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("map"))
        text = PARAMS.replace("folds: [0]", "folds: [0, 1, 2]")
        Path("params.yaml").write_text(text, encoding="utf-8")
        write_results(training_digits, test_digits, predict_with(training_digits.labels, ERRORS))
        report.main()
        yield Path.cwd()


@pytest.fixture
def page(folder: Path, browser: Browser) -> Iterator[Page]:
    with opened(browser, folder / stages.MAP) as page:
        page.evaluate("ready.then(() => new Promise(requestAnimationFrame))")
        page.locator("#map").scroll_into_view_if_needed()
        yield page


@pytest.fixture(scope="module")
def points(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / stages.MAP_REPORT / "points.csv")


def place_of(page: Page, row: int) -> tuple[float, float]:
    """Where the image of a row lies in the window."""
    x, y = page.evaluate(
        """(row) => {
          const i = points.row.indexOf(row);
          const box = map.getBoundingClientRect();
          return [box.left + map.clientLeft + screenX(i), box.top + map.clientTop + screenY(i)];
        }""",
        row,
    )
    return x, y


def title(page: Page) -> str:
    return page.inner_text("#closer-title")


def view(page: Page) -> dict[str, float]:
    found: dict[str, float] = page.evaluate("({...view})")
    return found


def shown(page: Page) -> list[int]:
    rows: list[int] = page.evaluate("state.shown.map((i) => points.row[i])")
    return rows


def focused(page: Page) -> int | None:
    row: int | None = page.evaluate("points.row[state.focused] ?? null")
    return row


def lone(points: pd.DataFrame, fold: int = 0) -> int:
    """The row whose image has the widest space around itself, to click at."""
    own = points[points["fold"] == fold]
    places = own[["x", "y"]].to_numpy()
    distances = np.hypot(*(places[:, np.newaxis] - places).transpose(2, 0, 1))
    np.fill_diagonal(distances, np.inf)
    return int(own["row"].iloc[distances.min(axis=1).argmax()])


def test_click_shows_image_probabilities_and_neighbours(
    page: Page, points: pd.DataFrame, training_digits: TrainingDigits
) -> None:
    row = lone(points)
    page.mouse.click(*place_of(page, row))
    known = points.set_index("row").loc[row]
    assert title(page).startswith(f"Row {row}: {known['true']}")
    texts = page.locator("#closer tbody tr").all_inner_texts()
    assert [text.split()[0] for text in texts] == list("0123456789")
    found = page.locator("#nearest .tile").evaluate_all("all => all.map(t => t.dataset.row)")
    assert " ".join(found) == known["neighbours"]
    drawn = page.evaluate(
        """() => {
          const context = panel.querySelector("canvas").getContext("2d");
          const { data } = context.getImageData(0, 0, 28, 28);
          return [...data].filter((_, i) => i % 4 === 0);
        }"""
    )
    np.testing.assert_array_equal(np.array(drawn).reshape(28, 28), training_digits.images[row])


def test_error_tells_both_digits_and_leads_to_the_report(page: Page) -> None:
    page.evaluate("location.hash = '#row=4'")
    expect(page.locator("#closer-title")).to_have_text("Row 4: 4 predicted as 9")
    assert page.get_attribute("#in-report a", "href") == "report.html#true=4&predicted=9"
    rows = page.locator("#closer tbody tr").all_inner_texts()
    assert rows[9].split() == ["9", "99.00%"] and rows[4].split() == ["4", "0.90%"]
    page.locator("#nearest .tile").first.click()
    assert title(page) != "Row 4: 4 predicted as 9"


def test_neighbour_opens_its_own_neighbours(page: Page, points: pd.DataFrame) -> None:
    page.evaluate("location.hash = '#row=4'")
    page.focus("#nearest .tile")
    page.keyboard.press("ArrowRight")
    row = page.evaluate("Number(document.activeElement.dataset.row)")
    page.keyboard.press("Enter")
    assert title(page).startswith(f"Row {row}:")
    assert page.url.endswith(f"#row={row}")
    found = page.locator("#nearest .tile").evaluate_all("all => all.map(t => t.dataset.row)")
    assert " ".join(found) == points.set_index("row").loc[row, "neighbours"]
    assert page.evaluate("document.activeElement.closest('#nearest') !== null")


def test_map_is_drawn_in_colour_with_frames_around_errors(page: Page) -> None:
    def colours() -> list[tuple[int, ...]]:
        with Image.open(BytesIO(page.locator("#map").screenshot())) as picture:
            found: Any = picture.convert("RGB").getcolors(picture.width * picture.height)
        return [colour for _, colour in found]

    error = tuple(map(int, re.findall(r"\d+", page.evaluate("look.error"))))
    inks = page.evaluate(
        "swatches.map((s) => getComputedStyle(s).borderBottomColor.match(/\\d+/g).map(Number))"
    )

    def wait_for(wanted: Sequence[int]) -> None:
        deadline = time.monotonic() + 60
        while not any(
            max(abs(a - b) for a, b in zip(wanted, each, strict=True)) <= 3 for each in colours()
        ):  # the page decodes images in the background
            assert time.monotonic() < deadline, wanted

    wait_for(error)
    for digit, ink in enumerate(inks):
        page.evaluate(
            """(digit) => {
              showWhole();
              const i = state.shown.find((i) => points.true[i] === digit);
              zoom(100, screenX(i), screenY(i));
              draw();
            }""",
            digit,
        )
        wait_for(ink)


def test_wheel_zooms_at_the_pointer_and_a_drag_moves(page: Page) -> None:
    page.mouse.move(*place_of(page, 7))
    start, before = place_of(page, 7), view(page)
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"view.scale > {1.5 * before['scale']}")
    assert place_of(page, 7) == pytest.approx(start, abs=1)
    before = view(page)
    box = page.locator("#map").bounding_box()
    assert box
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 130, box["y"] + 100, steps=4)
    page.mouse.up()
    after = view(page)
    assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((70, 40), abs=6)
    assert title(page) == "No image chosen", "a drag is no click"


def test_two_fingers_zoom_and_one_moves(folder: Path, browser: Browser) -> None:
    context = browser.new_context(
        has_touch=True, viewport={"width": NARROW, "height": 900}, offline=True
    )
    page = context.new_page()
    page.goto((folder / stages.MAP).resolve().as_uri())
    page.evaluate("ready.then(() => new Promise(requestAnimationFrame))")
    page.locator("#map").scroll_into_view_if_needed()
    box = page.locator("#map").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    client = context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        touches: list[Any] = [{"x": a, "y": b, "id": i} for i, (a, b) in enumerate(places)]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    before = view(page)
    touch("touchStart", (x - 30, y), (x + 30, y))
    touch("touchMove", (x - 60, y), (x + 60, y))
    touch("touchEnd")
    zoomed = view(page)
    assert zoomed["scale"] == pytest.approx(2 * before["scale"], rel=0.1)
    touch("touchStart", (x, y))
    for step in (15, 30, 45):
        touch("touchMove", (x + step, y))
    touch("touchEnd")
    assert view(page)["x"] - zoomed["x"] == pytest.approx(45, abs=16)
    touch("touchStart", (x, y))
    touch("touchEnd")
    context.close()


def test_keys_move_zoom_and_open(page: Page) -> None:
    page.focus("#map")
    page.keyboard.press("ArrowRight")
    first = focused(page)
    assert first is not None
    x, _ = place_of(page, first)
    page.keyboard.press("ArrowRight")
    second = focused(page)
    assert second not in (None, first)
    assert place_of(page, second or 0)[0] > x
    page.keyboard.press("Enter")
    assert title(page).startswith(f"Row {second}:")
    assert f"Row {second}:" in page.inner_text("#told")
    before = view(page)
    page.keyboard.press("Shift+ArrowRight")
    assert view(page)["x"] == before["x"] - 80
    page.keyboard.press("+")
    assert view(page)["scale"] == pytest.approx(1.4 * before["scale"])
    page.keyboard.press("-")
    page.keyboard.press("-")
    assert view(page)["scale"] == pytest.approx(before["scale"] / 1.4)
    page.keyboard.press("0")
    assert view(page)["scale"] == pytest.approx(page.evaluate("whole()"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#closer') !== null")


def test_e_goes_from_error_to_error(page: Page) -> None:
    page.focus("#map")
    rows = []
    for key in ("e", "e", "e", "Shift+E"):
        page.keyboard.press(key)
        rows.append(focused(page))
    assert set(rows) == {4, 14}
    assert rows[0] == rows[2] != rows[1] == rows[3]


def test_form_chooses_fold_digits_and_errors(page: Page, points: pd.DataFrame) -> None:
    assert set(shown(page)) == set(points.loc[points["fold"] == 0, "row"])
    assert page.locator(".of-fold:visible").inner_text().startswith("Fold 0: 20 of 20 images")
    page.select_option("#choices [name=fold]", "2")
    assert set(shown(page)) == set(points.loc[points["fold"] == 2, "row"])
    assert page.locator(".of-fold:visible").inner_text().startswith("Fold 2: 20 of 20 images")
    page.check("#choices [name=errors]")
    assert shown(page) == [45]
    page.uncheck("#choices [name=errors]")
    page.click(".legend button >> nth=5")
    assert page.get_attribute(".legend button >> nth=5", "aria-pressed") == "false"
    own = points[(points["fold"] == 2) & (points["true"] != 5)]
    assert set(shown(page)) == set(own["row"])


def test_address_opens_an_image_of_another_fold(folder: Path, browser: Browser) -> None:
    with opened(browser, folder / stages.REPORT) as page:
        page.click("#gallery .tile[data-row='45']")
        link = page.get_attribute("#on-map a", "href")
        assert link == "map.html#row=45"
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(f"{(folder / stages.MAP).resolve().as_uri()}#row=45")
    expect(page.locator("#closer-title")).to_have_text("Row 45: 5 predicted as 3")
    assert page.input_value("#choices [name=fold]") == "2"
    page.goto("about:blank")
    page.goto(f"{(folder / stages.MAP).resolve().as_uri()}#row=99999")
    expect(page.locator("#closer-title")).to_have_text("No image chosen")
    context.close()


def test_closer_look_of_the_report_shows_what_an_image_was_most_like(
    folder: Path, browser: Browser
) -> None:
    nearest = pd.read_csv(folder / stages.EXPLANATION / "nearest.csv")
    with opened(browser, folder / stages.REPORT) as page:
        for selector, kind, row in (("gallery", "error", 4), ("lowest", "test", None)):
            page.locator(f"#{selector} .tile").first.focus()
            row = row or int(page.evaluate("document.activeElement.dataset.row"))
            if selector == "gallery":
                page.locator(f"#gallery .tile[data-row='{row}']").focus()
            page.keyboard.press("Enter")
            own = nearest[(nearest["kind"] == kind) & (nearest["row"] == row)]
            texts = page.locator("#alike li").all_inner_texts()
            expected = [
                [str(each.label), f"row {each.neighbour}", f"distance {round(each.distance):,}"]
                for each in own.itertuples()
            ]
            assert [text.split("\n") for text in texts] == expected
            assert page.is_visible("#on-map") == (kind == "error")
            page.keyboard.press("Escape")
        page.click("#matrix button[data-true='8'][data-predicted='8']")
        page.click("#gallery .tile >> nth=0")
        assert not page.is_visible("#alike")


@each_look
def test_map_is_accessible(look: Look, folder: Path, browser: Browser) -> None:
    with opened(browser, folder / stages.MAP, **look) as page:
        assert accessibility_findings(page) == []
        page.click(".legend button >> nth=3")
        page.focus("#map")
        page.keyboard.press("e")
        page.keyboard.press("Enter")
        assert accessibility_findings(page) == []


def test_page_is_whole_on_paper(page: Page) -> None:
    page.evaluate("drawing = 1")  # printers do not wait until the map is drawn again
    with printed(page):
        assert paper_findings(page) == []
        assert page.locator(".legend button:visible").count() == 10
        assert not page.is_visible("#closer")
        shown = page.evaluate(
            "map.clientWidth / map.clientHeight / (map.width / map.height)",
        )
    assert shown == pytest.approx(1, abs=0.01)
    page.evaluate("drawing = 0")


def test_dark_map_is_printed_in_the_colours_of_paper(folder: Path, browser: Browser) -> None:
    with opened(browser, folder / stages.MAP, color_scheme="dark") as page:
        page.evaluate("ready.then(() => new Promise(requestAnimationFrame))")
        inks = []
        for event in ("afterprint", "beforeprint", "afterprint"):
            page.evaluate("event => dispatchEvent(new Event(event))", event)
            inks.append(page.evaluate("look.ink"))
    assert inks == ["rgb(230, 232, 235)", "rgb(27, 31, 36)", "rgb(230, 232, 235)"]


def test_digits_keep_their_colours_in_high_contrast(page: Page) -> None:
    with high_contrast(page):
        assert is_coloured(page.locator(".legend button").first)
        page.evaluate("colourSheets(); draw()")
        assert is_coloured(page.locator("#map"))
        assert page.evaluate("look.error") == "rgb(184, 74, 0)"
