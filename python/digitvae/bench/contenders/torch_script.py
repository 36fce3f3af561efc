"""The bundle's TorchScript, frozen and optimised for inference."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import torch

from digitvae.bench.contenders.torch_batches import prepare_torch, to_bytes, use_threads

if TYPE_CHECKING:
    from digitvae.bench.contenders import Prepared
    from digitvae.bundle import Bundle


def prepare(bundle: Bundle, threads: int) -> Prepared:
    """Try batch sizes, in inference mode. The file's hash is checked before it is unpickled."""
    use_threads(threads)
    content = bundle.read("decoder.torchscript")
    with warnings.catch_warnings():  # TorchScript is deprecated upstream, and shipped all the same
        warnings.simplefilter("ignore")
        module = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
        decoder = torch.jit.optimize_for_inference(module.eval())
    return prepare_torch(lambda z: to_bytes(decoder(z)), decoder)
