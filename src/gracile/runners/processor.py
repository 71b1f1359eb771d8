"""What the processor can do, told without any engine."""

import os
from functools import cache
from pathlib import Path

BFLOAT16 = {"avx512_bf16", "amx_bf16"}
"""Instructions that multiply bfloat16, as Linux names them."""

CPUINFO = Path("/proc/cpuinfo")


def computes_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """Whether the processor multiplies bfloat16 in one instruction; False where the system does not tell."""
    try:
        return _tells_bfloat16(cpuinfo.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return False


@cache
def _tells_bfloat16(text: str) -> bool:
    for line in text.splitlines():
        name, _, flags = line.partition(":")
        if name.strip() == "flags":
            return bool(BFLOAT16 & set(flags.split()))
    return False


def usable_cores() -> int:
    """Cores that this process may run on; fewer where ``OMP_NUM_THREADS`` says so, as numeric libraries have it."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdecimal() and int(told):
        return int(told)
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1
