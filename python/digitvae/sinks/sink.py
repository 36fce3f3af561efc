"""One way in for every kind of output: ``open_sink`` checks, places, and encodes."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from digitvae.errors import OutputError
from digitvae.sinks import arrays, pictures
from digitvae.sinks.atomic import check_space, new_file, new_folder, output_errors
from digitvae.sinks.formats import FORMATS, STDOUT, format_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_ITEM_BYTES = {"uint8": 1, "float32": 4}
_DEFAULT_SCALE = 2
# Compressed digits take about a fifth. Space is checked for far less: the check is there for
# counts that cannot fit, not to guess how well these digits compress.
_LEAST_SHARE = {"npz": 1 / 32, "idx.gz": 1 / 32, "folder": 1 / 32, "png": 0}


class Encoder(Protocol):
    """Turns images into the bytes of one format and passes them on."""

    def write(self, images: memoryview) -> None:
        """Append whole images, as bytes."""

    def finish(self) -> None:
        """Write what belongs after the last image."""

    def abandon(self) -> None:
        """Let go of everything; what was written will be thrown away."""


@dataclass(frozen=True)
class _Request:
    """What was asked of ``open_sink``, checked and with its defaults filled in."""

    path: str
    format: str
    dtype: str
    count: int
    first: int
    height: int
    width: int
    columns: int
    scale: int

    @property
    def image_bytes(self) -> int:
        return self.height * self.width * _ITEM_BYTES[self.dtype]

    @property
    def least_bytes(self) -> int:
        """A number of bytes that the output will surely take."""
        return int(self.count * self.image_bytes * _LEAST_SHARE.get(self.format, 1))


class Sink:
    """An output in the making: made by :func:`open_sink`, fed with :meth:`write`."""

    def __init__(self, request: _Request, encoder: Encoder) -> None:
        self._request = request
        self._encoder = encoder
        self._written = 0

    def write(self, images: memoryview) -> None:
        """Append images.

        Args:
            images: C-contiguous, of any shape, holding whole images of the sink's dtype.

        Raises:
            ValueError: Part of an image, or more images than announced.
            OutputError: The system refuses (a full disk, for instance).
            BrokenPipeError: Standard output was closed by its reader.
        """
        size = self._request.image_bytes
        number, rest = divmod(images.nbytes, size)
        room = self._request.count - self._written
        if rest or number > room:
            raise ValueError(f"expected up to {room} images of {size} bytes, got {images.nbytes}")
        with output_errors(self._request.path):
            self._encoder.write(images.cast("B"))
        self._written += number

    def finish(self) -> None:
        """Write what belongs after the last image; called at the end of the block.

        Raises:
            ValueError: Fewer images were written than announced.
            OutputError: As for :meth:`write`.
        """
        if self._written != self._request.count:
            raise ValueError(f"{self._written} of {self._request.count} images were written")
        with output_errors(self._request.path):
            self._encoder.finish()


@contextmanager
def open_sink(
    path: str | Path,
    *,
    count: int,
    format: str | None = None,  # noqa: A002 (the word of the command line)
    dtype: str = "uint8",
    first: int = 0,
    height: int = 28,
    width: int = 28,
    columns: int | None = None,
    scale: int | None = None,
    force: bool = False,
) -> Iterator[Sink]:
    """Begin an output of ``count`` images; it appears when the block ends well.

    Args:
        path: A file or folder, or ``"-"`` for standard output.
        count: How many images will be written, at least 1.
        format: Key in ``FORMATS``; by default the path decides (:func:`format_of`).
        dtype: ``"uint8"``, or ``"float32"`` where the format can hold it.
        first: Index of the first image; a folder names its files by it.
        height: Rows of an image.
        width: Columns of an image.
        columns: Images in a row of a contact sheet; default: as many as there are rows.
        scale: Side of the square that a pixel of a contact sheet becomes; default 2.
        force: Replace what exists.

    Yields:
        The :class:`Sink`. Leaving the block with an exception leaves nothing behind.

    Raises:
        ValueError: Unknown format, or one that cannot hold this count or dtype.
        OutputError: The output exists, or cannot be written, or will not fit.
    """
    if count < 1:
        raise ValueError(f"count is {count}, expected at least 1")
    request = _Request(
        path=str(path),
        format=format_of(path, format),
        dtype=dtype,
        count=count,
        first=first,
        height=height,
        width=width,
        columns=pictures.square_columns(count) if columns is None else columns,
        scale=_DEFAULT_SCALE if scale is None else scale,
    )
    _check(request, has_layout=columns is not None or scale is not None)
    if request.path == STDOUT:
        with standard_output() as file, _feeding(request, _encoder(request, file)) as sink:
            yield sink
        return
    place = Path(path)
    if request.format == "folder":
        check_space(place, request.least_bytes, files=count)
        with new_folder(place, force=force) as folder:
            encoder = pictures.FolderEncoder(folder, first, height, width)
            with _feeding(request, encoder) as sink:
                yield sink
    else:
        check_space(place, request.least_bytes)
        with (
            new_file(place, force=force) as file,
            _feeding(request, _encoder(request, file)) as sink,
        ):
            yield sink


def _check(request: _Request, *, has_layout: bool) -> None:
    """Refuse what the format cannot do, before anything is made."""
    name = request.format
    if request.dtype not in _ITEM_BYTES:
        raise ValueError(f"dtype is {request.dtype!r}, expected 'uint8' or 'float32'")
    if request.dtype == "float32" and not FORMATS[name].float32:
        able = ", ".join(key for key, kind in FORMATS.items() if kind.float32)
        raise ValueError(f"{name} holds uint8 only; formats for float32: {able}")
    if name.startswith("idx") and request.count >= 2**32:
        raise ValueError(f"IDX holds fewer than 2**32 images, not {request.count:,}; use .npy")
    if name == "png":
        pictures.check_sheet(
            request.count, request.columns, request.scale, request.height, request.width
        )
    elif has_layout:
        raise ValueError(f"columns and scale are for a contact sheet (.png), not for {name}")


def _encoder(request: _Request, file: BinaryIO) -> Encoder:
    shape = (request.count, request.height, request.width)
    with output_errors(request.path):
        if request.format == "npy":
            return arrays.NpyEncoder(file, shape, request.dtype)
        if request.format == "npz":
            return arrays.NpzEncoder(file, shape, request.dtype)
        if request.format == "idx":
            return arrays.IdxEncoder(file, shape)
        if request.format == "idx.gz":
            return arrays.GzipIdxEncoder(file, shape)
        if request.format == "png":
            return pictures.SheetEncoder(file, *shape, columns=request.columns, scale=request.scale)
        return arrays.RawEncoder(file)


@contextmanager
def _feeding(request: _Request, encoder: Encoder) -> Iterator[Sink]:
    """Finish the encoder when the block ends well, abandon it when not."""
    sink = Sink(request, encoder)
    try:
        yield sink
        sink.finish()
    except BaseException:
        encoder.abandon()
        raise


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output for bytes, flushed at the end.

    Raises:
        OutputError: It is closed, or a terminal, or refuses.
    """
    if sys.stdout is None:
        raise OutputError("cannot write to standard output: it is closed")
    if sys.stdout.isatty():
        raise OutputError(
            "will not write images to a terminal; redirect ('-o - > FILE'), or name a file with -o"
        )
    yield sys.stdout.buffer
    with output_errors(STDOUT):
        sys.stdout.buffer.flush()
