"""Changes to exported files: what mutants and honest copies are made of.

``redo_hashes`` makes the manifest agree afterwards, so that only numbers and structure can give a
change away.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from safetensors.numpy import load_file, save_file

from digitvae.bundle.dims import Dims
from digitvae.bundle.folder import describe_files, write_manifest
from digitvae.bundle.names import MANIFEST, PRIOR_PARAMETERS, WEIGHTS
from digitvae.engine.model import Model
from digitvae.mixture.model import LatentMixture
from digitvae.vae.model import VAE, Decoder, Encoder
from digitvae.vae.weights import load

Array = NDArray[Any]
Edit = Callable[[Any], object]


@dataclass(frozen=True)
class Copy:
    """A changed copy of an honest bundle, and what must be found in it.

    Attributes:
        name: How it is changed, in words.
        wanted: What the failures must say, each somewhere. An honest copy wants nothing: it passes.
        change: Changes the folder.
        keeps_hashes: Leaves the manifest as it is: the fault is that it does not agree.
        engine: Disguises the native engine, instead.
        onnx: The network whose ONNX file is damaged, if that is all.
    """

    name: str
    wanted: tuple[str, ...] = ()
    change: Callable[[Path], object] | None = None
    keeps_hashes: bool = False
    engine: Callable[[Model], Any] | None = None
    onnx: str | None = None


def redo_hashes(folder: Path) -> None:
    """Make the manifest describe the files as they are."""
    manifest = read_manifest(folder)
    write_manifest(folder, manifest | {"files": describe_files(folder, manifest["files"])})


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest as it stands."""
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest


def edit_onnx(folder: Path, name: str, edit: Edit) -> None:
    """Change one ONNX model in place; ``edit`` gets the protobuf."""
    model = onnx.load(folder / f"{name}.onnx")
    edit(model)
    # onnx.save would look for external data, and one of the faults is that there is none.
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())


def edit_tensor(name: str, change: Callable[[Array], Array]) -> Edit:
    """Replace an initializer by what ``change`` makes of it."""

    def edit(model: Any) -> None:
        (tensor,) = [t for t in model.graph.initializer if t.name == name]
        changed = np.ascontiguousarray(change(numpy_helper.to_array(tensor).copy()))
        tensor.CopyFrom(numpy_helper.from_array(changed, name))

    return edit


def edit_every_tensor(change: Callable[[Array], Array]) -> Edit:
    """The same for all initializers."""

    def edit(model: Any) -> None:
        for tensor in model.graph.initializer:
            edit_tensor(tensor.name, change)(model)

    return edit


def replace_operator(old: str, new: str, **attributes: float) -> Edit:
    """Turn one operator into another."""

    def edit(model: Any) -> None:
        for node in model.graph.node:
            if node.op_type == old:
                node.op_type = new
                node.attribute.extend(helper.make_attribute(*item) for item in attributes.items())

    return edit


def drop_bias(layer: str) -> Edit:
    """Let a Gemm forget its bias, and remove the tensor."""

    def edit(model: Any) -> None:
        for node in model.graph.node:
            if f"{layer}.bias" in node.input:
                del node.input[2:]
        (bias,) = (t for t in model.graph.initializer if t.name == f"{layer}.bias")
        model.graph.initializer.remove(bias)

    return edit


def swap_results(first: str, second: str) -> Edit:
    """Let the nodes that compute two outputs give them each other's name."""
    names = {first: second, second: first}

    def edit(model: Any) -> None:
        for node in model.graph.node:
            node.output[:] = [names.get(name, name) for name in node.output]

    return edit


def swap_order(model: Any) -> None:
    """List the outputs in the other order."""
    first, second = (
        onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in model.graph.output
    )
    model.graph.output[0].CopyFrom(second)
    model.graph.output[1].CopyFrom(first)


