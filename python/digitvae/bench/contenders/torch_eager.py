"""PyTorch as it comes: the module with the bundle's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digitvae.bench.contenders.torch_batches import (
    load_decoder,
    prepare_torch,
    to_bytes,
    use_threads,
)

if TYPE_CHECKING:
    from digitvae.bench.contenders import Prepared
    from digitvae.bundle.folder import Bundle


def prepare(bundle: Bundle, threads: int) -> Prepared:
    """Try batch sizes, in inference mode."""
    use_threads(threads)
    decoder = load_decoder(bundle)
    return prepare_torch(lambda z: to_bytes(decoder(z)), decoder)
