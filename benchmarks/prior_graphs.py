"""Which ONNX graph of a mixture of full Gaussians is cheapest in tiles of mixed components.

    python -m benchmarks.prior_graphs [--rounds 301] [--classes 10] [--components 10]

Every graph has the interface of ``prior.onnx`` (export/README.md) and the same mixture in it: as
many classes and components, 40 latents, and a full Cholesky factor for each component. Processor
time of one thread for a run of one tile, in turns; the decoder, dense, is what it is to be
compared with.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import digitvae as dv
from benchmarks.machine import limited_to
from digitvae import _native
from digitvae.parity.checks.random_reference import mixture_uniform, standard_normal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Constants = dict[str, np.ndarray[Any, Any]]
    Nodes = list[Any]

TILE = _native.TILE_ROWS
LATENTS = 40
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:
    """One node, its inputs in a string."""
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def mixture(classes: int, components: int) -> Constants:
    """Weights, means and factors from numbers that look like a fit."""
    random = np.random.default_rng(0)
    number = classes * components
    weights = random.dirichlet(np.full(components, 5.0), size=classes)
    factors = np.empty((number, LATENTS, LATENTS), np.float32)
    for factor in factors:
        draws = random.normal(size=(200, LATENTS)) * random.uniform(0.2, 1.0, size=LATENTS)
        factor[:] = np.linalg.cholesky(np.cov(draws.T))
    overall = np.cumsum(weights.reshape(-1)) / classes
    within = np.cumsum(weights, axis=1)
    overall[-1] = within[:, -1] = 1.0
    # Of each class a row over all components: none of the classes before, all of it, none after.
    rows = np.zeros((classes + 1, number), np.float32)
    rows[0] = overall
    for label in range(classes):
        rows[label + 1, label * components : (label + 1) * components] = within[label]
        rows[label + 1, (label + 1) * components :] = 1.0
    return {
        "rows": rows,
        "overall": overall.astype(np.float32),
        "within": within.astype(np.float32),
        "means": random.normal(size=(number, LATENTS)).astype(np.float32),
        "factors": factors,
        "last": np.array([1], np.int64),
    }


def choice_in_one_table(components: int) -> tuple[Nodes, Constants]:
    """A row of cumulative weights over all components for each class, and one for any."""
    return [
        node("Add", "digit one", "row"),
        node("Gather", "rows row", "cumulative"),
        node("Unsqueeze", "u last", "u_column"),
        node("GreaterOrEqual", "u_column cumulative", "beyond"),
        node("Cast", "beyond", "steps", to=FLOAT),
        node("ReduceSum", "steps last", "chosen", keepdims=0),
        node("Cast", "chosen", "k", to=INT64),
        node("Div", "k components", "label"),
    ], {
        "one": np.array(1, np.int64),
        "components": np.array(components, np.int64),
    }


def choice_by_grid(m: Constants, cells: int = 4096) -> tuple[Nodes, Constants]:
    """Components written down for equal steps of u: weights are multiples of 1/cells."""
    middle = (np.arange(cells) + 0.5) / cells
    chosen = (middle[None, :, None] >= m["rows"][:, None, :]).sum(axis=2)
    return [
        node("Mul", "u cells", "place"),
        node("Cast", "place", "cell", to=INT64),
        node("Mul", "digit per_class", "after_any"),
        node("Add", "after_any cell", "from_first"),
        node("Add", "from_first per_class", "position"),
        node("Gather", "grid position", "k"),
        node("Gather", "labels k", "label"),
    ], {
        "cells": np.array(cells, np.float32),
        "per_class": np.array(cells, np.int64),
        "grid": chosen.reshape(-1).astype(np.int64),
        "labels": np.arange(len(m["means"])) // m["within"].shape[1],
    }


def choice_of_both(components: int) -> tuple[Nodes, Constants]:
    """The component of any class and the one of the class asked for, of which one is taken."""
    return [
        node("Unsqueeze", "u last", "u_column"),
        node("GreaterOrEqual", "u_column overall", "beyond_overall"),
        node("Cast", "beyond_overall", "overall_steps", to=INT64),
        node("ReduceSum", "overall_steps last", "any_k", keepdims=0),
        node("Max", "digit none", "class"),
        node("Gather", "within class", "cumulative"),
        node("GreaterOrEqual", "u_column cumulative", "beyond"),
        node("Cast", "beyond", "steps", to=INT64),
        node("ReduceSum", "steps last", "inside", keepdims=0),
        node("Mul", "class components", "start"),
        node("Add", "start inside", "class_k"),
        node("Less", "digit none", "is_any"),
        node("Where", "is_any any_k class_k", "k"),
        node("Div", "k components", "label"),
    ], {
        "none": np.array(0, np.int64),
        "components": np.array(components, np.int64),
    }


def gather_row_times_matrix(m: Constants) -> tuple[Nodes, Constants]:
    """``eps [n, 1, 40] × Lᵀ[k] [n, 40, 40]``."""
    return [
        node("Gather", "transposed k", "chosen_factors"),
        node("Unsqueeze", "eps last", "eps_row"),
        node("MatMul", "eps_row chosen_factors", "product_row"),
        node("Squeeze", "product_row last", "noise"),
    ], {"transposed": np.ascontiguousarray(m["factors"].transpose(0, 2, 1))}


def gather_matrix_times_column(m: Constants) -> tuple[Nodes, Constants]:
    """``L[k] [n, 40, 40] × eps [n, 40, 1]``."""
    return [
        node("Gather", "factors k", "chosen_factors"),
        node("Unsqueeze", "eps two", "eps_column"),
        node("MatMul", "chosen_factors eps_column", "product_column"),
        node("Squeeze", "product_column two", "noise"),
    ], {"factors": m["factors"], "two": np.array([2], np.int64)}


def gather_einsum(m: Constants) -> tuple[Nodes, Constants]:
    """The same as Einsum."""
    return [
        node("Gather", "factors k", "chosen_factors"),
        node("Einsum", "chosen_factors eps", "noise", equation="nij,nj->ni"),
    ], {"factors": m["factors"]}


def gather_multiply_reduce(m: Constants) -> tuple[Nodes, Constants]:
    """Products of all numbers, then sums."""
    return [
        node("Gather", "factors k", "chosen_factors"),
        node("Unsqueeze", "eps last", "eps_row"),
        node("Mul", "chosen_factors eps_row", "products"),
        node("ReduceSum", "products two", "noise", keepdims=0),
    ], {"factors": m["factors"], "two": np.array([2], np.int64)}


def gather_triangle_in_blocks(m: Constants) -> tuple[Nodes, Constants]:
    """``[[A, 0], [B, C]]``: what is above the diagonal is not gathered: A and C, then B."""
    half = LATENTS // 2
    t = m["factors"].transpose(0, 2, 1)
    diagonal = np.stack([t[:, :half, :half], t[:, half:, half:]], axis=1)
    return (
        [
            node("Gather", "diagonal k", "ac"),
            node("Gather", "below k", "b"),
            node("Reshape", "eps halves", "eps_halves"),  # [n, 2, 1, 20]
            node("MatMul", "eps_halves ac", "ac_noise"),  # [n, 2, 1, 20]
            node("Reshape", "ac_noise flat", "ac_flat"),
            node("Slice", "eps zero half last", "eps_first"),
            node("Unsqueeze", "eps_first last", "eps_first_row"),
            node("MatMul", "eps_first_row b", "b_noise"),
            node("Squeeze", "b_noise last", "b_flat"),
            node("Pad", "b_flat pads", "b_padded"),
            node("Add", "ac_flat b_padded", "noise"),
        ],
        {
            "diagonal": np.ascontiguousarray(diagonal),
            "below": np.ascontiguousarray(t[:, :half, half:]),
            "halves": np.array([-1, 2, 1, half], np.int64),
            "flat": np.array([-1, LATENTS], np.int64),
            "zero": np.array([0], np.int64),
            "half": np.array([half], np.int64),
            "pads": np.array([0, half, 0, 0], np.int64),
        },
    )


def gather_half_precision(m: Constants) -> tuple[Nodes, Constants]:
    """Factors kept as float16, converted after they are gathered."""
    transposed = np.ascontiguousarray(m["factors"].transpose(0, 2, 1)).astype(np.float16)
    nodes, constants = gather_row_times_matrix(m)
    nodes[0:1] = [
        node("Gather", "transposed k", "chosen_halves"),
        node("Cast", "chosen_halves", "chosen_factors", to=FLOAT),
    ]
    return nodes, constants | {"transposed": transposed}


def all_then_select(m: Constants) -> tuple[Nodes, Constants]:
    """One product with the factors of all components, of which one is taken for each row."""
    number = len(m["factors"])
    side_by_side = m["factors"].transpose(2, 0, 1).reshape(LATENTS, number * LATENTS)
    return [
        node("MatMul", "eps side_by_side", "all_flat"),
        node("Reshape", "all_flat each", "all"),
        node("Unsqueeze", "k last", "k_column"),
        node("GatherND", "all k_column", "noise", batch_dims=1),
    ], {
        "side_by_side": np.ascontiguousarray(side_by_side),
        "each": np.array([-1, number, LATENTS], np.int64),
    }


def low_rank(rank: int) -> Callable[[Constants], tuple[Nodes, Constants]]:
    """``d ∘ eps + U (Vᵀ eps)``: another distribution, of so many directions beside a diagonal."""

    def make(m: Constants) -> tuple[Nodes, Constants]:
        number = len(m["factors"])
        random = np.random.default_rng(1)
        u = random.normal(size=(number, rank, LATENTS)).astype(np.float32)
        v = random.normal(size=(number, LATENTS, rank)).astype(np.float32)
        return [
            node("Gather", "u_table k", "u_chosen"),
            node("Gather", "v_table k", "v_chosen"),
            node("Gather", "deviations k", "d"),
            node("Unsqueeze", "eps last", "eps_row"),
            node("MatMul", "eps_row v_chosen", "inner"),
            node("MatMul", "inner u_chosen", "outer_row"),
            node("Squeeze", "outer_row last", "outer"),
            node("Mul", "d eps", "own"),
            node("Add", "own outer", "noise"),
        ], {
            "u_table": u,
            "v_table": v,
            "deviations": random.uniform(size=(number, LATENTS)).astype(np.float32),
        }

    return make


def diagonal(m: Constants) -> tuple[Nodes, Constants]:
    """``d ∘ eps``: another distribution, without correlations."""
    return [
        node("Gather", "deviations k", "d"),
        node("Mul", "d eps", "noise"),
    ], {"deviations": np.ascontiguousarray(m["factors"].diagonal(axis1=1, axis2=2))}


def shared_axes(m: Constants) -> tuple[Nodes, Constants]:
    """``(d ∘ eps) R``: full covariances that share their axes (semi-tied: Gales, 1999)."""
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(LATENTS, LATENTS)))
    return [
        node("Gather", "deviations k", "d"),
        node("Mul", "d eps", "along_axes"),
        node("MatMul", "along_axes rotation", "noise"),
    ], {
        "deviations": np.ascontiguousarray(m["factors"].diagonal(axis1=1, axis2=2)),
        "rotation": rotation.astype(np.float32),
    }


def nothing(m: Constants) -> tuple[Nodes, Constants]:  # noqa: ARG001
    """No noise beyond eps: what choosing a component and its mean takes."""
    return [node("Identity", "eps", "noise")], {}


def prior(
    m: Constants,
    choice: tuple[Nodes, Constants],
    product: tuple[Nodes, Constants],
    properties: dict[str, str] | None = None,
) -> bytes:
    """A model with the interface of ``prior.onnx``."""
    made_of = m | choice[1] | product[1]
    nodes = [
        *choice[0],
        *product[0],
        node("Gather", "means k", "mean"),
        node("Add", "mean noise", "z"),
    ]
    used = {name for each in nodes for name in each.input}
    graph = helper.make_graph(
        nodes,
        "prior",
        [
            helper.make_tensor_value_info("u", FLOAT, ["batch"]),
            helper.make_tensor_value_info("digit", INT64, ["batch"]),
            helper.make_tensor_value_info("eps", FLOAT, ["batch", LATENTS]),
        ],
        [
            helper.make_tensor_value_info("z", FLOAT, ["batch", LATENTS]),
            helper.make_tensor_value_info("label", INT64, ["batch"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in made_of.items() if name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    for key, value in (properties or {}).items():
        model.metadata_props.add(key=key, value=value)
    return bytes(model.SerializeToString())


def session(model: bytes) -> onnxruntime.InferenceSession:
    """A session with the engine's settings."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def bound(model: bytes, given: dict[str, Any], results: dict[str, Any]) -> Callable[[], None]:
    """Runs with the memory of inputs and outputs bound, as the engine has it."""
    graph = session(model)
    binding = graph.io_binding()
    wrap = onnxruntime.OrtValue.ortvalue_from_numpy
    for name, value in given.items():
        binding.bind_ortvalue_input(name, wrap(value))
    for name, value in results.items():
        binding.bind_ortvalue_output(name, wrap(value))
    return lambda: graph.run_with_iobinding(binding)


