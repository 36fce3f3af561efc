"""Digits on their way from the engine to an output, in memory that is used again and again.

Nothing here needs NumPy: importing it takes longer than making ten thousand digits.
"""

from __future__ import annotations

from collections.abc import Callable

from digitvae.engine.model import Model
from digitvae.output import Sink
from digitvae.output.spec import OutputSpec

Progress = Callable[[str, int, int], None]

_CHUNK_BYTES = 8192 * 784
"""Of the images made at a time: enough for every thread, little enough for a moving bar."""
_LABEL_BYTES = 4
_BUFFERS = 3
"""One that is filled, one that is written, and one so that neither waits for the other."""


def nothing(_what: str, _done: int, _total: int) -> None:
    """Tell nobody how far a run is."""


def steps(progress: Progress, what: str, total: int) -> Callable[[int], None]:
    """Begin a part of a run, and get a function to call with the number of images just done.

    Args:
        progress: Called with what is done, the images done, and the images in all; with 0 at once.
        what: What is done: ``"generating"`` or ``"checking"``.
        total: Images in all.
    """
    done = 0

    def advance(images: int) -> None:
        nonlocal done
        done += images
        progress(what, done, total)

    advance(0)
    return advance


class Pipeline:
    """Digits of a seed, made a chunk at a time while the one before is written.

    A piece of memory holds labels, where there are any, and then images.

    Args:
        model: What makes them.
        spec: What is to be written, with its origin.
        threads: Worker threads; ``None``: all processors.
    """

    def __init__(self, model: Model, spec: OutputSpec, threads: int | None) -> None:
        self._model = model
        self._is_float = spec.dtype == "float32"
        assert spec.origin is not None
        self._source = spec.origin.source
        self._threads = threads
        self._label_size = _LABEL_BYTES if spec.labels else 0
        self._size = spec.image_bytes + self._label_size
        self._most = _CHUNK_BYTES // spec.image_bytes
        self._buffers: list[memoryview] = []

    def fill(
        self,
        first: int,
        count: int,
        sink: Sink,
        advance: Callable[[int], None] = lambda _images: None,
    ) -> None:
        """Write digits ``first`` … ``first + count − 1`` to a sink, and tell of each chunk."""

        def write(memory: memoryview) -> None:
            sink.write(*self._parts(memory))

        if count <= self._most:
            (buffer,) = self._memory(1, count)
            self._make(buffer, first)
            write(buffer)
            advance(count)
            return
        from digitvae.output.overlap import Overlap

        with Overlap(write, self._memory(_BUFFERS, self._most)) as overlap:
            for start in range(first, first + count, self._most):
                number = min(self._most, first + count - start)
                buffer = overlap.take()
                self._make(buffer[: number * self._size], start)
                overlap.give(buffer, number * self._size)
                advance(number)

    def _make(self, memory: memoryview, first: int) -> None:
        images, labels = self._parts(memory)
        pixels = images.cast("f") if self._is_float else images
        self._model.draw(self._source, first, pixels, labels, threads=self._threads)

    def _parts(self, memory: memoryview) -> tuple[memoryview, memoryview | None]:
        """The images and the labels in a piece of memory."""
        if self._label_size == 0:
            return memory, None
        labels = memory.nbytes // self._size * self._label_size
        return memory[labels:], memory[:labels].cast("i")

    def _memory(self, pieces: int, images: int) -> list[memoryview]:
        """So many pieces of memory for so many images, kept from one shard to the next."""
        size = images * self._size
        if len(self._buffers) < pieces or len(self._buffers[0]) < size:
            # Not arrays: importing NumPy takes longer than making ten thousand digits.
            self._buffers = [memoryview(bytearray(size)) for _ in range(pieces)]
        return [buffer[:size] for buffer in self._buffers[:pieces]]
