"""What is asked of an output."""

from __future__ import annotations

import math
from dataclasses import dataclass

_ITEM_BYTES = {"uint8": 1, "float32": 4}


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

    @classmethod
    def asked(
        cls, columns: int | None, scale: int | None, padding: int | None, *, invert: bool
    ) -> Layout | None:
        """The layout that such arguments ask for; ``None`` if they ask nothing."""
        given = {"columns": columns, "scale": scale, "padding": padding, "invert": invert or None}
        given = {name: value for name, value in given.items() if value is not None}
        return cls(**given) if given else None  # type: ignore[arg-type]  # by their names

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


@dataclass(frozen=True)
class OutputSpec:
    """One output: what it holds, and how it is laid out.

    Attributes:
        path: Where it goes, for messages.
        format: Key in ``FORMATS``.
        count: Number of images.
        dtype: ``"uint8"`` or ``"float32"``.
        first: Index of the first image.
        height: Rows of an image.
        width: Columns of an image.
        labels: Whether each image comes with a label.
        sheet: The layout of a contact sheet; ``None`` where none was asked for.
        test: Number of images of ``mnist``'s test set, which follow the others.
    """

    path: str
    format: str
    count: int
    dtype: str = "uint8"
    first: int = 0
    height: int = 28
    width: int = 28
    labels: bool = False
    sheet: Layout | None = None
    test: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of all images together, but for those of a test set."""
        return self.count, self.height, self.width

    @property
    def total(self) -> int:
        """Number of all images, those of a test set included."""
        return self.count + self.test

    @property
    def image_bytes(self) -> int:
        """Bytes of one image, as it is passed to the sink."""
        return self.height * self.width * _ITEM_BYTES[self.dtype]
