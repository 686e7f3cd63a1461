from pathlib import Path

import numpy as np
import pytest

from pipeline.architectures import ARCHITECTURES, build
from pipeline.backend import keras, tf
from pipeline.digits import Images
from pipeline.errors import ParamsError
from pipeline.inference import load_model, save_model
from tests.conftest import ROOT

PARAMETERS = {"deep_cnn": 138_410}


@pytest.fixture(scope="module")
def images() -> Images:
    return np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)


def test_every_architecture_has_a_row_here() -> None:
    assert set(PARAMETERS) == set(ARCHITECTURES)


def test_every_file_is_an_architecture() -> None:
    """The source stage takes file names for architectures, so that it need not import Keras."""
    files = {path.stem for path in (ROOT / "pipeline/architectures").glob("*.py")}
    assert files - {"__init__"} == set(ARCHITECTURES)


@pytest.mark.parametrize("name", PARAMETERS)
def test_architecture_keeps_its_contract(name: str, images: Images, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model = build(name)
    logits = model(images)
    assert model.count_params() == PARAMETERS[name]
    assert logits.shape == (4, 10)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert {type(layer).__module__.partition(".")[0] for layer in model.layers} == {"keras"}

    save_model(model, tmp_path / "model.keras")
    reloaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(reloaded(images), logits)


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_weight_gets_a_finite_gradient(name: str, images: Images) -> None:
    keras.utils.set_random_seed(0)
    model = build(name)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(images, training=True)[:, 0])
    variables = [variable.value for variable in model.trainable_variables]
    for gradient in tape.gradient(loss, variables):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", PARAMETERS)
def test_architecture_takes_bytes(name: str) -> None:
    (images,) = build(name).inputs
    assert images.shape == (None, 28, 28)
    assert images.dtype == "uint8"


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ParamsError, match="no architecture 'deep_cmm'; known: .*deep_cnn"):
        build("deep_cmm")
