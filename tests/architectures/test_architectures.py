"""What every architecture must keep; its docstring tells how many parameters it has."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pipeline.architectures import ARCHITECTURES, build
from pipeline.data.dataset import Images
from pipeline.environment import KERAS_BACKEND
from pipeline.errors import ParamsError
from pipeline.networks.backend import ComputeDtype, keras, tf
from pipeline.networks.devices import CPU
from pipeline.networks.trained import load_model, save_model
from pipeline.training.fast_layers import with_fast_layers
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def images() -> Images:
    return np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)


@cache
def built(name: str) -> keras.Model:
    """A network with random weights, which the tests share."""
    keras.utils.set_random_seed(0)
    return build(name)


def test_every_file_is_an_architecture() -> None:
    """The source stage takes file names for architectures, so that it need not import Keras."""
    files = {path.stem for path in (ROOT / "pipeline/architectures").glob("[!_]*.py")}
    assert files == set(ARCHITECTURES)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architecture_keeps_its_contract(name: str, images: Images, tmp_path: Path) -> None:
    model = built(name)
    logits = model(images)
    assert model.name == name
    assert f"; {model.count_params():,} parameters." in (ARCHITECTURES[name].__doc__ or "")
    assert logits.shape == (4, 10)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert {type(part).__module__.partition(".")[0] for part in model.operations} == {"keras"}

    save_model(model, tmp_path / "model.keras")
    reloaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(reloaded(images), logits)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("compute_dtype", [None, "float32", "bfloat16"])
def test_every_weight_gets_a_finite_gradient(
    name: str, compute_dtype: ComputeDtype | None, images: Images
) -> None:
    """As it is, and as it is while it trains."""
    model = built(name)
    if compute_dtype:
        model = with_fast_layers(model, compute_dtype, CPU)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(images, training=True)[:, 0])
    variables = [variable.value for variable in model.trainable_variables]
    for gradient in tape.gradient(loss, variables):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architecture_takes_bytes(name: str) -> None:
    (images,) = built(name).inputs
    assert images.shape == (None, 28, 28)
    assert images.dtype == "uint8"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_neighbours_in_a_batch_change_nothing(name: str, images: Images) -> None:
    model = built(name)
    bright = np.concatenate([images // 8, np.full((1, 28, 28), 255, dtype=np.uint8)])
    np.testing.assert_allclose(model(bright)[:4], model(images // 8), rtol=1e-4, atol=1e-6)


def test_blank_image_gives_finite_logits_and_gradients() -> None:
    """`conv4_normalized` divides by the largest activation, which may be none."""
    model = built("conv4_normalized")
    with tf.GradientTape() as tape:
        logits = model(np.zeros((1, 28, 28), dtype=np.uint8))
    assert np.isfinite(logits).all()
    for gradient in tape.gradient(logits, [v.value for v in model.trainable_variables]):
        assert np.isfinite(gradient).all()


_JAX = {
    KERAS_BACKEND: "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",  # compiling takes longer than running
}
_IN_JAX = """
import sys
from pathlib import Path

import jax
import numpy as np

from pipeline.architectures import ARCHITECTURES, build
from pipeline.networks.backend import keras
from pipeline.networks.trained import load_model

assert keras.backend.backend() == "jax"
folder = Path(sys.argv[1])
images = np.load(folder / "images.npy")
for name in ARCHITECTURES:
    fresh, saved = build(name), load_model(folder / f"{name}.keras")
    assert fresh.count_params() == saved.count_params()
    assert fresh.output_shape == (None, 10)
    trained, others = (
        [variable.value for variable in variables]
        for variables in (saved.trainable_variables, saved.non_trainable_variables)
    )
    logits, _ = jax.jit(saved.stateless_call)(trained, others, images)
    np.save(folder / f"{name}.npy", np.asarray(logits))
"""


def test_every_architecture_builds_under_jax_and_means_the_same_there(
    images: Images, tmp_path: Path
) -> None:
    models = {name: built(name) for name in ARCHITECTURES}
    for name, model in models.items():
        save_model(model, tmp_path / f"{name}.keras")
    np.save(tmp_path / "images.npy", images)
    done = subprocess.run(
        [sys.executable, "-c", _IN_JAX, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | _JAX,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, model in models.items():
        logits = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(logits, model(images), rtol=1e-4, atol=1e-5, err_msg=name)


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ParamsError, match="no architecture 'deep_cmm'; known: .*deep_cnn"):
        build("deep_cmm")
