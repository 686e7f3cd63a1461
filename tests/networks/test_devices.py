"""Which device is taken, from what TensorFlow and the system list, and what is said about it."""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.networks import devices
from pipeline.networks.backend import tf
from pipeline.networks.devices import (
    CPU,
    Device,
    Gpu,
    explain_absence,
    gpu_errors,
    take_device,
)
from tests.devices import A100, LIKE_GPU, P100, T4, V100

H100 = Gpu("NVIDIA H100 80GB HBM3", (9, 0))
METAL = Gpu("METAL", (0, 0))

OLD_P100 = (
    "The GPU, Tesla P100-PCIE-16GB, is too old for cuDNN 9: expected compute capability 7.5 or "
    "higher, found 6.0. Networks train on the CPU."
)


@pytest.fixture
def list_gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Make TensorFlow list GPUs; gives those that it is then told to use, and its settings."""

    def list_them(*gpus: Gpu) -> list[Any]:
        told: list[Any] = []
        listed = [
            tf.config.PhysicalDevice(f"/physical_device:GPU:{index}", "GPU")
            for index in range(len(gpus))
        ]

        def details(device: Any) -> dict[str, Any]:
            gpu = gpus[listed.index(device)]
            of_nvidia = {"compute_capability": gpu.capability} if gpu.capability[0] else {}
            return {"device_name": gpu.name} | of_nvidia

        config, experimental = tf.config, tf.config.experimental
        monkeypatch.setattr(config, "list_physical_devices", lambda kind: listed)
        monkeypatch.setattr(experimental, "get_device_details", details)
        monkeypatch.setattr(config, "set_visible_devices", lambda *shown: told.append(shown))
        for name in ("enable_tensor_float_32_execution", "enable_op_determinism"):
            monkeypatch.setattr(experimental, name, lambda *on, name=name: told.append((name, *on)))
        return told

    return list_them


@pytest.mark.parametrize(
    ("gpus", "taken"),
    [([T4], 0), ([A100], 0), ([H100, A100], 0), ([P100, T4], 1), ([METAL, V100, A100, T4], 2)],
)
def test_first_usable_gpu_is_taken_and_computes_as_it_says(
    gpus: list[Gpu], taken: int, list_gpus: Callable[..., list[Any]]
) -> None:
    told = list_gpus(*gpus)
    assert take_device() == (Device("/GPU:0", gpus[taken]), "")
    ((shown,), kind), *settings = told
    assert (shown.name, kind) == (f"/physical_device:GPU:{taken}", "GPU")
    assert settings == [("enable_tensor_float_32_execution", False), ("enable_op_determinism",)]


@pytest.mark.parametrize(
    ("gpus", "note"),
    [
        ([P100], OLD_P100),
        ([P100, METAL], OLD_P100),
        ([V100], OLD_P100.replace(P100.name, V100.name).replace("6.0", "7.0")),
        ([METAL], "The GPU, METAL, is not one of NVIDIA's. Networks train on the CPU."),
    ],
)
def test_gpu_that_cannot_be_used_stays_hidden_and_is_named(
    gpus: list[Gpu], note: str, list_gpus: Callable[..., list[Any]]
) -> None:
    told = list_gpus(*gpus)
    assert take_device() == (CPU, note)
    assert told == []


def test_machine_without_gpu_says_nothing(list_gpus: Callable[..., list[Any]]) -> None:
    list_gpus()
    assert take_device() == (CPU, "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The file system of a machine with one NVIDIA GPU and a recent driver."""
    for path, text in (("dev/nvidia0", ""), ("sys/module/nvidia/version", "550.54.15\n")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def install_cuda(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    monkeypatch.setattr(devices, "_installed", lambda package: version)


def test_missing_cuda_libraries_have_a_cure(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_cuda(monkeypatch, None)
    assert explain_absence({}, root) == (
        "This machine has an NVIDIA GPU, but TensorFlow finds no CUDA libraries. Install them "
        "with: make gpu. Networks train on the CPU."
    )


def test_gpu_that_does_not_start_has_a_cure(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_cuda(monkeypatch, "9.10.2.21")
    assert "cannot start the GPU. Does nvidia-smi show it?" in explain_absence({}, root)
    (root / "sys/module/nvidia/version").write_text("of a later kind")
    assert "cannot start the GPU. Does nvidia-smi show it?" in explain_absence({}, root)


@pytest.mark.parametrize("libraries", [None, "9.10.2.21"])
def test_old_driver_is_named_first(
    libraries: str | None, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_cuda(monkeypatch, libraries)
    (root / "sys/module/nvidia/version").write_text("470.256.02\n")
    assert explain_absence({}, root) == (
        "The GPU's driver is too old for CUDA 12: expected version 525.60 or higher, found "
        "470.256. Update it. Networks train on the CPU."
    )


def test_tensorflow_without_cuda_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: False)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert "TensorFlow has no GPU build for" in explain_absence({}, root)
    assert "on aarch64" in explain_absence({}, root)


@pytest.mark.parametrize("hidden", ["-1", "", "NoDevFiles"])
def test_gpu_that_the_user_hides_is_not_mentioned(hidden: str, root: Path) -> None:
    assert explain_absence({}, root)
    assert explain_absence({"CUDA_VISIBLE_DEVICES": hidden}, root) == ""


def test_gpu_is_one_that_this_process_may_open(tmp_path: Path) -> None:
    """In a container that was given none, the driver of the host still shows in /sys."""
    (tmp_path / "sys/module/nvidia").mkdir(parents=True)
    (tmp_path / "sys/module/nvidia/version").write_text("550.54.15\n")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia-caps").mkdir()
    assert explain_absence({}, tmp_path) == ""
    (tmp_path / "dev/dxg").touch()
    assert explain_absence({}, tmp_path) == ""
    (tmp_path / "usr/lib/wsl/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/wsl/lib/libcuda.so.1").touch()
    assert "make gpu" in explain_absence({}, tmp_path)


def error(kind: type[Exception], message: str) -> Exception:
    return kind(None, None, message)


OUT_OF_MEMORY = [
    error(tf.errors.ResourceExhaustedError, "OOM when allocating tensor with shape[128,24,24,32]"),
    error(tf.errors.InternalError, "Failed copying input tensor: Dst tensor is not initialized."),
    error(tf.errors.InternalError, "CUDA error: out of memory"),
    error(tf.errors.UnknownError, "CUDNN_STATUS_ALLOC_FAILED\nin cudnn.cc"),
]


@pytest.mark.parametrize("raised", OUT_OF_MEMORY)
def test_full_gpu_is_explained(raised: Exception) -> None:
    with pytest.raises(PipelineError) as caught, gpu_errors(LIKE_GPU):
        raise raised
    assert str(caught.value) == (
        "The GPU, NVIDIA A100-SXM4-40GB, has no memory left. End other programs that use it "
        "(nvidia-smi lists them), or lower train.batch_size in params.yaml. Finished epochs are "
        "kept. To use the CPU instead, run: CUDA_VISIBLE_DEVICES=-1 dvc repro"
    )


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("DNN library initialization failed. Look at\nthe errors above.", "failed: DNN library i"),
        ("", "failed: UnimplementedError. Does nvidia-smi show it?"),
    ],
)
def test_gpu_that_fails_is_explained(message: str, told: str) -> None:
    with pytest.raises(PipelineError) as caught, gpu_errors(LIKE_GPU):
        raise error(tf.errors.UnimplementedError, message)
    assert told in str(caught.value)
    assert "the errors above" not in str(caught.value)
    assert "make gpu. To use the CPU instead, run: CUDA_VISIBLE_DEVICES=-1" in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "device"),
    [
        *((each, CPU) for each in OUT_OF_MEMORY),
        (error(tf.errors.InvalidArgumentError, "out of memory"), LIKE_GPU),
        (ValueError("out of memory"), LIKE_GPU),
        (PipelineError("Training diverged"), LIKE_GPU),
    ],
)
def test_what_no_gpu_is_to_blame_for_passes_as_it_is(raised: Exception, device: Device) -> None:
    with pytest.raises(type(raised)) as caught, gpu_errors(device):
        raise raised
    assert caught.value is raised
