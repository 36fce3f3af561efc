"""The contact sheet: all images in one PNG, 8-bit grey.

Pillow writes it, and is imported when the sheet is made.
"""

from __future__ import annotations

from typing import BinaryIO

from digitvae.output.formats.format import Format, Writer
from digitvae.output.spec import Layout, OutputSpec

MAX_SHEET_PIXELS = 89_478_485
"""Largest contact sheet, in pixels: Pillow takes more for an attack, and viewers choke."""


def _check(spec: OutputSpec) -> None:
    """Refuse a contact sheet that programs would refuse to open."""
    count, height, width = spec.shape
    layout = spec.sheet or Layout()
    scale = layout.scale
    across, down = (scale * side for side in layout.size_for(count, height, width))
    if across * down > MAX_SHEET_PIXELS:
        cell = (height + layout.padding) * (width + layout.padding)
        most = MAX_SHEET_PIXELS // (cell * scale * scale)
        raise ValueError(
            f"a contact sheet of {count:,} images would have {across:,} × {down:,} pixels; "
            f"most programs open up to {MAX_SHEET_PIXELS:,} (about {most:,} images at scale "
            f"{scale}). Write fewer images, a smaller scale, other columns, a folder or array"
        )


class SheetWriter(Writer):
    """All images in one PNG, row after row, white on black unless inverted."""

    def __init__(self, file: BinaryIO, spec: OutputSpec, threads: int | None) -> None:
        super().__init__(file, spec, threads)
        from PIL import Image

        self._layout = spec.sheet or Layout()
        self._columns = self._layout.columns_for(spec.count)
        self._done = 0
        self._sheet = Image.new("L", self._layout.size_for(*spec.shape))

    def write(self, images: memoryview, labels: memoryview | None) -> None:  # noqa: ARG002
        """Append whole images."""
        from PIL import Image

        height, width, padding = self._spec.height, self._spec.width, self._layout.padding
        size = height * width
        for start in range(0, len(images), size):
            row, column = divmod(self._done, self._columns)
            corner = (
                padding + column * (width + padding),
                padding + row * (height + padding),
            )
            pixels = bytes(images[start : start + size])
            self._sheet.paste(Image.frombytes("L", (width, height), pixels), corner)
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


PNG = Format(
    name="png",
    extension=".png",
    what="contact sheet",
    open=SheetWriter,
    shards=False,
    least_share=0,
    own=("sheet", "columns, scale, padding and invert (--columns …) are"),
    check=_check,
)
