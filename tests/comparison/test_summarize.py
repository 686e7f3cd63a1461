"""Rows of runs, made by hand, to tables, sentences and figures."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from comparison import summarize, table
from comparison.references import Whose
from comparison.settings import RESULTS, RUNS
from comparison.table import Movement, Row
from comparison.wording import SAMPLE_NOTICE, describe_movements
from pipeline.errors import ArtifactError
from tests.comparison.rows_of_runs import ROW
from tests.conftest import ROOT

ERRORS: dict[tuple[str, Whose, float], int] = {
    ("pooled_cnn", "ours", 1.0): 40,
    ("dense_baseline", "author", 0.25): 460,
    ("dense_baseline", "author", 0.5): 370,
    ("dense_baseline", "author", 1.0): 300,
    ("dense_baseline", "ours", 1.0): 250,
    ("dense_baseline", "plain", 1.0): 270,
    ("shallow_cnn", "author", 1.0): 200,
    ("shallow_cnn", "ours", 1.0): 60,
    ("shallow_cnn_few_maps", "ours", 1.0): 130,
    ("shallow_cnn_many_maps", "ours", 1.0): 58,
}
"""Of 8,400 images, always the first ones."""

MOVED = [
    Movement(network, 0, 0, moved, amount, accuracy)
    for network, accuracies in {"pooled_cnn": (0.99, 0.9), "dense_baseline": (0.97, 0.4)}.items()
    for moved in ("shift", "rotation")
    for amount, accuracy in zip((0.0, 4.0), accuracies, strict=True)
]


def make_row(key: tuple[str, Whose, float], errors: int, *, sample: bool = False) -> Row:
    network, recipe, fraction = key
    return replace(
        ROW,
        network=network,
        recipe=recipe,
        fraction=fraction,
        sample=sample,
        parameters=1_000 if network == "shallow_cnn" else 250,
        training_images=int(33_600 * fraction),
        fitted_images=100_000,
        seconds=3_600.0 if recipe == "author" else 1_800.0,
        machine="a GPU" if recipe == "author" else "a processor",
        images=8_400,
        errors=errors,
        misclassified=" ".join(f"{place}:1" for place in range(errors)),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with results of these rows."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("results"))
        Path("comparison").mkdir()
        shutil.copy(ROOT / "params.yaml", ".")
        for name in ("params.yaml", "speeds.csv"):
            shutil.copy(ROOT / "comparison" / name, "comparison")
        table.add([make_row(key, errors) for key, errors in ERRORS.items()], MOVED)
        summarize.main()
        yield Path.cwd()


def read(results: Path) -> str:
    return (results / RESULTS / "comparison.md").read_text(encoding="utf-8")


def test_results_hold_a_row_per_network_and_both_figures(results: Path) -> None:
    networks = pd.read_csv(RESULTS / "comparison.csv")
    assert networks["network"].tolist() == list(dict.fromkeys(name for name, _, _ in ERRORS))
    for name in ("accuracy_over_time", "robustness"):
        with Image.open(RESULTS / f"{name}.png") as picture:
            assert picture.width > 900


def test_answer_comes_first(results: Path) -> None:
    first, projects, *_ = read(results).split("\n\n")
    assert first == (
        "**By the authors' recipes 1 of 4 claims are reached: 0 by what was measured, 1 by what "
        "was extrapolated. Our recipe surpasses 2 of 4, each with its whole interval.**"
    )
    dense, shallow = projects.splitlines()
    assert dense == (
        "- **MNIST Digit Recognizer**: 1 claim reached by extrapolation to 54,000 images "
        "(`dense_baseline` 97.3 %: 96.91 [96.51–97.31])."
    )
    assert shallow.startswith(
        "- **CNN Classifying Images with Handwritten Digits**: 2 claims reached by our recipe "
        "alone (`shallow_cnn` 99 %: 99.29 [99.08–99.44] and `shallow_cnn_many_maps` 99 %: 99.31 ["
    )
    assert shallow.endswith(
        "; 1 claim missed (`shallow_cnn_few_maps` 99 %: 0.30 points above the nearest interval, "
        "the author's recipe is still to be run, learning rate not published)."
    )


def test_networks_are_compared_to_the_baseline(results: Path) -> None:
    _, _, ranks, *_ = read(results).split("\n\n")
    assert ranks == ("By our recipe, 4 have 0.21 to 2.50 points less than `pooled_cnn`.")


def test_table_has_a_row_per_network(results: Path) -> None:
    lines = [line for line in read(results).splitlines() if line.startswith("| `")]
    assert len(lines) == 5
    dense = next(line for line in lines if "`dense_baseline`" in line)
    cells = [cell.strip() for cell in dense.strip("|").split("|")]
    assert cells[2:4] == ["97.3", "96.43 [96.01–96.80]"]
    assert cells[4] == "96.91 [96.51–97.31]" and cells[7] == "by extrapolation to 54,000 images"
    assert cells[5] == "97.02 [96.64–97.37]"
    assert cells[9].startswith("−2.50 (")
    pooled = next(line for line in lines if "`pooled_cnn`" in line)
    assert "| 250 | – | – | – | 99.52 [99.35–99.65] | – | – | – / 1 | – |" in pooled


def test_variations_are_compared_to_what_they_vary(results: Path) -> None:
    variations = pd.read_csv(RESULTS / "variations.csv")
    assert (variations["difference"] * 8_400).tolist() == pytest.approx([-70, 2])
    assert variations["parameters"].tolist() == [0.25, 0.25]
    (sentence,) = (line for line in read(results).splitlines() if line.startswith("- Maps: "))
    assert sentence.startswith("- Maps: `shallow_cnn_few_maps` costs 0.83 (")
    assert "`shallow_cnn_many_maps` makes no difference that could be told from" in sentence


def test_movements_and_hours_are_told(results: Path) -> None:
    text = read(results)
    assert "shifted by 4 pixels, `pooled_cnn` 90 % and `dense_baseline` 40 %." in text
    *_, last = text.splitlines()
    assert last.startswith(
        "The runs took at most 4.0 hours on a GPU and 3.0 hours on a processor. "
    )
    told = re.search(r"(\d+) of (\d+) runs are still to be trained, about [\d.]+ hours", last)
    assert told and int(told[2]) - int(told[1]) == len(ERRORS)
    assert "Rows of earlier code: 10; " in last  # as these have none of the hashes of today


def test_movements_of_one_network_are_no_comparison() -> None:
    assert describe_movements(pd.DataFrame()) == ""
    assert describe_movements(pd.DataFrame([vars(each) for each in MOVED[:4]])) == ""


def test_results_of_the_sample_say_so(results: Path) -> None:
    key: tuple[str, Whose, float] = ("pooled_cnn", "plain", 1.0)
    table.add([make_row(key, 50, sample=True)])
    summarize.main()
    assert read(results).startswith(SAMPLE_NOTICE)


def test_no_run_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("comparison").mkdir()
    for name in ("params.yaml", "speeds.csv"):
        shutil.copy(ROOT / "comparison" / name, "comparison")
    assert not RUNS.exists()
    with pytest.raises(ArtifactError, match="no finished run yet. Train some with: python -m"):
        summarize.main()
