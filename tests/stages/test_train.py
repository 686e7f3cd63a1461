import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from pipeline import parallel, params, stages
from pipeline.data import dataset
from pipeline.data.dataset import Images, Labels, TrainingDigits
from pipeline.data.preprocessing import normalize_stroke
from pipeline.errors import ArtifactError
from pipeline.files import read_json
from pipeline.networks.backend import keras
from pipeline.networks.trained import load_model, load_network
from pipeline.params import PLAIN, Member
from pipeline.stages import train
from pipeline.training import loop as training
from pipeline.training.state import TrainingState
from tests.conftest import LISTED_NETWORK, ROOT

MEMBER = Member(0, 0, "deep_cnn", PLAIN)


def load_params(*changes: tuple[str, str]) -> params.Params:
    path = Path("params.yaml")
    text = path.read_text()
    shrunk = (
        (LISTED_NETWORK, "    - {architecture: deep_cnn, preprocessing: plain}\n"),
        ("max_epochs: 36", "max_epochs: 2"),
        ("warmup_epochs: 1", "warmup_epochs: 0"),
        ("anneal_epochs: 8", "anneal_epochs: 2"),
        ("folds: 5", "folds: 3"),
        ("stopping_fraction: 0.03", "stopping_fraction: 0.25"),
    )
    for old, new in (*shrunk, *changes):
        assert old in text
        text = text.replace(old, new)
    changed = Path("changed.yaml")
    changed.write_text(text)
    return params.load(changed)


def load_weights(folder: Path) -> list[np.ndarray]:
    return list(load_model(folder / "model.keras").get_weights())


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_neither_fit_nor_stopping_sees_the_fold(
    fold: int, in_folder: Path, training_digits: TrainingDigits
) -> None:
    settings = load_params()
    member = Member(fold, 0, "deep_cnn", PLAIN)
    fitted, stopping = train.select_rows(member, settings, training_digits)
    assert len(stopping) == 10
    together = np.sort(np.concatenate([fitted, stopping]))
    np.testing.assert_array_equal(together, np.flatnonzero(training_digits.folds != fold))


def test_member_of_all_rows_fits_all_and_stops_by_none(
    in_folder: Path, training_digits: TrainingDigits
) -> None:
    member = Member("all", 0, "deep_cnn", PLAIN)
    fitted, stopping = train.select_rows(member, load_params(), training_digits)
    assert len(fitted) == 60
    assert len(stopping) == 0


def test_without_a_stopping_slice_all_rows_outside_the_fold_are_fitted(
    in_folder: Path, training_digits: TrainingDigits
) -> None:
    settings = load_params(("stopping_fraction: 0.25", "stopping_fraction: 0"))
    fitted, stopping = train.select_rows(MEMBER, settings, training_digits)
    np.testing.assert_array_equal(fitted, np.flatnonzero(training_digits.folds != 0))
    assert len(stopping) == 0


def test_every_member_has_a_seed_of_its_own() -> None:
    members = [Member(fold, seed, "deep_cnn", PLAIN) for fold in (0, 1, "all") for seed in (0, 1)]
    members += [Member(0, 0, "other", PLAIN), Member(0, 0, "deep_cnn", "deskew")]
    seeds = {train.derive_seed(member, seed) for member in members for seed in (0, 1)}
    assert len(seeds) == 2 * len(members)
    assert train.derive_seed(MEMBER, 0) == train.derive_seed(MEMBER, 0)


