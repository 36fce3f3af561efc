"""Writing on a thread of its own, while the next images are made, if one can be started.

Whoever makes images takes a buffer, fills it and gives it back; buffers are written in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread


class Overlap:
    """Buffers on their way round: made by :func:`overlapped`.

    Args:
        write: What to do with each full buffer, on the other thread.
        buffers: Memory to use: three pieces let neither thread wait for the other.
    """

    def __init__(self, write: Callable[[memoryview], None], buffers: Iterable[memoryview]) -> None:
        self._write = write
        self._empty: SimpleQueue[memoryview] = SimpleQueue()
        self._full: SimpleQueue[tuple[memoryview, int] | None] = SimpleQueue()
        self._failure: BaseException | None = None
        for buffer in buffers:
            self._empty.put(buffer)
        self._thread: Thread | None = Thread(target=self._serve, name="write digits")
        try:
            self._thread.start()
        except RuntimeError:  # the limit of processes is reached: who gives a buffer writes it
            self._thread = None

    def take(self) -> memoryview:
        """An empty buffer, when there is one.

        Raises:
            BaseException: What ``write`` raised; nothing is written from then on.
        """
        buffer = self._empty.get()
        if self._failure is not None:
            raise self._failure
        return buffer

    def give(self, buffer: memoryview, used: int) -> None:
        """Have the first ``used`` bytes of a buffer written."""
        if self._thread is None:
            self._do(buffer, used)
        else:
            self._full.put((buffer, used))

    def finish(self) -> None:
        """Wait until everything is written.

        Raises:
            BaseException: As for :meth:`take`.
        """
        self._join()
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """Wait for what is being written; the rest is dropped."""
        if self._failure is None:
            self._failure = RuntimeError("abandoned")
        self._join()

    def _join(self) -> None:
        if self._thread is not None:
            self._full.put(None)
            self._thread.join()

    def _serve(self) -> None:
        while (work := self._full.get()) is not None:
            self._do(*work)

    def _do(self, buffer: memoryview, used: int) -> None:
        if self._failure is None:
            try:
                self._write(buffer[:used])
            except BaseException as error:  # the other thread is told, whatever it is
                self._failure = error
        self._empty.put(buffer)


@contextmanager
def overlapped(
    write: Callable[[memoryview], None], buffers: Iterable[memoryview]
) -> Iterator[Overlap]:
    """Write on another thread inside the block; at its end, everything is written.

    Args:
        write: What to do with each full buffer.
        buffers: As for :class:`Overlap`.

    Raises:
        BaseException: What ``write`` raised, inside the block or at its end.
    """
    overlap = Overlap(write, buffers)
    try:
        yield overlap
    except BaseException:
        overlap.abandon()
        raise
    overlap.finish()
