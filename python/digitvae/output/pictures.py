"""The contact sheet: all images in one PNG, 8-bit grey.

Pillow writes it, and is imported when the sheet is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

MAX_SHEET_PIXELS = 89_478_485
"""Largest contact sheet, in pixels: Pillow takes more for an attack, and viewers choke."""


@dataclass(frozen=True)
class Layout:
    """How a contact sheet is laid out.

    Attributes:
        columns: Images in a row; ``None``: as many as there are rows.
        scale: Side of the square that one pixel becomes.
        padding: Pixels around each image, before scaling.
        invert: Black on white instead of white on black.
    """

    columns: int | None = None
    scale: int = 2
    padding: int = 2
    invert: bool = False

    def columns_for(self, count: int) -> int:
        """Images in a row; by default the sheet is nearly square."""
        return math.isqrt(count - 1) + 1 if self.columns is None else self.columns

    def size_for(self, count: int, height: int, width: int) -> tuple[int, int]:
        """Width and height of the sheet in pixels before scaling, padding included."""
        columns = self.columns_for(count)
        rows = -(-count // columns)
        return (
            columns * (width + self.padding) + self.padding,
            rows * (height + self.padding) + self.padding,
        )


def check_sheet(count: int, layout: Layout, height: int, width: int) -> None:
    """Refuse a contact sheet that programs would refuse to open.

    Raises:
        ValueError: A number is out of its range, or the sheet has too many pixels.
    """
    columns, scale = layout.columns_for(count), layout.scale
    if columns < 1 or scale < 1:
        raise ValueError(f"columns is {columns}, scale is {scale}, expected at least 1")
    if layout.padding < 0:
        raise ValueError(f"padding is {layout.padding}, expected at least 0")
    across, down = (scale * side for side in layout.size_for(count, height, width))
    if across * down > MAX_SHEET_PIXELS:
        cell = (height + layout.padding) * (width + layout.padding)
        most = MAX_SHEET_PIXELS // (cell * scale * scale)
        raise ValueError(
            f"a contact sheet of {count:,} images would have {across:,} × {down:,} pixels; most "
            f"programs open up to {MAX_SHEET_PIXELS:,} (about {most:,} images at scale {scale}). "
            "Write fewer images, a smaller scale, other columns, or a folder or array"
        )


class SheetEncoder:
    """All images in one PNG, row after row, white on black unless inverted.

    Args:
        file: Where the PNG goes.
        layout: Columns, scale, padding, colours.
        count: Number of images.
        height: Rows of an image.
        width: Columns of an image.
    """

    def __init__(self, file: BinaryIO, layout: Layout, count: int, height: int, width: int) -> None:
        from PIL import Image

        self._file = file
        self._layout = layout
        self._columns = layout.columns_for(count)
        self._height = height
        self._width = width
        self._done = 0
        self._sheet = Image.new("L", layout.size_for(count, height, width))

    def write(self, images: memoryview, labels: memoryview | None) -> None:  # noqa: ARG002
        """Append whole images."""
        from PIL import Image

        size, padding = self._height * self._width, self._layout.padding
        for start in range(0, len(images), size):
            row, column = divmod(self._done, self._columns)
            corner = (
                padding + column * (self._width + padding),
                padding + row * (self._height + padding),
            )
            pixels = bytes(images[start : start + size])
            self._sheet.paste(Image.frombytes("L", (self._width, self._height), pixels), corner)
            self._done += 1

    def finish(self) -> None:
        """Enlarge the sheet and write it."""
        from PIL import Image, ImageOps

        width, height = self._sheet.size
        scale = self._layout.scale
        sheet = self._sheet.resize((width * scale, height * scale), Image.Resampling.NEAREST)
        if self._layout.invert:
            sheet = ImageOps.invert(sheet)
        sheet.save(self._file, "PNG")

    def abandon(self) -> None:
        """Nothing of the sheet has been written yet."""
