"""Eight kinds of fault that exported files have had, each applied to any ONNX file.

To add one, write a function that yields faulty copies, likeliest first, and name it in ``FAULTS``.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from tests.support.constructions.zoo import BATCH, OTHER_BATCH, OTHER_SIZE, SIZE

NOISE = 1e-5
"""Smaller differences, relative to the largest output, may be rounding of float32."""

Arrays = list[NDArray[Any]]
Candidates = Iterator[onnx.ModelProto]


def scaled(model: onnx.ModelProto) -> Candidates:
    """A parameter is 1.0001 times what it should be."""
    for name, value in _parameters(model).items():
        yield _with_tensors(model, {name: value * np.float32(1.0001)})


def permuted(model: onnx.ModelProto) -> Candidates:
    """A parameter is transposed if it is square, or else its channels are reversed."""
    values = _parameters(model)
    for name, value in values.items():
        for first, second in itertools.combinations(range(value.ndim), 2):
            if value.shape[first] == value.shape[second]:
                yield _with_tensors(model, {name: value.swapaxes(first, second)})
    for name, value in values.items():
        for axis in range(value.ndim):
            yield _with_tensors(model, {name: np.flip(value, axis)})


def without_bias(model: onnx.ModelProto) -> Candidates:
    """A bias is zero."""
    values = _parameters(model)
    for node in model.graph.node:
        for place in _BIASES.get(node.op_type, ()):
            if place < len(node.input) and node.input[place] in values:
                name = node.input[place]
                yield _with_tensors(model, {name: np.zeros_like(values[name])})


def rounded(model: onnx.ModelProto) -> Candidates:
    """All parameters are rounded to float16."""
    values = _parameters(model)
    yield _with_tensors(model, {n: v.astype(np.float16).astype(v.dtype) for n, v in values.items()})


def approximated(model: onnx.ModelProto) -> Candidates:
    """An activation is replaced by one that is near it."""
    for index, node in enumerate(model.graph.node):
        if node.op_type in _APPROXIMATIONS:
            faulty, changed = _copy(model, index)
            changed.op_type, attributes = _APPROXIMATIONS[node.op_type]
            del changed.attribute[:]
            del changed.input[1:]
            changed.attribute.extend(helper.make_attribute(*one) for one in attributes.items())
            yield faulty
        if node.op_type == "Erf":
            yield _with_tanh_for_erf(model, index)
        if node.op_type in _GATES:
            faulty, changed = _copy(model, index)
            _set(changed, "activations", _GATES[node.op_type])
            yield faulty


def other_attribute(model: onnx.ModelProto) -> Candidates:
    """An attribute has another value, or a constant that takes the place of one."""
    for index, node in enumerate(model.graph.node):
        found = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        for name, value in _other_attributes(node.op_type, found):
            faulty, changed = _copy(model, index)
            _set(changed, name, value)
            yield faulty
    for name, value in _constants(model).items():
        if value.dtype == np.float32 and value.size == 1 and 0 < value.item() < 1e-3:
            yield _with_tensors(model, {name: value * np.float32(100)})


def swapped(model: onnx.ModelProto) -> Candidates:
    """Two outputs are swapped, or two branches."""
    for first, second in itertools.combinations([value.name for value in model.graph.output], 2):
        other = {first: second, second: first}
        faulty = copy.deepcopy(model)
        for node in faulty.graph.node:
            for names in (node.input, node.output):
                names[:] = [other.get(name, name) for name in names]
        yield faulty
    for index, node in enumerate(model.graph.node):
        if node.op_type in _BRANCHES:
            faulty, changed = _copy(model, index)
            names = changed.output if node.op_type == "Split" else changed.input
            first, second = _BRANCHES[node.op_type]
            names[first], names[second] = names[second], names[first]
            yield faulty


def baked(model: onnx.ModelProto) -> Candidates:
    """A shape that depends on the inputs is always that of the example."""
    shaping = [n for n in model.graph.node if n.op_type in ("Reshape", "Expand", "ConstantOfShape")]
    results = _run(_with_outputs(model, [n.output[0] for n in shaping]), BATCH, SIZE)
    for node, result in zip(shaping, results[len(model.graph.output) :], strict=True):
        faulty = copy.deepcopy(model)
        changed = next(n for n in faulty.graph.node if n.output[0] == node.output[0])
        place = 0 if node.op_type == "ConstantOfShape" else 1
        changed.input[place] = f"{node.output[0]}_shape"
        shape = np.array(result.shape, np.int64)
        faulty.graph.initializer.append(numpy_helper.from_array(shape, changed.input[place]))
        yield faulty


_BIASES = {
    "Conv": (2,),
    "ConvTranspose": (2,),
    "Gemm": (2,),
    "LSTM": (3,),
    "GRU": (3,),
    "BatchNormalization": (2,),
    "InstanceNormalization": (2,),
    "LayerNormalization": (2,),
    "GroupNormalization": (2,),
    "Add": (0, 1),
}
"""Which input of an operator is a bias."""

_APPROXIMATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "Gelu": ("Gelu", {"approximate": "tanh"}),
    "Sigmoid": ("HardSigmoid", {"alpha": 1 / 6}),
    "Tanh": ("Softsign", {}),
    "Relu": ("LeakyRelu", {}),
    "LeakyRelu": ("Relu", {}),
    "Elu": ("Selu", {}),
    "Selu": ("Elu", {}),
    "PRelu": ("LeakyRelu", {"alpha": 0.25}),
    "Softplus": ("Relu", {}),
    "Mish": ("HardSwish", {}),
}
"""For an operator, one that people take for it, and its attributes."""

_GATES = {"LSTM": ["HardSigmoid", "Tanh", "Tanh"], "GRU": ["HardSigmoid", "Tanh"]}
"""Activations of recurrent layers as in old versions of Keras."""

_BRANCHES = {"Sub": (0, 1), "Div": (0, 1), "Where": (1, 2), "Concat": (0, 1), "Split": (0, 1)}
"""Which inputs of an operator may be swapped, or outputs of Split."""

_OTHERS: dict[str, dict[Any, Any]] = {
    "mode": {b"reflect": "edge", b"constant": "edge", b"CRD": "DCR", b"linear": "cubic"},
    "coordinate_transformation_mode": {
        b"asymmetric": "half_pixel",
        b"half_pixel": "align_corners",
        b"pytorch_half_pixel": "align_corners",
    },
    "nearest_mode": {b"floor": "ceil"},
    "linear_before_reset": {1: 0},
    "direction": {b"forward": "reverse"},
}
"""By the name of an attribute, what is taken for each of its values."""


def _other_attributes(operator: str, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Other values for the attributes of a node, of which some do not fit."""
    if operator.endswith("Normalization"):
        yield "epsilon", found.get("epsilon", 1e-5) * 100
    if operator in ("Elu", "Selu", "LeakyRelu", "HardSigmoid"):
        yield "alpha", found.get("alpha", 1.0) * 1.1
    if operator == "Pad":
        found = {"mode": b"constant"} | found
    for name, value in found.items():
        for honest, other in _OTHERS.get(name, {}).items():
            if value == honest:
                yield name, other
    if "pads" in found and any(found["pads"]):  # as TensorFlow pads, all on one side
        begin, end = np.split(np.array(found["pads"]), 2)
        yield "pads", [*(0 * begin).tolist(), *(begin + end).tolist()]
    if operator == "Transpose" and "perm" in found:
        yield "perm", [*found["perm"][:-2], found["perm"][-1], found["perm"][-2]]
    if "Softmax" in operator or "axis" in found:
        yield from (("axis", axis) for axis in (-1, 1, 0, 2))


