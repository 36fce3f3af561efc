"""The inputs on which runtimes are compared: typical ones, every batch size, and edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digitvae.parity.networks import Float32

BATCHES = (1, 2, 3, 7, 63, 64, 65, 255, 256, 257, 1000)
"""Batch sizes: the smallest ones, and those around the borders of tiles and vector registers."""

BLOCK_ROWS = 1000
"""Rows handed to a runtime in one call where the batch size is not what is tested.

Small enough that everything about a block stays in memory once: truth and bound of 1000 images
are 12 MB.
"""

# Both round to the float32 they name.
_SMALLEST_SUBNORMAL = 1e-45
_LARGEST_SUBNORMAL = 1.1754942e-38


@dataclass(frozen=True)
class InputSet:
    """Inputs under one name.

    Attributes:
        name: How reports call it.
        blocks: Arrays float32 [n, k]; each is given to a runtime in one call.
        gated: Whether the limit on the deviation from eager holds here. On edges it does not:
            what rounding does there grows with the input, and only the derived bound follows it.
        separate: Whether each block starts again at row 0 (batches), or they are one long array.
        names: Names of the rows, if they have any.
    """

    name: str
    blocks: tuple[Float32, ...]
    gated: bool
    separate: bool = False
    names: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Rows in all."""
        return sum(len(block) for block in self.blocks)

    def where(self, block: int, row: int) -> str:
        """Name one row in words, for a reader who wants to try it."""
        if self.separate:
            return f"row {row} of batch {len(self.blocks[block])}"
        index = row + sum(len(earlier) for earlier in self.blocks[:block])
        return f"row {index}" + (f" ({self.names[index]})" if self.names else "")


def whole(name: str, rows: Float32) -> InputSet:
    """A long array, in blocks."""
    return InputSet(name, in_blocks(rows), gated=True)


def in_blocks(rows: Float32) -> tuple[Float32, ...]:
    """Cut an array into views of ``BLOCK_ROWS`` rows; the last one may be shorter."""
    return tuple(rows[i : i + BLOCK_ROWS] for i in range(0, len(rows), BLOCK_ROWS))


def batches(rows: Float32) -> InputSet:
    """The first rows of an array, once for each size of ``BATCHES`` that it can fill."""
    sizes = [size for size in BATCHES if size <= len(rows)]
    name = f"batches of {sizes[0]} to {sizes[-1]}"
    blocks = tuple(rows[:size] for size in sizes)
    return InputSet(name, blocks, gated=True, separate=True)


def extreme_latents(draws: Float32) -> InputSet:
    """Latents far from the prior: constants, subnormals, one-hot, and scaled draws."""
    dim = draws.shape[1]
    rows, names = _constants(
        dim, (0, 10, -10, 100, -100, 1e4, -1e4, _SMALLEST_SUBNORMAL, _LARGEST_SUBNORMAL)
    )
    for scale in (1, -1, 100, -100):
        rows += list(np.eye(dim, dtype=np.float32) * np.float32(scale))
        names += [f"latent {i} is {scale}, the others 0" for i in range(dim)]
    for scale in (10, 100, 10_000):
        scaled = draws[:50] * np.float32(scale)
        rows += list(scaled)
        names += [f"draw {i} times {scale}" for i in range(len(scaled))]
    return InputSet("extreme latents", (np.stack(rows),), gated=False, names=tuple(names))


def extreme_images(pixels: int) -> InputSet:
    """Images that are no digits: empty, full, subnormal ink, and one pixel at a time."""
    rows, names = _constants(pixels, (0, 1, _SMALLEST_SUBNORMAL, _LARGEST_SUBNORMAL))
    rows += list(np.eye(pixels, dtype=np.float32))
    names += [f"only pixel {i} is 1" for i in range(pixels)]
    return InputSet("extreme images", (np.stack(rows),), gated=False, names=tuple(names))


def _constants(width: int, values: Sequence[float]) -> tuple[list[Float32], list[str]]:
    rows = [np.full(width, value, np.float32) for value in values]
    return rows, [f"all {value:g}" for value in values]
