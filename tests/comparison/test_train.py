"""Runs from the command line's selection to their rows."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from comparison import author, ours, recipes, settings, table, train
from comparison.fingerprints import hash_data, hash_predictions
from comparison.references import REFERENCES
from comparison.runs import Run
from comparison.settings import MOVED, RUNS, STATES, Settings
from comparison.table import explain_missing
from comparison.work import Worker
from pipeline import profiles, stages
from pipeline.data import dataset
from pipeline.data.dataset import Images, Labels, TrainingDigits
from pipeline.environment import KERAS_BACKEND
from pipeline.errors import ArtifactError, ParamsError
from pipeline.training import loop
from pipeline.training.state import TrainingState
from tests.conftest import ROOT

NAME = "dense_baseline"
AUTHOR, OURS, PLAIN = (Run(NAME, recipe, 1.0, 0, 0) for recipe in ("author", "ours", "plain"))
RUNS_OF_ALL_RECIPES = (AUTHOR, OURS, PLAIN)


def choose() -> Settings:
    content = settings.load(ROOT / settings.FOLDER / "params.yaml").model_dump()
    robustness = {
        "architectures": [NAME],
        "shift_pixels": [0, 6],
        "rotation_degrees": [0.0, 45.0],
    }
    small = {"architectures": [NAME], "baseline": NAME, "robustness": robustness}
    return Settings.model_validate(content | small)


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
def short_schedule() -> Iterator[None]:
    """Of the default profile: four epochs."""
    read = profiles.read

    def read_short(name: str) -> dict[str, Any]:
        content = read(name)
        epochs = {"max_epochs": 4, "all_rows_epochs": 4, "decay_epochs": 2, "warmup_epochs": 1}
        return content | {"train": content["train"] | epochs}

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("pipeline.profiles.read", read_short)
        recipes.read_defaults.cache_clear()
        yield
    recipes.read_defaults.cache_clear()


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command sets for Keras is gone after the test."""
    for name in (KERAS_BACKEND, "JAX_DEFAULT_MATMUL_PRECISION", "XLA_PYTHON_CLIENT_PREALLOCATE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def make_worker(digits: TrainingDigits) -> Worker:
    return Worker(digits, hash_data(digits), choose())


@pytest.fixture(scope="module")
def trained(
    three_folds: TrainingDigits, short_schedule: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A folder in which a network was trained by each recipe."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("trained"))
        for name in ("params.yaml", "comparison/params.yaml", "comparison/speeds.csv"):
            Path(name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, name)
        dataset.save(stages.TRAIN, three_folds)
        make_worker(three_folds).train_all(RUNS_OF_ALL_RECIPES)
        yield Path.cwd()


@pytest.fixture
def copied(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, to change."""
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def test_row_says_what_the_run_did(trained: Path, three_folds: TrainingDigits) -> None:
    rows = table.read()
    assert set(rows) == set(RUNS_OF_ALL_RECIPES)
    for run, row in rows.items():
        assert (row.parameters, row.multiply_adds) == (101_770, 784 * 128 + 128 * 10)
        assert (row.images, row.training_images, row.sample) == (160, 320, True)
        assert 0 < row.seconds < 600
        assert row.data == hash_data(three_folds)
        assert not explain_missing(run, rows, row.data)
    assert (rows[AUTHOR].epochs, rows[AUTHOR].dtype) == (5, "float32")
    assert rows[AUTHOR].fitted_images == 5 * 320  # nothing stops this author: no validation set
    assert rows[OURS].epochs == rows[PLAIN].epochs == 4
    assert rows[OURS].fitted_images < 4 * 320
    assert all("tensorflow" in row.backend for row in rows.values())


def test_row_holds_every_prediction(trained: Path, three_folds: TrainingDigits) -> None:
    """The digest is that of the labels, changed where the row says what was predicted."""
    for row in table.read().values():
        predicted = three_folds.labels.copy()
        for each in row.misclassified.split():
            place, digit = map(int, each.split(":"))
            assert three_folds.folds[place] == 0
            assert predicted[place] != digit
            predicted[place] = digit
        assert hash_predictions(predicted[three_folds.folds == 0]) == row.predictions


def test_network_in_plain_view_reads_moved_digits(trained: Path) -> None:
    movements = {(each.moved, each.amount): each for each in table.read_movements()}
    assert set(movements) == {("shift", 0), ("shift", 6), ("rotation", 0), ("rotation", 45)}
    row = table.read()[PLAIN]
    accuracy = 1 - row.errors / row.images
    assert movements["shift", 0].accuracy == movements["rotation", 0].accuracy == accuracy
    assert movements["shift", 6].accuracy < accuracy
    assert {each.run for each in movements.values()} == {PLAIN}


def test_nothing_is_left_to_be_continued(trained: Path) -> None:
    assert not [*STATES.glob("*.npz"), *STATES.glob("*.running")]


def test_finished_runs_are_not_trained_again(
    copied: Path, three_folds: TrainingDigits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError

    for module in (author, ours):
        monkeypatch.setattr(module, "train", refuse)
    before = RUNS.read_bytes()
    worker = make_worker(three_folds)
    worker.train_all(RUNS_OF_ALL_RECIPES)
    assert RUNS.read_bytes() == before
    for missing in (replace(AUTHOR, seed=1), replace(OURS, fold=1)):
        with pytest.raises(AssertionError):
            worker.train_all([AUTHOR, missing])


def test_change_of_a_recipe_makes_its_rows_stale_and_says_so(
    copied: Path,
    three_folds: TrainingDigits,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fewer = {NAME: replace(REFERENCES[NAME], epochs=2)}
    for module in ("recipes", "author"):
        monkeypatch.setattr(f"comparison.{module}.REFERENCES", fewer)
    worker, before = make_worker(three_folds), table.read()
    told = explain_missing(AUTHOR, before, worker.data_digest)
    assert told == "stale: other settings"
    assert worker.count_missing(RUNS_OF_ALL_RECIPES) == 1
    worker.train_all(RUNS_OF_ALL_RECIPES)
    after = table.read()
    assert after[AUTHOR].epochs == 2
    assert [after[run] for run in (OURS, PLAIN)] == [before[run] for run in (OURS, PLAIN)]


def test_other_data_make_every_row_stale(trained: Path, three_folds: TrainingDigits) -> None:
    rows = table.read()
    assert {explain_missing(run, rows, "other") for run in rows} == {"stale: other data"}


def test_neither_recipe_trains_or_validates_on_an_image_of_the_fold(
    copied: Path, three_folds: TrainingDigits, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = three_folds.images.copy()
    marked[:, 0, 0] = three_folds.folds
    seen: list[Images] = []
    fit, fit_epoch = loop.fit, author.fit_epoch

    def spy(model: Any, images: Images, labels: Labels, **rest: Any) -> TrainingState:
        seen.append(images)
        if rest["validation"] is not None:
            seen.append(rest["validation"][0])
        return fit(model, images, labels, **rest)

    def spy_epoch(model: Any, reference: Any, data: Any, rows: Any, entropy: Any) -> Any:
        seen.append(data.images[np.newaxis, rows])
        return fit_epoch(model, reference, data, rows, entropy)

    monkeypatch.setattr(loop, "fit", spy)
    monkeypatch.setattr(author, "fit_epoch", spy_epoch)
    runs = [replace(run, fold=1) for run in (AUTHOR, PLAIN)]
    make_worker(replace(three_folds, images=marked)).train_all(runs)
    assert [images.shape[:2] for images in seen] == [(1, 320)] * 5 + [(1, 310), (1, 10)]
    assert not any((images[:, :, 0, 0] == 1).any() for images in seen)


def test_what_another_process_trains_is_left_to_it(
    copied: Path, three_folds: TrainingDigits
) -> None:
    held, free = (replace(AUTHOR, seed=seed, fraction=0.25) for seed in (5, 6))
    worker = make_worker(three_folds)
    with FileLock(STATES / f"{held.name}.lock"):
        worker.train_ahead([held, free])
    assert free in table.read() and held not in table.read()
    worker.train_all([held, free])
    assert held in table.read()


def test_interrupted_run_continues_and_ends_the_same(
    copied: Path,
    three_folds: TrainingDigits,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = table.read()
    RUNS.unlink()
    save = TrainingState.save

    def save_and_die(state: TrainingState, path: Path) -> None:
        save(state, path)
        if len(state.history) == 2:
            raise KeyboardInterrupt

    worker = make_worker(three_folds)
    for run in (AUTHOR, OURS):
        with monkeypatch.context() as patched:
            patched.setattr(TrainingState, "save", save_and_die)
            with pytest.raises(KeyboardInterrupt):
                worker.train_all([run])
    assert not RUNS.exists()
    capsys.readouterr()
    worker.train_all([AUTHOR, OURS])
    assert capsys.readouterr().out.count("continuing after epoch 2") == 2
    for run, row in table.read().items():
        assert row.predictions == expected[run].predictions
        assert row.log_loss == expected[run].log_loss


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["train", *arguments])
    train.main()


def test_list_shows_what_is_missing_and_how_long_it_takes(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, "--list", "--network", NAME, "--seed", "0")
    *lines, total = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        [NAME, "author", "25%"],
        [NAME, "author", "50%"],
    ]
    assert all(line.endswith("  missing") for line in lines[1:])
    assert all(float(line.split()[5]) < 1 for line in lines[1:])
    assert total.startswith("2 of 5 runs are missing: about 0.0 hours")


def test_list_needs_no_data(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stages.TRAIN.unlink()
    call(monkeypatch, "--list", "--network", NAME, "conv4_normalized", "--seed", "0")
    assert "10 runs are missing" in capsys.readouterr().out
    with pytest.raises(ArtifactError, match="dvc repro"):
        call(monkeypatch, "--network", NAME)


@pytest.mark.parametrize(
    ("arguments", "backend", "message"),
    [
        (["--fold", "7"], "", "There is no fold 7: expected one of 0 to 2"),
        (["--recipe", "ours"], "jax", "Our recipe needs TensorFlow"),
        ([], "torch", "KERAS_BACKEND is 'torch': expected one of tensorflow, jax"),
    ],
)
def test_impossible_selection_is_refused(
    arguments: Sequence[str],
    backend: str,
    message: str,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(ParamsError, match=message):
        call(monkeypatch, *arguments)


def test_rows_of_another_machine_are_taken_over(
    copied: Path,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for name in (RUNS, MOVED):
        shutil.move(name, theirs)
    row = table.read(theirs / "runs.csv")[AUTHOR]
    mine = replace(row, machine="mine")
    stale = replace(row, seed=9, settings="0" * 12)
    table.add([mine])
    table.add([stale], path=theirs / "runs.csv", moved=theirs / "moved.csv")
    call(monkeypatch, "--add", str(theirs))
    assert capsys.readouterr().out == "2 of 4 rows were added; stale there: 1\n"
    rows = table.read()
    assert rows[AUTHOR].machine == "mine"
    assert set(rows) == set(RUNS_OF_ALL_RECIPES)
    assert len(table.read_movements()) == 4


def test_rows_of_other_data_are_refused(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    row = replace(table.read()[AUTHOR], data="0" * 12, seed=3)
    table.add([row], path=theirs / "runs.csv", moved=theirs / "moved.csv")
    with pytest.raises(ArtifactError, match="has rows of other data: dense_baseline-author-1-0-3"):
        call(monkeypatch, "--add", str(theirs))
    with pytest.raises(ArtifactError, match="nowhere/runs.csv is missing"):
        call(monkeypatch, "--add", "nowhere")
