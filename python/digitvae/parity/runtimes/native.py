"""The native engine: whole, its reference and its optimized twin alone, by threads, in parts."""

from __future__ import annotations

from functools import partial

import numpy as np

from digitvae import _native
from digitvae.engine.runtime import open_runtime
from digitvae.parity.networks import DECODER, Float32, Function
from digitvae.parity.runtimes.onnx import ONNX_RUNTIME_TILES
from digitvae.parity.runtimes.runtime import Export, Runtime, UnavailableError
from digitvae.parity.runtimes.wrap import in_parts

PLACE = 2
PART_ROWS = 37
"""Rows in a call of the engine whose calls are cut: no divisor or multiple of anything it uses."""

NATIVE = "native engine"
NATIVE_DENSE = "native engine, dense"
NATIVE_SPARSE = "native engine, sparse"
NATIVE_THREADS = "native engine, 3 threads"
NATIVE_PARTS = f"native engine, calls of {PART_ROWS}"


def _engine(export: Export, threads: int = 1) -> Function | None:
    """The engine as ``digitvae.load`` gives it; images are flattened to rows of 784."""
    model = export.engine
    if model is None:
        return None

    def decode(z: Float32) -> tuple[Float32, ...]:
        return (model.decode(z, dtype="float32", threads=threads).reshape(len(z), -1),)

    def encode(x: Float32) -> tuple[Float32, ...]:
        posterior = model.encode(x, threads=threads)
        return (posterior.mu, posterior.logvar)

    return decode if export.network is DECODER else encode


def _twin(export: Export, *, optimized: bool) -> Function | None:
    """A decoder alone, on one thread."""
    if export.engine is None or export.network is not DECODER:
        return None
    decoder = _native.Decoder(open_runtime(), export.read("onnx"), optimized=optimized)
    if optimized and not decoder.is_optimized(_native.TILE_ROWS):
        raise UnavailableError("this processor has no kernel")

    def decode(z: Float32) -> tuple[Float32, ...]:
        out = np.empty((len(z), decoder.height * decoder.width), np.float32)
        decoder.decode(np.ascontiguousarray(z), out, threads=1)
        return (out,)

    return decode


def _parts(export: Export) -> Function | None:
    engine = _engine(export)
    return None if engine is None else in_parts(engine, PART_ROWS)


_of_engine = partial(Runtime, file="onnx", must_equal=NATIVE, ours=True)
RUNTIMES = (
    _of_engine(NATIVE, "`*.onnx`, by `digitvae.load`", _engine, must_equal=ONNX_RUNTIME_TILES),
    _of_engine(NATIVE_DENSE, "its reference session alone", partial(_twin, optimized=False)),
    _of_engine(
        NATIVE_SPARSE, "its optimized twin alone, which needs AVX2", partial(_twin, optimized=True)
    ),
    _of_engine(NATIVE_THREADS, "the work divided among threads", partial(_engine, threads=3)),
    _of_engine(NATIVE_PARTS, "other borders between calls", _parts),
)
