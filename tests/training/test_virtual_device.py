"""The path of a GPU, on a second logical device of the CPU."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT

DTYPES = ("float32", "bfloat16")


@pytest.fixture(scope="module")
def results() -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.virtual_device", *DTYPES],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_same_seed_gives_the_same_bits_there_and_after_a_kill(results: Any, dtype: str) -> None:
    found = results["fits"][dtype]
    assert found["one"] == found["continued"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_device_trains_as_well_as_the_cpu_with_other_bits(results: Any, dtype: str) -> None:
    """Its order of sums and its dropout masks are others."""
    found = results["fits"][dtype]
    assert found["one"] != found["on_cpu"]
    assert found["loss"] == pytest.approx(found["loss_on_cpu"], rel=0.5)


def test_all_that_a_step_works_with_lies_on_the_device(results: Any) -> None:
    assert results["places"] == {
        "model": ["CPU:0"],
        "step": ["CPU:1"],
        "data": ["CPU:1"],
        "shown": ["CPU:1"],
    }


def test_device_predicts_what_the_cpu_predicts(results: Any) -> None:
    assert results["logits"] < 1e-5
