"""Models that take bytes from outside themselves."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from digitvae.bundle.folder import shipped_path
from tests.native.hostile_models.making import (
    TABLE,
    branch,
    constant,
    content,
    external,
    giving,
    hostile,
    ones,
    spoiled,
    width,
)

_in_memory: list[Any] = []
"""Keeps alive what models name by its address."""


def locations(secret: Path) -> dict[str, str]:
    """Ways to name that file."""
    return {
        "an absolute path": str(secret.resolve()),
        "a relative path": "../" * 40 + str(secret.resolve()).lstrip("/"),
        "a file beside the model": secret.name,
        "a URL": secret.resolve().as_uri(),
    }


def _external_initializers() -> None:
    for how in locations(shipped_path()):

        def make(role: str, secret: Path, how: str = how) -> bytes:
            model = giving(role, [])
            model.graph.initializer.append(external(role, locations(secret)[how]))
            return content(model)

        hostile(f"external data, {how}")(make)


_external_initializers()


@hostile("external data, an address in memory")
def _memory(role: str, secret: Path) -> bytes:
    buffer = ctypes.create_string_buffer(secret.read_bytes())
    _in_memory.append(buffer)
    model = giving(role, [])
    tensor = external(role, "*/_ORT_MEM_ADDR_/*", ctypes.addressof(buffer))
    model.graph.initializer.append(tensor)
    return content(model)


@spoiled("external data that a tensor not said to be external lists")
def _listed(model: onnx.ModelProto, role: str, secret: str) -> None:
    table = next(t for t in model.graph.initializer if t.name == TABLE[role])
    table.external_data.extend(external(role, secret).external_data)


@hostile("external data without a location")
def _nowhere(role: str, secret: Path) -> bytes:
    model = giving(role, [])
    tensor = external(role, str(secret))
    del tensor.external_data[:]
    model.graph.initializer.append(tensor)
    return content(model)


@hostile("external data in the value of a Constant node")
def _constant(role: str, secret: Path) -> bytes:
    return content(giving(role, [constant("value", external(role, str(secret)))]))


@hostile("external data in a list of tensors of an attribute")
def _tensors(role: str, secret: Path) -> bytes:
    return content(giving(role, [constant("values", [external(role, str(secret))])]))


def sparse(role: str, values: onnx.TensorProto, indices: onnx.TensorProto | None = None) -> Any:
    """A sparse tensor of every element."""
    size = width(role)
    places = numpy_helper.from_array(np.arange(size, dtype=np.int64), "places")
    return helper.make_sparse_tensor(values, indices or places, [size])


@hostile("external data in the sparse value of a Constant node")
def _sparse_constant(role: str, secret: Path) -> bytes:
    value = sparse(role, external(role, str(secret)))
    return content(giving(role, [constant("sparse_value", value)]))


@hostile("external data in a list of sparse tensors of an attribute")
def _sparse_tensors(role: str, secret: Path) -> bytes:
    value = sparse(role, external(role, str(secret)))
    return content(giving(role, [constant("sparse_values", [value])]))


@hostile("external data in the values of a sparse initializer")
def _sparse_values(role: str, secret: Path) -> bytes:
    model = giving(role, [])
    model.graph.sparse_initializer.append(sparse(role, external(role, str(secret))))
    return content(model)


@hostile("external data in the indices of a sparse initializer")
def _sparse_indices(role: str, secret: Path) -> bytes:
    model = giving(role, [])
    values = numpy_helper.from_array(np.ones(width(role), np.uint8), "stolen")
    indices = external(role, str(secret), name="places")
    indices.data_type = TensorProto.INT64
    model.graph.sparse_initializer.append(sparse(role, values, indices))
    return content(model)


def if_node(then: onnx.GraphProto, otherwise: onnx.GraphProto) -> list[onnx.NodeProto]:
    """A choice between graphs."""
    truth = numpy_helper.from_array(np.array(True))
    return [
        helper.make_node("Constant", [], ["evil.condition"], value=truth),
        helper.make_node(
            "If", ["evil.condition"], ["stolen"], then_branch=then, else_branch=otherwise
        ),
    ]


@hostile("external data in the initializer of a nested graph")
def _nested_initializer(role: str, secret: Path) -> bytes:
    then = branch(role, helper.make_node("Identity", ["inner"], ["chosen"]))
    then.initializer.append(external(role, str(secret), name="inner"))
    return content(giving(role, if_node(then, branch(role, ones(role)))))


@hostile("external data in a node of a nested graph")
def _nested_node(role: str, secret: Path) -> bytes:
    then = branch(role, constant("value", external(role, str(secret))))
    return content(giving(role, if_node(then, branch(role, ones(role)))))


@hostile("external data in a list of graphs of an attribute")
def _graphs(role: str, secret: Path) -> bytes:
    graph = branch(role, constant("value", external(role, str(secret))))
    return content(giving(role, [constant("graphs", [graph])]))
