"""What a processor says of itself."""

from pathlib import Path

import pytest

from pipeline.networks.cpu import cpu_model, has_bfloat16

ZEN_3 = "model name\t: AMD EPYC 7763\nflags\t\t: fpu sse4_1 avx avx2 fma bmi2\n"
ZEN_4 = "model name\t: AMD EPYC 9654\nflags\t\t: fpu avx2 avx512f avx512_vnni avx512_bf16\n"
SAPPHIRE_RAPIDS = "model name\t: Intel Xeon\nflags\t\t: fpu avx2 avx512f amx_tile amx_bf16\n"
CASCADE_LAKE = "model name\t: Intel Xeon\nflags\t\t: fpu avx2 avx512f avx512_vnni\n"
GRAVITON_3 = "processor\t: 0\nFeatures\t: fp asimd sve bf16 i8mm\n"
GRAVITON_2 = "processor\t: 0\nFeatures\t: fp asimd\n"


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (ZEN_3, False),
        (ZEN_4, True),
        (SAPPHIRE_RAPIDS, True),
        (CASCADE_LAKE, False),
        (GRAVITON_3, True),
        (GRAVITON_2, False),
        ("", False),
    ],
)
def test_bfloat16_is_what_the_flags_say(cpuinfo: str, expected: bool, tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo)
    assert has_bfloat16(path) is expected


def test_system_without_cpuinfo_has_a_model_and_no_bfloat16(tmp_path: Path) -> None:
    assert not has_bfloat16(tmp_path / "missing")
    assert cpu_model(tmp_path / "missing")


def test_model_is_the_first_one_named(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\n{ZEN_3}processor\t: 1\n{ZEN_4}")
    assert cpu_model(path) == "AMD EPYC 7763"
