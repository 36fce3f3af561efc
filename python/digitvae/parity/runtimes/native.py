"""The native engine: as users get it, in each of its forms, with other threads, in other parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from digitvae import _native
from digitvae.engine.runtime import open_runtime
from digitvae.parity.networks import DECODER
from digitvae.parity.runtimes.names import (
    NATIVE,
    NATIVE_DENSE,
    NATIVE_PARTS,
    NATIVE_SPARSE,
    NATIVE_THREADS,
    PART_ROWS,
)
from digitvae.parity.runtimes.wrap import in_parts

if TYPE_CHECKING:
    from digitvae.engine.model import Model
    from digitvae.parity.networks import Float32, Function, Network


def model_function(model: Model, network: Network, threads: int = 1) -> Function:
    """The engine as ``digitvae.load`` gives it; images are flattened to rows of 784."""

    def decode(z: Float32) -> tuple[Float32, ...]:
        return (model.decode(z, dtype="float32", threads=threads).reshape(len(z), -1),)

    def encode(x: Float32) -> tuple[Float32, ...]:
        posterior = model.encode(x, threads=threads)
        return (posterior.mu, posterior.logvar)

    return decode if network is DECODER else encode


def form_function(decoder: _native.Decoder) -> Function:
    """A decoder of one form, on one thread."""

    def decode(z: Float32) -> tuple[Float32, ...]:
        out = np.empty((len(z), decoder.height * decoder.width), np.float32)
        decoder.decode(np.ascontiguousarray(z), out, threads=1)
        return (out,)

    return decode


def functions(content: bytes, model: Model, network: Network) -> dict[str, Function]:
    """All of them, by name. A processor without the sparse form has no such runtime.

    Args:
        content: The network's ONNX file.
        model: The engine, which has loaded it.
        network: Which network.
    """
    found = {NATIVE: model_function(model, network)}
    if network is DECODER:
        dense, sparse = (
            _native.Decoder(open_runtime(), content, optimized=form) for form in (False, True)
        )
        found[NATIVE_DENSE] = form_function(dense)
        if sparse.is_optimized(_native.TILE_ROWS):
            found[NATIVE_SPARSE] = form_function(sparse)
    found[NATIVE_THREADS] = model_function(model, network, threads=3)
    found[NATIVE_PARTS] = in_parts(found[NATIVE], PART_ROWS)
    return found