def scale_result(output: str, factor: float) -> Edit:
    """Multiply an output by a constant, which is what logvar → logvar/2 is."""

    def edit(model: Any) -> None:
        for node in model.graph.node:
            node.output[:] = [f"{output}.raw" if name == output else name for name in node.output]
        model.graph.initializer.append(
            numpy_helper.from_array(np.array(factor, np.float32), "factor")
        )
        model.graph.node.append(helper.make_node("Mul", [f"{output}.raw", "factor"], [output]))

    return edit


def add_noise_times_zero(model: Any) -> None:
    """A random operator that does not even change the result."""
    for node in model.graph.node:
        node.output[:] = ["x.raw" if name == "x" else name for name in node.output]
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "zero"))
    model.graph.node.extend(
        [
            helper.make_node("RandomNormalLike", ["x.raw"], ["noise"]),
            helper.make_node("Mul", ["noise", "zero"], ["silence"]),
            helper.make_node("Add", ["x.raw", "silence"], ["x"]),
        ]
    )


def set_opset(version: int) -> Edit:
    """Ask for another operator set."""
    return lambda model: setattr(model.opset_import[0], "version", version)


def fix_batch(model: Any) -> None:
    """A batch axis of constant length."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1


def store_transposed(layer: str) -> Edit:
    """Store a weight transposed and tell Gemm so: the same numbers in another form."""

    def edit(model: Any) -> None:
        edit_tensor(f"{layer}.weight", np.transpose)(model)
        for node in model.graph.node:
            if f"{layer}.weight" in node.input:
                (flag,) = (a for a in node.attribute if a.name == "transB")
                node.attribute.remove(flag)

    return edit


def write_text(text: bytes) -> Callable[[Array], Array]:
    """Put text into the bytes of a tensor."""

    def change(tensor: Array) -> Array:
        tensor.view(np.uint8).reshape(-1)[: len(text)] = np.frombuffer(text, np.uint8)
        return tensor

    return change


def add_units(place: tuple[int, ...], units: int) -> Callable[[Array], Array]:
    """Move one value away from 0 by units in its last place."""

    def change(tensor: Array) -> Array:
        tensor.view(np.uint32)[place] += np.uint32(units)
        return tensor

    return change


def flip_bit(index: int, bit: int) -> Callable[[Array], Array]:
    """Flip one bit of one value."""

    def change(tensor: Array) -> Array:
        tensor.view(np.uint32).flat[index] ^= np.uint32(1 << bit)
        return tensor

    return change


def half_precision(tensor: Array) -> Array:
    """To float16 and back."""
    return tensor.astype(np.float16).astype(np.float32)


def transpose(tensor: Array) -> Array:
    """The transposed weights under the shape of the original."""
    return tensor.T.reshape(tensor.shape)


def save_torchscript(folder: Path, name: str, network: torch.nn.Module) -> None:
    """Replace a TorchScript file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(network), folder / f"{name}.torchscript")


def save_program(folder: Path, name: str, network: Encoder | Decoder) -> None:
    """Replace an ExportedProgram."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = torch.export.Dim("batch")
        program = torch.export.export(
            network, (torch.zeros(2, network.hidden.in_features),), dynamic_shapes=({0: batch},)
        )
        content = io.BytesIO()
        torch.export.save(program, content)
    (folder / f"{name}.pt2").write_bytes(content.getvalue())


def load_model(folder: Path) -> VAE:
    """The bundle's PyTorch model."""
    return load((folder / WEIGHTS).read_bytes(), Dims.of_manifest(read_manifest(folder)))


def load_network(folder: Path, name: str) -> Any:
    """One network of the bundle as a PyTorch module: the prior, or one of the model."""
    if name != "prior":
        return getattr(load_model(folder), name)
    parameters = load_file(folder / PRIOR_PARAMETERS)
    tensors = {name: torch.from_numpy(value) for name, value in parameters.items()}
    return LatentMixture(**tensors).eval()


def nudge_shipped_weight(folder: Path) -> None:
    """Change ``weights.safetensors`` by one unit in the last place of one value."""
    weights = load_file(folder / WEIGHTS)
    weights["decoder.output.bias"] = flip_bit(0, 0)(weights["decoder.output.bias"])
    save_file(weights, folder / WEIGHTS)
