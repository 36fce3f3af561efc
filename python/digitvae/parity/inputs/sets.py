"""The inputs on which runtimes are compared: typical ones, every batch size, and edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitvae import _native
from digitvae.base.threads import in_parallel
from digitvae.engine.sampling import LATENT_STREAM, POSTERIOR_STREAM
from digitvae.parity.networks import Float32, Function

TILE = _native.TILE_ROWS
AROUND_A_TILE = (1, TILE - 1, TILE + 1)
BATCHES = (1, 2, 3, 7, 63, 64, 65, TILE - 1, TILE, TILE + 1, 255, 256, 257, 1000)
"""Batch sizes: the smallest ones, and those around the borders of tiles and vector registers."""

BLOCK_ROWS = 512
"""Rows handed to a runtime in one call where the batch size is not what is tested.

A multiple of the tile, so that whole tiles stay whole; small enough that everything about a block
stays near the processor: the truth of 512 images is 3 MB.
"""

GENERATED = "generated"
SEARCHED = "searched for"
"""Names of two sets of inputs: those of hypothesis, and those that a search ended with."""

# Both round to the float32 they name.
_SMALLEST_SUBNORMAL = 1e-45
_LARGEST_SUBNORMAL = 1.1754942e-38


@dataclass(frozen=True)
class InputSet:
    """Inputs under one name.

    Attributes:
        name: How reports call it.
        blocks: Arrays float32 [n, …]; each is given to a runtime in one call.
        typical: Whether the noise limit holds here. On inputs that were built or searched to be
            extreme, roundings need not be independent, and only the proven bound counts.
        separate: Whether each block starts again at row 0 (batches), or they are one long array.
        names: Names of the rows, if they have any.
        of: Names of the blocks, if they have any.
    """

    name: str
    blocks: tuple[Float32, ...]
    typical: bool
    separate: bool = False
    names: tuple[str, ...] = ()
    of: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Rows in all."""
        return sum(len(block) for block in self.blocks)

    def where(self, block: int, row: int) -> str:
        """Name one row in words, for a reader who wants to try it."""
        if self.of:
            return f"row {row} of {self.of[block]}"
        if self.separate:
            return f"row {row} of batch {len(self.blocks[block])}"
        index = row + sum(len(earlier) for earlier in self.blocks[:block])
        return f"row {index}" + (f" ({self.names[index]})" if self.names else "")


def whole(name: str, rows: Float32) -> InputSet:
    """A long array of typical rows, in blocks."""
    return InputSet(name, in_blocks(rows), typical=True)


def in_blocks(rows: Float32, size: int = BLOCK_ROWS) -> tuple[Float32, ...]:
    """Cut an array into views of ``size`` rows; the last one may be shorter."""
    return tuple(rows[i : i + size] for i in range(0, len(rows), size))


def on_all_rows(function: Function, rows: Float32, threads: int) -> tuple[Float32, ...]:
    """A function of rows, block by block, in whole."""
    blocks = list(in_parallel(function, in_blocks(rows), threads))
    return tuple(np.concatenate(output) for output in zip(*blocks, strict=True))


def batches(rows: Float32, sizes: Sequence[int] = BATCHES) -> InputSet:
    """The first rows of an array, once for each size that it can fill; the smallest is 1."""
    sizes = [size for size in sizes if size <= len(rows)]
    name = f"batches of {sizes[0]} to {sizes[-1]}"
    blocks = tuple(rows[:size] for size in sizes)
    return InputSet(name, blocks, typical=True, separate=True)


def ink(images: NDArray[np.uint8]) -> Float32:
    """Bytes as the intensities that networks take."""
    return images.astype(np.float32) / np.float32(255)


def prior_draws(count: int, dim: int) -> Float32:
    """Latents 0 … count−1 of seed 0, float32 [count, dim], as the engine makes them."""
    return _noise(count, dim, LATENT_STREAM)


def posterior_draws(mu: Float32, logvar: Float32) -> Float32:
    """One draw from the posterior of each image: the mixture of Gaussians that the data make.

    The noise is that of stream 2 of seed 0 (docs/random-numbers.md).
    """
    count, dim = mu.shape
    z: Float32 = mu + np.exp(np.float32(0.5) * logvar) * _noise(count, dim, POSTERIOR_STREAM)
    return z


def _noise(count: int, dim: int, stream: int) -> Float32:
    out = np.empty((count, dim), np.float32)
    _native.fill_standard_normal(out, dim=dim, seed=0, first=0, stream=stream)
    return out


def extreme_latents(draws: Float32) -> InputSet:
    """Latents far from the prior: constants, subnormals, one-hot, saturating, and scaled draws."""
    dim = draws.shape[1]
    rows, names = constants(
        (dim,), (0, 10, -10, 100, -100, 1e4, -1e4, _SMALLEST_SUBNORMAL, _LARGEST_SUBNORMAL)
    )
    for scale in (1, -1, 100, -100):
        rows += list(np.eye(dim, dtype=np.float32) * np.float32(scale))
        names += [f"latent {i} is {scale}, the others 0" for i in range(dim)]
    for scale in (10, 100, 10_000):
        scaled = draws[:50] * np.float32(scale)
        rows += list(scaled)
        names += [f"draw {i} times {scale}" for i in range(len(scaled))]
    return _extreme("extreme latents", rows, names)


def extreme_images(pixels: int) -> InputSet:
    """Images that are no digits: empty, full, subnormal ink, and one pixel at a time."""
    rows, names = constants((pixels,), (0, 1, _SMALLEST_SUBNORMAL, _LARGEST_SUBNORMAL))
    rows += list(np.eye(pixels, dtype=np.float32))
    names += [f"only pixel {i} is 1" for i in range(pixels)]
    return _extreme("extreme images", rows, names)


def _extreme(name: str, rows: Sequence[Float32], names: Sequence[str]) -> InputSet:
    """Rows with a name each, on which roundings need not be independent."""
    return InputSet(name, in_blocks(np.stack(rows)), typical=False, names=tuple(names))


def constants(shape: tuple[int, ...], values: Sequence[float]) -> tuple[list[Float32], list[str]]:
    """Rows of one value each, and their names."""
    rows = [np.full(shape, value, np.float32) for value in values]
    return rows, [f"all {value:g}" for value in values]
