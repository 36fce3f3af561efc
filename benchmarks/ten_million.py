"""Ten million digits to a file: does the rate hold, and the memory?

    python -m benchmarks.ten_million [--folder .] [--count 10_000_000]

Starts `digitvae generate COUNT` and watches its unfinished file grow and its peak resident memory.
Needs 784 bytes a digit on the disk of the folder; the file is removed again.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

PIXELS = 784
MILLION = 1_000_000
INTERVAL = 0.005


def peak_memory(process: int) -> float:
    """Peak resident memory of a process so far, in MiB; 0 once it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def written(folder: Path) -> int:
    """Bytes of the file in the making."""
    try:
        return sum(file.stat().st_size for file in folder.iterdir())
    except OSError:  # renamed meanwhile
        return 0


def main() -> None:
    """Run, watch, print the table."""
    parser = argparse.ArgumentParser(description="A long stream to disk.")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to write to")
    parser.add_argument("--count", type=int, default=10 * MILLION)
    arguments = parser.parse_args()
    program = [sys.executable, "-m", "digitvae.cli.app", "generate", str(arguments.count), "-q"]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        began = time.perf_counter()
        reached: list[float] = []
        memory = 0.0
        with subprocess.Popen([*program, "-o", folder / "digits.npy"]) as process:
            while process.poll() is None:
                digits = written(folder) // PIXELS
                now = time.perf_counter()
                while len(reached) <= digits // MILLION and digits > 0:
                    reached.append(now)
                memory = max(memory, peak_memory(process.pid))
                time.sleep(INTERVAL)
            if process.returncode != 0:
                raise SystemExit(process.returncode)
        seconds = time.perf_counter() - began
    rates = [MILLION / (b - a) for a, b in pairwise(reached)]
    print("| million | digits per second |\n|---:|---:|")
    for number, rate in enumerate(rates, 1):
        print(f"| {number} | {rate:,.0f} |")
    print(
        f"\n{arguments.count:,} digits in {seconds:.1f} s, flushed to the disk; the last million "
        f"at {rates[-1] / rates[0]:.3f} of the first's rate; peak resident memory {memory:.0f} MiB"
    )


if __name__ == "__main__":
    main()
