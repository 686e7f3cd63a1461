"""What decides how a network's sums are rounded: versions, device and floating-point type."""

import platform
from importlib.metadata import version
from typing import Any

import numpy as np

from pipeline.errors import ParamsError
from pipeline.networks.backend import USES_ONEDNN, ComputeDtype, WantedDtype, keras, tf
from pipeline.networks.cpu import cpu_model, has_bfloat16
from pipeline.networks.devices import Capability, Device, cuda_libraries, describe

BFLOAT16_CAPABILITY: Capability = (8, 0)
"""Of Ampere, the first GPUs with instructions for bfloat16."""


def choose_compute_dtype(wanted: WantedDtype, device: Device) -> ComputeDtype:
    """What is wanted; for "auto", bfloat16 where the device has it, else float32.

    A T4 computes in float32. It has no bfloat16, and float16 would need scaled losses; for small
    networks it gains little (docs/experiments/training-speed.md).

    Raises:
        ParamsError: bfloat16 is wanted of a GPU without it.
    """
    gpu = device.gpu
    native = has_bfloat16() if gpu is None else gpu.capability >= BFLOAT16_CAPABILITY
    if wanted == "bfloat16" and gpu is not None and not native:
        raise ParamsError(
            f"params.yaml is not usable: train.compute_dtype: the GPU, {gpu.name}, has no "
            f"bfloat16: it needs compute capability {describe(BFLOAT16_CAPABILITY)}, found "
            f"{describe(gpu.capability)}. Set it to auto or float32. Nothing was run."
        )
    if wanted != "auto":
        return wanted
    return "bfloat16" if native else "float32"


def describe_machine(wanted: WantedDtype, device: Device) -> dict[str, Any]:
    """Versions, device and floating-point type, for `Conditions.machine`.

    Args:
        wanted: as `choose_compute_dtype` takes it.
        device: where networks train.
    """
    machine = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit_learn": version("scikit-learn"),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "onednn": USES_ONEDNN,
        "cpu": cpu_model(),
        "compute_dtype": choose_compute_dtype(wanted, device),
    }
    if device.gpu is None:
        return machine
    return machine | {
        "gpu": device.gpu.name,
        "gpu_capability": describe(device.gpu.capability),
        "cuda": cuda_libraries(),
    }
