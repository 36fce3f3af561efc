"""What is asked of an output, and whether its format can do it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from digitvae.base.arguments import MAX_INDEX
from digitvae.base.errors import OutputError
from digitvae.output import pictures
from digitvae.output.formats import FORMATS

_ITEM_BYTES = {"uint8": 1, "float32": 4}
# A block of 512 bytes for the header of a file, and at least one for its content.
_LEAST_TAR_BYTES = 1024
# Compressed digits take about a fifth. Space is checked for far less: the check is there for
# counts that cannot fit, not to guess how well these digits compress.
_LEAST_SHARE = {
    "npz": 1 / 32,
    "idx.gz": 1 / 32,
    "folder": 1 / 32,
    "parquet": 1 / 32,
    "png": 0,
}


@dataclass(frozen=True)
class Request:
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
    sheet: pictures.Layout | None = None
    test: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of all images together."""
        return self.count, self.height, self.width

    @property
    def total(self) -> int:
        """Number of all images, those of a test set included."""
        return self.count + self.test

    @property
    def image_bytes(self) -> int:
        """Bytes of one image, as it is passed to the sink."""
        return self.height * self.width * _ITEM_BYTES[self.dtype]

    @property
    def least_bytes(self) -> int:
        """A number of bytes that the output will surely take."""
        if self.format == "tar":
            return self.count * _LEAST_TAR_BYTES * (1 + self.labels)
        return int(self.total * self.image_bytes * _LEAST_SHARE.get(self.format, 1))

    def check(self) -> None:
        """Refuse what the format cannot do, before anything is made.

        Raises:
            ValueError: A number is out of its range, or nothing of this format can hold it.
            OutputError: The package that writes the format is not installed.
        """
        if self.count < 1:
            raise ValueError(f"count is {self.count}, expected at least 1")
        if self.test < 0 or (self.test > 0) != (self.format == "mnist"):
            raise ValueError(f"test is {self.test}, expected at least 1 for mnist, 0 for others")
        if self.first < 0 or self.first + self.total - 1 > MAX_INDEX:
            raise ValueError(
                f"first is {self.first} and count is {self.total}: indices are 0 to 2**64 - 1"
            )
        if self.dtype not in _ITEM_BYTES:
            raise ValueError(f"dtype is {self.dtype!r}, expected 'uint8' or 'float32'")
        name = self.format
        if self.dtype == "float32" and not FORMATS[name].float32:
            able = ", ".join(key for key, kind in FORMATS.items() if kind.float32)
            raise ValueError(f"{name} holds uint8 only; formats for float32: {able}")
        if self.labels and not FORMATS[name].labels:
            able = ", ".join(key for key, kind in FORMATS.items() if kind.labels)
            raise ValueError(f"{name} holds no labels; formats for labels: {able}")
        if name in ("idx", "idx.gz", "mnist") and self.total >= 2**32:
            raise ValueError(f"IDX holds fewer than 2**32 images, not {self.total:,}; use .npy")
        if name == "png":
            pictures.check_sheet(
                self.count, self.sheet or pictures.Layout(), self.height, self.width
            )
        elif self.sheet is not None:
            raise ValueError(
                f"columns, scale, padding and invert are for a contact sheet (.png), not for {name}"
            )
        if name == "parquet" and find_spec("pyarrow") is None:
            raise OutputError("writing Parquet needs pyarrow: pip install 'digitvae[parquet]'")
