"""Real exports, run by the real runtimes and compared with Keras number by number."""

import resource
from pathlib import Path

import numpy as np
import pytest

from pipeline import architectures, profiles
from pipeline.ensemble.onnx import ExportedNetwork
from pipeline.errors import PipelineError, exit_status
from pipeline.networks.backend import keras, tf
from pipeline.networks.export import FORMATS, TOLERANCE, check_parity, to_onnx
from pipeline.networks.trained import load_model
from tests.handdrawn import MEMBER


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def model(exported: Path) -> keras.Model:
    return load_model(exported / "models" / MEMBER / "model.keras")


@pytest.mark.parametrize("count", [1, 7])
def test_onnx_gives_what_keras_gives(count: int, model: keras.Model, tmp_path: Path) -> None:
    to_onnx(model, tmp_path / "m.onnx")
    logits = ExportedNetwork(tmp_path / "m.onnx", [[]]).logits(images(count))
    expected = np.asarray(model(images(count), training=False))
    assert logits.shape == (count, 10) and logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=TOLERANCE)
    assert expected.std() > 1  # else anything would agree


def test_equal_models_give_equal_onnx(model: keras.Model, tmp_path: Path) -> None:
    deep = architectures.build("deep_pooled_cnn")
    for network in (model, deep):
        to_onnx(network, tmp_path / "first.onnx")
        to_onnx(network, tmp_path / "second.onnx")
        assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()


@pytest.mark.filterwarnings("ignore:(?s).*tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize("count", [1, 7])
def test_litert_gives_what_keras_gives(count: int, model: keras.Model, tmp_path: Path) -> None:
    suffix, write = FORMATS["litert"]
    path = tmp_path / f"m{suffix}"
    write(model, path)
    interpreter = tf.lite.Interpreter(str(path))
    (entry,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(entry["index"], (count, 28, 28))
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], images(count))
    interpreter.invoke()
    logits = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(logits, np.asarray(model(images(count))), atol=TOLERANCE)


def test_saved_model_gives_what_keras_gives(model: keras.Model, tmp_path: Path) -> None:
    _, write = FORMATS["saved-model"]
    write(model, tmp_path / "m")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    logits = loaded.serve(images(7))
    np.testing.assert_allclose(np.asarray(logits), np.asarray(model(images(7))), atol=TOLERANCE)


def test_architecture_of_the_main_job_can_be_exported(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    (entry,) = profiles.read("default")["networks"].values()
    fresh = architectures.build(entry["architecture"])
    to_onnx(fresh, tmp_path / "m.onnx")
    exported = ExportedNetwork(tmp_path / "m.onnx", [[]])
    assert check_parity(fresh, exported.logits, images(5), tmp_path / "m.onnx") <= TOLERANCE


def test_network_that_differs_is_refused(model: keras.Model, tmp_path: Path) -> None:
    def other(batch: np.ndarray) -> np.ndarray:
        return np.asarray(model(batch, training=False)) + np.float32(0.01)

    with pytest.raises(PipelineError, match=r"m.onnx was not written: .*differ.* by up to 0.01"):
        check_parity(model, other, images(3), tmp_path / "m.onnx")


def test_interrupted_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = architectures.build("deep_cnn")

    def interrupt(path: Path, **options: object) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(fresh, "export", interrupt)
    with pytest.raises(KeyboardInterrupt):
        to_onnx(fresh, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:(?s).*tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize("kind", FORMATS)
def test_full_disk_is_told_and_leaves_nothing(
    kind: str, model: keras.Model, tmp_path: Path
) -> None:
    suffix, write = FORMATS[kind]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        status = exit_status(lambda: write(model, tmp_path / f"m{suffix}"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert status == 1
    assert list(tmp_path.iterdir()) == []
