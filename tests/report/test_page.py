"""The page in a browser: what a click, a filter, a key and a narrow window do."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline import stages
from pipeline.data.dataset import TrainingDigits, UnlabelledDigits
from pipeline.stages import report
from tests.browser import (
    Look,
    accessibility_findings,
    each_look,
    high_contrast,
    is_coloured,
    opened,
    paper_findings,
    printed,
)
from tests.conftest import ROOT, set_params
from tests.results import predict_with, write_results

NINES = {24: 0.6, 4: 0.99, 14: 0.7}
"""Rows with a 4 that is predicted as 9, and with which confidence."""

OTHERS = {5: (3, 0.97), 7: (1, 0.52), 39: (4, 0.8)}
LOW = {8: 0.55, 18: 0.45, 28: 0.65}
"""Rows with an 8 that is predicted with low confidence; networks alone misclassify row 18."""


@pytest.fixture(scope="module")
def data(training_digits: TrainingDigits) -> TrainingDigits:
    return training_digits


@pytest.fixture(scope="module")
def folder(
    data: TrainingDigits,
    test_digits: UnlabelledDigits,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """The results of six networks of all folds, in the current folder."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("page"))
        shutil.copy(ROOT / "params.yaml", "params.yaml")
        set_params(Path.cwd(), ("folds: [0]", "folds: [0, 1, 2]"))
        wrong = {row: (9, p) for row, p in NINES.items()} | OTHERS
        probabilities = predict_with(data.labels, wrong)
        for row, p in LOW.items():
            probabilities[row] = (1 - p) / 9
            probabilities[row, 8] = p
        averages = probabilities.copy()
        averages[18, [3, 8]] = averages[18, [8, 3]]
        write_results(data, test_digits, probabilities, averages)
        report.main()
        yield Path.cwd()


@pytest.fixture
def page(folder: Path, browser: Browser) -> Iterator[Page]:
    with opened(browser, folder / stages.REPORT) as page:
        yield page


@pytest.fixture(scope="module")
def shared(folder: Path, browser: Browser) -> Iterator[Page]:
    """One visit for several tests, each of which leaves the page as it was."""
    with opened(browser, folder / stages.REPORT) as page:
        yield page


def shown(page: Page, gallery: str = "gallery") -> list[int]:
    """Rows of the images that a gallery shows, in their order."""
    rows = page.locator(f"#{gallery} .tile").evaluate_all("tiles => tiles.map(t => t.dataset.row)")
    return [int(row) for row in rows]


def cell(true: int, predicted: int) -> str:
    return f"#matrix button[data-true='{true}'][data-predicted='{predicted}']"


def pressed(page: Page) -> list[str]:
    return page.locator("#matrix [aria-pressed='true'] .unseen").all_inner_texts()


def test_all_errors_are_shown_at_first_the_highest_loss_first(page: Page) -> None:
    assert shown(page) == [4, 5, 39, 14, 24, 7]
    assert page.inner_text("#found") == "6 errors"
    assert pressed(page) == []


def test_cell_shows_its_images_and_only_them(page: Page) -> None:
    page.click(cell(4, 9))
    assert shown(page) == [4, 14, 24]
    assert page.inner_text("#found") == "3 errors (4 → 9)"
    assert [text.strip() for text in pressed(page)] == ["4 predicted as 9:"]
    page.click(cell(7, 1))
    assert shown(page) == [7]
    assert [text.strip() for text in pressed(page)] == ["7 predicted as 1:"]


def test_diagonal_shows_the_correct_ones_of_lowest_confidence(page: Page) -> None:
    page.click(cell(8, 8))
    assert shown(page)[:3] == [18, 8, 28]
    assert set(shown(page)) <= {8, 18, 28, 38, 48, 58}
    assert page.inner_text("#found") == "6 of 6 correct (8 → 8): lowest confidence"


def test_tile_tells_both_probabilities_and_the_runner_up(page: Page) -> None:
    page.click(cell(4, 9))
    first = page.locator("#gallery .tile").first
    assert first.inner_text().split("\n") == [
        "4 → 9",
        "9",
        "99.00%",
        "4",
        "0.90%",
        "row 4",
        "label suspected",
    ]
    page.click(cell(8, 8))
    words = page.locator("#gallery .tile").first.inner_text().split("\n")
    assert words[:3] == ["8 → 8", "8", "45.00%"]
    assert words[-2:] == ["row 18", "refined by neighbours"]


def test_tiles_show_the_very_images(page: Page, data: TrainingDigits) -> None:
    page.click(cell(4, 9))
    drawn = page.evaluate(
        """async () => {
          await document.getElementById("sheet").decode();
          return [...document.querySelectorAll("#gallery canvas")].map((canvas) => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, 28, 28);
            return [...data].filter((_, i) => i % 4 === 0);
          });
        }"""
    )
    np.testing.assert_array_equal(np.array(drawn).reshape(-1, 28, 28), data.images[[4, 14, 24]])