def measure(contenders: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Median microseconds of processor time for a tile of each, in turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 10):
        for name, run in contenders.items():
            run()  # the first brings its numbers back into the cache
            start = time.thread_time()
            for _ in range(5):
                run()
            if number >= 10:
                times[name].append((time.thread_time() - start) / 5 * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def contenders(m: Constants, components: int) -> Iterable[tuple[str, bytes]]:
    """All graphs, by what they do."""
    both, table = choice_of_both(components), choice_in_one_table(components)
    grid = choice_by_grid(m)
    yield "choice of both, means only", prior(m, both, nothing(m))
    yield "choice in one table, means only", prior(m, table, nothing(m))
    yield "choice by grid, means only", prior(m, grid, nothing(m))
    for name, product in (
        ("gather, row × matrix", gather_row_times_matrix),
        ("gather, matrix × column", gather_matrix_times_column),
        ("gather, Einsum", gather_einsum),
        ("gather, multiply, reduce", gather_multiply_reduce),
        ("gather, triangle in blocks", gather_triangle_in_blocks),
        ("gather float16, row × matrix", gather_half_precision),
        ("all components, then select", all_then_select),
        ("low rank 8 and diagonal", low_rank(8)),
        ("low rank 4 and diagonal", low_rank(4)),
        ("shared axes", shared_axes),
        ("diagonal", diagonal),
    ):
        yield name, prior(m, grid, product(m))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Which graph of a mixture is cheapest.")
    parser.add_argument("--rounds", type=int, default=301)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--components", type=int, default=10)
    asked = parser.parse_args()
    m = mixture(asked.classes, asked.components)
    eps = standard_normal(0, 0, 0, TILE, LATENTS)
    given = {
        "u": mixture_uniform(0, 0, TILE),
        "digit": np.arange(TILE, dtype=np.int64) % asked.classes,
        "eps": eps,
    }
    results = {"z": np.empty_like(eps), "label": np.empty(TILE, np.int64)}
    with limited_to(1):
        runs = {
            name: bound(model, given, results) for name, model in contenders(m, asked.components)
        }
        decoder = dv.load().bundle.read("decoder.onnx")
        runs["the decoder, dense"] = bound(
            decoder, {"z": eps}, {"x": np.empty((TILE, 784), np.float32)}
        )
        times = measure(runs, asked.rounds)
    whole = times["the decoder, dense"]
    print(f"| graph, {TILE} rows, 1 thread | µs a tile | of the decoder |\n|---|---:|---:|")
    for name, microseconds in times.items():
        print(f"| {name} | {microseconds:.0f} | {microseconds / whole:.1%} |")


if __name__ == "__main__":
    main()
