"""Trains as on a GPU, on the second of two logical devices, and prints what came of it as JSON.

TensorFlow divides a CPU only before its first operation, so the tests run this in a process.
"""

import json
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data.dataset import TrainingDigits
from pipeline.networks.backend import ComputeDtype, tf
from pipeline.networks.devices import CPU, Device
from pipeline.networks.trained import TrainedNetwork
from pipeline.training.step import TrainStep
from tests.conftest import make_training_digits
from tests.devices import VIRTUAL_GPU
from tests.training.test_loop import Killed, fit, kill_after_epoch, small_model

KILLED_AFTER = 4


def main(dtypes: list[ComputeDtype]) -> None:
    """Print a mapping of what `tests.training.test_virtual_device` compares."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    data = make_training_digits()
    with tempfile.TemporaryDirectory() as folder:
        fits = {dtype: compare_fits(data, dtype, Path(folder) / dtype) for dtype in dtypes}
    print(json.dumps({"fits": fits, "places": find_places(data), "logits": compare_logits(data)}))


def compare_fits(data: TrainingDigits, dtype: ComputeDtype, folder: Path) -> dict[str, Any]:
    """Hashes of the weights of a fit, of one that was killed, and of one on the CPU; and what the
    two devices reached."""

    def fit_on(device: Device, name: str) -> tuple[str, dict[str, float]]:
        model, state = fit(
            data, folder / name, num_views=2, compute_dtype=dtype, batch_parts=2, device=device
        )
        content = b"".join(each.tobytes() for each in model.get_weights())
        return sha256(content).hexdigest(), state.history[-1]

    one, row = fit_on(VIRTUAL_GPU, "one")
    with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(Killed):
        kill_after_epoch(KILLED_AFTER, monkeypatch)
        fit_on(VIRTUAL_GPU, "killed")
    continued, _ = fit_on(VIRTUAL_GPU, "killed")
    on_cpu, row_on_cpu = fit_on(CPU, "cpu")
    return {
        "one": one,
        "continued": continued,
        "on_cpu": on_cpu,
        "loss": row["loss"],
        "loss_on_cpu": row_on_cpu["loss"],
    }


def find_places(data: TrainingDigits) -> dict[str, list[str]]:
    """On which devices a step keeps what it works with, and the model that it was given."""
    with tf.device(CPU.placement):
        model = small_model()
    step = TrainStep(model, data.images[np.newaxis], data.labels, 0.01, "float32", 2, VIRTUAL_GPU)
    with tf.device(VIRTUAL_GPU.placement):
        shown = step.show(tf.zeros((4, 2), tf.int64), tf.zeros((4, 8)))
    values = {
        "model": model.variables,
        "step": [*step.model.variables, *step.optimizer.variables],
        "data": [step._images, step._labels],
        "shown": shown,
    }
    return {
        name: sorted({getattr(each, "value", each).device[-5:] for each in of_kind})
        for name, of_kind in values.items()
    }


def compare_logits(data: TrainingDigits) -> float:
    """By how much the two devices differ in the logits of more images than one batch holds."""
    model = small_model()
    many = np.tile(data.images, (70, 1, 1))
    one, other = (TrainedNetwork(model, [[]], device).logits(many) for device in (CPU, VIRTUAL_GPU))
    assert one.shape == (4_200, 10)
    return float(np.abs(one - other).max())


if __name__ == "__main__":
    main(sys.argv[1:])  # type: ignore[arg-type]
