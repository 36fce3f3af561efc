"""Work on blocks of rows, some at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from digitvae.parity.inputs import in_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from digitvae.parity.networks import Float32, Function

T = TypeVar("T")
Result = TypeVar("Result")


def on_all_rows(function: Function, rows: Float32, threads: int) -> tuple[Float32, ...]:
    """A function of rows, block by block, in whole."""
    blocks = list(in_parallel(function, in_blocks(rows), threads))
    return tuple(np.concatenate(output) for output in zip(*blocks, strict=True))


def in_parallel(work: Callable[[T], Result], items: Iterable[T], threads: int) -> Iterator[Result]:
    """Results in order, of work that is done ``threads`` at a time and not far ahead."""
    if threads == 1:
        yield from map(work, items)
        return
    remaining = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(work, item) for item in islice(remaining, threads + 1)]
        try:
            while running:
                result = running.pop(0).result()
                running += [pool.submit(work, item) for item in islice(remaining, 1)]
                yield result
        finally:
            for future in running:
                future.cancel()
