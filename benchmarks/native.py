"""The C library in figures: sizes, start-up, one digit on a warm handle, resident memory.

    python -m benchmarks.native [--rounds 101]

Builds and installs the library and what `benchmarks/programs/` and `cpp/examples/` have, in a
temporary folder, and prints the tables of docs/embedding.md. One digit is timed side by side with a
bare `OrtApi::Run` of the same model in the same process; programs are timed from start to exit.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.building import PROGRAMS, ROOT, build, run
from digitvae.bundle.folder import shipped_path
from digitvae.engine.runtime import ENVIRONMENT_VARIABLE, open_runtime

STREAMS = (10_000, 1_000_000)
STARTS = 31


class Cost(NamedTuple):
    """What one run of a program took."""

    seconds: float
    peak_mib: float


def cost(peak_memory: Path, *command: str | Path) -> Cost:
    """Run a program, its output thrown away."""
    start = time.perf_counter()
    done = subprocess.run(
        [peak_memory, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    return Cost(time.perf_counter() - start, int(done.stderr) / 1024)


def kib(path: Path) -> str:
    """The size of a file."""
    return f"{path.stat().st_size / 1024:,.0f} KiB"


def print_sizes(prefix: Path, minimal: Path, embedded: Path, ort_library: Path) -> None:
    """What there is to ship."""
    print("| to ship | size |\n|---|---:|")
    files = {
        "`libdigitvae.so`": prefix / "lib" / "libdigitvae.so",
        "`minimal`, a C program over it": minimal,
        "`embedded`, library and model inside": embedded,
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, path in files.items():
            stripped = Path(folder) / path.name
            shutil.copy(path, stripped)
            run("strip", stripped)
            print(f"| {name}, stripped | {kib(stripped)} |")
    print(f"| `decoder.onnx` | {kib(shipped_path() / 'decoder.onnx')} |")
    print(f"| ONNX Runtime {open_runtime(ort_library).version} | {kib(ort_library)} |\n")


def print_one_digit(one_digit: Path, decoder: Path, ort_library: Path, rounds: int) -> None:
    """Latency on a warm handle."""
    times = {
        name: float(microseconds)
        for name, microseconds in map(
            str.split, run(one_digit, decoder, ort_library, str(rounds)).splitlines()
        )
    }
    bare = times["OrtApi::Run"]
    print("| one digit, warm, 1 thread | µs | beside the bare run |\n|---|---:|---:|")
    for name, microseconds in times.items():
        print(f"| `{name}` | {microseconds:.1f} | {microseconds / bare:.2f} |")
    print()


def print_programs(peak_memory: Path, minimal: Path, decoder: Path) -> None:
    """Start-up and memory of the C example."""
    starts = [cost(peak_memory, minimal, decoder) for _ in range(STARTS)]
    print("| `minimal`, whole process | time | peak resident memory |\n|---|---:|---:|")
    middle = statistics.median(start.seconds for start in starts)
    peak = statistics.median(start.peak_mib for start in starts)
    print(f"| opens the model, prints 1 digit | {middle * 1e3:.0f} ms | {peak:.1f} MiB |")
    for count in STREAMS:
        seconds, peak = cost(peak_memory, minimal, decoder, "0", str(count))
        print(f"| streams {count:,} digits | {seconds:.2f} s | {peak:.1f} MiB |")


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description="The C library in figures.")
    parser.add_argument("--rounds", type=int, default=101, help="of the latency of one digit")
    rounds = parser.parse_args().rounds
    ort_library = Path(open_runtime().path)
    os.environ[ENVIRONMENT_VARIABLE] = str(ort_library)
    decoder = shipped_path() / "decoder.onnx"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prefix = folder / "prefix"
        options = ("-DDIGITVAE_BUILD_TESTS=OFF", "-DCMAKE_INSTALL_LIBDIR=lib")
        build(ROOT, folder / "library", *options, f"-DCMAKE_INSTALL_PREFIX={prefix}")
        run("cmake", "--install", folder / "library")
        package = f"-DCMAKE_PREFIX_PATH={prefix}"
        examples = ROOT / "cpp" / "examples"
        minimal = build(examples / "minimal", folder / "minimal", package) / "minimal"
        embedded = build(examples / "embedded", folder / "embedded", package) / "embedded"
        programs = build(PROGRAMS, folder / "programs", package)
        print_sizes(prefix, minimal, embedded, ort_library)
        print_one_digit(programs / "one_digit", decoder, ort_library, rounds)
        print_programs(programs / "peak_memory", minimal, decoder)


if __name__ == "__main__":
    main()
