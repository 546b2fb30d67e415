"""What of the machine decides about speed and accuracy; nothing that tells whose it is."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FLAGS = ("avx2", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16", "avx512_bf16")
"""Instruction sets that matter to a quantized model."""
VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
"""Any of these adds int8 products without saturating in between."""
THIS = "this"
CPUS = (THIS, "avx2", "vnni")
"""Kinds of CPU that a person can ask about: the one at hand, one without VNNI, one with it."""
_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")
_NVIDIA = Path("/proc/driver/nvidia")
_GIBIBYTE = 2**30


def cpu() -> dict[str, Any]:
    """`model`, `flags` (those of `FLAGS` that it has; None where the system does not tell) and usable `cores`."""
    info = _pairs(_CPUINFO)
    flags = info.get("flags")
    return {
        "model": info.get("model name") or platform.processor() or platform.machine(),
        "flags": None if flags is None else [flag for flag in FLAGS if flag in flags.split()],
        "cores": cores(),
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def kind(facts: Mapping[str, Any] | None = None) -> str | None:
    """`amx`, `vnni`, or `avx2` for an x86 CPU with neither; None where the system does not tell.

    Args:
        facts: As `cpu` gives them; those of this machine by default.
    """
    flags = (facts or cpu())["flags"]
    if flags is None:
        return None
    return "amx" if "amx_int8" in flags else "vnni" if VNNI & set(flags) else "avx2"


def saturates(asked: str | None = THIS) -> bool:
    """Whether sums of int8 products can saturate on a kind of CPU: an x86 one without VNNI.

    Args:
        asked: One of `CPUS`, or what `kind` gives.
    """
    return (kind() if asked == THIS else asked) == "avx2"


def load() -> float | None:
    """Processes that ran or wanted to, on average over the last minute; None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def memory() -> float | None:
    """GiB of main memory; None where the system does not tell."""
    total = _pairs(_MEMINFO).get("MemTotal", "").split()
    return round(int(total[0]) * 1024 / _GIBIBYTE, 1) if total else None


def peak_memory() -> int | None:
    """Most bytes of main memory that this process has held; None where the system does not tell.

    From VmHWM, which begins anew with each program; `ru_maxrss` begins with the parent's on Linux (man 2 getrusage).
    """
    if held := _pairs(Path("/proc/self/status")).get("VmHWM", "").split():
        return int(held[0]) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def gpus() -> list[dict[str, str]]:
    """NVIDIA GPUs: `name`, `driver`, and `memory` where it is told."""
    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20)  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError):
        return _from_driver()
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines() if line.count(",") == 2]
    return [dict(zip(("name", "driver", "memory"), row, strict=True)) for row in rows]


def _from_driver() -> list[dict[str, str]]:
    """What the driver's own files tell, where nvidia-smi is not installed."""
    version = _NVIDIA / "version"
    lines = version.read_text(encoding="utf-8").splitlines() if version.exists() else []
    numbers = [word for word in (lines[0].split() if lines else []) if word[0].isdigit() and "." in word]
    cards = [_pairs(file) for file in sorted(_NVIDIA.glob("gpus/*/information"))]
    return [{"name": card.get("Model", "unknown"), "driver": numbers[0] if numbers else "unknown"} for card in cards]


def _pairs(path: Path) -> dict[str, str]:
    """`name: value` lines; the first of each name. Empty where there is no such file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    split = (line.partition(":") for line in reversed(lines))
    return {name.strip(): value.strip() for name, colon, value in split if colon}
