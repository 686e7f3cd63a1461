"""The page that compares runs: its numbers, and what a click, a filter and a key do."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Opened

from pipeline import stages
from pipeline.data.dataset import TrainingDigits
from pipeline.evaluation.comparison import Comparison, EvaluatedRun, compare
from pipeline.evaluation.learning_curves import average_curves, join_histories
from pipeline.files import read_json
from pipeline.plots.comparison import learning_curves
from pipeline.report import comparison as report
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
from tests.evaluation.test_changes import AFTER, BEFORE, predict
from tests.pages import Page, as_number

TWO, SEVERAL = Path("two.html"), Path("several.html")


def make_curves(seed: int) -> pd.DataFrame:
    epochs = np.arange(1, 6 + seed)
    loss = np.random.default_rng(seed).uniform(0.8, 1.2, len(epochs)) / epochs
    history = pd.DataFrame({"epoch": epochs, "loss": loss, "accuracy": 1 - loss / 5})
    return average_curves(
        join_histories({"0-0-small": history.assign(val_loss=loss / 2, val_accuracy=1 - loss / 9)})
    )


def make_runs() -> list[EvaluatedRun]:
    """A run, one that corrects two errors and makes two, one without errors, and one of others."""
    predictions = (BEFORE, AFTER, predict({}), predict({22: (3, 0.7)}, n=30, first_row=30))
    return [
        EvaluatedRun(
            name=name,
            revision=None if name == "workspace" else name[0] * 40,
            predictions=each,
            params={"train.batch_size": 64 * place, "seed": 0},
            curves=None if name == "perfect" else make_curves(place),
            training_seconds=None if name == "perfect" else 90.0 * place,
        )
        for place, (name, each) in enumerate(
            zip(("main", "workspace", "perfect", "</script><b>&"), predictions, strict=True), 1
        )
    ]


CODE = [("workspace", "pipeline/training/loop.py", "changed"), ("workspace", "new.py", "added")]


def write(
    page: Path,
    runs: list[EvaluatedRun],
    digits: TrainingDigits | None,
    code: Sequence[tuple[str, str, str]] = CODE,
) -> Comparison:
    """The page, and the numbers in the folder of its name."""
    differs = pd.DataFrame(list(code), columns=["run", "path", "change"])
    found = compare(runs, differs, ["A note, with its cure."])
    folder = page.with_suffix("")
    folder.mkdir()
    found.write(folder)
    figures = {}
    for measure in ("loss", "error_rate"):
        figures[f"learning_{measure}"] = folder / f"{measure}.svg"
        names = [run.name for run in runs]
        curves = found.tables["learning_curves"]
        learning_curves(folder / f"{measure}.svg", curves, names, measure)
    report.write_page(page, found, digits, figures, folder, stages.SAMPLE_NOTICE)
    return found


@pytest.fixture(scope="module")
def folder(
    training_digits: TrainingDigits, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A page of two runs and one of four, in the current folder."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("compared"))
        write(TWO, make_runs()[:2], training_digits)
        write(SEVERAL, make_runs(), training_digits)
        yield Path.cwd()


@pytest.fixture
def two(folder: Path, browser: Browser) -> Iterator[Opened]:
    with opened(browser, folder / TWO) as page:
        yield page


@pytest.fixture(scope="module")
def shared(folder: Path, browser: Browser) -> Iterator[Opened]:
    """One visit for several tests of the two runs, each of which leaves the page as it was."""
    with opened(browser, folder / TWO) as page:
        yield page


@pytest.fixture
def several(folder: Path, browser: Browser) -> Iterator[Opened]:
    with opened(browser, folder / SEVERAL) as page:
        yield page


def look_up(folder: Path, place: list[str]) -> float:
    """The number that stands in a file, read afresh."""
    name, *keys = place
    if name.endswith(".json"):
        value: Any = read_json(folder / name)
        for key in keys:
            value = value[int(key) if isinstance(value, list) else key]
        return float(value)
    row, column = keys
    return float(pd.read_csv(folder / name).loc[int(row), column])


@pytest.mark.parametrize("page", [TWO, SEVERAL])
def test_every_number_is_that_of_the_file_that_it_names(folder: Path, page: Path) -> None:
    found = Page((folder / page).read_text())
    files = {"comparison.json", "confusions.csv", "per_digit.csv", "learning_curves.csv"}
    assert {place[0] for place, _, _ in found.numbers} == files
    assert len(found.numbers) > 350
    for place, value, text in found.numbers:
        assert value == look_up(folder / page.with_suffix(""), place), place
        if text[0] in "<>":
            limit, _ = as_number(text[1:])
            assert 0 < value < limit if text[0] == "<" else limit < value < 1
            continue
        said, tolerance = as_number(text)
        if place[-1] in ("difference", "low", "high") and place[0] == "comparison.json":
            scale = 1 if text.endswith("points") else 100
            said, tolerance = said / scale, tolerance / scale
        assert said == pytest.approx(value, abs=tolerance * 1.001), (place, text)


@pytest.mark.parametrize("page", [TWO, SEVERAL])
def test_images_are_those_of_the_table(folder: Path, page: Path) -> None:
    shown = Page((folder / page).read_text()).predictions
    table = pd.read_csv(folder / page.with_suffix("") / "changes.csv")
    names = list(dict.fromkeys(run.name for run in make_runs()[1:]))
    assert [names[place] for place in shown["run"]] == table["run"].tolist()
    for column in ("row", "true", "before", "after", "change"):
        assert shown[column].tolist() == table[column].tolist()
    for when in ("before", "after"):
        expected = table[[f"p_{digit}_{when}" for digit in range(10)]].to_numpy()
        np.testing.assert_array_equal(np.array(shown[f"p_{when}"].tolist()), expected)


def test_page_names_its_pictures_and_needs_no_other_file(folder: Path) -> None:
    for name in (TWO, SEVERAL):
        page = Page((folder / name).read_text())
        others = [each for each in page.addresses if not each.startswith(("data:", "#"))]
        assert others == []
        assert page.nameless == []
        assert sorted(page.ids) == sorted(set(page.ids))
        anchors = {each[1:] for each in page.addresses if each.startswith("#") and "=" not in each}
        assert anchors <= set(page.ids)


def test_page_tells_verdict_settings_code_and_notes(folder: Path) -> None:
    words = Page((folder / TWO).read_text()).words
    assert "compared 0.00 points accuracy of workspace, compared with main on 60 held-out" in words
    assert "This could be chance (McNemar's exact test: p = 1.000)" in words
    assert "train.batch_size 64 128" in words
    assert "2 files of code differ between main and workspace" in words
    assert "pipeline/training/loop.py changed" in words
    assert "A note, with its cure." in words
    assert "THIS RUN USES THE EMBEDDED SAMPLE" in words
    words = Page((folder / SEVERAL).read_text()).words
    assert "3 runs compared with main" in words
    assert "</script><b>&" in words
    assert "The code of perfect is that of main." in words


def rows(page: Opened) -> list[int]:
    """Rows of the images that are shown, in their order."""
    found = page.locator("#gallery .tile").evaluate_all("tiles => tiles.map(t => t.dataset.row)")
    return [int(row) for row in found]


def cell(column: str, true: int, predicted: int) -> str:
    table = f".matrix[data-column={column}]"
    return f"{table} button[data-true='{true}'][data-predicted='{predicted}']:visible"


def test_changed_images_come_first(two: Opened) -> None:
    assert rows(two) == [5, 15, 4, 23, 7, 14]
    assert two.inner_text("#found") == "6 images"


@pytest.mark.parametrize(
    ("column", "true", "predicted", "shown", "said"),
    [
        ("before", 4, 9, [4, 14], "2 images (true 4, before 9)"),
        ("after", 4, 9, [14], "1 image (true 4, after 9)"),
        ("difference", 4, 9, [4], "1 image (true 4, before or after 9)"),
        ("before", 5, 5, [5, 15], "2 images (true 5, before 5)"),
        ("difference", 5, 3, [5, 15], "2 images (true 5, before or after 3)"),
        ("after", 0, 0, [], "No images (true 0, after 0)"),
    ],
)
def test_cell_shows_its_images_and_only_them(
    shared: Opened, column: str, true: int, predicted: int, shown: list[int], said: str
) -> None:
    shared.click(cell(column, true, predicted))
    assert rows(shared) == shown
    assert shared.inner_text("#found") == said
    pressed = shared.locator(".matrix [aria-pressed='true']")
    assert pressed.count() == 1
    assert pressed.get_attribute("data-true") == str(true)
    shared.click("#filters [type=reset]")
    expect(shared.locator("#gallery .tile")).to_have_count(6)


@pytest.mark.parametrize(
    ("choices", "shown"),
    [
        ({"change": "new errors"}, [5, 15]),
        ({"change": "corrected"}, [4, 23]),
        ({"change": "errors of both, as other digits"}, [7]),
        ({"change": "errors of both, as the same digit"}, [14]),
        ({"true": "5"}, [5, 15]),
        ({"before": "5"}, [5, 15, 23]),
        ({"after": "3", "change": "corrected"}, [23]),
        ({"order": "row of train.csv"}, [4, 5, 7, 14, 15, 23]),
        ({"order": "true digit's probability fell most"}, [5, 15, 14, 7, 23, 4]),
        ({"order": "true digit's probability rose most"}, [4, 23, 7, 14, 15, 5]),
    ],
)
def test_filters_keep_what_fits(shared: Opened, choices: dict[str, str], shown: list[int]) -> None:
    for name, value in choices.items():
        shared.select_option(f"#filters [name={name}]", label=value)
    assert rows(shared) == shown
    shared.click("#filters [type=reset]")
    expect(shared.locator("#gallery .tile")).to_have_count(6)


def test_tile_and_closer_look_tell_both_probabilities(two: Opened) -> None:
    words = two.locator("#gallery .tile").nth(0).inner_text().split("\n")
    halves = ["before", "5", "95.00%", "after", "3", "97.00%", "5", "2.70%"]
    assert words == ["5: 5 → 3", *halves, "row 5", "new error"]
    two.focus("#gallery .tile")
    two.keyboard.press("Enter")
    assert two.inner_text("#closer h2") == (
        "Row 5; true 5; before 5: 95.00%; after 3: 97.00%, 5: 2.70%; new error"
    )
    assert two.locator("#closer tbody tr").nth(3).inner_text().split() == ["3", "0.56%", "97.00%"]
    two.keyboard.press("ArrowRight")
    assert two.inner_text("#closer h2").startswith("Row 15; true 5")
    two.keyboard.press("Escape")
    assert two.evaluate("document.activeElement.dataset.row") == "5"


def test_tiles_show_the_very_images(two: Opened, training_digits: TrainingDigits) -> None:
    drawn = two.evaluate(
        """async () => {
          await document.getElementById("sheet").decode();
          return [...document.querySelectorAll("#gallery canvas")].map((canvas) => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, 28, 28);
            return [...data].filter((_, i) => i % 4 === 0);
          });
        }"""
    )
    expected = training_digits.images[[5, 15, 4, 23, 7, 14]]
    np.testing.assert_array_equal(np.array(drawn).reshape(-1, 28, 28), expected)


def test_keys_move_in_a_matrix_and_choose(two: Opened) -> None:
    two.locator(cell("before", 4, 4)).focus()
    two.keyboard.press("ArrowDown")
    assert two.evaluate("document.activeElement.dataset.true") == "5"
    two.keyboard.press("Enter")
    assert rows(two) == [5, 15]
    two.keyboard.press("Tab")
    assert two.evaluate("document.activeElement.closest('table').dataset.column") == "after"


def test_address_follows_the_view_and_opens_it(two: Opened) -> None:
    address = two.url
    two.click(cell("before", 4, 9))
    assert two.url == f"{address}#true=4&before=9"
    two.select_option("#filters [name=change]", label="corrected")
    view = two.url
    two.go_back()
    assert rows(two) == [4, 14]
    two.goto("about:blank")
    two.goto(view)
    assert rows(two) == [4]


def test_run_is_chosen_with_its_matrices_and_images(several: Opened) -> None:
    assert rows(several) == [5, 15, 4, 23, 7, 14]
    assert several.locator(".matrix:visible").count() == 3
    several.click("text=perfect >> nth=0")
    assert rows(several) == [4, 14, 7, 23]
    assert several.locator(".matrix:visible caption").nth(1).inner_text() == "after perfect"
    several.click(cell("before", 4, 9))
    assert rows(several) == [4, 14]
    assert several.url.endswith("#run=1&true=4&before=9")
    several.click("#filters [type=reset]")
    expect(several.locator("#gallery .tile")).to_have_count(6)


def test_runs_are_sorted_by_a_heading(several: Opened) -> None:
    def order() -> list[str]:
        return several.locator(".runs tbody th .name").all_inner_texts()

    assert order() == ["main", "workspace", "perfect", "</script><b>&"]
    several.click(".runs thead >> text=difference")
    assert order()[0] == "perfect"
    several.click(".runs thead >> text=errors >> nth=0")
    several.click(".runs thead >> text=errors >> nth=0")
    assert order()[0] == "perfect"


@each_look
@pytest.mark.parametrize("page", [TWO, SEVERAL])
def test_page_is_accessible(look: Look, page: Path, folder: Path, browser: Browser) -> None:
    with opened(browser, folder / page, **look) as shown:
        shown.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        shown.click(cell("before", 4, 9))
        assert accessibility_findings(shown) == []
        shown.click("#gallery .tile >> nth=0")
        assert accessibility_findings(shown, "#closer") == []


def test_page_with_many_errors_has_some_of_each_and_says_so(
    tmp_path: Path,
    training_digits: TrainingDigits,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 50 images that stay wrong, only a few have room next to two that changed."""
    monkeypatch.setattr(report, "MOST_IMAGES", 12)
    wrong = {row: (int(row + 1) % 10, 0.9) for row in range(50)}
    runs = make_runs()[:2]
    before = predict(wrong | {55: (4, 0.6)})
    runs = [replace(runs[0], predictions=before), replace(runs[1], predictions=predict(wrong))]
    write(tmp_path / "page.html", runs, training_digits)
    with opened(browser, tmp_path / "page.html") as page:
        shown = rows(page)
        assert len(shown) == 12
        assert shown[0] == 55
        assert {row % 10 for row in shown[1:]} == set(range(10))
        assert page.inner_text("#found") == (
            "12 images; the page has 12 of 51 images, changes.csv all"
        )