@pytest.fixture(scope="module")
def trained(
    training_digits: TrainingDigits, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The folder of a trained member, in the current folder's models/."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("trained"))
        shutil.copy(ROOT / "params.yaml", "params.yaml")
        dataset.save(stages.TRAIN, training_digits)
        train.train(MEMBER, load_params())
        yield (stages.MODELS / MEMBER.name).absolute()


def test_trained_member_says_what_it_came_from(
    trained: Path, training_digits: TrainingDigits
) -> None:
    record = read_json(trained / "member.json")
    assert record["epochs"] == 2
    assert (record["fitted_images"], record["stopping_images"]) == (30, 10)
    assert record["provenance"] == asdict(training_digits.provenance)
    assert record["preprocessing"] == [[]]
    assert len((trained / "history.csv").read_text().splitlines()) == 3
    assert load_model(trained / "model.keras").count_params() == record["parameters"]


def test_saved_model_carries_no_optimizer(trained: Path) -> None:
    bytes_of_weights = 4 * read_json(trained / "member.json")["parameters"]
    assert (trained / "model.keras").stat().st_size < 1.2 * bytes_of_weights


def test_finished_member_that_dvc_lost_is_written_again_without_training(trained: Path) -> None:
    record, weights = read_json(trained / "member.json"), load_weights(trained)
    shutil.rmtree(trained)
    train.train(MEMBER, load_params())
    assert read_json(trained / "member.json") == record  # to the tenth of a second of training
    for before, after in zip(weights, load_weights(trained), strict=True):
        np.testing.assert_array_equal(before, after)


def test_member_trained_ahead_is_taken_over_as_it_is(
    trained: Path,
    training_digits: TrainingDigits,
    in_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights = load_weights(trained)
    dataset.save(stages.TRAIN, training_digits)
    train.train_ahead([MEMBER], load_params())
    assert not (stages.MODELS / MEMBER.name).exists()
    capsys.readouterr()
    train.train(MEMBER, load_params())
    assert "  epoch" not in capsys.readouterr().out
    for before, after in zip(weights, load_weights(stages.MODELS / MEMBER.name), strict=True):
        np.testing.assert_array_equal(before, after)


def test_what_is_trained_or_being_trained_is_not_trained_ahead(
    trained: Path, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained.parents[1], in_folder, dirs_exist_ok=True)
    begun = []
    monkeypatch.setattr(training, "fit", lambda *_, **rest: begun.append(rest["name"]))
    other, third = (Member(0, seed, "deep_cnn", PLAIN) for seed in (1, 2))
    members = [MEMBER, other, third]
    with FileLock(train.STATES / f"{other.name}.lock"):
        train.train_ahead(members, load_params())
    assert begun == ["0-2-network0"]
    begun.clear()
    shutil.rmtree(train.STATES)
    train.train_ahead(members, load_params())  # DVC goes by the files in models/
    assert begun == ["0-1-network0", "0-2-network0"]
    begun.clear()
    train.train_ahead(members, load_params(("degrees: 8", "degrees: 9")))
    assert begun == ["0-0-network0", "0-1-network0", "0-2-network0"]


@pytest.mark.parametrize(("seeds", "threads"), [(1, 8), (2, 4), (3, 2), (8, 1), (30, 1)])
def test_networks_share_the_processors(
    seeds: int, threads: int, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "count_processors", lambda: 8)
    settings = load_params(("seeds: [0]", f"seeds: {list(range(seeds))}"))
    assert train.count_threads(settings) == threads


def test_states_of_other_conditions_are_discarded(in_folder: Path) -> None:
    train.STATES.mkdir(parents=True)
    names = ("0-0-deep_cnn-plain.new", "0-0-deep_cnn-plain.old", "0-1-deep_cnn-plain.old")
    current, old, other = (train.STATES / f"{name}.npz" for name in names)
    for path in (current, old, other):
        path.touch()
    train.discard_states(MEMBER, keep=current)
    assert current.exists()
    assert not old.exists()
    assert other.exists()


@pytest.mark.parametrize(
    "change",
    [
        ("batch_size: 128", "batch_size: 64"),
        ("seed: 0", "seed: 1"),
        ("degrees: 8", "degrees: 9"),
    ],
)
def test_conditions_change_with_every_setting(
    change: tuple[str, str], in_folder: Path, training_digits: TrainingDigits
) -> None:
    dataset.save(stages.TRAIN, training_digits)
    one = train.describe_conditions(MEMBER, load_params())
    other = train.describe_conditions(MEMBER, load_params(change))
    assert json.dumps(one) != json.dumps(other)


def test_conditions_change_with_the_preprocessing(
    in_folder: Path, training_digits: TrainingDigits
) -> None:
    dataset.save(stages.TRAIN, training_digits)
    orders = (PLAIN, "deskew", "deskew+normalize_stroke", "normalize_stroke+deskew")
    members = [replace(MEMBER, preprocessing=order) for order in orders]
    conditions = [train.describe_conditions(member, load_params()) for member in members]
    assert len(set(map(json.dumps, conditions))) == len(orders)


def test_conditions_change_with_the_data(in_folder: Path, training_digits: TrainingDigits) -> None:
    dataset.save(stages.TRAIN, training_digits)
    one = train.describe_conditions(MEMBER, load_params())
    dataset.save(stages.TRAIN, replace(training_digits, folds=training_digits.folds[::-1].copy()))
    assert train.describe_conditions(MEMBER, load_params()) != one


def test_settings_that_a_member_does_not_use_do_not_concern_it(
    in_folder: Path, training_digits: TrainingDigits
) -> None:
    dataset.save(stages.TRAIN, training_digits)
    usual = load_params()
    more_epochs = load_params(("all_rows_epochs: 36", "all_rows_epochs: 40"))
    less_patience = load_params(("patience_epochs: 16", "patience_epochs: 4"))
    of_all_rows = Member("all", 0, "deep_cnn", PLAIN)
    for member, other in ((MEMBER, more_epochs), (of_all_rows, less_patience)):
        assert train.describe_conditions(member, usual) == train.describe_conditions(member, other)
    for member, other in ((MEMBER, less_patience), (of_all_rows, more_epochs)):
        assert train.describe_conditions(member, usual) != train.describe_conditions(member, other)


def test_network_trains_on_preprocessed_images_and_remembers_it(
    in_folder: Path, training_digits: TrainingDigits, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.save(stages.TRAIN, training_digits)
    fit = training.fit
    given: dict[str, Any] = {}

    def spy(model: keras.Model, images: Images, labels: Labels, **rest: Any) -> TrainingState:
        given.update(rest, images=images)
        return fit(model, images, labels, **rest)

    monkeypatch.setattr(training, "fit", spy)
    settings = load_params(
        ("max_epochs: 2", "max_epochs: 1"),
        ("anneal_epochs: 2", "anneal_epochs: 1"),
        ("preprocessing: plain}", "preprocessing: 'plain,normalize_stroke'}"),
    )
    member = replace(MEMBER, preprocessing="plain,normalize_stroke")
    train.train(member, settings)
    fitted, stopping = train.select_rows(member, settings, training_digits)
    forms = np.stack([training_digits.images, normalize_stroke(training_digits.images)])
    np.testing.assert_array_equal(given["images"], forms[:, fitted])
    np.testing.assert_array_equal(given["stopping"][0], forms[:, stopping])
    assert load_network(stages.MODELS / member.name).forms == [[], ["normalize_stroke"]]


def test_missing_training_data_is_named(in_folder: Path) -> None:
    with pytest.raises(ArtifactError, match="train.npz is missing"):
        train.train(MEMBER, load_params())
