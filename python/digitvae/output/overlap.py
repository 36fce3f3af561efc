"""Writing on a thread of its own, while the next images are made, if one can be started."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from queue import SimpleQueue
from threading import Thread


class Overlap:
    """Inside its block, buffers are written on another thread; at the end, all are written.

    Whoever makes images takes a buffer, fills it and gives it back; buffers are written in that
    order. An exception in the block drops what is not being written yet.

    Args:
        write: What to do with each full buffer, on the other thread.
        buffers: Memory to use: three pieces let neither thread wait for the other.

    Raises:
        BaseException: What ``write`` raised, from :meth:`take` or at the end of the block; nothing
            is written from then on.
    """

    def __init__(self, write: Callable[[memoryview], None], buffers: Iterable[memoryview]) -> None:
        self._write = write
        self._empty: SimpleQueue[memoryview] = SimpleQueue()
        self._full: SimpleQueue[tuple[memoryview, int] | None] = SimpleQueue()
        self._failure: BaseException | None = None
        for buffer in buffers:
            self._empty.put(buffer)

    def __enter__(self) -> Overlap:
        self._thread: Thread | None = Thread(target=self._serve, name="write digits")
        try:
            self._thread.start()
        except RuntimeError:  # the limit of processes is reached: who gives a buffer writes it
            self._thread = None
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._failure = self._failure or error
        if self._thread is not None:
            self._full.put(None)
            self._thread.join()
        if error is None and self._failure is not None:
            raise self._failure

    def take(self) -> memoryview:
        """An empty buffer, when there is one."""
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
