from pathlib import Path

import numpy as np
import pytest

from pipeline.architectures import build
from pipeline.backend import keras
from pipeline.digits import TrainingDigits
from pipeline.errors import ArtifactError
from pipeline.inference import load_model, predict_probabilities, save_model


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build("deep_cnn")


def test_probabilities_are_the_softmax_of_the_logits(
    model: keras.Model, training_digits: TrainingDigits
) -> None:
    probabilities = predict_probabilities(model, training_digits.images)
    logits = np.asarray(model(training_digits.images), dtype=np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)


def test_batches_do_not_show(model: keras.Model, training_digits: TrainingDigits) -> None:
    many = np.tile(training_digits.images, (20, 1, 1))
    probabilities = predict_probabilities(model, many)
    assert probabilities.shape == (1200, 10)
    np.testing.assert_allclose(probabilities[:60], probabilities[-60:], rtol=1e-4)


def test_missing_model_names_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="model.keras is missing.*dvc repro"):
        load_model(tmp_path / "model.keras")


def test_damaged_model_names_what_brings_it_back(model: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    save_model(model, path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ArtifactError, match="is damaged.*dvc checkout --force"):
        load_model(path)
