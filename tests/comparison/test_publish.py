import re
from pathlib import Path

import pytest

from comparison.publish import BEGIN, END, PAGE, publish
from comparison.wording import SAMPLE_NOTICE
from pipeline.errors import ArtifactError
from tests.conftest import ROOT

RESULTS = "an answer\n\n![A figure](accuracy_over_time.png)\n\n| a table |\n"


def write(folder: Path, page: str, results: str = RESULTS) -> tuple[Path, Path]:
    source, target = folder / "comparison.md", folder / "page.md"
    source.write_text(results, encoding="utf-8")
    target.write_text(page, encoding="utf-8")
    return source, target


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    source, page = write(tmp_path, f"before\n{BEGIN}\nold\n{END}\nafter\n")
    publish(source, page)
    once = page.read_text(encoding="utf-8")
    assert once == (
        f"before\n{BEGIN}\n\nan answer\n\n"
        "![A figure](../comparison/results/accuracy_over_time.png)\n\n"
        f"| a table |\n\n{END}\nafter\n"
    )
    assert "old" not in once
    publish(source, page)
    assert page.read_text(encoding="utf-8") == once


@pytest.mark.parametrize(
    "page", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"]
)
def test_page_without_room_is_left_alone(page: str, tmp_path: Path) -> None:
    source, target = write(tmp_path, page)
    with pytest.raises(ArtifactError, match="has no room for the comparison"):
        publish(source, target)
    assert target.read_text(encoding="utf-8") == page


def test_results_of_the_sample_are_not_published(tmp_path: Path) -> None:
    source, page = write(tmp_path, f"{BEGIN}\n{END}\n", f"{SAMPLE_NOTICE}\n")
    with pytest.raises(ArtifactError, match="is of the embedded sample"):
        publish(source, page)


def test_missing_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="comparison.md is missing"):
        publish(tmp_path / "comparison.md", tmp_path / "page.md")


def test_our_page_has_room_and_its_figures_are_there(tmp_path: Path) -> None:
    results = (ROOT / "comparison/results/comparison.md").read_text(encoding="utf-8")
    source, page = write(tmp_path, (ROOT / PAGE).read_text(encoding="utf-8"), results)
    publish(source, page)
    published = page.read_text(encoding="utf-8")
    assert published == (ROOT / PAGE).read_text(encoding="utf-8")
    figures = re.findall(r"!\[.*\]\((.*)\)", published)
    assert figures
    assert all((ROOT / PAGE.parent / figure).exists() for figure in figures)
