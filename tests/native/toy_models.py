"""Small ONNX models with the interface of ours, made to show or to break one thing each."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

METADATA = {
    "digitvae.schema": "digitvae-bundle/1",
    "digitvae.latent_dim": "40",
    "digitvae.height": "28",
    "digitvae.width": "28",
    "digitvae.dataset": "mnist",
}

# Each gives `x` [batch, 784] from `z` [batch, 40].
SPREAD = [
    ("ReduceMean", ["z", "axis"], "mean"),
    ("Mul", ["mean", "zero"], "nothing"),
    ("Shape", ["z"], "shape"),
    ("Gather", ["shape", "first"], "rows"),
    ("Concat", ["rows", "pixels"], "target"),
]
ROWS_IN_RUN = [
    ("Cast", ["rows"], "count"),
    ("Div", ["count", "scale"], "share"),
    ("Add", ["nothing", "share"], "cell"),
    ("Expand", ["cell", "target"], "x"),
]
ROW_IN_TILE = [
    ("Squeeze", ["rows"], "end"),
    ("Range", ["start", "end", "step"], "positions"),
    ("Cast", ["positions"], "numbers"),
    ("Div", ["numbers", "scale"], "shares"),
    ("Unsqueeze", ["shares", "axis"], "column"),
    ("Add", ["nothing", "column"], "cell"),
    ("Expand", ["cell", "target"], "x"),
]
SUM_OF_LATENTS = [
    ("ReduceSum", ["z", "axis"], "sum"),
    ("Expand", ["sum", "target"], "x"),
]
"""Leaves [0, 1] as the latents like."""


def decoder(
    body: list[tuple[str, list[str], str]] = ROWS_IN_RUN,
    *,
    metadata: dict[str, str] | None = None,
    batch: str | int = "batch",
    external: str | None = None,
) -> bytes:
    """The bytes of a decoder.

    Args:
        body: What comes after ``SPREAD``: (operator, inputs, output).
        metadata: Instead of ``METADATA``.
        batch: First dimension of input and output.
        external: Take the constant ``scale`` from this file, relative to the model.
    """
    integers = {"axis": [1], "first": [0], "pixels": [784]}
    scalars = {"start": 0, "step": 1}
    constants = [
        *(helper.make_tensor(n, TensorProto.INT64, [len(v)], v) for n, v in integers.items()),
        *(helper.make_tensor(n, TensorProto.INT64, [], [v]) for n, v in scalars.items()),
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("scale", TensorProto.FLOAT, [1], [1024.0]),
    ]
    if external is not None:
        scale = constants[-1]
        scale.ClearField("float_data")
        scale.data_location = TensorProto.EXTERNAL
        for key, value in (("location", external), ("offset", "0"), ("length", "4")):
            scale.external_data.add(key=key, value=value)
    attributes: dict[str, dict[str, Any]] = {
        "Concat": {"axis": 0},
        "Cast": {"to": TensorProto.FLOAT},
        "ReduceMean": {"keepdims": 1},
        "ReduceSum": {"keepdims": 1},
    }
    nodes = [
        helper.make_node(operator, inputs, [output], **attributes.get(operator, {}))
        for operator, inputs, output in [*SPREAD, *body]
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [batch, 40])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 784])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    for key, value in (METADATA if metadata is None else metadata).items():
        model.metadata_props.add(key=key, value=value)
    content: bytes = model.SerializeToString()
    return content


def without_sigmoid(content: bytes) -> bytes:
    """A real decoder whose output is the logits."""
    model = onnx.load_from_string(content)
    (last,) = (node for node in model.graph.node if node.op_type == "Sigmoid")
    last.op_type = "Identity"
    stripped: bytes = model.SerializeToString()
    return stripped


def initializer(content: bytes, name: str) -> Any:
    """A constant of a model as an array."""
    model = onnx.load_from_string(content)
    (found,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    return numpy_helper.to_array(found)


def slow(source: tuple[str, int], *targets: tuple[str, int]) -> bytes:
    """A network whose run of a tile takes some seconds, of 2,000 operators.

    Args:
        source: Name and columns of its input.
        targets: Of its outputs, each in (0, 1).
    """
    width, narrow, steps = 32_768, 40, 2_000
    name, columns = source
    constants = {
        "in": np.ones((columns, narrow), np.float32),
        "wide": np.ones((narrow, width), np.float32),
        "narrow": np.ones((width, narrow), np.float32),
        **{f"to_{target}": np.eye(narrow, size, dtype=np.float32) for target, size in targets},
    }
    nodes = [
        helper.make_node("MatMul", [name, "in"], ["first"]),
        helper.make_node("MatMul", ["first", "wide"], ["h0"]),
        *(helper.make_node("Tanh", [f"h{i}"], [f"h{i + 1}"]) for i in range(steps)),
        helper.make_node("MatMul", [f"h{steps}", "narrow"], ["last"]),
    ]
    for target, _ in targets:
        nodes.append(helper.make_node("MatMul", ["last", f"to_{target}"], [f"{target}_sum"]))
        nodes.append(helper.make_node("Sigmoid", [f"{target}_sum"], [target]))
    graph = helper.make_graph(
        nodes,
        "slow",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", columns])],
        [helper.make_tensor_value_info(t, TensorProto.FLOAT, ["batch", n]) for t, n in targets],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    for key, value in METADATA.items():
        model.metadata_props.add(key=key, value=value)
    content: bytes = model.SerializeToString()
    return content