def _with_tanh_for_erf(model: onnx.ModelProto, index: int) -> onnx.ModelProto:
    """tanh(2/√π · (x + 0.08943 x³)), which turns GELU into its approximation by tanh."""
    faulty, erf = _copy(model, index)
    (x,), (y,) = erf.input, erf.output
    steps = [
        helper.make_node("Mul", [x, x], ["square"]),
        helper.make_node("Mul", ["square", "cubic"], ["small"]),
        helper.make_node("Add", ["small", "one"], ["factor"]),
        helper.make_node("Mul", ["factor", x], ["sum"]),
        helper.make_node("Mul", ["sum", "slope"], ["argument"]),
        helper.make_node("Tanh", ["argument"], [y]),
    ]
    for name, value in (("cubic", 0.08943), ("one", 1.0), ("slope", 2 / np.sqrt(np.pi))):
        faulty.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    nodes = [*faulty.graph.node[:index], *steps, *faulty.graph.node[index + 1 :]]
    del faulty.graph.node[:]
    faulty.graph.node.extend(nodes)
    return faulty


def _tensors(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """The constants of a graph, wherever it holds them."""
    for tensor in model.graph.initializer:
        yield tensor.name, tensor
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            yield node.output[0], node.attribute[0].t


def _constants(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    return {name: numpy_helper.to_array(tensor) for name, tensor in _tensors(model)}


def _parameters(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    constants = _constants(model).items()
    return {name: v for name, v in constants if v.dtype == np.float32 and v.size > 1}


def _with_tensors(model: onnx.ModelProto, values: dict[str, NDArray[Any]]) -> onnx.ModelProto:
    faulty = copy.deepcopy(model)
    for name, tensor in _tensors(faulty):
        if name in values:
            value = np.ascontiguousarray(values[name])
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return faulty


def _with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """The same, with these tensors of any type as further outputs."""
    wider = copy.deepcopy(model)
    wider.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return wider


def _copy(model: onnx.ModelProto, index: int) -> tuple[onnx.ModelProto, onnx.NodeProto]:
    """A copy and the node in it that is to be changed."""
    faulty = copy.deepcopy(model)
    return faulty, faulty.graph.node[index]


def _set(node: onnx.NodeProto, name: str, value: Any) -> None:
    others = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend([*others, helper.make_attribute(name, value)])


def _run(model: onnx.ModelProto, batch: int, size: int) -> Arrays:
    """The outputs for random inputs whose free axes have this size."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    rng = np.random.default_rng(2)
    inputs = {
        value.name: rng.standard_normal(
            [batch, *(axis if isinstance(axis, int) else size for axis in value.shape[1:])],
            np.float32,
        )
        for value in session.get_inputs()
    }
    results: Arrays = session.run(None, inputs)
    return results


def _is_real(model: onnx.ModelProto, faulty: onnx.ModelProto) -> bool:
    """Whether a faulty file is valid and runs for the example's sizes, but computes otherwise."""
    try:
        onnx.checker.check_model(faulty, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return False
    for batch, size in ((BATCH, SIZE), (OTHER_BATCH, OTHER_SIZE)):
        try:
            results = _run(faulty, batch, size)
        except Exception:  # ONNX Runtime has ten types, without a common one
            return batch != BATCH
        for expected, result in zip(_run(model, batch, size), results, strict=True):
            if expected.shape != result.shape:
                return batch != BATCH
            if not np.abs(expected - result).max() <= NOISE * np.abs(expected).max():
                return True
    return False


def _first_real(
    candidates: Callable[[onnx.ModelProto], Candidates], model: onnx.ModelProto
) -> onnx.ModelProto | None:
    return next((faulty for faulty in candidates(model) if _is_real(model, faulty)), None)


_KINDS = (
    scaled,
    permuted,
    without_bias,
    rounded,
    approximated,
    other_attribute,
    swapped,
    baked,
)
FAULTS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto | None]] = {
    kind.__name__: partial(_first_real, kind) for kind in _KINDS
}
