import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from comparison import settings
from comparison.record import read_run
from comparison.settings import RUNS, STATES, Settings
from comparison.train import list_runs, train_all
from pipeline import architectures, stages
from pipeline.data import dataset
from pipeline.data.dataset import Images, Labels, TrainingDigits
from pipeline.ensemble.averaging import predict_probabilities
from pipeline.errors import ParamsError
from pipeline.networks.record import read_record
from pipeline.networks.trained import load_network
from pipeline.training import loop, network
from pipeline.training.state import TrainingState
from pipeline.training.task import Task
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
    train_all(list_runs(architecture, chosen, data), data)


@pytest.fixture(scope="module")
def three_folds(training_digits: TrainingDigits) -> TrainingDigits:
    """Enough images that a validation set holds every digit."""
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
    folders = [RUNS / NAME / f"{whose}-0" for whose in WHOSE]
    author, ours = map(read_run, folders)
    assert (author.epochs, author.asked_epochs) == (3, 5)
    assert author.fitted_images == 3 * 320  # nothing stops this author: no validation set
    assert ours.epochs == 3
    assert ours.fitted_images < 3 * 320
    assert author.parameters == ours.parameters == 101_770
    assert author.multiply_adds == 784 * 128 + 128 * 10
    of_author, of_ours = (read_record(folder).conditions for folder in folders)
    assert of_author.augmentation["rotation_degrees"] == 0
    assert of_ours.augmentation["rotation_degrees"] > 0
    assert of_author.train["batch_parts"] == of_ours.train["batch_parts"] == 1


@pytest.mark.parametrize("whose", WHOSE)
def test_predictions_are_those_of_the_saved_network_on_the_fold(
    whose: str, trained: Path, three_folds: TrainingDigits
) -> None:
    folder = RUNS / NAME / f"{whose}-0"
    held_out = three_folds.folds == 0
    probabilities = predict_probabilities(load_network(folder), three_folds.images[held_out])
    with np.load(folder / "predictions.npz") as arrays:
        np.testing.assert_array_equal(arrays["predicted"], probabilities.argmax(axis=1))
        np.testing.assert_array_equal(arrays["labels"], three_folds.labels[held_out])
        correct = int((arrays["predicted"] == arrays["labels"]).sum())
    record = read_run(folder)
    assert (record.correct, record.evaluated_images) == (correct, 160)


def test_nothing_is_left_to_be_continued(trained: Path) -> None:
    assert not list(STATES.glob("*.npz"))


def test_neither_recipe_trains_or_validates_on_an_image_of_the_fold(
    three_folds: TrainingDigits, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = three_folds.images.copy()
    marked[:, 0, 0] = three_folds.folds
    dataset.save(
        stages.TRAIN,
        TrainingDigits(marked, three_folds.labels, three_folds.folds, three_folds.provenance),
    )
    seen = []
    fit = loop.fit

    def spy(model: Any, images: Images, labels: Labels, **rest: Any) -> TrainingState:
        seen.append(images)
        if rest["validation"] is not None:
            seen.append(rest["validation"][0])
        return fit(model, images, labels, **rest)

    monkeypatch.setattr(loop, "fit", spy)
    enough_for_patience_to_run_out = BUDGET | {"our_epochs": 22}
    train(NAME, choose(fold=1, budget=enough_for_patience_to_run_out))
    assert [images.shape[:2] for images in seen] == [(1, 320), (1, 310), (1, 10)]
    assert not any((images[:, :, 0, 0] == 1).any() for images in seen)


def test_finished_runs_are_not_repeated_and_a_seed_adds_only_its_own(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(task: Task, *_: Any) -> None:
        raise AssertionError(task.name)

    with monkeypatch.context() as patched:
        patched.setattr(network, "fit", refuse)
        train(NAME, choose())
        assert capsys.readouterr().out.count("correct after 3 epochs") == 2
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
    tasks = [run.task for run in runs]
    with FileLock(tasks[0].lock):
        network.fit_ahead(tasks, three_folds, architectures.build)
    assert [TrainingState.load(task.state).finished for task in tasks] == [False, True]
    capsys.readouterr()
    train_all(runs, three_folds)
    output = capsys.readouterr().out
    assert "dense_baseline-author-0  epoch" in output
    assert "dense_baseline-ours-0  epoch" not in output
    assert output.count("correct after 3 epochs") == 2


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
