import shutil
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from pipeline import parallel, params, stages
from pipeline.data import dataset
from pipeline.data.dataset import Images, Labels, TrainingDigits
from pipeline.data.transforms import TRANSFORMS
from pipeline.errors import ArtifactError, PipelineError
from pipeline.networks.backend import keras, tf
from pipeline.networks.devices import CPU, Choice, Device
from pipeline.networks.record import read_record
from pipeline.networks.trained import load_model, load_network
from pipeline.params import Params
from pipeline.stages import train
from pipeline.training import loop, network
from pipeline.training.state import TrainingState
from pipeline.training.task import Task, derive_seed
from tests.conftest import (
    LISTED_NETWORK,
    ROOT,
    SMALL_NETWORK,
    list_networks,
    replace_text,
    set_params,
)
from tests.devices import LIKE_GPU

DEEP = list_networks(deep="deep_cnn, [[]]")


def load_params(*changes: tuple[str, str]) -> Params:
    shrunk = (
        (LISTED_NETWORK, DEEP),
        ("max_epochs: 36", "max_epochs: 2"),
        ("warmup_epochs: 1", "warmup_epochs: 0"),
        ("decay_epochs: 8", "decay_epochs: 2"),
        ("folds: 5", "folds: 3"),
        ("validation_fraction: 0.03", "validation_fraction: 0.25"),
    )
    changed = Path("changed.yaml")
    shutil.copy("params.yaml", changed)
    replace_text(changed, *shrunk, *changes)
    return params.load(changed)


def the_task(*changes: tuple[str, str], device: Device = CPU) -> Task:
    (task,) = train.list_tasks(load_params(*changes), device)
    return task


def load_weights(folder: Path) -> list[np.ndarray]:
    return list(load_model(folder / "model.keras").get_weights())


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_neither_training_nor_validation_sees_the_fold(
    fold: int, in_folder: Path, training_digits: TrainingDigits
) -> None:
    rows = network.select_rows(the_task(("folds: [0]", f"folds: [{fold}]")), training_digits)
    assert len(rows.validation) == 10
    together = np.sort(np.concatenate([rows.training, rows.validation]))
    np.testing.assert_array_equal(together, np.flatnonzero(training_digits.folds != fold))


def test_member_of_all_rows_fits_all_and_has_no_validation_set(
    in_folder: Path, training_digits: TrainingDigits
) -> None:
    _, task = train.list_tasks(load_params(("folds: [0]", "folds: [0, all]")))
    rows = network.select_rows(task, training_digits)
    assert len(rows.training) == 60
    assert len(rows.validation) == 0


def test_without_a_validation_set_all_rows_outside_the_fold_are_fitted(
    in_folder: Path, training_digits: TrainingDigits
) -> None:
    task = the_task(("validation_fraction: 0.25", "validation_fraction: 0"))
    rows = network.select_rows(task, training_digits)
    np.testing.assert_array_equal(rows.training, np.flatnonzero(training_digits.folds != 0))
    assert len(rows.validation) == 0


def test_every_member_has_a_seed_of_its_own(in_folder: Path) -> None:
    several = (
        (
            DEEP,
            list_networks(
                deep="deep_cnn, [[]]", small="pooled_cnn, [[]]", two="deep_cnn, [[deskew], []]"
            ),
        ),
        ("folds: [0]", "folds: [0, 1, all]"),
        ("seeds: [0]", "seeds: [0, 1]"),
    )
    members = load_params(*several).members()
    seeds = {derive_seed(member, seed) for member in members for seed in (0, 1)}
    assert len(seeds) == 2 * len(members) == 36


def test_name_of_a_network_decides_nothing(in_folder: Path) -> None:
    member, renamed = (
        load_params((DEEP, list_networks(**{name: "deep_cnn, [[]]"}))).members()[0]
        for name in ("one", "another")
    )
    assert derive_seed(member, 0) == derive_seed(renamed, 0)


