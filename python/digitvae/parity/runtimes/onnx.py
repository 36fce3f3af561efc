"""ONNX Runtime at its levels of optimization, and ONNX's own reference evaluator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from digitvae._native import check_model
from digitvae.parity.runtimes.names import ONNX_RUNTIME, ONNX_RUNTIME_BASIC, ONNX_RUNTIME_OFF
from digitvae.parity.runtimes.wrap import flat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digitvae._native import Role
    from digitvae.parity.networks import Float32, Function

_LEVELS = onnxruntime.GraphOptimizationLevel
OFF, BASIC, ALL = _LEVELS.ORT_DISABLE_ALL, _LEVELS.ORT_ENABLE_BASIC, _LEVELS.ORT_ENABLE_ALL
LEVELS = ((ONNX_RUNTIME, ALL), (ONNX_RUNTIME_BASIC, BASIC), (ONNX_RUNTIME_OFF, OFF))
"""The runtimes that ONNX Runtime makes of one file, in the order of reports."""


def load_model(content: bytes, role: Role) -> onnx.ModelProto:
    """Parse a model that holds no more than its role needs (cpp/src/onnx/model_file.hpp).

    Raises:
        ModelError: It holds more: values in other files, functions, operators that none needs.
    """
    check_model(content, role)
    return onnx.load_model_from_string(content)


def load_session(
    content: bytes, role: Role = "network", *, level: Any = ALL, threads: int = 1
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
    """Wrap a session; outputs are asked for by name, and become [n, m]."""

    def call(rows: Float32) -> tuple[Float32, ...]:
        results: list[Float32] = session.run(list(outputs), {name: rows})
        return flat(tuple(results), len(rows))

    return call


def reference_function(
    content: bytes, name: str, outputs: Sequence[str], role: Role = "network"
) -> Function:
    """ONNX's reference evaluator: each operator as the standard defines it, in NumPy."""
    evaluator = ReferenceEvaluator(load_model(content, role))

    def call(rows: Float32) -> tuple[Float32, ...]:
        # Its sigmoid computes both branches and chooses afterwards.
        with np.errstate(over="ignore", invalid="ignore"):
            results: Any = evaluator.run(list(outputs), {name: rows})
        return flat(tuple(results), len(rows))

    return call
