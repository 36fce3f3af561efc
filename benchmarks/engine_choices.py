"""What the engine's settings are worth, and where its time goes.

    python -m benchmarks.engine_choices [--rounds 9]

Medians. First, on one thread and in turns, the decoder's graph in plain ONNX Runtime sessions, in
runs of the engine's tile, with one setting changed at a time. Then the stages of a digit: the
engine's own calls, and graphs cut after each operator. Last, two threads that take tiles (and make
random numbers and bytes, too) beside two threads inside ONNX Runtime.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

import digitvae as dv
from benchmarks.machine import limited_to
from digitvae import _native

if TYPE_CHECKING:
    from collections.abc import Callable

    Latents = np.ndarray[Any, np.dtype[np.float32]]
    Decode = Callable[[], object]

TILE = _native.TILE_ROWS
TILES = 64
DIGITS = TILE * TILES
LARGE = 8192
OPTIMISED = onnxruntime.GraphOptimizationLevel


def session(model: bytes, *, threads: int = 1, **changed: Any) -> onnxruntime.InferenceSession:
    """A session with the engine's settings but for those that are changed."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    for name, value in changed.items():
        if name == "entries":
            for key, entry in value.items():
                options.add_session_config_entry(key, entry)
        else:
            setattr(options, name, value)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def bound(graph: onnxruntime.InferenceSession, z: Latents) -> Decode:
    """Runs of these rows, again and again, with their memory bound, until all digits are made."""
    (out,) = graph.get_outputs()
    dtype = np.uint8 if out.type == "tensor(uint8)" else np.float32
    binding = graph.io_binding()
    binding.bind_ortvalue_input("z", onnxruntime.OrtValue.ortvalue_from_numpy(z))
    memory = onnxruntime.OrtValue.ortvalue_from_numpy(np.empty((len(z), out.shape[1]), dtype))
    binding.bind_ortvalue_output(out.name, memory)

    def decode() -> None:
        for _ in range(DIGITS // len(z)):
            graph.run_with_iobinding(binding)

    return decode


def fresh_arrays(graph: onnxruntime.InferenceSession, z: Latents) -> Decode:
    """The same with an output array that is allocated for each run."""
    return lambda: [graph.run(None, {"z": z}) for _ in range(TILES)]


def bytes_in_graph(model: onnx.ModelProto) -> bytes:
    """The decoder with scaling, rounding and the cast to uint8 as operators of its graph."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    graph.initializer.append(helper.make_tensor("scale", TensorProto.FLOAT, [], [255.0]))
    graph.node.extend(
        [
            helper.make_node("Mul", ["x", "scale"], ["scaled"]),
            helper.make_node("Round", ["scaled"], ["rounded"]),
            helper.make_node("Cast", ["rounded"], ["pixels"], to=TensorProto.UINT8),
        ]
    )
    del graph.output[:]
    shape: list[str | int | None] = ["batch", 784]
    graph.output.append(helper.make_tensor_value_info("pixels", TensorProto.UINT8, shape))
    return bytes(made.SerializeToString())


def cut_after(model: onnx.ModelProto, nodes: int, width: int) -> bytes:
    """The first operators of the decoder, with the last one's output."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.graph.node[nodes:]
    used = {name for node in cut.graph.node for name in node.input}
    kept = [weights for weights in cut.graph.initializer if weights.name in used]
    del cut.graph.initializer[:], cut.graph.output[:], cut.graph.value_info[:]
    cut.graph.initializer.extend(kept)
    name = cut.graph.node[-1].output[0]
    out = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
    cut.graph.output.append(out)
    return bytes(cut.SerializeToString())


def measure(contenders: dict[str, Decode], rounds: int) -> dict[str, float]:
    """Median microseconds a digit of each, in turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, decode in contenders.items():
            start = time.perf_counter()
            decode()
            if number > 0:  # the first round warms up
                times[name].append((time.perf_counter() - start) / DIGITS * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def print_settings(model: onnx.ModelProto, z: Latents, rounds: int) -> None:
    """One setting changed at a time."""
    plain = model.SerializeToString()
    graph = session(plain)
    times = measure(
        {
            "as the engine has it": bound(graph, z),
            "output allocated for each run": fresh_arrays(graph, z),
            "no memory arena": bound(session(plain, enable_cpu_mem_arena=False), z),
            "no memory pattern": bound(session(plain, enable_mem_pattern=False), z),
            "weights not packed beforehand": bound(
                session(plain, entries={"session.disable_prepacking": "1"}), z
            ),
            "graph not optimised": bound(
                session(plain, graph_optimization_level=OPTIMISED.ORT_DISABLE_ALL), z
            ),
            "graph optimised, no fusions of layers": bound(
                session(plain, graph_optimization_level=OPTIMISED.ORT_ENABLE_BASIC), z
            ),
            "bytes made by operators of the graph": bound(session(bytes_in_graph(model)), z),
        },
        rounds,
    )
    first = times["as the engine has it"]
    print(f"| plain session, runs of {TILE} rows, 1 thread | µs a digit | beside the first |")
    print("|---|---:|---:|")
    for name, microseconds in times.items():
        print(f"| {name} | {microseconds:.2f} | {microseconds / first:.2f} |")
    print()


def engine(*, dense: bool) -> dv.Model:
    """The native engine, with or without multiplications by zero."""
    os.environ["DIGITVAE_DENSE"] = "1" if dense else "0"
    model = dv.load()
    model.sample(65_536)  # by which it has turned to the sparse product
    return model


def print_stages(model: onnx.ModelProto, z: Latents, rounds: int) -> None:
    """What each stage of a digit takes."""
    dense, sparse = engine(dense=True), engine(dense=False)
    images = np.empty((DIGITS, 28, 28), np.uint8)
    intensities = np.empty((DIGITS, 28, 28), np.float32)
    latents = np.empty((DIGITS, 40), np.float32)
    cuts = {
        "layer": session(cut_after(model, 1, 512)),
        "relu": session(cut_after(model, 2, 512)),
        "logits": session(cut_after(model, 3, 784)),
        "x": session(model.SerializeToString()),
    }
    contenders: dict[str, Decode] = {name: bound(graph, z) for name, graph in cuts.items()}
    contenders |= {
        "latents": lambda: sparse.latents(DIGITS, out=latents),
        "bytes, dense": lambda: dense.sample(DIGITS, threads=1, out=images),
        "bytes": lambda: sparse.sample(DIGITS, threads=1, out=images),
        "floats": lambda: sparse.sample(DIGITS, threads=1, dtype="float32", out=intensities),
    }
    took = measure(contenders, rounds)
    rest = took["bytes, dense"] - took["latents"] - took["x"]
    stages = {
        "latents: Philox, Box–Muller": took["latents"],
        "first layer, 40 → 512, and ReLU": took["relu"],
        "second layer, 512 → 784, dense": took["logits"] - took["relu"],
        "sigmoid": took["x"] - took["logits"],
        "bytes, checks, everything else": rest,
        "**a digit, dense**": took["bytes, dense"],
        "**a digit, zeros left out**": took["bytes"],
        "the same, as float32": took["floats"],
    }
    print("| stage, 1 thread | µs a digit | of a dense digit |\n|---|---:|---:|")
    for name, microseconds in stages.items():
        print(f"| {name} | {microseconds:.2f} | {microseconds / took['bytes, dense']:.0%} |")
    print()


def print_threads(model: onnx.ModelProto, rounds: int) -> None:
    """Who should have the threads."""
    plain = model.SerializeToString()
    dense = engine(dense=True)
    images = np.empty((DIGITS, 28, 28), np.uint8)
    z = dense.latents(LARGE)
    still = {"session.intra_op.allow_spinning": "0"}
    contenders: dict[str, Callable[[], Decode]] = {
        "engine, dense: threads take tiles": lambda: (
            lambda: dense.sample(DIGITS, threads=2, out=images)
        ),
        f"ONNX Runtime: inside runs of {TILE} rows": lambda: bound(
            session(plain, threads=2), z[:TILE]
        ),
        "the same, its threads not spinning": lambda: bound(
            session(plain, threads=2, entries=still), z[:TILE]
        ),
        f"ONNX Runtime: inside runs of {LARGE:,} rows": lambda: bound(session(plain, threads=2), z),
    }
    # Not in turns: the threads of one session that spin would take the processors from the next.
    times = {name: measure({name: make()}, rounds)[name] for name, make in contenders.items()}
    first = next(iter(times.values()))
    print("| 2 threads | µs a digit | beside the first |\n|---|---:|---:|")
    for name, microseconds in times.items():
        print(f"| {name} | {microseconds:.2f} | {microseconds / first:.2f} |")


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="What the engine's settings are worth.")
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    model = onnx.load(dv.load().bundle.path / "decoder.onnx")
    z = dv.load().latents(TILE)
    with limited_to(1):
        print_settings(model, z, rounds)
        print_stages(model, z, rounds)
    print_threads(model, rounds)


if __name__ == "__main__":
    main()
