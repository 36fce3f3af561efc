"""Microseconds per digit of the bare decoder graph for each number of rows in a run.

    python -m benchmarks.tile_size [--rounds 9]

One thread, ONNX Runtime through its Python package with bound memory, sizes interleaved within
each round, medians printed. It also tells whether a row has the same bits in runs of each size:
where it has not, results would depend on how the work is cut, which the engine's constant tiles
rule out (cpp/src/schedule/tiles.hpp).
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import onnxruntime

import digitvae as dv

ROWS = (1, 2, 3, 7, 8, 16, 32, 64, 128, 255, 256, 257, 1024, 8192)
ROUND_DIGITS = 8192


def decoder_session(model: dv.Model) -> Any:
    """The decoder's graph in a plain ONNX Runtime session of one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.bundle.read("decoder.onnx"), options, providers=["CPUExecutionProvider"]
    )


def bind(session: Any, z: np.ndarray[Any, Any]) -> Any:
    """A binding of these latents to fresh output memory."""
    x = np.empty((len(z), 784), np.float32)
    binding = session.io_binding()
    binding.bind_ortvalue_input("z", onnxruntime.OrtValue.ortvalue_from_numpy(z))
    binding.bind_ortvalue_output("x", onnxruntime.OrtValue.ortvalue_from_numpy(x))
    return binding


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Time of the decoder graph by rows in a run.")
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    model = dv.load()
    session = decoder_session(model)
    z = model.latents(ROUND_DIGITS)
    bindings = {rows: bind(session, np.ascontiguousarray(z[:rows])) for rows in ROWS}
    times: dict[int, list[float]] = {rows: [] for rows in ROWS}
    for _ in range(rounds):
        for rows, binding in bindings.items():
            session.run_with_iobinding(binding)
            runs = max(1, min(ROUND_DIGITS // rows, 1000))
            start = time.perf_counter()
            for _ in range(runs):
                session.run_with_iobinding(binding)
            times[rows].append((time.perf_counter() - start) / (runs * rows) * 1e6)
    (whole,) = session.run(None, {"z": z[:1024]})
    print("| rows | µs per digit | digits per second | same bits as 1,024 rows |")
    print("|---:|---:|---:|---|")
    for rows in ROWS:
        median = statistics.median(times[rows])
        parts = [session.run(None, {"z": z[i : i + rows]})[0] for i in range(0, 1024, rows)]
        same = np.array_equal(np.concatenate(parts)[:1024], whole)
        print(f"| {rows:,} | {median:.2f} | {1e6 / median:,.0f} | {'yes' if same else 'no'} |")


if __name__ == "__main__":
    main()
