"""TensorFlow computes in the same way, whatever the environment says."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

USES_ONEDNN = """
from pipeline.networks.devices import CPU
from pipeline.networks.machine import describe_machine
from tensorflow.python.util import _pywrap_util_port
print(describe_machine("auto", CPU)["onednn"], _pywrap_util_port.IsMklEnabled())
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN is x86's")
def test_onednn_is_on_even_where_it_was_switched_off() -> None:
    done = subprocess.run(
        [sys.executable, "-c", USES_ONEDNN],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "True"]


SHOW_SETTINGS = """
import json, os
import numpy as np
from pipeline.networks.backend import keras, tf
layer = keras.layers.Conv2D(2, 3)
out = tf.function(layer, jit_compile=False)(np.ones((1, 9, 8, 1)))
print(json.dumps({
    "backend": keras.backend.backend(),
    "floatx": keras.config.floatx(),
    "dtype": keras.config.dtype_policy().name,
    "format": keras.config.image_data_format(),
    "epsilon": keras.config.epsilon(),
    "max_epochs": keras.config.max_epochs(),
    "shape": out.shape.as_list(),
    "keras_home": os.environ["KERAS_HOME"],
}))
"""


def test_settings_of_the_user_decide_nothing(tmp_path: Path) -> None:
    theirs = {
        "backend": "torch",
        "floatx": "float16",
        "image_data_format": "channels_first",
        "epsilon": 0.1,
    }
    for folder in ("home/.keras", "keras"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "keras.json").write_text(json.dumps(theirs))
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", SHOW_SETTINGS],
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "HOME": str(tmp_path / "home"),
            "KERAS_HOME": str(tmp_path / "keras"),
            "KERAS_BACKEND": "torch",
            "KERAS_MAX_EPOCHS": "one",
            "KERAS_MAX_STEPS_PER_EPOCH": "1",
            "MPLBACKEND": "module://absent_backend",
            "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
            "TF_USE_LEGACY_KERAS": "1",
            "TF_XLA_FLAGS": "--no_such_flag",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "backend": "tensorflow",
        "floatx": "float32",
        "dtype": "float32",
        "format": "channels_last",
        "epsilon": 1e-7,
        "max_epochs": None,
        "shape": [1, 7, 6, 2],
        "keras_home": str(tmp_path / "keras"),
    }
    assert [path for path in sorted(tmp_path.rglob("*")) if "matplotlib" not in str(path)] == before
