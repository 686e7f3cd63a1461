"""The page of a sweep: its numbers, its pictures, and what a click does."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser

from pipeline import stages
from pipeline.data.dataset import TrainingDigits
from pipeline.files import read_json
from pipeline.report.sweep import write_page
from pipeline.sweeps.files import Paths
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
from tests.conftest import set_params
from tests.pages import Page, as_number
from tests.report.test_comparison import look_up
from tests.sweeps.scripted import MANY, Scripted, run
from tests.sweeps.spaces import make_folder

PAGES = "found", "nothing"


@pytest.fixture(scope="module")
def folder(
    training_digits: TrainingDigits, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Sweeps of which one finds something and one finds nothing, with their pages."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        project = make_folder(tmp_path_factory.mktemp("swept"), training_digits)
        monkeypatch.chdir(project)
        set_params(project, ("learning_rate: 0.001", "learning_rate: 0.01"))
        for name in PAGES:
            scripted = Scripted(training_digits, newest_first=False, failing=0.015)
            _, summary = run(project, name, scripted, *MANY)
            paths = Paths(name)
            write_page(paths.page, summary, pd.read_csv(paths.table), stages.SAMPLE_NOTICE)
            if name == "found":  # with other settings, there is nothing to find
                set_params(project, ("learning_rate: 0.01", "learning_rate: 0.001"))
        yield project / "sweeps"


@pytest.mark.parametrize("name", PAGES)
def test_every_number_is_that_of_the_file_that_it_names(folder: Path, name: str) -> None:
    found = Page((folder / f"{name}.html").read_text())
    assert {place[0] for place, _, _ in found.numbers} == {f"{name}.csv", f"{name}.json"}
    assert len(found.numbers) > 40
    for place, value, text in found.numbers:
        assert value == look_up(folder, place), place
        said, tolerance = as_number(text)
        if place[-1] in ("difference", "low", "high", "optimism"):
            scale = 1 if text.endswith("points") else 100
            said, tolerance = said / scale, tolerance / scale
        assert said == pytest.approx(value, abs=tolerance * 1.001), (place, text)


@pytest.mark.parametrize("name", PAGES)
def test_page_names_its_pictures_and_needs_no_other_file(folder: Path, name: str) -> None:
    page = Page((folder / f"{name}.html").read_text())
    assert page.nameless == []
    assert [each for each in page.addresses if not each.startswith(("data:", "#"))] == []
    assert {each[1:] for each in page.addresses if each.startswith("#")} <= set(page.ids)


def test_page_tells_the_verdict(folder: Path) -> None:
    words = Page((folder / "found.html").read_text()).words
    winner = read_json(folder / "found.json")["winner"]
    assert f"accuracy of trial {winner}, compared with params.yaml on 20 images" in words
    assert "Confirmed: better than params.yaml." in words
    words = Page((folder / "nothing.html").read_text()).words
    assert "Nothing found No trial has a lower log loss than params.yaml on folds 0, 1." in words


def test_every_trial_is_in_the_pictures(folder: Path, browser: Browser) -> None:
    table = pd.read_csv(folder / "found.csv")
    complete = table["outcome"] == "complete"
    with opened(browser, folder / "found.html") as page:
        assert page.locator("#history circle").count() == complete.sum()
        assert page.locator("#history path.stopped").count() == (~complete).sum()
        assert page.locator("#parallel polyline").count() == len(table)
        heights = page.locator("#history circle").evaluate_all(
            "circles => circles.map(circle => Number(circle.getAttribute('cy')))"
        )
        order = table.loc[complete, "log_loss"].rank().to_numpy()
        assert (pd.Series(heights).rank(ascending=False).to_numpy() <= order).all()
        assert page.locator("#importance tbody tr").count() == 2


def test_chosen_trial_stands_out(folder: Path, browser: Browser) -> None:
    with opened(browser, folder / "found.html") as page:
        page.click(".pick[value='3']")
        assert page.locator("polyline.picked").get_attribute("data-trial") == "3"
        assert page.locator(".parallel.picking").count() == 1
        page.click(".pick[value='3']")
        assert page.locator("polyline.picked, .parallel.picking").count() == 0


def test_trials_sort_by_a_column(folder: Path, browser: Browser) -> None:
    with opened(browser, folder / "found.html") as page:
        page.click("#trials thead button:text('learning rate')")
        rates = page.locator("#trials tbody tr td:nth-child(6)").all_inner_texts()
        assert [float(rate) for rate in rates] == sorted(map(float, rates), reverse=True)


@pytest.mark.parametrize("name", PAGES)
@each_look
def test_page_can_be_read_by_everyone(
    folder: Path, browser: Browser, name: str, look: Look
) -> None:
    with opened(browser, folder / f"{name}.html", **look) as page:
        assert accessibility_findings(page) == []


@pytest.mark.parametrize("name", PAGES)
def test_page_is_whole_on_paper(name: str, folder: Path, browser: Browser) -> None:
    with opened(browser, folder / f"{name}.html") as page, printed(page):
        assert paper_findings(page) == []


def test_data_keep_their_colour_in_high_contrast(folder: Path, browser: Browser) -> None:
    with opened(browser, folder / "found.html") as page, high_contrast(page):
        assert is_coloured(page.locator(".length").first)
        assert is_coloured(page.locator(".differs").first)
        page.click(".trials .pick >> nth=0")
        pressed, other = (page.locator(".trials .pick").nth(place) for place in (0, 1))
        background = "each => getComputedStyle(each).backgroundColor"
        assert pressed.evaluate(background) != other.evaluate(background)
