"""What the processor says of itself: its model, and whether it computes in bfloat16."""

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Flags of x86 and, the last, of Arm. Processors without them emulate the type, more slowly than
they compute in float32."""


def cpu_model(cpuinfo: Path = CPUINFO) -> str:
    """Its name, as the system gives it."""
    named = _read(cpuinfo, "model name")
    return named or platform.processor() or platform.machine()


def has_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """Whether the processor has instructions for bfloat16; False where the system does not say."""
    flags = _read(cpuinfo, "flags") or _read(cpuinfo, "Features")
    return not _BFLOAT16_FLAGS.isdisjoint(flags.split())


def _read(cpuinfo: Path, key: str) -> str:
    """The first value of ``key``; empty if there is none."""
    if not cpuinfo.exists():
        return ""
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
