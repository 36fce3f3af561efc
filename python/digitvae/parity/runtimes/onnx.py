"""ONNX Runtime at its levels of optimization, and ONNX's own reference evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from digitvae import _native
from digitvae._native import TILE_ROWS, check_model
from digitvae.parity.networks import DECODER, Float32, Function
from digitvae.parity.report.report import first_line
from digitvae.parity.runtimes.runtime import Export, Runtime, UnavailableError
from digitvae.parity.runtimes.wrap import in_unit_interval, tiled

_LEVELS = onnxruntime.GraphOptimizationLevel
OFF, BASIC, ALL = _LEVELS.ORT_DISABLE_ALL, _LEVELS.ORT_ENABLE_BASIC, _LEVELS.ORT_ENABLE_ALL

PLACE = 1
ONNX_RUNTIME = "ONNX Runtime"
ONNX_RUNTIME_BASIC = "ONNX Runtime, basic"
ONNX_RUNTIME_OFF = "ONNX Runtime, not optimized"
ONNX_RUNTIME_TILES = f"ONNX Runtime, tiles of {TILE_ROWS}"
REFERENCE = "ONNX reference"


def load_model(content: bytes, role: _native.Role) -> onnx.ModelProto:
    """Parse a model that holds no more than its role needs (cpp/src/onnx/model_file.hpp).

    Raises:
        ModelError: It holds more: values in other files, functions, operators that none needs.
    """
    check_model(content, role)
    return onnx.load_model_from_string(content)


def load_session(
    content: bytes, role: _native.Role = "network", *, level: Any = ALL, threads: int = 1
) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU, of a model that passes the checks of its role.

    Args:
        content: The ONNX file's bytes.
        role: What the model is for, and so what it may hold.
        level: Graph optimizations: ``OFF``, ``BASIC`` or ``ALL``.
        threads: Intra-op threads.

    Raises:
        ModelError: It holds more than its role needs.
        Exception: What ONNX Runtime raises.
    """
    check_model(content, role)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Waiting threads would otherwise burn the cores that the next runtime computes on.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors: a warning says nothing about parity
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def session_function(
    session: onnxruntime.InferenceSession, name: str, outputs: Sequence[str]
) -> Function:
    """Wrap a session; outputs are asked for by name."""

    def call(rows: Float32) -> tuple[Float32, ...]:
        results: list[Float32] = session.run(list(outputs), {name: rows})
        return tuple(results)

    return call


def _session(export: Export, level: Any = ALL) -> Function:
    session = load_session(export.read("onnx"), _role(export), level=level)
    return session_function(session, export.network.input, export.network.outputs)


def _tiles(export: Export) -> Function | None:
    if ONNX_RUNTIME not in export.functions:
        return None
    function = tiled(export.functions[ONNX_RUNTIME], TILE_ROWS)
    return in_unit_interval(function) if export.network is DECODER else function


def _reference(export: Export) -> Function:
    """ONNX's reference evaluator: each operator as the standard defines it, in NumPy."""
    network = export.network
    try:
        evaluator = ReferenceEvaluator(load_model(export.read("onnx"), _role(export)))
    except Exception as error:
        if export.ours:
            raise
        raise UnavailableError(first_line(error)) from error  # it knows not all operators

    def call(rows: Float32) -> tuple[Float32, ...]:
        # Its sigmoid computes both branches and chooses afterwards.
        with np.errstate(over="ignore", invalid="ignore"):
            results: Any = evaluator.run(list(network.outputs), {network.input: rows})
        return tuple(results)

    return call


def _role(export: Export) -> _native.Role:
    return "network" if export.ours else "any"


_of_onnx = partial(Runtime, file="onnx")
RUNTIMES = (
    _of_onnx(ONNX_RUNTIME, "`*.onnx`, in a session from Python, with all optimizations", _session),
    _of_onnx(
        ONNX_RUNTIME_BASIC, "the same, with basic optimizations", partial(_session, level=BASIC)
    ),
    _of_onnx(ONNX_RUNTIME_OFF, "the same, without optimizations", partial(_session, level=OFF)),
    _of_onnx(
        ONNX_RUNTIME_TILES,
        f"ONNX Runtime, fed {TILE_ROWS} rows at a time, the last tile padded with zeros; pixels "
        "that its Sigmoid rounds beyond [0, 1], by 2⁻²³ at most, taken for 1 and 0",
        _tiles,
        ours=True,
    ),
    _of_onnx(REFERENCE, "`*.onnx`, in ONNX's own reference evaluator", _reference, slow=True),
)
