"""Honest copies: other files, or other weights, that compute what they should."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_safetensors

from digitvae.parity.gate import edits
from digitvae.parity.gate.edits import Copy, Edit
from digitvae.vae.serialisation import write_networks


def all_honest_copies() -> list[Copy]:
    """Every one, the same ones each time."""
    changes: dict[str, Callable[[Path], object]] = {
        "other names, another producer, another order of tensors": partial(_in_both, _rewrite),
        # Gemm, Relu and Sigmoid are the same in all of them.
        **{f"opset {n}": partial(_in_both, edits.set_opset(n)) for n in (19, 20, 21)},
        **{
            f"hidden units in another order ({n})": partial(_export_again, _permute, n)
            for n in range(3)
        },
        **{
            f"hidden units of another scale ({n})": partial(_export_again, _scale, n)
            for n in range(2)
        },
    }
    return [Copy("unchanged"), *(Copy(name, change=change) for name, change in changes.items())]


def _in_both(edit: Edit, folder: Path) -> None:
    for network in ("decoder", "encoder"):
        edits.edit_onnx(folder, network, edit)


def _rewrite(model: Any) -> None:
    model.producer_name, model.graph.name = "another exporter", "another name"
    for i, node in enumerate(model.graph.node):
        node.name = f"node {i}"
    model.graph.doc_string = "see https://example.org/docs/model.html"
    tensors = list(model.graph.initializer)[::-1]
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)


def _permute(generator: torch.Generator, hidden: Any, heads: list[Any]) -> None:
    """Another order of the hidden units: the same function, other sums."""
    order = torch.randperm(len(hidden.bias), generator=generator)
    hidden.weight.copy_(hidden.weight[order])
    hidden.bias.copy_(hidden.bias[order])
    for head in heads:
        head.weight.copy_(head.weight[:, order])


def _scale(generator: torch.Generator, hidden: Any, heads: list[Any]) -> None:
    """Hidden units times powers of 2, their weights in the next layer divided by them."""
    exponents = torch.randint(-3, 4, hidden.bias.shape, generator=generator)
    factor = torch.exp2(exponents.float())
    hidden.weight.mul_(factor[:, None])
    hidden.bias.mul_(factor)
    for head in heads:
        head.weight.div_(factor)


def _export_again(
    change: Callable[[torch.Generator, Any, list[Any]], None], seed: int, folder: Path
) -> None:
    generator = torch.Generator().manual_seed(seed)
    model = edits.load_model(folder)
    change(generator, model.decoder.hidden, [model.decoder.output])
    change(generator, model.encoder.hidden, [model.encoder.fc_mu, model.encoder.fc_logvar])
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    dataset = edits.read_manifest(folder)["dataset"]
    write_networks(folder, model, save_safetensors(weights), dataset)