@pytest.mark.parametrize(
    ("choices", "rows"),
    [
        ({"true": "4"}, [4, 14, 24]),
        ({"predicted": "1"}, [7]),
        ({"predicted": "4"}, [39]),
        ({"confidence": "99 % or more"}, [4]),
        ({"confidence": "90 to 99 %"}, [5]),
        ({"confidence": "50 to 90 %"}, [39, 14, 24, 7]),
        ({"confidence": "below 50 %"}, []),
        ({"true": "4", "confidence": "50 to 90 %"}, [14, 24]),
        ({"true": "0"}, []),
        ({"order": "row of train.csv"}, [4, 5, 7, 14, 24, 39]),
        ({"order": "highest confidence first"}, [4, 5, 39, 14, 24, 7]),
    ],
)
def test_filters_keep_what_fits(choices: dict[str, str], rows: list[int], shared: Page) -> None:
    for name, value in choices.items():
        shared.select_option(f"#filters [name={name}]", label=value)
    assert shown(shared) == rows
    shared.click("#filters [type=reset]")
    expect(shared.locator("#gallery .tile")).to_have_count(6)


def test_filter_that_nothing_fits_says_so(page: Page) -> None:
    page.select_option("#filters [name=true]", label="0")
    assert page.inner_text("#found") == "No errors (true 0)"
    page.select_option("#filters [name=true]", label="4")
    page.select_option("#filters [name=confidence]", label="below 50 %")
    assert page.inner_text("#found") == "0 of 3 errors (true 4)"


def test_table_sorts_by_the_column_that_is_pressed(page: Page) -> None:
    def column(number: int) -> list[str]:
        return page.locator(f"#per-digit tbody tr > :nth-child({number})").all_inner_texts()

    assert column(1)[0] == "4 worse"
    assert column(2) == sorted(column(2), reverse=True)
    assert page.get_attribute("#per-digit th:nth-child(2)", "aria-sort") == "descending"
    page.click("#per-digit button:text('errors')")
    assert column(2) == sorted(column(2))
    page.click("#per-digit button:text('digit')")
    page.click("#per-digit button:text('digit')")
    assert [text[0] for text in column(1)] == list("0123456789")
    assert page.locator("#per-digit [aria-sort]").count() == 1


def test_gallery_and_matrix_obey_the_keyboard(page: Page) -> None:
    def focused() -> tuple[int, int]:
        found = page.evaluate("({...document.activeElement.dataset})")
        return int(found["true"]), int(found["predicted"])

    page.focus(cell(3, 3))
    page.keyboard.press("ArrowDown")
    assert focused() == (5, 3)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    assert focused() == (0, 0)
    page.focus(cell(4, 4))
    page.keyboard.press("ArrowRight")
    assert focused() == (4, 9)
    page.keyboard.press("Enter")
    assert shown(page) == [4, 14, 24]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "kind"
    page.click("#filters [type=reset]")
    expect(page.locator("#gallery .tile")).to_have_count(6)
    page.focus("#gallery .tile")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.row") == "5"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#gallery')") is None


def test_closer_look_tells_all_ten_and_goes_on(page: Page) -> None:
    page.focus("#gallery .tile")
    page.keyboard.press("Enter")
    assert (
        page.inner_text("#closer h2")
        == "Row 4; predicted 9: 99.00%; true 4: 0.90%; label suspected"
    )
    assert page.locator("#closer tbody tr").count() == 10
    assert page.locator("#closer tbody tr").nth(9).inner_text().split() == ["9", "99.00%"]
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#closer h2").startswith("Row 5; predicted 3: 97.00%")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#closer h2").startswith("Row 7;")
    page.keyboard.press("Escape")
    assert not page.is_visible("#closer")
    assert page.evaluate("document.activeElement.dataset.row") == "4"


def test_address_follows_the_view_and_opens_it(page: Page, browser: Browser) -> None:
    address = page.url
    page.click(cell(4, 9))
    assert page.url == f"{address}#true=4&predicted=9"
    page.click(cell(8, 8))
    assert page.url == f"{address}#kind=low_confidence&true=8&predicted=8"
    page.select_option("#filters [name=confidence]", label="50 to 90 %")
    view = page.url
    assert shown(page) == [8, 28]
    page.go_back()
    page.go_back()
    assert shown(page) == [4, 14, 24]
    page.go_back()
    assert shown(page) == [4, 5, 39, 14, 24, 7]
    page.goto("about:blank")
    page.goto(view)
    assert shown(page) == [8, 28]
    assert [text.strip() for text in pressed(page)] == ["8 predicted as 8:"]
    expect(page.locator("#confusions h2")).to_be_in_viewport()


