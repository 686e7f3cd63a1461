"""TensorFlow computes in the same way, whatever the environment says."""

import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.networks.backend import forgotten_graphs, suppress_stderr, tf, use_threads
from tests.conftest import ROOT

SHOW = """
import gc, json, os, sys
import numpy as np
from pipeline.networks.backend import keras, tf

collects, passed_over = gc.isenabled(), gc.get_freeze_count()

unused = sorted({"IPython", "cv2", "jax", "matplotlib", "pandas", "sklearn"} & set(sys.modules))
import pandas
from pipeline.networks.devices import CPU, take_device
from pipeline.networks.machine import describe_machine
from tensorflow.python.util import _pywrap_util_port

gpus = len(tf.config.get_visible_devices("GPU"))
device = take_device().device.placement
layer = keras.layers.Conv2D(2, 3)
out = tf.function(layer, jit_compile=False)(np.ones((1, 9, 8, 1)))
for _ in range(8):  # as where several networks are trained, which TensorFlow advises against
    tf.function(abs)(tf.constant(1))
print(json.dumps({
    "settings": {
        "backend": keras.backend.backend(),
        "floatx": keras.config.floatx(),
        "dtype": keras.config.dtype_policy().name,
        "format": keras.config.image_data_format(),
        "epsilon": keras.config.epsilon(),
        "max_epochs": keras.config.max_epochs(),
        "shape": out.shape.as_list(),
        "keras_home": os.environ["KERAS_HOME"],
    },
    "onednn": [describe_machine("auto", CPU)["onednn"], _pywrap_util_port.IsMklEnabled()],
    "unused": [unused, pandas.__name__],
    "garbage": [collects, passed_over],
    "device": [gpus, os.environ["TF_FORCE_GPU_ALLOW_GROWTH"], device],
}))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings of the user's, which name another backend and other forms."""
    folder = tmp_path_factory.mktemp("user")
    theirs = {
        "backend": "torch",
        "floatx": "float16",
        "image_data_format": "channels_first",
        "epsilon": 0.1,
    }
    for name in ("home/.keras", "keras"):
        (folder / name).mkdir(parents=True)
        (folder / name / "keras.json").write_text(json.dumps(theirs))
    return folder


@pytest.fixture(scope="module")
def shown(home: Path) -> dict[str, Any]:
    """What a fresh process says of itself, in an environment in which all is set differently."""
    before = sorted(home.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "CUDA_VISIBLE_DEVICES": "-1",
            "HOME": str(home / "home"),
            "KERAS_HOME": str(home / "keras"),
            "KERAS_BACKEND": "torch",
            "KERAS_MAX_EPOCHS": "one",
            "KERAS_MAX_STEPS_PER_EPOCH": "1",
            "MPLBACKEND": "module://absent_backend",
            "MPLCONFIGDIR": str(home / "matplotlib"),
            "TF_ENABLE_ONEDNN_OPTS": "0",
            "TF_USE_LEGACY_KERAS": "1",
            "TF_XLA_FLAGS": "--no_such_flag",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(home.rglob("*")) == before
    content: dict[str, Any] = json.loads(done.stdout)
    return content


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN is x86's")
def test_onednn_is_on_even_where_it_was_switched_off(shown: dict[str, Any]) -> None:
    assert shown["onednn"] == [True, True]


def test_settings_of_the_user_decide_nothing(shown: dict[str, Any], home: Path) -> None:
    assert shown["settings"] == {
        "backend": "tensorflow",
        "floatx": "float32",
        "dtype": "float32",
        "format": "channels_last",
        "epsilon": 1e-7,
        "max_epochs": None,
        "shape": [1, 7, 6, 2],
        "keras_home": str(home / "keras"),
    }


def test_tensorflow_sees_no_gpu_before_one_is_taken_and_grows_into_its_memory(
    shown: dict[str, Any],
) -> None:
    assert shown["device"] == [0, "true", "/CPU:0"]


def test_keras_starts_without_what_nothing_here_calls(shown: dict[str, Any]) -> None:
    """Its import alone takes as long as that of Keras and TensorFlow; later it is there."""
    assert shown["unused"] == [[], "pandas"]


def trace_graph() -> Any:
    """A weak reference to the graph of a gradient that nothing else refers to."""

    double = tf.custom_gradient(lambda number: (2 * number, lambda of_output: 2 * of_output))

    def differentiate(number: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(number)
            doubled = double(number)
        return tape.gradient(doubled, number)

    gradient = tf.function(differentiate)
    return weakref.ref(gradient.get_concrete_function(tf.TensorSpec([])).graph)


def test_imported_objects_are_passed_over_when_garbage_is_looked_for(shown: dict[str, Any]) -> None:
    collects, passed_over = shown["garbage"]
    assert collects
    assert passed_over > 100_000


def test_graphs_are_freed_that_tensorflow_would_keep() -> None:
    before = trace_graph()
    with forgotten_graphs():
        within = trace_graph()
    gc.collect()
    assert before() is not None  # else TensorFlow frees them by now
    assert within() is None


def test_gpu_that_another_program_fills_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """As TensorFlow 2.21 told on an NVIDIA H200."""

    def start() -> None:
        message = "cudaSetDevice() on GPU:0 failed. Status: out of memory"
        raise tf.errors.InternalError(None, None, message)

    monkeypatch.setattr(tf.config, "list_logical_devices", start)
    for name in ("set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads"):
        monkeypatch.setattr(tf.config.threading, name, lambda count: None)
    told = r"cannot start the GPU: cuda.* out of memory\. If .*nvidia-smi.*CUDA_VISIBLE_DEVICES=-1"
    with pytest.raises(PipelineError, match=told):
        use_threads(2)


def test_full_disk_keeps_nobody_from_importing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with suppress_stderr():
        done = True
    assert done
