"""What could take less than the 843,776 operations that a dense decoder takes for a digit.

    python -m benchmarks.beyond_dense [--rounds 7]

On one thread, all in turns within each round, medians: the dense graph, the sparse product
(`cpp/src/kernels/sparse/`), and what would not give the same bytes or cannot save much: the graph
without its sigmoid (the most that fusing it could save), 8-bit weights (ONNX Runtime's dynamic
quantisation) and bfloat16 (OpenVINO, where it is installed and the processor has it). Then how
many activations are zero, what it takes to turn to the sparse product, and how many pixels never
leave 0.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime

import digitvae as dv
from benchmarks.generation.correctness import read_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    Images = np.ndarray[Any, np.dtype[np.uint8]]
    Latents = np.ndarray[Any, np.dtype[np.float32]]
    Decode = Callable[[Latents], Images]

DIGITS = 16_384
WORTHWHILE = 8192
"""Digits from which on the engine uses the sparse product (cpp/src/schedule/optimized.hpp)."""
BATCH = 256
MILLION = 1_000_000


def as_pixels(x: np.ndarray[Any, Any]) -> Images:
    """The engine's rounding."""
    pixels: Images = np.rint(x * np.float32(255)).astype(np.uint8)
    return pixels


def ours(*, dense: bool) -> Decode:
    """The native engine, with or without multiplications by zero."""
    os.environ["DIGITVAE_DENSE"] = "1" if dense else "0"
    model = dv.load()
    model.sample(65_536)  # by which it has turned to the sparse product
    return lambda z: model.decode(z, threads=1).reshape(-1, 784)


def session(model: bytes) -> onnxruntime.InferenceSession:
    """A plain session of one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def in_batches(run: Callable[[Latents], Any]) -> Decode:
    """Decode a batch at a time."""

    def decode(z: Latents) -> Images:
        parts = [as_pixels(run(z[i : i + BATCH])) for i in range(0, len(z), BATCH)]
        return np.concatenate(parts)

    return decode


def without_sigmoid(model: onnx.ModelProto) -> bytes:
    """The decoder that ends at the logits."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    sigmoid = cut.graph.node.pop()
    cut.graph.node[-1].output[0] = sigmoid.output[0]
    return bytes(cut.SerializeToString())


def quantised() -> bytes:
    """The decoder with 8-bit weights and activations quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(
        logging.ERROR
    )  # it would recommend a step that changes nothing here
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "int8.onnx"
        quantize_dynamic(dv.load().bundle.path / "decoder.onnx", out, weight_type=QuantType.QInt8)
        return out.read_bytes()


def openvino_decode(precision: str) -> Callable[[Latents], Any] | None:
    """OpenVINO in float32 or bfloat16; None without it."""
    try:
        import openvino
    except ImportError:
        return None
    core = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return None
    compiled = core.compile_model(
        str(dv.load().bundle.path / "decoder.onnx"),
        "CPU",
        {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision},
    )
    return lambda z: compiled(z)[0]


def contenders() -> dict[str, Decode]:
    """All that this machine can run."""
    model = onnx.load(dv.load().bundle.path / "decoder.onnx")
    plain = session(model.SerializeToString())
    logits = session(without_sigmoid(model))
    small = session(quantised())
    found: dict[str, Decode] = {
        "engine, dense": ours(dense=True),
        "engine, sparse product": ours(dense=False),
        "ONNX Runtime": in_batches(lambda z: plain.run(None, {"z": z})[0]),
        "ONNX Runtime, no sigmoid": in_batches(lambda z: logits.run(None, {"z": z})[0]),
        "ONNX Runtime, int8": in_batches(lambda z: small.run(None, {"z": z})[0]),
    }
    for precision in ("f32", "bf16"):
        run = openvino_decode(precision)
        if run is not None:
            found[f"OpenVINO, {precision}"] = in_batches(run)
    return found


def print_zeros(z: Latents) -> None:
    """How many hidden activations a kernel has to multiply."""
    weights = read_weights(dv.load().bundle)
    hidden = z @ weights["decoder.hidden.weight"].T + weights["decoder.hidden.bias"]
    active = hidden > 0
    pairs = active[::2] | active[1::2]
    print(
        f"\n{active.mean():.1%} of the hidden activations are not zero, "
        f"{pairs.mean():.1%} in one of two neighbouring digits"
    )


def print_turn() -> None:
    """What it takes to make and to try the sparse product: the first large request does."""
    pixels = np.empty((WORTHWHILE, 28, 28), np.uint8)
    extra = []
    for _ in range(9):
        model = dv.load()
        times = []
        for _ in range(2):
            start = time.perf_counter()
            model.sample(WORTHWHILE, threads=1, out=pixels)
            times.append(time.perf_counter() - start)
        extra.append(times[0] - times[1])
    milliseconds = statistics.median(extra) * 1e3
    print(f"the first {WORTHWHILE:,} digits take {milliseconds:.0f} ms more than the next")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Beyond the dense limit.")
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    model = dv.load()
    z = model.latents(DIGITS)
    all_of_them = contenders()
    times: dict[str, list[float]] = {name: [] for name in all_of_them}
    images = {name: decode(z) for name, decode in all_of_them.items()}
    for _ in range(rounds):
        for name, decode in all_of_them.items():
            start = time.perf_counter()
            decode(z)
            times[name].append(time.perf_counter() - start)
    base_time = statistics.median(times["engine, dense"])
    base = images["engine, dense"].astype(np.int16)
    print("| 1 thread | digits per second | beside the dense engine | bytes that differ | most |")
    print("|---|---:|---:|---:|---:|")
    for name, values in times.items():
        difference = np.abs(images[name] - base)
        share = f"{np.mean(difference != 0):.2%}" if difference.any() else "none"
        seconds = statistics.median(values)
        rate = f"{DIGITS / seconds:,.0f} | {base_time / seconds:.2f}"
        print(f"| {name} | {rate} | {share} | {difference.max()} |")
    print_zeros(z)
    print_turn()
    highest = np.zeros(784, np.uint8)
    for chunk in model.stream(MILLION):
        np.maximum(highest, chunk.reshape(-1, 784).max(axis=0), out=highest)
    print(f"\n{np.sum(highest == 0)} of 784 pixels stay 0 in {MILLION:,} samples")


if __name__ == "__main__":
    main()
