"""The decoder as TorchScript, frozen and optimised for inference.

It is made from the bundle's weights, which gives the bytes that an honest bundle holds: whatever
else lies in a bundle could run code when it is loaded.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import torch

from digitvae.bench.contenders.torch_batches import (
    load_decoder,
    prepare_torch,
    to_bytes,
    use_threads,
)
from digitvae.vae.serialisation import torchscript_bytes

if TYPE_CHECKING:
    from digitvae.bench.contenders import Prepared
    from digitvae.bundle.folder import Bundle


def prepare(bundle: Bundle, threads: int) -> Prepared:
    """Try batch sizes, in inference mode."""
    use_threads(threads)
    content = decoder_bytes(bundle)
    with warnings.catch_warnings():  # TorchScript is deprecated upstream, and shipped all the same
        warnings.simplefilter("ignore")
        module = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
        decoder = torch.jit.optimize_for_inference(module.eval())
    return prepare_torch(lambda z: to_bytes(decoder(z)), decoder)


def decoder_bytes(bundle: Bundle) -> bytes:
    """The decoder as TorchScript, made from the bundle's weights."""
    return torchscript_bytes(load_decoder(bundle).requires_grad_(requires_grad=False))
