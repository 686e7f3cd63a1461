"""Verdicts on suspected labels in a browser: decided, kept, saved, and read again."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline import stages
from pipeline.data import label_table
from pipeline.data.dataset import TrainingDigits, UnlabelledDigits
from pipeline.data.label_corrections import LabelCorrections, LabelVerdict
from pipeline.stages import report
from tests.browser import Look, accessibility_findings, each_look, opened
from tests.conftest import ROOT, set_params
from tests.label_tables import BAD, GOOD, UNUSUAL
from tests.results import predict_with, write_results

DATA = f"sample-{'a' * 12}"
SUSPECTED = {4: (9, 0.99), 14: (9, 0.98), 5: (3, 0.97), 7: (1, 0.96), 39: (4, 0.95)}
CONTRADICTED = {50: (3, 0.6), 24: (9, 0.55)}
"""By row: the digit that is predicted, with its probability."""

WITHOUT_STORE = """
Object.defineProperty(window, "localStorage", { get() { throw new Error("denied"); } });
"""


def make_page(
    folder: Path,
    data: TrainingDigits,
    test: UnlabelledDigits,
    corrections: LabelCorrections | None = None,
) -> Path:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        shutil.copy(ROOT / "params.yaml", "params.yaml")
        set_params(folder, ("folds: [0]", "folds: [0, 1, 2]"))
        probabilities = predict_with(data.labels, SUSPECTED | CONTRADICTED)
        write_results(data, test, probabilities, None, corrections)
        report.main()
    return folder / stages.REPORT


@pytest.fixture(scope="module")
def path(
    training_digits: TrainingDigits,
    test_digits: UnlabelledDigits,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A report with five suspected labels."""
    return make_page(tmp_path_factory.mktemp("labels"), training_digits, test_digits)


@pytest.fixture
def page(path: Path, browser: Browser) -> Iterator[Page]:
    with opened(browser, path) as page:
        yield page


def control(row: int, words: str, place: str = "#suspected") -> str:
    return f"{place} .verdict[data-row='{row}'] button:text('{words}')"


def choose(page: Page, row: int, digit: int) -> None:
    page.select_option(f"#suspected .verdict[data-row='{row}'] select", str(digit))


def said(page: Page) -> str:
    return page.inner_text("#labels-decided")


