"""Whole-process time to put digits into a uint8 .npy: `digitvae generate` and plain ONNX Runtime.

    python -m benchmarks.generate_to_npy [--counts 10000 200000] [--rounds 9]

The rival is the script one would write around the onnxruntime package, at its best: one session
with all processors, batches of 1,000, NumPy's generator, preallocated output. Both start from
nothing (a new interpreter each time), run alternately in one session after a warm-up of each, and
the medians and the ratio are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from digitvae.bundle import shipped_path

RIVAL = """
import sys
import numpy as np
import onnxruntime
decoder, count, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
session = onnxruntime.InferenceSession(decoder, providers=["CPUExecutionProvider"])
generator = np.random.default_rng(0)
images = np.empty((count, 784), np.uint8)
for start in range(0, count, 1000):
    rows = min(1000, count - start)
    z = generator.standard_normal((rows, 40), np.float32)
    (x,) = session.run(None, {"z": z})
    np.rint(x * np.float32(255), out=x)
    images[start : start + rows] = x
np.save(out, images.reshape(-1, 28, 28))
"""


def commands(count: int, folder: Path) -> dict[str, list[str]]:
    """The two command lines that are compared, by name."""
    decoder = str(shipped_path() / "decoder.onnx")
    executable = Path(sys.executable).with_name("digitvae")
    ours, theirs = folder / "ours.npy", folder / "theirs.npy"
    return {
        "digitvae generate": [str(executable), "generate", str(count), "-o", str(ours), "--force"],
        "onnxruntime script": [sys.executable, "-c", RIVAL, decoder, str(count), str(theirs)],
    }


def seconds(command: list[str]) -> float:
    """Wall time of one run, from start to exit."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Run, print the table, and print the same as JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 10_000, 200_000])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.counts:
            runs = commands(count, Path(folder))
            for command in runs.values():
                seconds(command)
            times: dict[str, list[float]] = {name: [] for name in runs}
            for _ in range(arguments.rounds):
                for name, command in runs.items():
                    times[name].append(seconds(command))
            results[count] = {name: statistics.median(values) for name, values in times.items()}
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    processors = len(os.sched_getaffinity(0))
    print(
        f"Whole process, median of {arguments.rounds} alternating runs, {processors} processors\n"
    )
    print("| digits | digitvae generate | onnxruntime script | ratio |")
    print("|---:|---:|---:|---:|")
    for count, medians in results.items():
        ours, theirs = medians["digitvae generate"], medians["onnxruntime script"]
        print(f"| {count:,} | {ours:.2f} s | {theirs:.2f} s | {theirs / ours:.1f}× |")


if __name__ == "__main__":
    main()
