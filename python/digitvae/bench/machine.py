"""Where a run took place."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from pathlib import Path

import digitvae
from digitvae.bench.processors import available


def describe() -> dict[str, object]:
    """Processor, memory, system, versions, and how busy it is before the run."""
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "instructions": _instructions(),
        "processors": available(),
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "system": platform.platform(),
        "python": platform.python_version(),
        "digitvae": digitvae.__version__,
        "load_before": round(os.getloadavg()[0], 2),
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _instructions() -> str:
    """The widest multiply-adds that the processor has."""
    flags = _field("/proc/cpuinfo", "flags").split()
    return next((name for name in ("avx512f", "avx2") if name in flags), "")


def _field(file: str, name: str) -> str:
    """A value of a file of "name : value" lines; empty if it is not there."""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next(
        (v.strip() for k, _, v in (x.partition(":") for x in lines) if k.strip() == name), ""
    )