def test_page_without_images_still_tells(tmp_path: Path, browser: Browser) -> None:
    write(tmp_path / "page.html", make_runs()[:2], None)
    with opened(browser, tmp_path / "page.html") as page:
        assert rows(page) == [5, 15, 4, 23, 7, 14]
        page.click("#gallery .tile")
        assert page.inner_text("#closer h2").startswith("Row 5; true 5")


def test_page_is_whole_on_paper(several: Opened) -> None:
    with printed(several):
        assert paper_findings(several) == []
        assert several.locator(".runs .interval:visible").count() == 3
        assert "Choose" not in several.inner_text("main")


def test_code_that_differs_is_told_on_paper(tmp_path: Path, browser: Browser) -> None:
    """Many files are folded away: their number is printed."""
    files = [("workspace", f"pipeline/{place}.py", "changed") for place in range(13)]
    write(tmp_path / "page.html", make_runs()[:2], None, files)
    with opened(browser, tmp_path / "page.html") as page, printed(page):
        assert "13 files of code differ between main and workspace" in page.inner_text("#settings")


@pytest.mark.parametrize(
    "part",
    [
        ".runs .interval",
        ".matrix button.error",
        ".matrix button.correct",
        ".bar",
        ".differs",
    ],
)
def test_data_keep_their_colour_in_high_contrast(part: str, shared: Opened) -> None:
    with high_contrast(shared):
        assert is_coloured(shared.locator(f"{part}:visible").first)


@pytest.mark.parametrize("page", [TWO, SEVERAL])
def test_no_short_name_is_broken_on_a_phone(page: Path, folder: Path, browser: Browser) -> None:
    with opened(browser, folder / page, width=NARROW) as shown:
        broken = shown.evaluate(
            """() => [...document.querySelectorAll(".runs .name")].filter((each) => {
              const range = document.createRange();
              range.selectNodeContents(each);
              return range.getClientRects().length > 1;
            }).map((each) => each.textContent)"""
        )
    assert set(broken) <= {"</script><b>&"}
