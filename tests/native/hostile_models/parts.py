"""Models with parts that a bundle has no use for: functions, training, control flow, operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.native.hostile_models.external import if_node
from tests.native.hostile_models.making import (
    OPSET,
    branch,
    constant,
    content,
    external,
    giving,
    honest,
    hostile,
    ones,
    spoiled,
    width,
)


def function(
    domain: str, name: str, nodes: list[onnx.NodeProto], inputs: int = 0
) -> onnx.FunctionProto:
    """A local function."""
    parameters = [f"p{i}" for i in range(inputs)]
    opset = helper.make_opsetid("", OPSET)
    return helper.make_function(domain, name, parameters, [nodes[-1].output[0]], nodes, [opset])


def with_function(role: str, made: onnx.FunctionProto) -> bytes:
    """A model that calls a local function."""
    model = giving(role, [helper.make_node(made.name, [], ["stolen"], domain=made.domain)])
    model.functions.append(made)
    model.opset_import.append(helper.make_opsetid(made.domain, 1))
    return content(model)


@hostile("a local function")
def _function(role: str, secret: Path) -> bytes:
    return with_function(role, function("evil", "Ones", [ones(role)]))


@hostile("external data in a local function")
def _function_external(role: str, secret: Path) -> bytes:
    node = constant("value", external(role, str(secret)))
    return with_function(role, function("evil", "Stolen", [node]))


@spoiled("external data in a local function that nothing calls")
def _function_unused(model: onnx.ModelProto, role: str, secret: str) -> None:
    node = constant("value", external(role, secret))
    model.functions.append(function("evil", "Stolen", [node]))
    model.opset_import.append(helper.make_opsetid("evil", 1))


@spoiled("external data in the default of a local function's attribute")
def _function_default(model: onnx.ModelProto, role: str, secret: str) -> None:
    made = function("evil", "Ones", [ones(role)])
    default = helper.make_attribute("value", external(role, secret))
    made.attribute_proto.append(default)
    model.functions.append(made)
    model.opset_import.append(helper.make_opsetid("evil", 1))


def _functions_of_known_names() -> None:
    for domain in ("", "ai.onnx"):

        def make(role: str, secret: Path, domain: str = domain) -> bytes:
            model = honest(role)
            name = {"decoder": "Sigmoid", "encoder": "Relu", "prior": "Squeeze"}[role]
            inputs = 2 if role == "prior" else 1
            body = [
                helper.make_node(name, [f"p{i}" for i in range(inputs)], ["inner"]),
                helper.make_node(
                    "Constant",
                    [],
                    ["lid"],
                    value=numpy_helper.from_array(np.array(0.5, np.float32)),
                ),
                helper.make_node("Clip", ["inner", "", "lid"], ["out"]),
            ]
            model.functions.append(function(domain, name, body, inputs))
            if domain:
                model.opset_import.append(helper.make_opsetid(domain, OPSET))
            return content(model)

        hostile(f'a local function by the name of an operator, domain "{domain}"')(make)


_functions_of_known_names()


@spoiled("training information")
def _training(model: onnx.ModelProto, role: str, secret: str) -> None:
    information = model.training_info.add()
    information.algorithm.name = "algorithm"


@spoiled("external data in training information")
def _training_external(model: onnx.ModelProto, role: str, secret: str) -> None:
    information = model.training_info.add()
    for graph in (information.initialization, information.algorithm):
        graph.name = "graph"
        graph.initializer.append(external(role, secret))


@hostile("control flow, If")
def _if(role: str, secret: Path) -> bytes:
    then, otherwise = branch(role, ones(role)), branch(role, ones(role, "others"), "others")
    return content(giving(role, if_node(then, otherwise)))


@hostile("control flow, Loop")
def _loop(role: str, secret: Path) -> bytes:
    size = width(role)
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Identity", ["before"], ["after"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.UINT8, [size]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.UINT8, [size]),
        ],
    )
    turns = numpy_helper.from_array(
        np.array(3, np.int64)
    )  # so that a test of a reader that takes it ends
    nodes = [
        helper.make_node("Constant", [], ["evil.turns"], value=turns),
        ones(role),
        helper.make_node("Loop", ["evil.turns", "", "ones"], ["stolen"], body=body),
    ]
    return content(giving(role, nodes))


@hostile("control flow, Scan")
def _scan(role: str, secret: Path) -> bytes:
    body = helper.make_graph(
        [helper.make_node("Identity", ["in"], ["out"])],
        "body",
        [helper.make_tensor_value_info("in", TensorProto.UINT8, [])],
        [helper.make_tensor_value_info("out", TensorProto.UINT8, [])],
    )
    scan = helper.make_node("Scan", ["ones"], ["stolen"], body=body, num_scan_inputs=1)
    return content(giving(role, [ones(role), scan]))


@hostile("control flow, SequenceMap")
def _sequence_map(role: str, secret: Path) -> bytes:
    size = width(role)
    body = helper.make_graph(
        [helper.make_node("Identity", ["in"], ["out"])],
        "body",
        [helper.make_tensor_value_info("in", TensorProto.UINT8, [size])],
        [helper.make_tensor_value_info("out", TensorProto.UINT8, [size])],
    )
    nodes = [
        ones(role),
        helper.make_node("SequenceConstruct", ["ones"], ["evil.sequence"]),
        helper.make_node("SequenceMap", ["evil.sequence"], ["evil.mapped"], body=body),
        helper.make_node("ConcatFromSequence", ["evil.mapped"], ["stolen"], axis=0),
    ]
    return content(giving(role, nodes))


def _operators() -> None:
    table: dict[str, tuple[str, dict[str, Any]]] = {
        "Gelu": ("com.microsoft", {}),
        "BiasGelu": ("com.microsoft", {}),
        "Scaler": ("ai.onnx.ml", {"scale": [1.0], "offset": [0.0]}),
        "SparseProduct": ("digitvae", {}),
        "RandomUniformLike": ("", {}),
        "Bernoulli": ("", {}),
        "NonMaxSuppression": ("", {}),
        "Optional": ("", {}),
        "ImageDecoder": ("", {}),
        "NoSuchOperator": ("", {}),
    }
    for operator, (domain, attributes) in table.items():

        def make(
            role: str,
            secret: Path,
            operator: str = operator,
            domain: str = domain,
            attributes: dict[str, Any] = attributes,
        ) -> bytes:
            inputs = ["evil.plain"] * (2 if operator in ("BiasGelu", "SparseProduct") else 1)
            nodes = [
                ones(role),
                helper.make_node("Cast", ["ones"], ["evil.plain"], to=TensorProto.FLOAT),
                helper.make_node(operator, inputs, ["stolen"], domain=domain, **attributes),
            ]
            model = giving(role, nodes)
            if domain:
                model.opset_import.append(helper.make_opsetid(domain, 1))
            if operator == "ImageDecoder":
                model.opset_import[0].version = 20
            return content(model)

        hostile(f"an operator of no use here, {domain or 'ONNX'}'s {operator}")(make)


_operators()