@pytest.fixture(scope="module")
def trained(
    training_digits: TrainingDigits, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The folder of a trained member, in the current folder's models/."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("trained"))
        shutil.copy(ROOT / "params.yaml", "params.yaml")
        dataset.save(stages.TRAIN, training_digits)
        task = the_task()
        train.train(task, threads=1)
        yield task.folder.absolute()


def test_trained_member_says_what_it_came_from(
    trained: Path, training_digits: TrainingDigits
) -> None:
    record = read_record(trained)
    assert (record.epochs, record.threads) == (2, 1)
    assert (record.training_images, record.validation_images) == (30, 10)
    assert record.provenance == training_digits.provenance
    assert record.preprocessing == [[]]
    assert len((trained / "history.csv").read_text().splitlines()) == 3
    assert load_model(trained / "model.keras").count_params() == record.parameters


def test_saved_model_carries_no_optimizer(trained: Path) -> None:
    bytes_of_weights = 4 * read_record(trained).parameters
    assert (trained / "model.keras").stat().st_size < 1.2 * bytes_of_weights


def test_finished_member_that_dvc_lost_is_written_again_without_training(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, weights = read_record(trained), load_weights(trained)
    shutil.rmtree(trained)
    train.train(the_task(), threads=1)
    told = capsys.readouterr().out
    assert f"To train it again, delete {the_task().state}\n" in told
    assert "epoch  " not in told and "continuing" not in told
    assert read_record(trained) == record  # to the tenth of a second of training
    for before, after in zip(weights, load_weights(trained), strict=True):
        np.testing.assert_array_equal(before, after)


def test_weights_do_not_change_when_other_networks_are_listed(
    trained: Path, training_digits: TrainingDigits, in_folder: Path
) -> None:
    dataset.save(stages.TRAIN, training_digits)
    several = load_params(
        (DEEP, list_networks(small="pooled_cnn, [[]]", deep="deep_cnn, [[]]")),
        ("seeds: [0]", "seeds: [0, 1, 2]"),
    )
    task = next(task for task in train.list_tasks(several) if task.name == "0-0-deep")
    assert task.conditions == read_record(trained).conditions
    train.train(task, threads=1)
    for before, after in zip(load_weights(trained), load_weights(task.folder), strict=True):
        np.testing.assert_array_equal(before, after)


def test_member_trained_ahead_is_taken_over_as_it_is(
    trained: Path,
    training_digits: TrainingDigits,
    in_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights = load_weights(trained)
    dataset.save(stages.TRAIN, training_digits)
    task = the_task()
    train.train_ahead([task])
    assert not task.folder.exists()
    capsys.readouterr()
    train.train(task, threads=1)
    assert "  epoch" not in capsys.readouterr().out
    for before, after in zip(weights, load_weights(task.folder), strict=True):
        np.testing.assert_array_equal(before, after)


def test_what_is_trained_or_being_trained_is_not_trained_ahead(
    trained: Path, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained.parents[1], in_folder, dirs_exist_ok=True)
    begun = []
    monkeypatch.setattr(network, "fit", lambda task, *_: begun.append(task.name))
    three_seeds = "seeds: [0]", "seeds: [0, 1, 2]"
    tasks = train.list_tasks(load_params(three_seeds))
    with FileLock(tasks[1].lock):
        train.train_ahead(tasks)
    assert begun == ["0-2-deep"]
    begun.clear()
    shutil.rmtree(train.STATES)
    train.train_ahead(tasks)  # DVC goes by the files in models/
    assert begun == ["0-1-deep", "0-2-deep"]
    begun.clear()
    train.train_ahead(train.list_tasks(load_params(three_seeds, ("degrees: 8", "degrees: 9"))))
    assert begun == ["0-0-deep", "0-1-deep", "0-2-deep"]


def test_damaged_state_of_another_member_stops_nothing(
    trained: Path, training_digits: TrainingDigits, in_folder: Path
) -> None:
    dataset.save(stages.TRAIN, training_digits)
    task = the_task()
    task.states.mkdir(parents=True)
    task.state.write_bytes(b"damaged")
    assert not task.is_done
    with pytest.raises(ArtifactError, match="is damaged"):
        train.train(task, threads=1)


@pytest.mark.parametrize(
    ("processors", "seeds", "helpers", "threads"),
    [(1, 1, 0, 1), (2, 1, 0, 2), (2, 2, 1, 1), (8, 1, 0, 2), (8, 3, 2, 2), (8, 30, 7, 1)],
)
def test_networks_share_the_processors(
    processors: int, seeds: int, helpers: int, threads: int, in_folder: Path
) -> None:
    settings = load_params(("seeds: [0]", f"seeds: {list(range(seeds))}"))
    assert train.share_processors(processors, seeds, settings) == (helpers, threads)


@pytest.mark.parametrize(
    ("choice", "helpers", "told"),
    [
        (Choice(LIKE_GPU, ""), 0, ""),
        (Choice(CPU, "The GPU is too old."), 2, "The GPU is too old.\n"),
        (Choice(CPU, ""), 2, ""),
    ],
)
def test_gpu_trains_one_network_after_another(
    choice: Choice,
    helpers: int,
    told: str,
    in_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_params(in_folder, SMALL_NETWORK, ("seeds: [0]", "seeds: [0, 1, 2]"))
    started: list[int] = []
    trained: list[Task] = []

    def note_helpers(_: list[str], processes: int, **__: Any) -> nullcontext[None]:
        started.append(processes)
        return nullcontext()

    monkeypatch.setattr(sys, "argv", ["train", "0-0-small"])
    monkeypatch.setattr(train, "take_device", lambda: choice)
    monkeypatch.setattr(train, "use_threads", lambda count: None)  # TensorFlow is at work already
    monkeypatch.setattr(parallel, "count_processors", lambda: 4)
    monkeypatch.setattr(parallel, "helper_processes", note_helpers)
    monkeypatch.setattr(train, "train", lambda task, threads: trained.append(task))
    train.main()
    assert started == [helpers]
    assert [(task.name, task.device) for task in trained] == [("0-0-small", choice.device)]
    assert capsys.readouterr().out == told


def test_member_trained_on_a_gpu_says_so(
    trained: Path,
    training_digits: TrainingDigits,
    in_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its first weights are those of the CPU; it counts as current on every device."""
    dataset.save(stages.TRAIN, training_digits)
    task = the_task(device=LIKE_GPU)
    train.train(task, threads=1)
    record, usual = read_record(task.folder), read_record(trained)
    assert record.conditions.machine["gpu"] == "NVIDIA A100-SXM4-40GB"
    assert record.conditions.machine["compute_dtype"] == "bfloat16"
    assert record.conditions.ask_for_the_same(usual.conditions)
    assert the_task().is_current and the_task().state != task.state
    assert (
        "0-0-deep: deep_cnn in bfloat16 on the GPU, NVIDIA A100-SXM4-40GB\n"
        in capsys.readouterr().out
    )


def test_gpu_without_memory_is_explained_and_the_state_stays(
    training_digits: TrainingDigits, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.save(stages.TRAIN, training_digits)
    task = the_task(device=LIKE_GPU)
    save = TrainingState.save

    def save_and_run_out(state: TrainingState, path: Path) -> None:
        save(state, path)
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(TrainingState, "save", save_and_run_out)
    with pytest.raises(PipelineError, match="has no memory left.*CUDA_VISIBLE_DEVICES=-1"):
        train.train(task, threads=1)
    assert len(TrainingState.load(task.state).history) == 1
    assert not task.folder.exists()


def test_states_of_other_conditions_are_discarded(in_folder: Path) -> None:
    task = the_task()
    task.states.mkdir(parents=True)
    names = ("0-0-deep.old", ".0-0-deep.new.7.partial", "0-0-deep_2.old", "0-1-deep.old")
    old, half_written, *others = (task.states / f"{name}.npz" for name in names)
    for path in (task.state, old, half_written, *others):
        path.touch()
    task.discard_states(keep_current=True)
    assert task.state.exists()
    assert not old.exists() and not half_written.exists()
    task.discard_states(keep_current=False)
    assert not task.state.exists()
    assert all(path.exists() for path in others)


@pytest.mark.parametrize(
    "change",
    [
        ("batch_size: 128", "batch_size: 64"),
        ("batch_parts: 2", "batch_parts: 1"),
        ("seed: 0", "seed: 1"),
        ("degrees: 8", "degrees: 9"),
        ("[[]]", "[[deskew]]"),
        ("[[]]", "[[], [deskew]]"),
        ("[[]]", "[[deskew, normalize_stroke]]"),
        ("[[]]", "[[normalize_stroke, deskew]]"),
    ],
)
def test_conditions_change_with_every_setting(
    change: tuple[str, str], in_folder: Path, training_digits: TrainingDigits
) -> None:
    dataset.save(stages.TRAIN, training_digits)
    usual, changed = the_task(), the_task(change)
    assert not usual.conditions.ask_for_the_same(changed.conditions)
    assert usual.state != changed.state


def test_conditions_name_all_code_that_shapes_the_network(
    in_folder: Path, training_digits: TrainingDigits
) -> None:
    dataset.save(stages.TRAIN, training_digits)
    code = the_task(("[[]]", "[[], [deskew]]")).conditions.code_sha256
    assert {"architectures/deep_cnn.py", "data/transforms/deskew.py", "training/step.py"} < set(
        code
    )
    assert "data/transforms/normalize_stroke.py" not in code


def test_conditions_change_with_the_data(in_folder: Path, training_digits: TrainingDigits) -> None:
    dataset.save(stages.TRAIN, training_digits)
    one = the_task()
    dataset.save(stages.TRAIN, replace(training_digits, folds=training_digits.folds[::-1].copy()))
    assert not the_task().conditions.ask_for_the_same(one.conditions)


def test_settings_that_a_member_does_not_use_do_not_concern_it(
    in_folder: Path, training_digits: TrainingDigits
) -> None:
    dataset.save(stages.TRAIN, training_digits)
    both_folds = "folds: [0]", "folds: [0, all]"

    def conditions(*changes: tuple[str, str]) -> list[Any]:
        return [task.conditions for task in train.list_tasks(load_params(both_folds, *changes))]

    usual = conditions()
    more_epochs = conditions(("all_rows_epochs: 36", "all_rows_epochs: 40"))
    less_patience = conditions(("patience_epochs: 16", "patience_epochs: 4"))
    assert [a == b for a, b in zip(usual, more_epochs, strict=True)] == [True, False]
    assert [a == b for a, b in zip(usual, less_patience, strict=True)] == [False, True]


def test_network_trains_on_its_views_and_remembers_them(
    in_folder: Path, training_digits: TrainingDigits, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.save(stages.TRAIN, training_digits)
    fit = loop.fit
    given: dict[str, Any] = {}

    def spy(model: keras.Model, images: Images, labels: Labels, **rest: Any) -> TrainingState:
        given.update(rest, images=images)
        return fit(model, images, labels, **rest)

    monkeypatch.setattr(loop, "fit", spy)
    task = the_task(
        ("max_epochs: 2", "max_epochs: 1"),
        ("decay_epochs: 2", "decay_epochs: 1"),
        ("[[]]", "[[], [normalize_stroke]]"),
    )
    train.train(task, threads=1)
    rows = network.select_rows(task, training_digits)
    images = training_digits.images
    views = np.stack([images, TRANSFORMS["normalize_stroke"](images)])
    np.testing.assert_array_equal(given["images"], views[:, rows.training])
    np.testing.assert_array_equal(given["validation"][0], views[:, rows.validation])
    assert load_network(task.folder).views == [[], ["normalize_stroke"]]


def test_missing_training_data_is_named(in_folder: Path) -> None:
    with pytest.raises(ArtifactError, match="train.npz is missing"):
        train.train(the_task(), threads=1)
