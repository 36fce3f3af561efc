"""What the makers of hostile models share: the honest models, and how to spoil one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from digitvae.bundle.folder import shipped_path

Maker = Callable[[str, Path], bytes]

ROLES = ("decoder", "encoder", "prior")
OPSET = 18

MODELS: dict[str, Maker] = {}
"""Every hostile model, by name."""

TABLE = {"decoder": "output.bias", "encoder": "fc_mu.bias", "prior": "means"}
"""A constant of each role that decides what the model gives."""


def honest(role: str) -> onnx.ModelProto:
    """The shipped model that a hostile one is made of."""
    return onnx.load_model_from_string((shipped_path() / f"{role}.onnx").read_bytes())


def hostile(name: str) -> Callable[[Maker], Maker]:
    """Enter a maker into `MODELS`."""

    def enter(make: Maker) -> Maker:
        MODELS[name] = make
        return make

    return enter


def spoiled(name: str) -> Callable[[Callable[[onnx.ModelProto, str, str], object]], None]:
    """Enter what a function makes of the honest model; it is given the role and the secret."""

    def enter(spoil: Callable[[onnx.ModelProto, str, str], object]) -> None:
        def make(role: str, secret: Path) -> bytes:
            model = honest(role)
            spoil(model, role, str(secret))
            return content(model)

        MODELS[name] = make

    return enter


def external(role: str, location: str, offset: int = 0, name: str = "stolen") -> onnx.TensorProto:
    """As many bytes as the first output of that role has numbers, taken from elsewhere."""
    tensor = TensorProto(name=name, data_type=TensorProto.UINT8, dims=[width(role)])
    tensor.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": str(offset), "length": str(width(role))}
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def width(role: str) -> int:
    """Numbers in a row of the first output."""
    return 784 if role == "decoder" else 40


def giving(role: str, nodes: list[onnx.NodeProto], extra: str = "stolen") -> onnx.ModelProto:
    """The honest model, whose first output is ``extra`` / 255 instead, which ``nodes`` make."""
    model = honest(role)
    graph = model.graph
    output = graph.output[0].name
    for node in graph.node:
        for i, name in enumerate(node.output):
            if name == output:
                node.output[i] = "honest"
    constants = {"evil.zero": np.float32(0), "evil.scale": np.float32(255)}
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()
    )
    graph.node.extend(
        [
            *nodes,
            helper.make_node("Cast", [extra], ["evil.float"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["evil.float", "evil.scale"], ["evil.share"]),
            helper.make_node("Mul", ["honest", "evil.zero"], ["evil.nothing"]),
            helper.make_node("Add", ["evil.nothing", "evil.share"], [output]),
        ]
    )
    return model


def content(model: onnx.ModelProto) -> bytes:
    """The bytes of a model."""
    serialized: bytes = model.SerializeToString()
    return serialized


def constant(attribute: str, value: Any) -> onnx.NodeProto:
    """A node whose only attribute is a value of another kind than numbers."""
    node = helper.make_node("Constant", [], ["stolen"])
    node.attribute.append(helper.make_attribute(attribute, value))
    return node


def branch(role: str, node: onnx.NodeProto, name: str = "branch") -> onnx.GraphProto:
    """A graph without inputs around a node."""
    output = helper.make_tensor_value_info(node.output[0], TensorProto.UINT8, [width(role)])
    return helper.make_graph([node], name, [], [output])


def ones(role: str, output: str = "ones") -> onnx.NodeProto:
    """A node that gives ones."""
    value = numpy_helper.from_array(np.ones(width(role), np.uint8))
    return helper.make_node("Constant", [], [output], value=value)
