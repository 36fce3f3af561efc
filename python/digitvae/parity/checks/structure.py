"""What an export must be, whatever it computes: names, types, weights, and nothing that leaks."""

from __future__ import annotations

import io
import os
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from digitvae import _native
from digitvae.bundle.folder import SCHEMA, Bundle
from digitvae.bundle.names import MANIFEST, PARITY, PRIOR
from digitvae.parity.networks import NETWORKS, Float32, Network
from digitvae.parity.report.report import Check, first_line
from digitvae.parity.runtimes.onnx import load_model

OPSET = 18
"""The oldest operator set that a bundle may use."""

_RANDOM_OPERATORS = re.compile("Bernoulli|Multinomial|Random(Normal|Uniform)(Like)?")
"""Operators whose result is not a function of their inputs: runtimes cannot agree on them."""

_ABSOLUTE_PATH = (
    rb"(?<![\w.:/-])/(?:[\w.+-]+/)+[\w.+-]+"  # /any/path after a character that ends a word
    rb"|/(?:home|root|tmp|usr|opt|var|mnt|srv|private|Users)/[\w.+/-]+"
    rb"|[A-Za-z]:\\+(?:[\w.+ -]+\\+)+[\w.+ -]+"
)
_TENSOR_DATA = re.compile(r"/data/\d+$|/weights/weight_\d+$|/constants/tensor_\d+$")


def check_bundle(bundle: Bundle, weights: Mapping[str, Float32]) -> list[Check]:
    """Check the structure of every file of a bundle.

    Args:
        bundle: The bundle; dims and data set are compared with its manifest.
        weights: ``weights.safetensors``, by name.
    """
    dims, checks = bundle.manifest["dims"], []
    for network in NETWORKS:
        subject = f"{network.name}.onnx"
        types = {name: f"float32 [batch, {n}]" for name, n in network.widths(dims).items()}
        found, model = _check_file(
            bundle,
            subject,
            "network",
            inputs={network.input: types[network.input]},
            outputs={name: types[name] for name in network.outputs},
            metadata={f"digitvae.{name}": str(dims[name]) for name in ("height", "width")},
            free={},
        )
        checks += found
        if model is not None:
            initializers = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
            checks.append(check_parameters(subject, initializers, network, weights))
    if PRIOR in bundle.file_names:
        checks += check_mixture(bundle)
    return [*checks, check_paths(bundle)]


def check_mixture(bundle: Bundle) -> list[Check]:
    """Check the structure of ``prior.onnx``, which a bundle need not have (export/README.md)."""
    latents = f"float32 [batch, {bundle.latent_dim}]"
    checks, _ = _check_file(
        bundle,
        PRIOR,
        "mixture",
        inputs={"u": "float32 [batch]", "digit": "int64 [batch]", "eps": latents},
        outputs={"z": latents, "label": "int64 [batch]"},
        metadata={},
        # Any number of classes will do, but it has to be there. Whether the number of latents that
        # get noise is right, if it is there, the native runtimes' draws show.
        free={"digitvae.labels": "a number", "digitvae.noise_dim": None},
    )
    return checks


