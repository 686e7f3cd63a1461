"""What a device says of itself decides the compute dtype and is recorded; no clock does."""

import pytest

from pipeline.errors import ParamsError
from pipeline.networks import machine
from pipeline.networks.devices import CPU, Device, Gpu
from pipeline.networks.machine import choose_compute_dtype, describe_machine
from tests.devices import A100, T4


@pytest.mark.parametrize("native", [True, False])
def test_dtype_is_the_processors_unless_one_is_wanted(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "has_bfloat16", lambda: native)
    assert choose_compute_dtype("auto", CPU) == ("bfloat16" if native else "float32")
    assert choose_compute_dtype("float32", CPU) == "float32"
    assert choose_compute_dtype("bfloat16", CPU) == "bfloat16"


@pytest.mark.parametrize("of_processor", [True, False])
@pytest.mark.parametrize(
    ("gpu", "native"),
    [
        (T4, False),
        (A100, True),
        (Gpu("NVIDIA GeForce RTX 3060", (8, 6)), True),
        (Gpu("NVIDIA L4", (8, 9)), True),
        (Gpu("NVIDIA B200", (10, 0)), True),
    ],
)
def test_dtype_is_the_gpus_where_it_trains(
    gpu: Gpu, native: bool, of_processor: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "has_bfloat16", lambda: of_processor)
    device = Device("/GPU:0", gpu)
    assert choose_compute_dtype("auto", device) == ("bfloat16" if native else "float32")
    assert choose_compute_dtype("float32", device) == "float32"


def test_bfloat16_is_refused_where_the_gpu_lacks_it() -> None:
    with pytest.raises(ParamsError) as caught:
        choose_compute_dtype("bfloat16", Device("/GPU:0", T4))
    assert str(caught.value) == (
        "params.yaml is not usable: train.compute_dtype: the GPU, Tesla T4, has no bfloat16: it "
        "needs compute capability 8.0, found 7.5. Set it to auto or float32. Nothing was run."
    )
    assert choose_compute_dtype("bfloat16", Device("/GPU:0", A100)) == "bfloat16"


def test_gpu_and_its_libraries_are_part_of_the_machine() -> None:
    of_cpu, of_gpu = (describe_machine("auto", each) for each in (CPU, Device("/GPU:0", T4)))
    assert set(of_gpu) - set(of_cpu) == {"gpu", "gpu_capability", "cuda"}
    assert (of_gpu["gpu"], of_gpu["gpu_capability"]) == ("Tesla T4", "7.5")
    assert set(of_gpu["cuda"]) == {"nvidia-cublas-cu12", "nvidia-cudnn-cu12"}
    assert of_gpu["compute_dtype"] == "float32"
