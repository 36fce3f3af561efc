"""Encoders for pictures: a contact sheet, and a folder of one PNG per image.

The PNGs (ISO/IEC 15948) are 8-bit greyscale without filters, white on black like MNIST. Written
here with ``zlib`` alone, one takes 20 µs; Pillow takes 65 µs, after 35 ms to import it.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PADDING = 2
MAX_SHEET_PIXELS = 89_478_485
"""Largest contact sheet, in pixels: Pillow takes more for an attack, and viewers choke."""


def square_columns(count: int) -> int:
    """The number of columns that makes a contact sheet of ``count`` images nearly square."""
    return math.isqrt(count - 1) + 1


def check_sheet(count: int, columns: int, scale: int, height: int, width: int) -> None:
    """Refuse a contact sheet that programs would refuse to open.

    Raises:
        ValueError: ``columns`` or ``scale`` is less than 1, or the sheet has too many pixels.
    """
    if columns < 1 or scale < 1:
        raise ValueError(f"columns is {columns}, scale is {scale}, expected at least 1")
    across, down = _sheet_size(count, columns, scale, height, width)
    if across * down > MAX_SHEET_PIXELS:
        cell = (height + _PADDING) * (width + _PADDING)
        most = MAX_SHEET_PIXELS // (cell * scale * scale)
        raise ValueError(
            f"a contact sheet of {count:,} images would have {across:,} × {down:,} pixels; most "
            f"programs open up to {MAX_SHEET_PIXELS:,} (about {most:,} images at scale {scale}). "
            "Write fewer images, a smaller scale, other columns, or a folder or array"
        )


def encode_png(pixels: memoryview, height: int, width: int) -> bytes:
    """One greyscale image, uint8 [height, width] row after row, as the bytes of a PNG file."""
    # Each line starts with its filter type; 0 is none.
    lines = b"".join(
        [b"\0" + pixels[start : start + width] for start in range(0, height * width, width)]
    )
    return b"".join(
        (_header(height, width), _chunk(b"IDAT", zlib.compress(lines, 1)), _chunk(b"IEND", b""))
    )


class SheetEncoder:
    """All images in one PNG, row after row, on black, two pixels apart.

    Args:
        file: Where the PNG goes.
        count: Number of images.
        height: Rows of an image.
        width: Columns of an image.
        columns: Images in a row.
        scale: Side of the square that one pixel becomes.
    """

    def __init__(
        self, file: BinaryIO, count: int, height: int, width: int, *, columns: int, scale: int
    ) -> None:
        self._file = file
        self._columns = columns
        self._scale = scale
        self._height = height
        self._width = width
        self._deflate = zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
        self._row: list[memoryview] = []
        across, down = _sheet_size(count, columns, scale, height, width)
        self._blank = bytes(across // scale)
        file.write(_header(down, across))
        self._lines([self._blank] * _PADDING)

    def write(self, images: memoryview) -> None:
        """Append whole images."""
        size = self._height * self._width
        for start in range(0, len(images), size):
            # A copy: the caller fills the same buffer again while a row is being collected.
            self._row.append(memoryview(bytes(images[start : start + size])))
            if len(self._row) == self._columns:
                self._end_row()

    def finish(self) -> None:
        """Fill the last row with black and close the PNG."""
        if self._row:
            self._end_row()
        self._file.write(_chunk(b"IDAT", self._deflate.flush()) + _chunk(b"IEND", b""))

    def abandon(self) -> None:
        """What the compressor holds back is dropped with it."""

    def _end_row(self) -> None:
        gap = bytes(_PADDING)
        lines = []
        for start in range(0, self._height * self._width, self._width):
            parts = [image[start : start + self._width] for image in self._row]
            line = gap + b"".join([bytes(part) + gap for part in parts])
            lines.append(line.ljust(len(self._blank), b"\0"))
        self._lines([*lines, *[self._blank] * _PADDING])
        self._row.clear()

    def _lines(self, lines: list[bytes]) -> None:
        pieces = []
        for line in lines:
            wide = bytearray(len(line) * self._scale)
            for offset in range(self._scale):
                wide[offset :: self._scale] = line
            pieces.append((b"\0" + wide) * self._scale)
        compressed = self._deflate.compress(b"".join(pieces))
        if compressed:
            self._file.write(_chunk(b"IDAT", compressed))


class FolderEncoder:
    """One PNG per image, named by its index: ``000000.png`` and so on.

    The names count from ``first``, so that the folders of neighbouring ranges can be merged.
    """

    def __init__(self, folder: Path, first: int, height: int, width: int) -> None:
        self._folder = str(folder)
        self._index = first
        self._height = height
        self._width = width

    def write(self, images: memoryview) -> None:
        """Write whole images, each to its file."""
        size = self._height * self._width
        for start in range(0, len(images), size):
            png = encode_png(images[start : start + size], self._height, self._width)
            # Path objects would take longer than the write itself.
            with open(f"{self._folder}/{self._index:06d}.png", "xb") as file:  # noqa: PTH123
                file.write(png)
            self._index += 1

    def finish(self) -> None:
        """Every file is already closed."""

    def abandon(self) -> None:
        """The folder is removed by whoever made it."""


def _sheet_size(count: int, columns: int, scale: int, height: int, width: int) -> tuple[int, int]:
    """Width and height of a contact sheet in pixels, padding included."""
    rows = -(-count // columns)
    across = columns * (width + _PADDING) + _PADDING
    down = rows * (height + _PADDING) + _PADDING
    return across * scale, down * scale


def _header(height: int, width: int) -> bytes:
    return _SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
