"""How fast digits get into each kind of output, from start to exit of the command.

    python -m benchmarks.formats [--folder .] [--count 100_000] [--rounds 5]

`digitvae generate COUNT` for each format in turn, medians. Every output is flushed to the disk
before it gets its name, and removed again.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FORMATS = {
    "`.npy`": ("digits.npy",),
    "`.npz`": ("digits.npz",),
    "`.idx`": ("digits.idx",),
    "`.idx.gz`": ("digits.idx.gz",),
    "`--format mnist`": ("digits", "--format", "mnist"),
    "`.parquet`": ("digits.parquet",),
    "`.tar`": ("digits.tar",),
    "`.tar`, ten shards": ("digits.tar", "--shard-size"),
    "folder of PNGs": ("digits",),
}


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def one_run(folder: Path, count: int, words: tuple[str, ...]) -> tuple[float, int]:
    """Seconds of one process, and the bytes that it wrote."""
    name, *options = words
    if options == ["--shard-size"]:
        options.append(str(count // 10))
    command = [str(Path(sys.executable).with_name("digitvae")), "generate", str(count), "-q"]
    start = time.perf_counter()
    subprocess.run([*command, "-o", str(folder / name), *options], check=True)
    seconds = time.perf_counter() - start
    (made,) = folder.iterdir()
    written = size(made)
    if made.is_dir():
        shutil.rmtree(made)
    else:
        made.unlink()
    return seconds, written


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Digits into each kind of output.")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to write to")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in FORMATS}
    written = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        for _ in range(arguments.rounds):
            for what, words in FORMATS.items():
                seconds, written[what] = one_run(Path(name), arguments.count, words)
                times[what].append(seconds)
    print(f"| {arguments.count:,} digits into | seconds | digits per second | bytes a digit |")
    print("|---|---:|---:|---:|")
    for what, values in times.items():
        seconds = statistics.median(values)
        rate = arguments.count / seconds
        print(f"| {what} | {seconds:.2f} | {rate:,.0f} | {written[what] / arguments.count:.0f} |")


if __name__ == "__main__":
    main()
