import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from comparison import settings
from comparison.settings import RUNS, STATES, Settings
from comparison.train import fit_all, fit_free, list_runs
from pipeline import stages
from pipeline.data import dataset
from pipeline.data.dataset import Images, Labels, TrainingDigits
from pipeline.errors import ParamsError
from pipeline.files import read_json
from pipeline.networks.trained import load_network, predict_probabilities
from pipeline.training import loop as training
from pipeline.training.state import TrainingState
from tests.conftest import ROOT

NAME = "dense_baseline"
WHOSE = ("author", "ours")
BUDGET = {
    "author_multiply_adds": 1.0,
    "author_min_epochs": 3,
    "author_max_epochs": 3,
    "our_epochs": 3,
}


def choose(**changes: Any) -> Settings:
    content = settings.load(ROOT / settings.FOLDER / "params.yaml").model_dump()
    return Settings.model_validate(content | {"seeds": [0], "budget": BUDGET} | changes)


def train(architecture: str, chosen: Settings) -> None:
    data = dataset.load_training(stages.TRAIN)
    fit_all(list_runs(architecture, chosen, data), data)


@pytest.fixture(scope="module")
def three_folds(training_digits: TrainingDigits) -> TrainingDigits:
    """Enough images that the slice which stops training holds every digit."""
    return TrainingDigits(
        np.tile(training_digits.images, (8, 1, 1)),
        np.tile(training_digits.labels, 8),
        np.tile(training_digits.folds, 8),
        training_digits.provenance,
    )


@pytest.fixture(scope="module")
def trained(
    three_folds: TrainingDigits, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A folder in which both recipes have trained a network."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("trained"))
        shutil.copy(ROOT / "params.yaml", "params.yaml")
        dataset.save(stages.TRAIN, three_folds)
        train(NAME, choose())
        yield Path.cwd()


def test_run_says_what_it_did(trained: Path) -> None:
    author, ours = (read_json(RUNS / NAME / f"{whose}-0/member.json") for whose in WHOSE)
    assert (author["epochs"], author["asked_epochs"]) == (3, 5)
    assert author["fitted_images"] == 3 * 320  # nothing stops this author: no row is set aside
    assert ours["epochs"] == 3
    assert ours["fitted_images"] < 3 * 320
    assert author["parameters"] == ours["parameters"] == 101_770
    assert author["multiply_adds"] == 784 * 128 + 128 * 10
    assert author["conditions"]["plan"]["recipe"]["warp"]["rotation_degrees"] == 0
    assert ours["conditions"]["plan"]["recipe"]["warp"]["rotation_degrees"] > 0


@pytest.mark.parametrize("whose", WHOSE)
def test_predictions_are_those_of_the_saved_network_on_the_fold(
    whose: str, trained: Path, three_folds: TrainingDigits
) -> None:
    folder = RUNS / NAME / f"{whose}-0"
    judged = three_folds.folds == 0
    probabilities = predict_probabilities(load_network(folder), three_folds.images[judged])
    with np.load(folder / "predictions.npz") as arrays:
        np.testing.assert_array_equal(arrays["predicted"], probabilities.argmax(axis=1))
        np.testing.assert_array_equal(arrays["labels"], three_folds.labels[judged])
        right = int((arrays["predicted"] == arrays["labels"]).sum())
    record = read_json(folder / "member.json")
    assert (record["right"], record["judged_images"]) == (right, 160)


def test_nothing_is_left_to_be_continued(trained: Path) -> None:
    assert not list(STATES.glob("*.npz"))


def test_neither_recipe_fits_or_stops_by_an_image_of_the_fold(
    three_folds: TrainingDigits, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = three_folds.images.copy()
    marked[:, 0, 0] = three_folds.folds
    dataset.save(
        stages.TRAIN,
        TrainingDigits(marked, three_folds.labels, three_folds.folds, three_folds.provenance),
    )
    seen = []
    fit = training.fit

    def spy(model: Any, images: Images, labels: Labels, **rest: Any) -> TrainingState:
        seen.append(images)
        if rest["stopping"] is not None:
            seen.append(rest["stopping"][0])
        return fit(model, images, labels, **rest)

    monkeypatch.setattr(training, "fit", spy)
    enough_for_patience_to_run_out = BUDGET | {"our_epochs": 22}
    train(NAME, choose(fold=1, budget=enough_for_patience_to_run_out))
    assert [images.shape[:2] for images in seen] == [(1, 320), (1, 310), (1, 10)]
    assert not any((images[:, :, 0, 0] == 1).any() for images in seen)


def test_finished_runs_are_not_repeated_and_a_seed_adds_only_its_own(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **rest: Any) -> None:
        raise AssertionError(rest["name"])

    with monkeypatch.context() as patched:
        patched.setattr(training, "fit", refuse)
        train(NAME, choose())
        assert capsys.readouterr().out.count("right after 3 epochs") == 2
        with pytest.raises(AssertionError, match="dense_baseline-author-1"):
            train(NAME, choose(seeds=[0, 1]))
        with pytest.raises(AssertionError, match="dense_baseline-ours-0"):
            train(NAME, choose(budget=BUDGET | {"our_epochs": 2}))


def test_interrupted_run_continues_and_ends_the_same(
    trained: Path,
    three_folds: TrainingDigits,
    in_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataset.save(stages.TRAIN, three_folds)
    save = TrainingState.save

    def save_and_die(state: TrainingState, path: Path) -> None:
        save(state, path)
        if "ours" in path.name and len(state.history) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrainingState, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            train(NAME, choose())
    assert not (RUNS / NAME / "ours-0").exists()
    capsys.readouterr()
    train(NAME, choose())
    output = capsys.readouterr().out
    assert "dense_baseline-author-0  epoch" not in output
    assert "dense_baseline-ours-0: continuing after epoch 2" in output
    for whose in WHOSE:
        folders = (folder / RUNS / NAME / f"{whose}-0" for folder in (trained, in_folder))
        weights = (load_network(folder).model.get_weights() for folder in folders)
        for ours, theirs in zip(*weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_what_another_process_fits_is_left_to_it(
    three_folds: TrainingDigits, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset.save(stages.TRAIN, three_folds)
    runs = list_runs(NAME, choose(), three_folds)
    with FileLock(runs[0].lock):
        fit_free(runs, three_folds)
    assert [run.is_finished for run in runs] == [False, True]
    capsys.readouterr()
    fit_all(runs, three_folds)
    output = capsys.readouterr().out
    assert "dense_baseline-author-0  epoch   1" in output
    assert "dense_baseline-ours-0  epoch" not in output
    assert output.count("right after 3 epochs") == 2


def test_fold_that_does_not_exist_is_refused(trained: Path) -> None:
    with pytest.raises(ParamsError, match="fold: expected one of 0 to 2, found 7"):
        train(NAME, choose(fold=7))


def test_network_without_an_author_is_trained_by_our_recipe_alone(
    three_folds: TrainingDigits, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.save(stages.TRAIN, three_folds)
    monkeypatch.setattr("comparison.train.REFERENCES", {})
    train(NAME, choose(budget=BUDGET | {"our_epochs": 1}))
    assert [path.name for path in (RUNS / NAME).iterdir()] == ["ours-0"]
