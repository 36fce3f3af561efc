"""This machine: how many processors are used, and what it can do at most.

One limit is a loop of fused multiply-adds on registers, which bounds every dense network; the other
is writing random bytes into a new file in pieces of 1 MiB.
"""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import digitvae
from benchmarks.building import PROGRAMS, ROOT, run

if TYPE_CHECKING:
    from collections.abc import Iterator

_MIB = 1 << 20
_NO_SUCH_INSTRUCTIONS = 2


def available() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def keep_to(count: int) -> None:
    """Let this thread, and every thread that it starts from now on, use so many processors only."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


@contextmanager
def limited_to(count: int) -> Iterator[None]:
    """Keep to so many processors for a while."""
    before = os.sched_getaffinity(0)
    keep_to(count)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def fma_rate(seconds: float, threads: int) -> float | None:
    """Float32 operations a second in fused multiply-adds; ``None`` without AVX-512 or AVX2.

    Args:
        seconds: How long to measure; the best tenth counts.
        threads: Threads, on as many processors.

    Raises:
        SystemExit: The program cannot be compiled, or refuses the arguments.
    """
    program = _fma_peak()
    with limited_to(threads):
        done = subprocess.run(
            [program, str(seconds), str(threads)], check=False, capture_output=True, text=True
        )
    if done.returncode == _NO_SUCH_INSTRUCTIONS:
        return None
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout)


def _fma_peak() -> Path:
    """The program of that loop, compiled when its source has changed."""
    source, program = PROGRAMS / "fma_peak.cpp", ROOT / "build" / "bench" / "fma_peak"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        compiler = os.environ.get("CXX", "c++")
        with tempfile.TemporaryDirectory(dir=program.parent) as folder:  # others may compile it too
            new = Path(folder) / program.name
            run(compiler, "-std=c++17", "-O3", "-pthread", source, "-o", new)
            new.replace(program)
    return program


def write_rate(folder: Path, mib: int, *, sync: bool) -> float:
    """Bytes a second into a new file, which is removed again.

    Args:
        folder: Where.
        mib: Size of the file in MiB.
        sync: Wait until they are on the disk.
    """
    piece = os.urandom(_MIB)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".digitvae-", buffering=0) as file:
        start = time.perf_counter()
        for _ in range(mib):
            file.write(piece)
        if sync:
            os.fsync(file.fileno())
        return mib * _MIB / (time.perf_counter() - start)


def describe() -> dict[str, object]:
    """Processor, memory, system, versions, and how busy it is before the run."""
    flags = _processor("flags").split()
    return {
        "processor": _processor("model name") or platform.machine(),
        "instructions": next((name for name in ("avx512f", "avx2") if name in flags), ""),
        "processors": available(),
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "system": platform.platform(),
        "python": platform.python_version(),
        "digitvae": digitvae.__version__,
        "load_before": round(os.getloadavg()[0], 2),
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _processor(name: str) -> str:
    """What the system says about the first processor; empty if it says nothing."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next(
        (v.strip() for k, _, v in (x.partition(":") for x in lines) if k.strip() == name), ""
    )
