"""Where networks train and predict: an NVIDIA GPU where TensorFlow can use one, else the CPU.

`backend` hides every GPU. `take_device` decides and shows TensorFlow at most one of them.
"""

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import PipelineError
from pipeline.networks.backend import tf

Capability = tuple[int, int]

OLDEST_CAPABILITY: Capability = (7, 5)
"""Of Turing, as the T4 has it. cuDNN 9.11 and later, as the extra ``gpu`` installs it, has no
kernels for older GPUs."""

OLDEST_DRIVER = (525, 60)
"""The first of NVIDIA's drivers for Linux that runs CUDA 12."""

_CUDA_LIBRARIES = "nvidia-cublas-cu12", "nvidia-cudnn-cu12"
"""Packages of the extra ``gpu`` whose versions choose the kernels of products and convolutions."""

_TRAINS_ON_CPU = "Networks train on the CPU."
_USE_CPU = "To use the CPU instead, run: CUDA_VISIBLE_DEVICES=-1 dvc repro"

_OUT_OF_MEMORY = "out of memory", "OOM when", "Dst tensor is not initialized", "ALLOC_FAILED"
"""How CUDA, TensorFlow and cuDNN tell that the GPU has no memory left."""


@dataclass(frozen=True)
class Gpu:
    """A GPU that TensorFlow can use.

    Attributes:
        name: as its driver gives it.
        capability: major and minor number of NVIDIA's compute capability.
    """

    name: str
    capability: Capability


@dataclass(frozen=True)
class Device:
    """Where a network trains or predicts.

    Attributes:
        placement: TensorFlow's name of it.
        gpu: None for the CPU.
    """

    placement: str
    gpu: Gpu | None


CPU = Device("/CPU:0", None)


class Choice(NamedTuple):
    """A device, and one line on a GPU that is there and left out; empty if there is none."""

    device: Device
    note: str


def take_device() -> Choice:
    """Choose the first usable GPU and show it to TensorFlow, or the CPU.

    To be called once, before TensorFlow's first operation. ``CUDA_VISIBLE_DEVICES`` limits the
    choice, as it does in every program of NVIDIA's.
    """
    listed = tf.config.list_physical_devices("GPU")
    if not listed:
        return Choice(CPU, explain_absence(os.environ))
    notes = []
    for each in listed:
        details = tf.config.experimental.get_device_details(each)
        gpu = Gpu(details.get("device_name", each.name), details.get("compute_capability", (0, 0)))
        fault = _find_fault(gpu)
        if fault is None:
            tf.config.set_visible_devices([each], "GPU")
            # From Ampere on, products in float32 would otherwise keep 10 of 23 bits.
            tf.config.experimental.enable_tensor_float_32_execution(False)
            tf.config.experimental.enable_op_determinism()
            return Choice(Device("/GPU:0", gpu), "")
        notes.append(fault)
    return Choice(CPU, f"{notes[0]} {_TRAINS_ON_CPU}")


def _find_fault(gpu: Gpu) -> str | None:
    """Why networks cannot train on it; None if they can."""
    if gpu.capability == (0, 0):
        return f"The GPU, {gpu.name}, is not one of NVIDIA's."
    if gpu.capability < OLDEST_CAPABILITY:
        return (
            f"The GPU, {gpu.name}, is too old for cuDNN 9: expected compute capability "
            f"{describe(OLDEST_CAPABILITY)} or higher, found {describe(gpu.capability)}."
        )
    return None


def explain_absence(environment: Mapping[str, str], root: Path = Path("/")) -> str:
    """Why TensorFlow lists no GPU on a machine that has one; empty if it has none.

    Args:
        environment: variables.
        root: of the file system.
    """
    if "CUDA_VISIBLE_DEVICES" in environment or not _has_gpu(root):
        return ""
    if not tf.test.is_built_with_cuda():
        return (
            f"TensorFlow has no GPU build for {platform.system()} on {platform.machine()}. "
            f"{_TRAINS_ON_CPU}"
        )
    driver = _driver_version(root)
    if driver is not None and driver < OLDEST_DRIVER:
        return (
            "The GPU's driver is too old for CUDA 12: expected version "
            f"{describe(OLDEST_DRIVER)} or higher, found {describe(driver)}. Update it. "
            f"{_TRAINS_ON_CPU}"
        )
    if None in cuda_libraries().values():
        return (
            "This machine has an NVIDIA GPU, but TensorFlow finds no CUDA libraries. Install them "
            f"with: make gpu. {_TRAINS_ON_CPU}"
        )
    return (
        "CUDA's libraries are installed, but TensorFlow cannot start the GPU. Does nvidia-smi show "
        f"it? A restart or a newer driver may help. {_TRAINS_ON_CPU}"
    )


def _has_gpu(root: Path) -> bool:
    """Whether the system shows an NVIDIA GPU to this process: Linux, its containers, or WSL."""
    of_wsl = (root / "dev/dxg", root / "usr/lib/wsl/lib/libcuda.so.1")
    return any((root / "dev").glob("nvidia[0-9]*")) or all(path.exists() for path in of_wsl)


def _driver_version(root: Path) -> tuple[int, int] | None:
    """The first two numbers of the driver's version; None if the system does not say."""
    try:
        text = (root / "sys/module/nvidia/version").read_text(encoding="utf-8")
        major, minor = map(int, text.strip().split(".")[:2])
    except (OSError, ValueError):
        return None
    return major, minor


def cuda_libraries() -> dict[str, str | None]:
    """Versions of the libraries that choose a GPU's kernels; None where pip installed none."""
    return {name: _installed(name) for name in _CUDA_LIBRARIES}


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def describe(numbers: tuple[int, int]) -> str:
    """Two numbers as a version: 7.5."""
    return ".".join(map(str, numbers))


@contextmanager
def gpu_errors(device: Device) -> Iterator[None]:
    """Explain what TensorFlow raises when a GPU fails or has no memory left.

    Raises:
        PipelineError: with what to do.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if device.gpu is None or isinstance(error, tf.errors.InvalidArgumentError):
            raise
        message = str(error.message)
        exhausted = isinstance(error, tf.errors.ResourceExhaustedError)
        if exhausted or any(sign in message for sign in _OUT_OF_MEMORY):
            raise PipelineError(
                f"The GPU, {device.gpu.name}, has no memory left. End other programs that use it "
                "(nvidia-smi lists them), or lower train.batch_size in params.yaml. Finished "
                f"epochs are kept. {_USE_CPU}"
            ) from error
        (reason, *_) = [*message.strip().splitlines(), type(error).__name__]
        raise PipelineError(
            f"The GPU, {device.gpu.name}, failed: {reason[:300].rstrip('.')}. Does nvidia-smi show "
            f"it? If so, install CUDA's libraries again with: make gpu. {_USE_CPU}"
        ) from error
