"""Honest copies: other files, or other weights, that compute what they should."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_safetensors

from digitvae.parity.gate import edits
from digitvae.vae.model import VAE
from digitvae.vae.serialisation import write_networks


@dataclass(frozen=True)
class HonestCopy:
    """One of them.

    Attributes:
        name: How it was changed, in words.
        change: Changes the folder of an honest bundle.
    """

    name: str
    change: Callable[[Path], object]


def all_honest_copies() -> list[HonestCopy]:
    """Every one, the same ones each time."""
    return [
        HonestCopy("unchanged", lambda _: None),
        HonestCopy("other names, another producer, another order of tensors", _rewrite),
        *(HonestCopy(f"opset {opset}", partial(_set_opset, opset)) for opset in (19, 20, 21)),
        *(
            HonestCopy(f"hidden units in another order ({n})", partial(_permute, n))
            for n in range(3)
        ),
        *(HonestCopy(f"hidden units of another scale ({n})", partial(_scale, n)) for n in range(2)),
    ]


def _rewrite(folder: Path) -> None:
    def rename(model: Any) -> None:
        model.producer_name, model.graph.name = "another exporter", "another name"
        for i, node in enumerate(model.graph.node):
            node.name = f"node {i}"
        model.graph.doc_string = "see https://example.org/docs/model.html"
        tensors = list(model.graph.initializer)[::-1]
        del model.graph.initializer[:]
        model.graph.initializer.extend(tensors)

    for network in ("decoder", "encoder"):
        edits.edit_onnx(folder, network, rename)


def _set_opset(opset: int, folder: Path) -> None:
    """Gemm, Relu and Sigmoid are the same in all of them."""
    for network in ("decoder", "encoder"):
        edits.edit_onnx(
            folder, network, lambda model: setattr(model.opset_import[0], "version", opset)
        )


def _permute(seed: int, folder: Path) -> None:
    """Another order of the hidden units: the same function, other sums."""
    generator = torch.Generator().manual_seed(seed)

    def change(hidden: Any, heads: list[Any]) -> None:
        order = torch.randperm(len(hidden.bias), generator=generator)
        hidden.weight.copy_(hidden.weight[order])
        hidden.bias.copy_(hidden.bias[order])
        for head in heads:
            head.weight.copy_(head.weight[:, order])

    _export_again(folder, change)


def _scale(seed: int, folder: Path) -> None:
    """Hidden units times powers of 2, their weights in the next layer divided by them."""
    generator = torch.Generator().manual_seed(seed)

    def change(hidden: Any, heads: list[Any]) -> None:
        exponents = torch.randint(-3, 4, hidden.bias.shape, generator=generator)
        factor = torch.exp2(exponents.float())
        hidden.weight.mul_(factor[:, None])
        hidden.bias.mul_(factor)
        for head in heads:
            head.weight.div_(factor)

    _export_again(folder, change)


def _export_again(folder: Path, change: Callable[[Any, list[Any]], None]) -> None:
    model: VAE = edits.load_model(folder)
    change(model.decoder.hidden, [model.decoder.output])
    change(model.encoder.hidden, [model.encoder.fc_mu, model.encoder.fc_logvar])
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    dataset = edits.read_manifest(folder)["dataset"]
    write_networks(folder, model, save_safetensors(weights), dataset)
