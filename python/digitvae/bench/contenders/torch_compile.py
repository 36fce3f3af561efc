"""``torch.compile``: decoder, scaling and rounding fused by its default backend, Inductor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from digitvae.bench.contenders.torch_batches import load_decoder, prepare_torch, use_threads

if TYPE_CHECKING:
    from torch import Tensor

    from digitvae.bench.contenders import Prepared
    from digitvae.bundle.folder import Bundle


def prepare(bundle: Bundle, threads: int) -> Prepared:
    """Compile once for all sizes, with the weights as constants, and try batch sizes.

    What is checked is the same decoder compiled in the same way, without the rounding.
    """
    use_threads(threads)
    decoder = load_decoder(bundle)

    def images_of(z: Tensor) -> Tensor:
        return torch.round(decoder(z) * 255).to(torch.uint8)

    options: dict[str, Any] = {"freezing": True}
    compiled = torch.compile(images_of, dynamic=True, options=options)
    return prepare_torch(compiled, torch.compile(decoder, dynamic=True, options=options))
