from pathlib import Path

import pytest

from comparison.publish import BEGIN, END, PAGE, publish
from comparison.summarize import SAMPLE_NOTICE
from pipeline.errors import ArtifactError
from tests.conftest import ROOT


def write(folder: Path, readme: str, results: str = "| a table |\n") -> tuple[Path, Path]:
    source, target = folder / "comparison.md", folder / "README.md"
    source.write_text(results, encoding="utf-8")
    target.write_text(readme, encoding="utf-8")
    return source, target


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    source, readme = write(tmp_path, f"before\n{BEGIN}\nold\n{END}\nafter\n")
    publish(source, readme)
    once = readme.read_text(encoding="utf-8")
    assert once.startswith(f"before\n{BEGIN}\n\n| a table |\n\n![")
    assert once.endswith(f"robustness.png)\n\n{END}\nafter\n")
    assert "old" not in once
    publish(source, readme)
    assert readme.read_text(encoding="utf-8") == once


@pytest.mark.parametrize(
    "readme", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"]
)
def test_readme_without_room_is_left_alone(readme: str, tmp_path: Path) -> None:
    source, target = write(tmp_path, readme)
    with pytest.raises(ArtifactError, match="has no room for the comparison"):
        publish(source, target)
    assert target.read_text(encoding="utf-8") == readme


def test_results_of_the_sample_are_not_published(tmp_path: Path) -> None:
    source, readme = write(tmp_path, f"{BEGIN}\n{END}\n", f"{SAMPLE_NOTICE}\n")
    with pytest.raises(ArtifactError, match="is of the embedded sample"):
        publish(source, readme)


def test_missing_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="comparison.md is missing"):
        publish(tmp_path / "comparison.md", tmp_path / "README.md")


def test_our_page_has_room(tmp_path: Path) -> None:
    source, readme = write(tmp_path, (ROOT / PAGE).read_text(encoding="utf-8"))
    publish(source, readme)
    assert "| a table |" in readme.read_text(encoding="utf-8")
