"""Work on threads of this process, some at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

T = TypeVar("T")
Result = TypeVar("Result")


def in_parallel(
    work: Callable[[T], Result], items: Iterable[T], threads: int
) -> Generator[Result, None, None]:
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
