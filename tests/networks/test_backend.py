"""TensorFlow computes in the same way, whatever the environment says."""

import os
import platform
import subprocess
import sys

import pytest

from tests.conftest import ROOT

USES_ONEDNN = """
from pipeline.networks.backend import describe_backend, tf
from tensorflow.python.util import _pywrap_util_port
print(describe_backend()["onednn"], _pywrap_util_port.IsMklEnabled())
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
