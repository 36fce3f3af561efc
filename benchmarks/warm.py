"""Warm generation into uint8 memory, beside the bare ONNX Runtime graph, on one thread and on all.

    python -m benchmarks.warm [--rounds 9]

`Model.sample` includes the random numbers and the conversion to bytes; the bare graph has its
latents ready, bound memory, the engine's tile, and leaves float32. Interleaved, medians. The limit
is that of the processor's multiply-add units (`benchmarks/limits.py`), measured before and after.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

import digitvae as dv
from benchmarks.limits import OPERATIONS_A_DIGIT, fma_peaks, fma_program
from benchmarks.tile_size import bind, decoder_session
from digitvae import _native

if TYPE_CHECKING:
    from collections.abc import Callable

DIGITS = 32_768


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Digits per second, warm.")
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    model = dv.load()
    session = decoder_session(model)
    tile = bind(session, model.latents(_native.TILE_ROWS))
    out = np.empty((DIGITS, 28, 28), np.uint8)

    def bare_graph() -> None:
        for _ in range(DIGITS // _native.TILE_ROWS):
            session.run_with_iobinding(tile)

    def sample(threads: int) -> Callable[[], object]:
        return lambda: model.sample(DIGITS, threads=threads, out=out)

    runs: dict[str, Callable[[], object]] = {
        "bare graph, 1 thread": bare_graph,
        "Model.sample, 1 thread": sample(1),
    }
    processors = _native.available_threads()
    threads_of = dict.fromkeys(runs, 1)
    if processors > 1:
        runs[f"Model.sample, {processors} threads"] = sample(processors)
        threads_of[f"Model.sample, {processors} threads"] = processors
    times: dict[str, list[float]] = {name: [] for name in runs}
    with fma_program() as program:
        before = fma_peaks(program, sorted(set(threads_of.values())))
        for _ in range(rounds + 1):  # the first round warms up
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                times[name].append(time.perf_counter() - start)
        after = fma_peaks(program, sorted(set(threads_of.values())))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    base = medians["bare graph, 1 thread"]
    print("| | digits per second | beside the bare graph | of the FMA limit |")
    print("|---|---:|---:|---:|")
    for name, seconds in medians.items():
        rate, threads = DIGITS / seconds, threads_of[name]
        limit = max(before[threads], after[threads]) * 1e9 / OPERATIONS_A_DIGIT
        print(f"| {name} | {rate:,.0f} | {base / seconds:.2f} | {rate / limit:.2f} |")


if __name__ == "__main__":
    main()
