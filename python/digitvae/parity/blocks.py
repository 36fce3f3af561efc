"""Work on blocks of rows, some at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from digitvae.base.threads import in_parallel
from digitvae.parity.inputs import in_blocks

if TYPE_CHECKING:
    from digitvae.parity.networks import Float32, Function


def on_all_rows(function: Function, rows: Float32, threads: int) -> tuple[Float32, ...]:
    """A function of rows, block by block, in whole."""
    blocks = list(in_parallel(function, in_blocks(rows), threads))
    return tuple(np.concatenate(output) for output in zip(*blocks, strict=True))
