"""Models in which a name, or a tensor, says two things: readers may take one or the other."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.native.hostile_models.making import TABLE, spoiled


def tables(model: onnx.ModelProto, role: str) -> tuple[onnx.TensorProto, onnx.TensorProto]:
    """A constant of a model, and one with other numbers under the same name."""
    (table,) = (t for t in model.graph.initializer if t.name == TABLE[role])
    return table, numpy_helper.from_array(numpy_helper.to_array(table) + np.float32(1), table.name)


@spoiled("two initializers of one name")
def _two_initializers(model: onnx.ModelProto, role: str, secret: str) -> None:
    _, other = tables(model, role)
    model.graph.initializer.append(other)


@spoiled("two initializers of one name, the first another")
def _two_initializers_first(model: onnx.ModelProto, role: str, secret: str) -> None:
    _, other = tables(model, role)
    model.graph.initializer.insert(0, other)


@spoiled("an initializer and a Constant node of one name")
def _initializer_and_constant(model: onnx.ModelProto, role: str, secret: str) -> None:
    _, other = tables(model, role)
    model.graph.node.insert(0, helper.make_node("Constant", [], [other.name], value=other))


@spoiled("an initializer and a computed value of one name")
def _initializer_and_node(model: onnx.ModelProto, role: str, secret: str) -> None:
    _, other = tables(model, role)
    name, other.name = other.name, "evil.other"
    model.graph.initializer.append(other)
    model.graph.node.insert(0, helper.make_node("Identity", ["evil.other"], [name]))


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


@spoiled("a sparse and a dense initializer of one name")
def _sparse_and_dense(model: onnx.ModelProto, role: str, secret: str) -> None:
    _, other = tables(model, role)
    model.graph.sparse_initializer.append(sparse_of(other))


@spoiled("two sparse initializers of one name")
def _two_sparse(model: onnx.ModelProto, role: str, secret: str) -> None:
    table, other = tables(model, role)
    model.graph.sparse_initializer.extend([sparse_of(table), sparse_of(other)])
    model.graph.initializer.remove(table)


@spoiled("two nodes that give one name")
def _two_nodes(model: onnx.ModelProto, role: str, secret: str) -> None:
    output = model.graph.output[0].name
    last = next(node for node in model.graph.node if output in node.output)
    model.graph.node.append(helper.make_node("Relu", [last.input[0]], [output]))


@spoiled("a node that gives the name of an input")
def _node_and_input(model: onnx.ModelProto, role: str, secret: str) -> None:
    taken = model.graph.input[0].name
    model.graph.node.insert(0, helper.make_node("Identity", [TABLE[role]], [taken]))


@spoiled("an initializer by the name of an input")
def _initializer_and_input(model: onnx.ModelProto, role: str, secret: str) -> None:
    wide = {"decoder": [1, 40], "encoder": [1, 784], "prior": [1]}[role]
    value = numpy_helper.from_array(np.zeros(wide, np.float32), model.graph.input[0].name)
    model.graph.initializer.append(value)


@spoiled("two inputs of one name")
def _two_inputs(model: onnx.ModelProto, role: str, secret: str) -> None:
    model.graph.input.append(model.graph.input[0])


@spoiled("numbers in two fields of one tensor")
def _two_fields(model: onnx.ModelProto, role: str, secret: str) -> None:
    table, other = tables(model, role)
    table.float_data.extend(numpy_helper.to_array(other).reshape(-1).tolist())


@spoiled("numbers in a field of another element type")
def _other_field(model: onnx.ModelProto, role: str, secret: str) -> None:
    table, _ = tables(model, role)
    table.double_data.extend([1.0] * int(np.prod(table.dims)))