def _check_file(
    bundle: Bundle,
    subject: str,
    role: _native.Role,
    *,
    inputs: dict[str, str],
    outputs: dict[str, str],
    metadata: Mapping[str, str],
    free: Mapping[str, str | None],
) -> tuple[list[Check], Any]:
    """Check what every ONNX file of a bundle has to be.

    Args:
        bundle: The bundle.
        subject: Name of the file.
        role: What the model is for.
        inputs: ``{name: "float32 [batch, 40]"}``, in order.
        outputs: The same of its outputs.
        metadata: What it has to say of itself, beside what all of them have to.
        free: What else it may say, and what to call it where it has to be there.

    Returns:
        The checks, and the model, or ``None`` where nothing more can be said of it.
    """
    checks, model = check_validity(subject, lambda: load_model(bundle.read(subject), role))
    if model is None:
        return checks, None
    opsets = {item.domain or "ai.onnx": item.version for item in model.opset_import}
    said = {item.key: item.value for item in model.metadata_props}
    wanted = {
        "digitvae.schema": SCHEMA,
        "digitvae.latent_dim": str(bundle.latent_dim),
        "digitvae.dataset": str(bundle.manifest.get("dataset")),
        **metadata,
        **{name: said.get(name, missing) for name, missing in free.items()},
    }
    checks += [
        _compare(subject, "inputs", signature(model.graph.input), inputs),
        _compare(subject, "outputs", signature(model.graph.output), outputs),
        Check.of(
            subject,
            f"uses only the standard operators, of opset {OPSET} or later",
            list(opsets) == ["ai.onnx"] and opsets["ai.onnx"] >= OPSET,
            ", ".join(f"{domain} {opset}" for domain, opset in opsets.items()),
        ),
        _compare(subject, "metadata", said, wanted, ordered=False),
    ]
    return checks, model


def check_validity(subject: str, load: Callable[[], Any]) -> tuple[list[Check], Any]:
    """Check what any ONNX file has to be: valid, whole, and a function of its inputs.

    Args:
        subject: Name of the file.
        load: Reads it, whole.

    Returns:
        The checks, and the model, or ``None`` where nothing more can be said of it.
    """
    valid = "is valid ONNX"
    try:
        model = load()
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # protobuf, checker and shape inference have no common base
        return [Check(subject, valid, "failed", first_line(error))], None
    operators = sorted(node.op_type for node in _nodes(model))
    random = sorted(filter(_RANDOM_OPERATORS.fullmatch, set(operators)))
    shown = ", ".join(f"{n} {name}" if n > 1 else name for name, n in Counter(operators).items())
    return [
        Check(subject, valid, "passed", shown),
        Check.of(subject, "has no random operators", not random, ", ".join(random)),
    ], model


def check_parameters(
    subject: str,
    found: Mapping[str, NDArray[Any]],
    network: Network,
    weights: Mapping[str, Float32],
) -> Check:
    """Check that the tensors of one file are the bundle's weights, bit for bit, and nothing else.

    Args:
        subject: Name of the file.
        found: Its tensors by name, with or without the network's name in front.
        network: Which network it should be.
        weights: ``weights.safetensors``, by name.
    """
    of = f"{network.name}."
    return check_tensors(
        subject,
        "weights equal weights.safetensors bit for bit",
        {name.removeprefix(of): tensor for name, tensor in found.items()},
        {name.removeprefix(of): value for name, value in weights.items() if name.startswith(of)},
    )


def check_tensors(
    subject: str,
    statement: str,
    found: Mapping[str, NDArray[Any]],
    expected: Mapping[str, NDArray[Any]],
) -> Check:
    """Check that the tensors of one file are those expected, bit for bit, and nothing else."""
    for name, tensor in expected.items():
        if name not in found:
            return Check(subject, statement, "failed", f"{name} is missing")
        difference = _bit_difference(found[name], tensor)
        if difference:
            return Check(subject, statement, "failed", f"{name} {difference}")
    unknown = sorted(set(found) - set(expected))
    if unknown:
        return Check(subject, statement, "failed", f"unknown tensors: {', '.join(unknown)}")
    return Check(subject, statement, "passed")


def check_paths(bundle: Bundle) -> Check:
    """Check that no file says where it was made; ``parity.json``, made last, is left out."""
    found = []
    # What looks like an absolute path, and this machine's own folders whatever precedes them.
    here = {Path.cwd(), Path(sys.prefix), Path(torch.__file__).parents[1]}
    folders = (re.escape(os.fsencode(folder)) for folder in here if len(folder.parts) > 1)
    paths = re.compile(b"|".join([_ABSOLUTE_PATH, *(rb"%b[/\\][\w.+/-]+" % f for f in folders)]))
    for name in (MANIFEST, *bundle.file_names):
        if name == PARITY:
            continue
        content = (bundle.path / name).read_bytes() if name == MANIFEST else bundle.read(name)
        try:
            matches = filter(None, (paths.search(text) for text in _texts(name, content)))
            first = next(matches, None)
            if first is not None:
                found.append(f"{name}: {first.group().decode(errors='replace')}")
        except Exception as error:  # zip, protobuf: each with exceptions of its own
            found.append(f"{name} cannot be read: {error}")
    return Check.of("bundle", "no file holds a local path", not found, "; ".join(found))


