"""Space files: what is accepted, and what each mistake is told."""

from pathlib import Path

import pytest

from pipeline.errors import ParamsError
from pipeline.sweeps import space
from tests.conftest import ROOT, modules_after, set_params
from tests.sweeps.spaces import write_space

SEARCHED = "  train.batch_size: [10, 20]\n"


def read(path: Path) -> space.Space:
    return space.read(path, path.parents[1] / "params.yaml")


def test_space_holds_what_is_searched(in_folder: Path) -> None:
    found = read(write_space(in_folder))
    rate, size = found.dimensions
    assert (rate.key, rate.low, rate.high, rate.log, rate.whole) == (
        *("train.learning_rate", 0.001, 0.02),
        *(True, False),
    )
    assert size.choices == (10, 20)
    assert found.name == "small"
    assert found.base_values == {"train.learning_rate": 0.001, "train.batch_size": 128}
    assert not found.holds_base  # 128 is none of the choices
    settings = found.settings({"train.learning_rate": 0.002, "train.batch_size": 10})
    assert (settings.train.learning_rate, settings.train.batch_size) == (0.002, 10)
    assert settings.augmentation == found.base.augmentation


def test_example_searches_around_params_yaml() -> None:
    found = space.read(ROOT / "sweeps/main-knobs.yaml", ROOT / "params.yaml")
    assert found.holds_base
    assert [each.key for each in found.dimensions] == [
        "train.learning_rate",
        "train.batch_size",
        "train.decay_epochs",
        "train.pruned_fraction",
        "augmentation.rotation_degrees",
        "augmentation.shift_pixels",
    ]


def test_network_and_its_parts_can_be_searched(in_folder: Path) -> None:
    path = write_space(
        in_folder,
        (
            SEARCHED,
            "  networks.pooled3.architecture: [deep_pooled_cnn, pooled_cnn]\n"
            "  networks.pooled3.preprocessing: [[[]], [[], [deskew]]]\n",
        ),
    )
    _, architecture, views = read(path).dimensions
    assert architecture.labels == ["deep_pooled_cnn", "pooled_cnn"]
    assert views.labels == ["[[]]", '[[], ["deskew"]]']
    assert views.round('[[], ["deskew"]]') == [[], ["deskew"]]


