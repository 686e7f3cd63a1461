import json
import zipfile
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from pipeline.architectures import build
from pipeline.data.dataset import TrainingDigits
from pipeline.data.preprocessing import preprocess
from pipeline.ensemble.averaging import average_probabilities, predict_probabilities
from pipeline.errors import ArtifactError
from pipeline.networks.backend import keras
from pipeline.networks.trained import (
    TrainedNetwork,
    load_model,
    load_network,
    save_model,
)
from tests.members import write_record


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build("deep_cnn")


def test_probabilities_are_the_softmax_of_the_logits(
    model: keras.Model, training_digits: TrainingDigits
) -> None:
    probabilities = predict_probabilities(TrainedNetwork(model, [[]]), training_digits.images)
    logits = np.asarray(model(training_digits.images), dtype=np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)


def test_batches_do_not_show(model: keras.Model, training_digits: TrainingDigits) -> None:
    many = np.tile(training_digits.images, (20, 1, 1))
    probabilities = predict_probabilities(TrainedNetwork(model, [["deskew"]]), many)
    assert probabilities.shape == (1200, 10)
    np.testing.assert_allclose(probabilities[:60], probabilities[-60:], rtol=1e-4)


@pytest.mark.parametrize(
    "view", [[], ["deskew"], ["deskew", "normalize_stroke"], ["normalize_stroke", "deskew"]]
)
def test_network_is_given_what_it_was_trained_with(
    view: list[str], model: keras.Model, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    save_model(model, tmp_path / "model.keras")
    write_record(tmp_path, preprocessing=[view])
    images = training_digits.images
    probabilities = predict_probabilities(load_network(tmp_path), images)
    expected = predict_probabilities(TrainedNetwork(model, [[]]), preprocess(images, view))
    np.testing.assert_array_equal(probabilities, expected)
    raw = predict_probabilities(TrainedNetwork(model, [[]]), images)
    assert np.array_equal(probabilities, raw) == (not view)


def test_low_confidence_is_averaged_over_the_views_that_a_network_knows(
    model: keras.Model, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    save_model(model, tmp_path / "model.keras")
    write_record(tmp_path, preprocessing=[[], ["deskew"]])
    images = training_digits.images
    each = [
        predict_probabilities(TrainedNetwork(model, [view]), images) for view in ([], ["deskew"])
    ]
    assert not np.array_equal(each[0], each[1])
    probabilities = predict_probabilities(load_network(tmp_path), images)
    np.testing.assert_allclose(probabilities, average_probabilities(each), rtol=1e-12)


def test_equal_models_give_equal_bytes(model: keras.Model, tmp_path: Path) -> None:
    """Keras notes the second of saving, in its metadata and in the archive's table."""
    content = []
    for moment in ("2026-01-02 03:04:05", "2027-02-03 04:05:06"):
        keras.utils.set_random_seed(0)
        with patch("keras.src.saving.saving_lib.datetime") as clock:
            clock.datetime.now.return_value = datetime.fromisoformat(moment)
            save_model(build("deep_cnn"), tmp_path / "model.keras")
        content.append((tmp_path / "model.keras").read_bytes())
    assert content[0] == content[1]
    dates = {info.date_time for info in zipfile.ZipFile(tmp_path / "model.keras").infolist()}
    assert dates == {(1980, 1, 1, 0, 0, 0)}
    for mine, theirs in zip(
        load_model(tmp_path / "model.keras").get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_missing_model_names_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="model.keras is missing.*dvc repro"):
        load_model(tmp_path / "model.keras")


def test_model_of_another_form_is_refused(tmp_path: Path) -> None:
    layers = keras.layers
    for shape, dtype, digits in (((28, 27), "uint8", 10), ((28, 28), "uint8", 9)):
        inputs = keras.Input(shape, dtype=dtype)
        answer = layers.Dense(digits)(layers.Flatten()(layers.Rescaling(1.0)(inputs)))
        save_model(keras.Model(inputs, answer), tmp_path / "model.keras")
        with pytest.raises(ArtifactError, match="it is a network of another form"):
            load_model(tmp_path / "model.keras")


@pytest.mark.parametrize("name", [" ", "-dense", "dense layer"])
def test_name_that_tensorflow_would_refuse_later_is_refused(name: str, tmp_path: Path) -> None:
    images = keras.Input((28, 28), dtype="uint8")
    flat = keras.layers.Flatten()(images)
    model = keras.Model(images, keras.layers.Dense(10, name="dense")(flat))
    save_model(model, tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        parts = {each: archive.read(each) for each in archive.namelist()}
    config = json.loads(parts["config.json"])
    renamed = json.dumps(config).replace('"dense"', json.dumps(name))
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for each, content in (parts | {"config.json": renamed.encode()}).items():
            archive.writestr(each, content)
    with pytest.raises(ArtifactError, match="is damaged: .* is no name of a layer"):
        load_model(tmp_path / "model.keras")


def test_empty_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.keras").touch()
    with pytest.raises(ArtifactError, match="is damaged: .*it is no zip archive"):
        load_model(tmp_path / "model.keras")


def test_damaged_model_names_what_brings_it_back(model: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    save_model(model, path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ArtifactError, match="is damaged.*dvc checkout --force"):
        load_model(path)
