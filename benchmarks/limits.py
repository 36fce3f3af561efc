"""What this machine could do at most: float32 multiply-adds, and bytes to a disk.

    python -m benchmarks.limits [--folder .] [--megabytes 512]

The first is measured by a compiled loop of fused multiply-adds on registers
(`benchmarks/programs/fma_peak.cpp`) and is the limit of any dense network: a digit takes
2 · (40 · 512 + 512 · 784) = 843,776 operations. The second writes random bytes in pieces of 1 MiB.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.building import PROGRAMS, build, run
from digitvae import _native

if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATIONS_A_DIGIT = 2 * (40 * 512 + 512 * 784)
PIXELS = 784
MIB = 1 << 20


@contextmanager
def fma_program() -> Iterator[Path]:
    """The compiled loop, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        yield build(PROGRAMS, Path(name)) / "fma_peak"


def fma_peaks(program: Path, threads: list[int], seconds: float = 2.0) -> dict[int, float]:
    """Billions of operations a second on each number of threads."""
    return {count: float(run(program, str(seconds), str(count))) for count in threads}


def write_rate(folder: Path, megabytes: int, *, sync: bool) -> float:
    """Bytes a second into a new file of so many MiB, which is removed again."""
    piece = os.urandom(MIB)
    with tempfile.NamedTemporaryFile(dir=folder, buffering=0) as file:
        start = time.perf_counter()
        for _ in range(megabytes):
            file.write(piece)
        if sync:
            os.fsync(file.fileno())
        return megabytes * MIB / (time.perf_counter() - start)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="The limits of this machine.")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to write to")
    parser.add_argument("--megabytes", type=int, default=512, help="how much to write")
    arguments = parser.parse_args()
    processors = _native.available_threads()
    print("| limit | | digits per second |\n|---|---:|---:|")
    with fma_program() as program:
        peaks = fma_peaks(program, sorted({1, processors}))
    for threads, billions in peaks.items():
        digits = billions * 1e9 / OPERATIONS_A_DIGIT
        name = f"{threads} thread{'s' if threads > 1 else ''}"
        print(f"| FMA, {name} | {billions:.0f} GFLOP/s | {digits:,.0f} |")
    for sync, name in ((False, "into the page cache"), (True, "onto the disk (fsync)")):
        rate = write_rate(arguments.folder, arguments.megabytes, sync=sync)
        print(f"| write, {name} | {rate / 1e6:,.0f} MB/s | {rate / PIXELS:,.0f} |")


if __name__ == "__main__":
    main()
