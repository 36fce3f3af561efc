"""Models in which a name, or a tensor, says two things: readers may take one or the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.native.hostile_models.making import TABLE, content, honest, hostile


def other_table(role: str) -> tuple[onnx.ModelProto, onnx.TensorProto]:
    """The honest model, and a constant of its with other numbers under the same name."""
    model = honest(role)
    (table,) = (t for t in model.graph.initializer if t.name == TABLE[role])
    return model, numpy_helper.from_array(numpy_helper.to_array(table) + np.float32(1), table.name)


@hostile("two initializers of one name")
def _two_initializers(role: str, secret: Path) -> bytes:
    model, other = other_table(role)
    model.graph.initializer.append(other)
    return content(model)


@hostile("two initializers of one name, the first another")
def _two_initializers_first(role: str, secret: Path) -> bytes:
    model, other = other_table(role)
    model.graph.initializer.insert(0, other)
    return content(model)


@hostile("an initializer and a Constant node of one name")
def _initializer_and_constant(role: str, secret: Path) -> bytes:
    model, other = other_table(role)
    model.graph.node.insert(0, helper.make_node("Constant", [], [other.name], value=other))
    return content(model)


@hostile("an initializer and a computed value of one name")
def _initializer_and_node(role: str, secret: Path) -> bytes:
    model, other = other_table(role)
    name, other.name = other.name, "evil.other"
    model.graph.initializer.append(other)
    model.graph.node.insert(0, helper.make_node("Identity", ["evil.other"], [name]))
    return content(model)


def sparse_of(dense: onnx.TensorProto) -> onnx.SparseTensorProto:
    """The same numbers, sparse."""
    flat = numpy_helper.to_array(dense).reshape(-1)
    places = np.arange(flat.size, dtype=np.int64)
    made: onnx.SparseTensorProto = helper.make_sparse_tensor(
        numpy_helper.from_array(flat, dense.name),
        numpy_helper.from_array(places, f"{dense.name}.places"),
        list(dense.dims),
    )
    return made


@hostile("a sparse and a dense initializer of one name")
def _sparse_and_dense(role: str, secret: Path) -> bytes:
    model, other = other_table(role)
    model.graph.sparse_initializer.append(sparse_of(other))
    return content(model)


@hostile("two sparse initializers of one name")
def _two_sparse(role: str, secret: Path) -> bytes:
    model, other = other_table(role)
    (table,) = (t for t in model.graph.initializer if t.name == other.name)
    model.graph.sparse_initializer.extend([sparse_of(table), sparse_of(other)])
    model.graph.initializer.remove(table)
    return content(model)


@hostile("two nodes that give one name")
def _two_nodes(role: str, secret: Path) -> bytes:
    model = honest(role)
    output = model.graph.output[0].name
    last = next(node for node in model.graph.node if output in node.output)
    model.graph.node.append(helper.make_node("Relu", [last.input[0]], [output]))
    return content(model)


@hostile("a node that gives the name of an input")
def _node_and_input(role: str, secret: Path) -> bytes:
    model = honest(role)
    taken = model.graph.input[0].name
    model.graph.node.insert(0, helper.make_node("Identity", [TABLE[role]], [taken]))
    return content(model)


@hostile("an initializer by the name of an input")
def _initializer_and_input(role: str, secret: Path) -> bytes:
    model = honest(role)
    wide = {"decoder": [1, 40], "encoder": [1, 784], "prior": [1]}[role]
    value = numpy_helper.from_array(np.zeros(wide, np.float32), model.graph.input[0].name)
    model.graph.initializer.append(value)
    return content(model)


@hostile("two inputs of one name")
def _two_inputs(role: str, secret: Path) -> bytes:
    model = honest(role)
    model.graph.input.append(model.graph.input[0])
    return content(model)


@hostile("numbers in two fields of one tensor")
def _two_fields(role: str, secret: Path) -> bytes:
    model, other = other_table(role)
    (table,) = (t for t in model.graph.initializer if t.name == other.name)
    table.float_data.extend(numpy_helper.to_array(other).reshape(-1).tolist())
    return content(model)


@hostile("numbers in a field of another element type")
def _other_field(role: str, secret: Path) -> bytes:
    model, other = other_table(role)
    (table,) = (t for t in model.graph.initializer if t.name == other.name)
    table.double_data.extend([1.0] * int(np.prod(table.dims)))
    return content(model)