def test_proposals_are_short_and_within_bounds(in_folder: Path) -> None:
    text = "  train.decay_epochs: {low: 4, high: 20, step: 4}\n"
    rate, decay = read(write_space(in_folder, (SEARCHED, text))).dimensions
    assert [rate.round(value) for value in (0.00123456, 0.02000000004, 0.0009999)] == [
        *(0.001235, 0.02, 0.001)
    ]
    assert [decay.holds(value) for value in (8, 9, 24)] == [True, False, False]
    assert type(decay.round(8.0)) is int


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ("  train.learning_rte: [1]", "space.train.learning_rte: params.yaml has no such key"),
        ("  train.batchsize: [10, 20]", "did you mean 'train.batch_size'?"),
        ("  train: [10, 20]", "space.train: params.yaml has no such key"),
        ("  networks.other.architecture: [a, b]", "did you mean 'networks.pooled3.architecture'?"),
        ("  seed: [0, 1]", "space.seed cannot be searched: it draws the folds"),
        ("  source.path: [a, b]", "space.source.path cannot be searched"),
        ("  prepare.folds: [3, 5]", "space.prepare.folds cannot be searched"),
        ("  ensemble.folds: [[0], [1]]", "choose_on and confirm_on are the folds of a sweep"),
        ("  ensemble.seeds: [[0], [1]]", "the best of several seeds is luck"),
        ("  evaluate.page_images: [1, 2]", "it changes no prediction"),
        ("  train.all_rows_epochs: [10, 20]", "space.train.all_rows_epochs cannot be searched"),
        ("  train.batch_size: []", "expected at least two values, each once, found an empty list"),
        ("  train.batch_size: [20]", "expected at least two values, each once, found [20]"),
        ("  train.batch_size: [20, 20]", "expected at least two values, each once"),
        ("  train.batch_size: 20", "expected {low: …, high: …} or a list of values, found 20"),
        ("  train.batch_size: [20, many]", 'expected a whole number, found "many"'),
        ("  train.batch_size: {low: 20, high: 10}", "low below high, found low 20 and high 10"),
        ("  train.batch_size: {low: 20, high: 20}", "low below high, found low 20 and high 20"),
        ("  train.batch_size: {low: 8, high: 20.5}", "expected whole numbers, found [8.0, 20.5]"),
        ("  train.batch_size: {low: 8}", "space.train.batch_size is not usable: high: missing"),
        ("  train.batch_size: {low: 8, hihg: 9}", "hihg: no such key (did you mean 'high'?)"),
        ("  train.batch_size: {low: a, high: 9}", 'low: expected a number, found "a"'),
        ("  train.batch_size: {low: 8, high: 20, step: 5}", "a step that leads from low to high"),
        ("  train.batch_size: {low: 8, high: 20, step: 0}", "a step that leads from low to high"),
        ("  train.batch_size: {low: 0, high: 9, log: true}", "low above 0 where log is true"),
        ("  train.batch_size: {low: 8, high: 9, step: 1, log: true}", "step or log, found both"),
        ("  train.compute_dtype: {low: 0, high: 1}", "expected a list of values, as the key takes"),
        ("  train.pruned_fraction: {low: 0.1, high: 2}", "train.pruned_fraction: expected less"),
        (
            "  train.batch_size: [1, 20]",
            "train.batch_size: 1 is not usable: train: expected batch_parts of 1",
        ),
        (
            "  train.decay_epochs: {low: 8, high: 30}\n  train.max_epochs: [20, 36]",
            "train.decay_epochs: 30 and train.max_epochs: 20 is not usable: train: expected max_ep",
        ),
        ("  networks.pooled3.architecture: [conv, pooled_cnn]", "unknown architecture 'conv'"),
        ("  networks.spare.preprocessing: [[[]], [[deskew]]]", "would change nothing"),
        ("  train.validation_fraction: [0, 0.1]", "stop_lagging: expected null where"),
    ],
)
def test_entry_is_refused(new: str, told: str, in_folder: Path) -> None:
    spare = "  spare: {architecture: pooled_cnn, preprocessing: [[]]}"
    set_params(in_folder, ("\nensemble:", f"{spare}\n\nensemble:"))
    path = write_space(in_folder, (SEARCHED, f"{new}\n"))
    with pytest.raises(ParamsError) as raised:
        read(path)
    assert told in str(raised.value)
    assert str(raised.value).startswith(f"{path}")
    assert str(raised.value).endswith("Nothing was run.")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("trials: 3\n", "", "trials: missing"),
        ("trials: 3", "trials: 0", "trials: expected greater than or equal to 1, found 0"),
        ("trials_at_once", "trial_at_once", "trial_at_once: no such key (did you mean 'trials_at"),
        ("log_loss", "logloss", "minimize: expected 'log_loss' or 'error_rate', found \"logloss\""),
        ("confirm_on: [2]", "confirm_on: [1, 2]", "other folds in confirm_on than in choose_on"),
        ("confirm_on: [2]", "confirm_on: []", "confirm_on: expected at least one entry"),
        ("confirm_on: [2]", "confirm_on: [5]", "confirm_on: expected folds from 0 to 4"),
        ("choose_on: [0, 1]", "choose_on: [0, 0]", "choose_on: expected each fold once"),
        ("choose_on: [0, 1]", "choose_on: [all]", 'expected a whole number, found "all"'),
        ("{after_trials: 1,", "{after_trial: 1,", "(did you mean 'after_trials'?)"),
        ("space:", "\tspace:", "is not valid YAML"),
        ("space:", "spaces:", "spaces: no such key (did you mean 'space'?)"),
    ],
)
def test_file_is_refused(old: str, new: str, told: str, in_folder: Path) -> None:
    with pytest.raises(ParamsError) as raised:
        read(write_space(in_folder, (old, new)))
    assert told in str(raised.value)


def test_missing_file_is_told_with_those_there_are(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_space(in_folder)
    monkeypatch.setattr(space, "SWEEPS", in_folder / "sweeps")
    with pytest.raises(ParamsError, match=r"no space file sweeps/smal.yaml \(did you mean 'small"):
        space.read(Path("sweeps/smal.yaml"))


def test_values_that_params_yaml_has_are_checked_with_those_searched(in_folder: Path) -> None:
    set_params(in_folder, ("max_epochs: 36", "max_epochs: 12"))
    path = write_space(in_folder, (SEARCHED, "  train.decay_epochs: [8, 12]\n"))
    with pytest.raises(ParamsError, match=r"train.decay_epochs: 12 is not usable: train: expected"):
        read(path)


def test_space_is_checked_without_tensorflow_and_optuna() -> None:
    loaded = modules_after("import pipeline.sweeps.space")
    assert not loaded & {"tensorflow", "keras", "optuna", "pandas"}
