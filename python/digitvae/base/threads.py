"""Work on threads of this process, some at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from functools import partial
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
Result = TypeVar("Result")


class Threads:
    """Threads to work on; where the system starts none, the work is done by who asks for it.

    Args:
        number: Most threads; started when there is something to do.
        name: How their names begin.
    """

    def __init__(self, number: int, name: str = "") -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._pool = ThreadPoolExecutor(number, name)
        self._starts = True

    def begin(self, work: Callable[[T], Result], item: T) -> Callable[[], Result]:
        """Begin a piece of work; what is returned gives its result, or raises what it raised."""
        if self._starts:
            try:
                return self._pool.submit(work, item).result
            except RuntimeError:  # can't start new thread: the limit of processes is reached
                self._starts = False
        return partial(work, item)

    def close(self) -> None:
        """End the threads; what has not begun will not be done."""
        self._pool.shutdown(cancel_futures=True)


def in_parallel(
    work: Callable[[T], Result], items: Iterable[T], threads: int
) -> Generator[Result, None, None]:
    """Results in order, of work that is done ``threads`` at a time and not far ahead."""
    if threads == 1:
        yield from map(work, items)
        return
    remaining = iter(items)
    pool = Threads(threads)
    try:
        running = [pool.begin(work, item) for item in islice(remaining, threads + 1)]
        while running:
            result = running.pop(0)()
            running += [pool.begin(work, item) for item in islice(remaining, 1)]
            yield result
    finally:
        pool.close()