def save(page: Page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click("#labels-save")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def open_table(page: Page, content: str, name: str = "labels.csv") -> str:
    file: Any = {"name": name, "mimeType": "text/csv", "buffer": content.encode()}
    page.evaluate("document.getElementById('labels-note').textContent = ''")
    page.set_input_files("#labels-open", file)
    expect(page.locator("#labels-note")).not_to_be_empty()
    return page.inner_text("#labels-note")


def test_verdicts_are_counted_and_saved_as_the_table_that_the_pipeline_reads(
    page: Page, tmp_path: Path
) -> None:
    assert said(page) == "0 of 5 decided"
    assert page.is_disabled("#labels-save")
    page.click(control(4, "should be 9"))
    page.click(control(14, "label is right"))
    page.click(control(5, "cannot be read"))
    choose(page, 39, 2)
    assert said(page) == "4 of 5 decided: 1 right, 2 should be another digit, 1 cannot be read"
    path = save(page, tmp_path)
    assert path.name == "labels.csv"
    assert path.read_text() == (
        "row,label,verdict,correction,data\n"
        f"4,4,wrong,9,{DATA}\n5,5,unreadable,,{DATA}\n14,4,right,,{DATA}\n39,9,wrong,2,{DATA}\n"
    )
    found = label_table.read(path)
    assert found.data == DATA
    assert [(each.row, each.verdict, each.correction) for each in found.verdicts] == [
        (4, "wrong", 9),
        (5, "unreadable", None),
        (14, "right", None),
        (39, "wrong", 2),
    ]


def test_a_verdict_can_be_changed_and_taken_back(page: Page) -> None:
    page.click(control(4, "label is right"))
    choose(page, 4, 7)
    assert said(page) == "1 of 5 decided: 1 should be another digit"
    assert page.get_attribute(control(4, "label is right"), "aria-pressed") == "false"
    page.click(control(4, "cannot be read"))
    assert page.input_value("#suspected .verdict[data-row='4'] select") == ""
    page.click(control(4, "cannot be read"))
    assert said(page) == "0 of 5 decided"


def test_verdicts_are_kept_for_this_data_alone(
    page: Page, path: Path, training_digits: TrainingDigits, test_digits: UnlabelledDigits
) -> None:
    page.click(control(7, "should be 1"))
    page.reload()
    assert said(page) == "1 of 5 decided: 1 should be another digit"
    assert page.get_attribute(control(7, "should be 1"), "aria-pressed") == "true"
    assert page.evaluate("Object.keys(localStorage)") == [f"digit-recognizer labels {DATA}"]
    assert page.is_hidden("#labels-lost")
    page.evaluate("localStorage.setItem(Object.keys(localStorage)[0], '{')")
    page.reload()
    assert said(page) == "0 of 5 decided", "what is damaged is not used"


def test_browser_that_keeps_nothing_is_told_and_the_page_works(
    path: Path, browser: Browser, tmp_path: Path
) -> None:
    with opened(browser, path, script=WITHOUT_STORE) as page:
        expect(page.locator("#labels-lost")).to_be_visible()
        page.click(control(4, "label is right"))
        assert said(page) == "1 of 5 decided: 1 right"
        assert save(page, tmp_path).read_text().endswith(f"\n4,4,right,,{DATA}\n")


def test_keys_decide_on_the_image_that_has_the_focus(page: Page) -> None:
    page.focus("#suspected .tile")
    page.keyboard.press("9")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.row") == "14"
    page.keyboard.press("4")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("u")
    assert said(page) == "3 of 5 decided: 1 right, 1 should be another digit, 1 cannot be read"
    page.keyboard.press("Backspace")
    page.keyboard.press("r")
    assert said(page) == "3 of 5 decided: 2 right, 1 should be another digit"
    page.keyboard.press("Control+1")
    assert said(page) == "3 of 5 decided: 2 right, 1 should be another digit"


def test_tab_reaches_the_controls_of_one_image_and_then_leaves(page: Page) -> None:
    page.focus("#suspected .tile")
    page.keyboard.press("ArrowRight")
    for expected in ("label is right", "should be 9", "cannot be read"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == expected
        assert page.evaluate("document.activeElement.parentElement.dataset.row") == "14"
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert said(page) == "1 of 5 decided: 1 should be another digit", "a list keeps its arrows"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#suspected')") is None
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "another digit"


def test_closer_look_decides_too(page: Page) -> None:
    page.click("#suspected .tile >> nth=0")
    page.click(control(4, "label is right", "#closer"))
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#closer .verdict", "data-row") == "14"
    assert page.evaluate("document.activeElement.textContent") == "label is right"
    page.keyboard.press("u")
    page.keyboard.press("ArrowLeft")
    pressed = page.locator("#closer .verdict [aria-pressed='true']")
    assert pressed.inner_text() == "label is right"
    page.keyboard.press("Escape")
    assert said(page) == "2 of 5 decided: 1 right, 1 cannot be read"
    page.click("#gallery .tile >> nth=0")
    assert page.locator("#closer .verdict").count() == 0, "no suspect, no verdict"
    page.keyboard.press("u")
    assert said(page) == "2 of 5 decided: 1 right, 1 cannot be read"


def test_labels_that_predictions_contradict_follow_on_demand(page: Page) -> None:
    rows = "tiles => tiles.map(tile => Number(tile.dataset.row))"
    tiles = page.locator("#suspected .tile")
    assert tiles.evaluate_all(rows) == [*SUSPECTED]
    page.click(control(4, "label is right"))
    page.click("#labels-more")
    assert tiles.evaluate_all(rows) == [*SUSPECTED, *CONTRADICTED]
    assert page.is_hidden("#labels-more")
    first = next(iter(CONTRADICTED))
    assert page.evaluate("document.activeElement.dataset.row") == str(first)
    page.keyboard.press("r")
    page.click(f"#suspected .tile[data-row='{first}']")
    assert page.get_attribute("#closer .verdict", "data-row") == str(first)
    page.keyboard.press("Escape")
    assert said(page) == "2 of 7 decided: 2 right"
    assert page.get_attribute(control(4, "label is right"), "aria-pressed") == "true"


def test_table_of_earlier_verdicts_is_gone_on_with(page: Page, tmp_path: Path) -> None:
    page.click(control(4, "label is right"))
    page.click(control(7, "should be 1"))
    words = open_table(page, f"{GOOD}20,0,wrong,6\n", "old.csv")
    assert words == "4 verdicts read from old.csv; 1 of them replaced another."
    assert said(page) == (
        "4 of 5 decided, and 1 not shown here: 1 right, 3 should be another digit, 1 cannot be read"
    )
    rows = [line.split(",")[:4] for line in save(page, tmp_path).read_text().splitlines()[1:]]
    assert [",".join(cells) for cells in rows] == [
        "4,4,wrong,9",
        "5,5,unreadable,",
        "7,7,wrong,1",
        "14,4,right,",
        "20,0,wrong,6",
    ]


def test_page_reads_what_the_pipeline_reads(page: Page) -> None:
    others = "row,label,verdict,correction\n4,4,right,\n14,4,unreadable,\n5,5,right,\n"
    read = "3 verdicts read from labels.csv"
    assert open_table(page, GOOD) == f"{read}."
    for name, content in UNUSUAL.items():
        open_table(page, others)
        assert said(page) == "3 of 5 decided: 2 right, 1 cannot be read"
        assert open_table(page, content) == f"{read}; 3 of them replaced another.", name
        assert said(page) == (
            "3 of 5 decided: 1 right, 1 should be another digit, 1 cannot be read"
        ), name


def test_page_refuses_what_the_pipeline_refuses(page: Page) -> None:
    page.click(control(7, "should be 1"))
    header, *lines = GOOD.splitlines()
    other = "\n".join([f"{header},data", *(f"{line},competition-{'b' * 12}" for line in lines)])
    of_other_data = {"other data": (other, "line 2: it is of other data: expected sample-a")}
    of_other_label = {"a label": (GOOD.replace("14,4", "14,6"), "line 3: row 14 has the label 4")}
    for name, (content, problem) in (BAD | of_other_data | of_other_label).items():
        words = open_table(page, content)
        assert words.startswith("labels.csv was not read, and nothing changed: "), name
        line = problem.partition(":")[0]
        if line.startswith("line") and "[" not in line:
            assert f" {line}: " in words, (name, words)
        assert said(page) == "1 of 5 decided: 1 should be another digit", name


def test_page_begins_with_labels_csv_which_wins_where_it_changed(
    training_digits: TrainingDigits,
    test_digits: UnlabelledDigits,
    browser: Browser,
    tmp_path: Path,
) -> None:
    verdicts = (LabelVerdict(2, 4, 4, "wrong", 9), LabelVerdict(3, 20, 0, "right", None))
    corrections = LabelCorrections("e" * 64, DATA, verdicts)
    path = make_page(tmp_path, training_digits, test_digits, corrections)
    with opened(browser, path) as page:
        both = "1 of 5 decided, and 1 not shown here: 1 right, 1 should be another digit"
        assert said(page) == both
        page.click(control(4, "should be 9"))
        page.click(control(7, "cannot be read"))
        page.reload()
        assert page.get_attribute(control(4, "should be 9"), "aria-pressed") == "false"
        key = f"digit-recognizer labels {DATA}"
        earlier = {"sha256": None, "decided": [[4, 4, "right", ""], [7, 7, "unreadable", ""]]}
        page.evaluate("([k, v]) => localStorage.setItem(k, v)", [key, json.dumps(earlier)])
        page.reload()
        assert said(page).startswith("2 of 5 decided, and 1 not shown here: 1 right, 1 should be")
        assert page.get_attribute(control(4, "should be 9"), "aria-pressed") == "true"
        assert page.inner_text("#labels-note") == (
            "1 verdict of data/labels.csv differs from what this browser kept, and replaced it."
        )


@each_look
def test_verdicts_are_accessible(look: Look, path: Path, browser: Browser) -> None:
    """The rest of the page is looked at in tests/report/test_page.py."""
    with opened(browser, path, **look) as page:
        page.click(control(4, "should be 9"))
        choose(page, 5, 0)
        open_table(page, "no table")
        assert accessibility_findings(page, "#labels") == []
        page.click("#suspected .tile >> nth=0")
        assert accessibility_findings(page, "#closer") == []
