"""Single images as PNG files: 8-bit grey, the one place where they are encoded.

Of PNG (ISO/IEC 15948) little is needed here: three chunks, no filter, and zlib. Pillow would take
44 µs for an image of 28 × 28 and holds the interpreter's lock meanwhile, so that threads make it
slower; zlib takes 23 µs and lets go of the lock, so that threads make it faster.
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator

from digitvae.base.threads import Threads
from digitvae.output.spec import OutputSpec

_PIECE = 1000
"""Images encoded at a time by one thread: 20 ms of work."""
_MOST_THREADS = 4
"""About a fifth of the work holds the interpreter's lock; more threads would wait for it."""


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return len(content).to_bytes(4, "big") + kind + content + checksum.to_bytes(4, "big")


class PngEncoder:
    """Turns images into PNG files, on several threads when there are enough of them.

    The same image gives the same bytes, whatever the number of threads (and the same version of
    zlib).

    Args:
        height: Rows of an image.
        width: Columns of an image.
        count: Number of images to come: a few are not worth a thread.
        threads: Most threads to use; default: one a processor, up to 4.
    """

    def __init__(self, height: int, width: int, count: int, threads: int | None = None) -> None:
        grey_8_bit = bytes((8, 0, 0, 0, 0))
        size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        self._head = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", size + grey_8_bit)
        self._tail = _chunk(b"IEND", b"")
        self._rows = [slice(row * width, (row + 1) * width) for row in range(height)]
        self._image_bytes = height * width
        available = len(os.sched_getaffinity(0)) if threads is None else threads
        self._threads = min(available, _MOST_THREADS, -(-count // _PIECE))
        self._pool: Threads | None = None

    @classmethod
    def of(cls, spec: OutputSpec, threads: int | None) -> PngEncoder:
        """An encoder for the images of an output."""
        return cls(spec.height, spec.width, spec.count, threads)

    def encode_one(self, pixels: bytes) -> bytes:
        """The PNG file of one image, uint8 [height, width] row after row."""
        # Each row begins with the number of its filter: 0, none.
        rows = b"\0" + b"\0".join([pixels[row] for row in self._rows])
        # Level 6 takes a fifth longer for a twenty-fifth less.
        return b"".join((self._head, _chunk(b"IDAT", zlib.compress(rows, 1)), self._tail))

    def encode(self, images: memoryview) -> Iterator[list[bytes]]:
        """The PNG files of many images, in order, some at a time.

        Few wait to be taken, so memory stays constant. ``images`` must not change before the
        last was taken.

        Args:
            images: Whole images, as bytes.
        """
        step = _PIECE * self._image_bytes
        pieces = (images[start : start + step] for start in range(0, len(images), step))
        if self._threads < 2:
            yield from map(self._encode_piece, pieces)
            return
        if self._pool is None:
            self._pool = Threads(self._threads, "png")
        waiting: deque[Callable[[], list[bytes]]] = deque()
        for piece in pieces:
            waiting.append(self._pool.begin(self._encode_piece, piece))
            if len(waiting) > 2 * self._threads:
                yield waiting.popleft()()
        while waiting:
            yield waiting.popleft()()

    def close(self) -> None:
        """End the threads; what has not begun will not be encoded."""
        if self._pool is not None:
            self._pool.close()

    def _encode_piece(self, images: memoryview) -> list[bytes]:
        pixels, size = bytes(images), self._image_bytes
        return [
            self.encode_one(pixels[start : start + size]) for start in range(0, len(pixels), size)
        ]
