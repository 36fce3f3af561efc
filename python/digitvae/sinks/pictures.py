"""Encoders for pictures: a contact sheet, and a folder of one PNG per image.

The PNGs are 8-bit greyscale, white on black like MNIST, written by Pillow, which is imported when
the first picture is made.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from PIL import Image

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
        from PIL import Image

        self._file = file
        self._columns = columns
        self._scale = scale
        self._height = height
        self._width = width
        self._done = 0
        self._sheet = Image.new("L", _sheet_size(count, columns, 1, height, width))

    def write(self, images: memoryview) -> None:
        """Append whole images."""
        size = self._height * self._width
        for start in range(0, len(images), size):
            row, column = divmod(self._done, self._columns)
            corner = (
                _PADDING + column * (self._width + _PADDING),
                _PADDING + row * (self._height + _PADDING),
            )
            picture = _as_picture(images[start : start + size], self._height, self._width)
            self._sheet.paste(picture, corner)
            self._done += 1

    def finish(self) -> None:
        """Enlarge the sheet and write it."""
        from PIL import Image

        width, height = self._sheet.size
        enlarged = self._sheet.resize(
            (width * self._scale, height * self._scale), Image.Resampling.NEAREST
        )
        enlarged.save(self._file, "PNG")

    def abandon(self) -> None:
        """Nothing of the sheet has been written yet."""


class FolderEncoder:
    """One PNG per image, named by its index: ``000000.png`` and so on.

    The names count from ``first``, so that the folders of neighbouring ranges can be merged.
    """

    def __init__(self, folder: Path, first: int, height: int, width: int) -> None:
        self._folder = folder
        self._index = first
        self._height = height
        self._width = width

    def write(self, images: memoryview) -> None:
        """Write whole images, each to its file."""
        size = self._height * self._width
        for start in range(0, len(images), size):
            picture = _as_picture(images[start : start + size], self._height, self._width)
            with (self._folder / f"{self._index:06d}.png").open("xb") as file:
                picture.save(file, "PNG", compress_level=1)
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


def _as_picture(pixels: memoryview, height: int, width: int) -> Image.Image:
    """One image, uint8 [height, width] row after row, as Pillow has it."""
    from PIL import Image

    return Image.frombytes("L", (width, height), bytes(pixels))
