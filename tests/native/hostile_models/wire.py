"""External data written in ways that only a reader of bytes sees, which protobuf allows."""

from __future__ import annotations

from pathlib import Path

import onnx

from tests.native.hostile_models.making import content, external, giving, honest, hostile


def varint(value: int, at_least: int = 1) -> bytes:
    """A number as protobuf writes it, or in more bytes than it takes."""
    octets: list[int] = []
    while value > 127 or len(octets) + 1 < at_least:
        octets.append(value & 127 | 128)
        value >>= 7
    return bytes([*octets, value])


def field(number: int, payload: bytes | int, tag_bytes: int = 1) -> bytes:
    """A field of a message: text, bytes or a message; or a number."""
    if isinstance(payload, int):
        return varint(number << 3, tag_bytes) + varint(payload)
    return varint(number << 3 | 2, tag_bytes) + varint(len(payload)) + payload


MODEL_GRAPH, GRAPH_NODE, GRAPH_INITIALIZER = 7, 1, 5
NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE = 2, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TYPE = 1, 5, 6, 20
TENSOR_LOCATION = 14


def stolen_later(role: str, tensor: bytes, tag_bytes: int = 1) -> bytes:
    """A model whose graph goes on in a second field, with an initializer."""
    initializer = field(GRAPH_INITIALIZER, tensor, tag_bytes)
    return content(giving(role, [])) + field(MODEL_GRAPH, initializer, tag_bytes)


@hostile("external data in a second part of the graph")
def _second_graph(role: str, secret: Path) -> bytes:
    return stolen_later(role, external(role, str(secret)).SerializeToString())


@hostile("external data, tags in more bytes than they take")
def _long_tags(role: str, secret: Path) -> bytes:
    return stolen_later(role, external(role, str(secret)).SerializeToString(), tag_bytes=4)


def _unusual_locations() -> None:
    ways = {
        "said after its contrary": varint(0) + varint(TENSOR_LOCATION << 3) + varint(1),
        "in more bytes than it takes": varint(1, at_least=9),
        "in more than 32 bits": varint(2**32 + 1),
        "in all 64 bits": varint(2**64 - 2**32 + 1),
    }
    for how, written in ways.items():

        def make(role: str, secret: Path, written: bytes = written) -> bytes:
            tensor = external(role, str(secret))
            tensor.ClearField("data_location")
            location = varint(TENSOR_LOCATION << 3) + written
            return stolen_later(role, tensor.SerializeToString() + location)

        hostile(f"external data, its mark {how}")(make)


_unusual_locations()


@hostile("external data in a tensor of which an attribute has two parts")
def _attribute_in_parts(role: str, secret: Path) -> bytes:
    tensor: bytes = external(role, str(secret)).SerializeToString()
    attribute = (
        field(ATTRIBUTE_NAME, b"value")
        + field(ATTRIBUTE_TENSOR, tensor)
        + field(ATTRIBUTE_TENSOR, field(8, b"value"))  # its name, which is all that this part says
        + varint(ATTRIBUTE_TYPE << 3, 2)
        + varint(onnx.AttributeProto.TENSOR)
    )
    node = field(NODE_OUTPUT, b"stolen") + field(NODE_OPERATOR, b"Constant")
    node += field(NODE_ATTRIBUTE, attribute)
    model = giving(role, [])
    graph = model.graph.SerializeToString()
    model.ClearField("graph")  # a node has to come before those that use what it gives
    return content(model) + field(MODEL_GRAPH, field(GRAPH_NODE, node) + graph)


@hostile("graphs in graphs, 5,000 deep")
def _deep(role: str, secret: Path) -> bytes:
    graph = b""
    for _ in range(5000):
        attribute = field(ATTRIBUTE_NAME, b"body") + field(ATTRIBUTE_GRAPH, graph)
        node = field(NODE_OPERATOR, b"Relu") + field(NODE_ATTRIBUTE, attribute)
        graph = field(GRAPH_NODE, node)
    return content(honest(role)) + field(MODEL_GRAPH, graph)