def _texts(name: str, content: bytes) -> Iterator[bytes]:
    """The parts of a file that hold text; tensors, whose bytes can look like anything, are not."""
    if name.endswith(".onnx"):
        model = load_model(content, "any")
        for tensor in _tensors(model):
            tensor.ClearField("raw_data")
        yield model.SerializeToString()
    elif name.endswith(".safetensors"):
        yield content[8 : 8 + int.from_bytes(content[:8], "little")]
    elif zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                if not _TENSOR_DATA.search(member):
                    yield archive.read(member)
    elif name.endswith((".torchscript", ".pt2")):
        raise ValueError("it is not a zip archive")
    elif name.endswith(".png"):
        yield from _png_texts(content)
    else:
        yield content


def _png_texts(content: bytes) -> Iterator[bytes]:
    """The chunks of a PNG file but for its pixels: compressed, they can look like anything."""
    place = len(b"\x89PNG\r\n\x1a\n")
    while place < len(content):
        size, kind = int.from_bytes(content[place : place + 4], "big"), content[place + 4 :][:4]
        if kind != b"IDAT":
            yield content[place + 8 : place + 8 + size]
        place += 12 + size  # with the size itself, the kind, and the checksum behind


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph and the graphs inside its nodes (branches and loop bodies)."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inner)


def _nodes(model: Any) -> Iterator[Any]:
    for top in (model.graph, *model.functions):
        for graph in _graphs(top):
            yield from graph.node


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor that a model stores: initializers and attributes of nodes."""
    for graph in _graphs(model.graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in _nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def signature(values: Any) -> dict[str, str]:
    """``{name: "float32 [batch, 40]"}`` of a graph's inputs or outputs.

    What is no tensor is called by what it is: ``sequence_type``.
    """
    signature = {}
    for value in values:
        kind = value.type.WhichOneof("value")
        tensor = value.type.tensor_type
        if kind != "tensor_type" or not tensor.elem_type:
            signature[value.name] = kind or "of no type"
            continue
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        axes = [axis.dim_param or str(axis.dim_value) for axis in tensor.shape.dim]
        signature[value.name] = f"{dtype} [{', '.join(axes)}]"
    return signature


def _bit_difference(found: NDArray[Any], expected: NDArray[Any]) -> str:
    """Where two tensors differ in type, shape or bits, in words; empty if nowhere."""
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return (
            f"is {found.dtype} {list(found.shape)}, expected {expected.dtype} "
            f"{list(expected.shape)}"
        )
    bits = np.dtype(f"u{found.itemsize}")
    differ = found.view(bits) != expected.view(bits)
    if not differ.any():
        return ""
    first = tuple(int(axis[0]) for axis in np.nonzero(differ))
    return (
        f"differs in {int(differ.sum())} of {differ.size} values, first at {list(first)}: "
        f"{found[first]!s}, expected {expected[first]!s}"
    )


def _compare(
    subject: str,
    what: str,
    found: dict[str, str],
    expected: Mapping[str, str | None],
    *,
    ordered: bool = True,
) -> Check:
    """Check that two tables are the same; on failure say where they are not."""
    wrong = [
        f"{name} is {found.get(name, 'missing')}, expected {expected.get(name, 'nothing')}"
        for name in {**expected, **found}
        if found.get(name) != expected.get(name)
    ]
    if ordered and not wrong and list(found) != list(expected):
        wrong = [f"the order is {', '.join(found)}, expected {', '.join(expected)}"]
    detail = "; ".join(wrong or (f"{name}: {value}" for name, value in found.items()))
    return Check.of(subject, f"{what} are as specified", not wrong, detail)
