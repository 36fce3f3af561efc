"""One network in the three forms of a bundle: ONNX, TorchScript, ExportedProgram.

The same network gives the same bytes: no dates, no paths, no order that depends on a hash seed.
"""

from __future__ import annotations

import copy
import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from digitvae.base.errors import ParityError
from digitvae.bundle.folder import SCHEMA
from digitvae.bundle.names import WEIGHTS
from digitvae.vae.model import VAE

OPSET = 18  # the oldest that bundles allow: the most runtimes can read it

SIGNATURES: dict[str, tuple[list[str], list[str]]] = {
    "decoder": (["z"], ["x"]),
    "encoder": (["x"], ["mu", "logvar"]),
    "prior": (["u", "digit", "eps"], ["z", "label"]),
}
"""Names of the inputs and of the outputs of each network of a bundle."""

# What torch.export notes about where a node came from: file names, line numbers, source text.
_PROVENANCE = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")

# How the compiler of TorchScript tells a class from another of the same name that the process has
# scripted before: __torch__.digitvae.model.___torch_mangle_5.Encoder.
_MANGLED = re.compile(rb"\.___torch_mangle_\d+(?=[.\n])")
_MANGLED_FILE = re.compile(r"/___torch_mangle_\d+\.py$")


def write_networks(
    folder: Path,
    model: VAE,
    weights: bytes,
    dataset: str,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Write the weights and both networks in every form into a folder, but no manifest.

    Args:
        folder: Where to; files of the same names are replaced.
        model: With the weights.
        weights: The content of ``weights.safetensors``.
        dataset: For the metadata.
        say: Called with one line at each step.
    """
    (folder / WEIGHTS).write_bytes(weights)
    dims = model.dims
    facts = {
        "schema": SCHEMA,
        "latent_dim": dims.latents,
        "height": dims.height,
        "width": dims.width,
        "dataset": dataset,
    }
    say("exporting the decoder")
    write_forms(folder, "decoder", model.decoder, dims.latents, facts)
    say("exporting the encoder")
    write_forms(folder, "encoder", model.encoder, dims.pixels, facts)


def write_forms(
    folder: Path, name: str, network: nn.Module, columns: int, facts: dict[str, object]
) -> None:
    """Write a network in every form, ``NAME.onnx`` and so on.

    Args:
        folder: Where to.
        name: "decoder", "encoder" or "prior".
        network: The network.
        columns: Of its input that has columns.
        facts: For its metadata.
    """
    arguments, outputs = SIGNATURES[name]
    forms = {
        f"{name}.onnx": onnx_bytes(network, arguments, outputs, columns, facts),
        f"{name}.torchscript": torchscript_bytes(network),
        f"{name}.pt2": exported_program_bytes(network, arguments, columns),
    }
    for file, content in forms.items():
        (folder / file).write_bytes(content)


def onnx_bytes(
    network: nn.Module,
    arguments: list[str],
    outputs: list[str],
    columns: int,
    facts: dict[str, object],
) -> bytes:
    """A network as one ONNX file with our metadata and without PyTorch's.

    Args:
        network: ``Encoder``, ``Decoder`` or ``LatentMixture``.
        arguments: Names of its inputs, which are also the names of its arguments.
        outputs: Names of its outputs.
        columns: Of its input that has columns.
        facts: For the metadata, without ``digitvae.`` in front.
    """
    examples, shapes = _tracing(arguments, columns)
    with _quiet():
        program = torch.onnx.export(
            network,
            examples,
            dynamo=True,
            external_data=False,
            input_names=arguments,
            output_names=outputs,
            dynamic_shapes=shapes,
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise ParityError("the ONNX exporter of PyTorch returned no model")
    model = program.model_proto
    # Every note about origins holds paths of this machine or names of Python objects.
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
        value.ClearField("doc_string")
    for node in model.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
        attributes = sorted(node.attribute, key=lambda attribute: str(attribute.name))
        del node.attribute[:]
        node.attribute.extend(attributes)  # in one order, whatever the exporter's is
    for name, value in facts.items():
        model.metadata_props.add(key=f"digitvae.{name}", value=str(value))
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def torchscript_bytes(network: nn.Module) -> bytes:
    """A network as TorchScript, without the debug records that name its source files.

    It has the same names whatever else the process has scripted.
    """
    network = copy.deepcopy(network)
    for layer in network.modules():
        # The compiler would keep these names in a set and write them in its order, which differs
        # from process to process. Without them, a layer's sizes are attributes, in their order.
        layer.__dict__["__constants__"] = []
    whole, stripped = io.BytesIO(), io.BytesIO()
    with _quiet():  # deprecated upstream; the .pt2 beside it is where users can go
        torch.jit.save(torch.jit.script(network), whole)
    whole.seek(0)
    reader = torch._C.PyTorchFileReader(whole)
    writer = torch._C.PyTorchFileWriter(stripped)
    written = set()
    for name in reader.get_all_records():
        # The writer adds version and serialization id itself.
        if name.endswith(".debug_pkl") or name in ("version", ".data/serialization_id"):
            continue
        record = reader.get_record(name)
        if name.startswith("code/") or name == "data.pkl":  # where classes are named
            name, record = _MANGLED_FILE.sub(".py", name), _MANGLED.sub(b"", record)  # noqa: PLW2901
        if name in written:
            raise ParityError(f"TorchScript of {type(network).__name__} has two classes {name}")
        written.add(name)
        writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    return stripped.getvalue()


def exported_program_bytes(network: nn.Module, arguments: list[str], columns: int) -> bytes:
    """A network as an ExportedProgram (.pt2), without the stack traces of its nodes."""
    content = io.BytesIO()
    examples, shapes = _tracing(arguments, columns)
    with _quiet():
        program = torch.export.export(network, examples, dynamic_shapes=shapes)
        for node in program.graph.nodes:
            for key in _PROVENANCE:
                node.meta.pop(key, None)
        torch.export.save(program, content)
    return content.getvalue()


def _tracing(arguments: list[str], columns: int) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """Inputs for tracing, of two rows (one would be taken for a constant), and that rows vary."""
    examples = {
        "z": torch.zeros(2, columns),
        "x": torch.zeros(2, columns),
        "u": torch.zeros(2),
        "digit": torch.zeros(2, dtype=torch.int64),
        "eps": torch.zeros(2, columns),
    }
    batch = torch.export.Dim("batch")
    return tuple(examples[name] for name in arguments), {name: {0: batch} for name in arguments}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back warnings that PyTorch's exporters raise about themselves, and no others."""
    with warnings.catch_warnings():
        for category in (FutureWarning, DeprecationWarning, UserWarning):
            warnings.simplefilter("ignore", category)
        yield
