"""Runs as the train stage leaves them, made by hand, to tables and figures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from comparison.record import RunRecord, write_run
from PIL import Image

from comparison import summarize
from comparison.references import REFERENCES, Whose
from comparison.settings import RESULTS, ROBUSTNESS, RUNS, Settings
from comparison.statistics import tabulate
from comparison.summarize import load_runs, tabulate_variations, write_markdown
from pipeline.errors import ArtifactError

BASELINE = "pooled_cnn"
LABELS = np.tile(np.arange(10, dtype=np.uint8), 20)
ERRORS: dict[tuple[str, Whose], int] = {
    (BASELINE, "ours"): 2,
    ("dense_baseline", "author"): 4,
    ("dense_baseline", "ours"): 30,
    ("shallow_cnn", "author"): 5,
    ("shallow_cnn", "ours"): 10,
    ("shallow_cnn_few_maps", "author"): 5,
    ("shallow_cnn_few_maps", "ours"): 40,
    ("shallow_cnn_many_maps", "author"): 5,
    ("shallow_cnn_many_maps", "ours"): 9,
}
"""Of 200 images, with either seed; always the first ones."""

CHOSEN = Settings.model_validate(
    {
        "fold": 0,
        "seeds": [0, 1],
        "architectures": list(dict.fromkeys(name for name, _ in ERRORS)),
        "baseline": BASELINE,
        "budget": {
            "author_multiply_adds": 1.0,
            "author_min_epochs": 1,
            "author_max_epochs": 1,
            "our_epochs": 1,
        },
        "robustness": {
            "architectures": ["dense_baseline", BASELINE],
            "shift_pixels": [0, 1],
            "rotation_degrees": [0.0, 5.0],
        },
    }
)


def leave_run(name: str, recipe: Whose, seed: int, *, sample: bool = False) -> Path:
    folder = RUNS / name / f"{recipe}-{seed}"
    folder.mkdir(parents=True)
    predicted = LABELS.copy()
    predicted[: ERRORS[name, recipe]] += 1
    np.savez(folder / "predictions.npz", labels=LABELS, predicted=predicted)
    record = RunRecord(
        architecture=name,
        recipe=recipe,
        seed=seed,
        sample=sample,
        parameters=1_000 if name == "shallow_cnn" else 250,
        multiply_adds=1_500_000,
        epochs=3,
        max_epochs=3,
        asked_epochs=12,
        fitted_images=3_000,
        training_seconds=10.0 + seed,
        correct=int((predicted == LABELS).sum()),
        evaluated_images=len(LABELS),
    )
    write_run(folder, record)
    return folder


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("comparison.settings.load", lambda: CHOSEN)
    for name, recipe in ERRORS:
        for seed in CHOSEN.seeds:
            leave_run(name, recipe, seed)
    ROBUSTNESS.mkdir()
    for name in CHOSEN.robustness.architectures:
        rows = [
            {"architecture": name, "seed": seed, "moved": moved, "amount": amount, "accuracy": 0.5}
            for seed in CHOSEN.seeds
            for moved, amount in (("shift", 0), ("shift", 1), ("rotation", 0), ("rotation", 5))
        ]
        pd.DataFrame(rows).to_csv(ROBUSTNESS / f"{name}.csv", index=False)
    return tmp_path


def test_results_hold_a_row_per_architecture_and_recipe(runs: Path) -> None:
    summarize.main()
    table = pd.read_csv(RESULTS / "comparison.csv")
    assert list(zip(table["architecture"], table["recipe"], strict=True)) == list(ERRORS)
    assert (1 - table["accuracy"]).to_numpy() * 200 == pytest.approx(list(ERRORS.values()))
    assert len(pd.read_csv(RESULTS / "robustness.csv")) == 16
    for name in ("accuracy_over_time", "robustness"):
        with Image.open(RESULTS / f"{name}.png") as picture:
            assert picture.width > 1_000


def test_markdown_says_what_was_reached_and_why_not(runs: Path) -> None:
    summarize.main()
    text = (RESULTS / "comparison.md").read_text(encoding="utf-8")
    lines = {tuple(line.split(" | ")[:2]): line for line in text.splitlines() if "| `" in line}
    reached = lines["| `dense_baseline`", "author"]
    assert "| 1.5 M | 3 | 10 s | 286 | 98.00 ± 0.00 (94.97–99.22) | 97.3 | yes | −1.00 (" in reached
    missed = lines["| `dense_baseline`", "ours"]
    assert "| no: our recipe, 3 epochs, claimed on other images |" in missed
    cut = lines["| `shallow_cnn`", "author"]
    assert "| 99 | no: 3 of 12 epochs, learning rate not published, claimed on other" in cut
    assert lines[f"| `{BASELINE}`", "ours"].endswith("| – | – | – |")
    assert summarize.SAMPLE_NOTICE not in text


def test_variations_are_compared_to_what_they_vary(runs: Path) -> None:
    loaded = load_runs(CHOSEN)
    table = tabulate(loaded, REFERENCES, baseline=(BASELINE, "ours"))
    variations = tabulate_variations(loaded, table)
    assert variations["difference"].tolist() == pytest.approx([-30 / 200, 1 / 200])
    assert variations["parameters"].tolist() == [0.25, 0.25]
    text = write_markdown(table, variations, BASELINE, sample=False)
    (sentence,) = (line for line in text.splitlines() if line.startswith("- "))
    assert sentence.startswith("- Maps: `shallow_cnn_few_maps` costs 15.00 (")
    assert "`shallow_cnn_many_maps` makes no difference that could be told from" in sentence
    assert sentence.endswith("points, at 0.25 times the parameters and 1 times the training time.")


def test_results_of_the_sample_say_so(runs: Path) -> None:
    (RUNS / BASELINE / "ours-0").rename(RUNS / "old")
    leave_run(BASELINE, "ours", 0, sample=True)
    summarize.main()
    text = (RESULTS / "comparison.md").read_text(encoding="utf-8")
    assert text.startswith(summarize.SAMPLE_NOTICE)


def test_missing_run_is_named(runs: Path) -> None:
    (RUNS / BASELINE / "ours-1/predictions.npz").unlink()
    with pytest.raises(ArtifactError, match="pooled_cnn/ours-1 is missing or not complete"):
        summarize.main()


def test_run_of_another_version_is_refused(runs: Path) -> None:
    (RUNS / BASELINE / "ours-1/run.json").write_text('{"recipe": "ours"}')
    with pytest.raises(ArtifactError, match="ours-1 is of another version of the comparison"):
        summarize.main()


def test_run_evaluated_on_other_images_is_refused(runs: Path) -> None:
    path = RUNS / "shallow_cnn/ours-0/predictions.npz"
    np.savez(path, labels=LABELS[::-1], predicted=LABELS)
    with pytest.raises(ArtifactError, match="shallow_cnn/ours-0 was evaluated on other images"):
        summarize.main()