@pytest.mark.parametrize("hash", ["true=12&predicted=9", "kind=none&order=", "=&&", "nothing=1"])
def test_address_with_unknown_choices_shows_what_is_known_of_it(hash: str, shared: Page) -> None:
    shared.select_option("#filters [name=true]", label="7")
    assert shown(shared) == [7]
    shared.evaluate(f"location.hash = '{hash}'")
    expect(shared.locator("#gallery .tile")).to_have_count(3 if "predicted=9" in hash else 6)
    shared.click("#filters [type=reset]")


def test_section_in_the_address_keeps_the_view(page: Page) -> None:
    page.click(cell(4, 9))
    page.click("nav a[href='#labels']")
    assert page.url.endswith("#labels")
    assert shown(page) == [4, 14, 24]


def test_most_errors_come_first_and_lead_to_their_images(page: Page) -> None:
    items = page.locator(".ranking li")
    assert items.first.inner_text().split() == ["4", "3", "50.00%"]
    assert items.count() == 4
    assert page.inner_text(".ranking p").startswith("Established: 4 has a higher error rate")
    items.first.locator("a").click()
    assert shown(page) == [4, 14, 24]
    assert page.inner_text("#found") == "3 errors (true 4)"


def test_suspected_labels_among_the_costliest_are_tagged_and_linked_once(page: Page) -> None:
    tags = page.locator("#costliest .tag").all_inner_texts()
    suspected = len(shown(page, "suspected"))
    assert tags.count("label suspected") == suspected > 0
    link = page.locator(".costliest a")
    assert link.count() == 1
    link.click()
    expect(page.locator("#labels h2")).to_be_in_viewport()


def test_other_galleries_show_their_images(page: Page) -> None:
    assert shown(page, "costliest") == [4, 5, 39, 14, 24, 7]
    assert len(shown(page, "lowest")) == 20
    assert shown(page, "lowest")[0] == 8  # the ImageId of row 7: 52 % and 43 %


@each_look
def test_page_is_accessible(look: Look, folder: Path, browser: Browser) -> None:
    with opened(browser, folder / stages.REPORT, **look) as page:
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        page.click(cell(4, 9))
        assert accessibility_findings(page) == []
        page.click("#gallery .tile >> nth=1")
        assert accessibility_findings(page, "#closer") == []


def test_many_errors_come_page_by_page_and_what_is_left_out_is_told(
    folder: Path,
    browser: Browser,
    data: TrainingDigits,
    test_digits: UnlabelledDigits,
    tmp_path: Path,
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path)
        shutil.copy(ROOT / "params.yaml", "params.yaml")
        set_params(
            Path.cwd(), ("folds: [0]", "folds: [0, 1, 2]"), ("page_images: 1500", "page_images: 58")
        )
        repeated = TrainingDigits(
            np.concatenate([data.images, 255 - data.images]),
            np.tile(data.labels, 2),
            np.tile(data.folds, 2),
            data.provenance,
        )
        wrong = (repeated.labels + 1) % 10
        write_results(repeated, test_digits, predict_with(wrong, {}))
        report.main()
        with opened(browser, tmp_path / stages.REPORT) as page:
            assert len(shown(page)) == 58
            assert page.inner_text("#found") == (
                "58 of 120 errors; the page has 58 of these, errors.csv all"
            )
            page.click(cell(4, 5))
            assert len(shown(page)) in (5, 6)
            assert page.inner_text("#found").endswith(
                f"of 12 errors (4 → 5); the page has {len(shown(page))} of these, errors.csv all"
            )


def test_show_more_goes_on_where_it_stopped(page: Page) -> None:
    page.evaluate(
        """() => {
          const errors = ofKind("error");
          const more = Array.from({ length: 70 }, (_, i) => ({ ...errors[0], row: 1000 + i }));
          predictions.push(...more);
          start();
        }"""
    )
    assert len(shown(page)) == 60
    assert page.inner_text("#more") == "show 16 more of 16"
    page.click("#more")
    assert len(shown(page)) == 76
    assert not page.is_visible("#more")


def test_page_is_whole_on_paper(page: Page) -> None:
    with printed(page):
        assert paper_findings(page) == []
        assert page.locator("#per-digit .interval:visible").count() == 10
        assert page.is_visible(".scale")
        assert "Choose" not in page.inner_text("#confusions")


@pytest.mark.parametrize(
    "part",
    [
        ".ranking .length",
        "#per-digit .interval",
        ".slices .interval",
        "#matrix button.error",
        "#matrix button.correct",
        "#gallery .bar",
        ".scale span",
    ],
)
def test_data_keep_their_colour_in_high_contrast(part: str, shared: Page) -> None:
    with high_contrast(shared):
        assert is_coloured(shared.locator(part).first)
