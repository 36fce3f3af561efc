"""One way in for every kind of output: ``open_sink`` checks, places, and encodes."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from digitvae.base.atomic import check_space, new_file, new_folder, output_errors
from digitvae.output import arrays, pictures
from digitvae.output.formats import FORMATS, format_of, is_stream
from digitvae.output.request import Request
from digitvae.output.streams import open_stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from digitvae.output.manifest import FileRecord, Origin


class Encoder(Protocol):
    """Turns images into the bytes of one format and passes them on."""

    def write(self, images: memoryview, labels: memoryview | None) -> None:
        """Append whole images, as bytes, and their labels, if there are labels at all."""

    def finish(self) -> None:
        """Write what belongs after the last image."""

    def abandon(self) -> None:
        """Let go of everything; what was written will be thrown away."""


class FolderEncoder(Encoder, Protocol):
    """Turns images into files of a folder."""

    def records(self) -> list[FileRecord]:
        """What the manifest tells of the files, once they are finished."""


class Sink:
    """An output in the making: made by :func:`open_sink`, fed with :meth:`write`."""

    def __init__(self, request: Request, encoder: Encoder) -> None:
        self._request = request
        self._encoder = encoder
        self._written = 0

    def write(self, images: memoryview, labels: memoryview | None = None) -> None:
        """Append images.

        Args:
            images: C-contiguous, of any shape, holding whole images of the sink's dtype.
            labels: int32 [n], 0 to 9, one for each image; for a sink with labels, and no other.

        Raises:
            ValueError: Part of an image, or more images than announced; labels where there are
                to be none, none where there are to be some, too many, too few, or out of range.
            OutputError: The system refuses (a full disk, for instance).
            BrokenPipeError: Standard output was closed by its reader.
        """
        size = self._request.image_bytes
        number, rest = divmod(images.nbytes, size)
        room = self._request.total - self._written
        if rest or number > room:
            raise ValueError(f"expected up to {room} images of {size} bytes, got {images.nbytes}")
        self._check_labels(labels, number)
        with output_errors(self._request.path):
            self._encoder.write(images.cast("B"), labels)
        self._written += number

    def finish(self) -> None:
        """Write what belongs after the last image; called at the end of the block.

        Raises:
            ValueError: Fewer images were written than announced.
            OutputError: As for :meth:`write`.
        """
        if self._written != self._request.total:
            raise ValueError(f"{self._written} of {self._request.total} images were written")
        with output_errors(self._request.path):
            self._encoder.finish()

    def _check_labels(self, labels: memoryview | None, number: int) -> None:
        if not self._request.labels:
            if labels is not None:
                raise ValueError("labels for a sink without; open it with labels=True")
            return
        if labels is None:
            raise ValueError(f"no labels for {number} images, to a sink opened with labels=True")
        if (labels.format, labels.ndim, labels.c_contiguous) != ("i", 1, True):
            raise ValueError(
                f"labels have the buffer format {labels.format!r} and {labels.ndim} dimensions, "
                "expected int32 ('i'), one dimension, C-contiguous"
            )
        if len(labels) != number:
            raise ValueError(f"{len(labels)} labels for {number} images")
        wrong = {*labels} - set(range(10))
        if wrong:
            raise ValueError(f"a label is {min(wrong)}, expected 0 to 9")


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
    labels: bool = False,
    columns: int | None = None,
    scale: int | None = None,
    padding: int | None = None,
    invert: bool = False,
    force: bool = False,
    threads: int | None = None,
    origin: Origin | None = None,
) -> Iterator[Sink]:
    """Begin an output of ``count`` images; it appears when the block ends well.

    Args:
        path: A file or folder, or ``"-"`` for standard output; pipes and devices are written front
            to back.
        count: How many images will be written, at least 1. ``mnist`` takes at least 2: the last
            seventh of them is its test set.
        format: Key in ``FORMATS``; by default the path decides (:func:`format_of`).
        dtype: ``"uint8"``, or ``"float32"`` where the format can hold it.
        first: Index of the first image; formats that name images do it by index.
        height: Rows of an image.
        width: Columns of an image.
        labels: Whether labels come with the images, where the format can hold them.
        columns: Images in a row of a contact sheet; default: as many as there are rows.
        scale: Side of the square that a pixel of a contact sheet becomes; default 2.
        padding: Pixels around each image of a contact sheet, before scaling; default 2.
        invert: Make a contact sheet black on white.
        force: Replace what exists.
        threads: Most threads that encode the PNGs of one file; default: one a processor, up to 4.
        origin: What made the images, for the manifest of an output of several files.

    Yields:
        The :class:`Sink`. Leaving the block with an exception leaves nothing behind.

    Raises:
        ValueError: Unknown format, or one that cannot hold this count, dtype, or labels.
        OutputError: The output exists, or cannot be written, or will not fit.
    """
    kind = format_of(path, format)
    test = _test_images(count) if kind == "mnist" else 0
    request = Request(
        path=str(path),
        format=kind,
        count=count - test,
        dtype=dtype,
        first=first,
        height=height,
        width=width,
        labels=labels,
        sheet=sheet_layout(columns, scale, padding, invert=invert),
        test=test,
    )
    with open_request(request, force=force, threads=threads, origin=origin) as sink:
        yield sink


def _test_images(count: int) -> int:
    """How many of the images that there are make a test set."""
    if count < 2:
        raise ValueError(f"mnist is a training set and a test set: expected 2 images, not {count}")
    return max(1, count // 7)


@contextmanager
def open_request(
    request: Request,
    *,
    force: bool = False,
    threads: int | None = None,
    origin: Origin | None = None,
) -> Iterator[Sink]:
    """Begin an output that a :class:`Request` describes; otherwise as :func:`open_sink`."""
    request.check()
    if is_stream(request.path):
        with open_stream(request.path) as file, encoding(request, file, threads) as sink:
            yield sink
        return
    place = Path(request.path)
    if FORMATS[request.format].extension:
        check_space(place, request.least_bytes)
        with new_file(place, force=force) as file, encoding(request, file, threads) as sink:
            yield sink
    else:
        with _folder(request, place, origin, force=force) as sink:
            yield sink


def sheet_layout(
    columns: int | None, scale: int | None, padding: int | None, *, invert: bool
) -> pictures.Layout | None:
    """The layout of a contact sheet that such arguments ask for; ``None`` if they ask nothing."""
    if (columns, scale, padding, invert) == (None, None, None, False):
        return None
    default = pictures.Layout()
    return pictures.Layout(
        columns=columns,
        scale=default.scale if scale is None else scale,
        padding=default.padding if padding is None else padding,
        invert=invert,
    )


@contextmanager
def encoding(request: Request, file: BinaryIO, threads: int | None = None) -> Iterator[Sink]:
    """Write one file's content; ``request`` has been checked, and is for one file.

    Args:
        request: What the file is to hold.
        file: Where it goes. It stays open.
        threads: As for :func:`open_sink`.

    Yields:
        The :class:`Sink`.
    """
    with output_errors(request.path):
        encoder = _encoder(request, file, threads)
    with _feeding(request, encoder) as sink:
        yield sink


def _encoder(request: Request, file: BinaryIO, threads: int | None) -> Encoder:
    if request.format in ("png", "tar", "parquet"):
        return _picture_encoder(request, file, threads)
    shape, dtype = request.shape, request.dtype
    match request.format:
        case "npy":
            return arrays.NpyEncoder(file, shape, dtype)
        case "npz":
            return arrays.NpzEncoder(file, shape, dtype, labels=request.labels)
        case "idx":
            return arrays.IdxEncoder(file, shape)
        case "idx.gz":
            return arrays.GzipIdxEncoder(file, shape)
        case _:
            return arrays.RawEncoder(file)


def _picture_encoder(request: Request, file: BinaryIO, threads: int | None) -> Encoder:
    if request.format == "png":
        layout = request.sheet or pictures.Layout()
        return pictures.SheetEncoder(file, layout, *request.shape)
    from digitvae.output.png import PngEncoder

    png = PngEncoder(request.height, request.width, request.count, threads)
    if request.format == "tar":
        from digitvae.output.tarball import TarEncoder

        return TarEncoder(file, png, request.first)
    from digitvae.output.parquet import ParquetEncoder

    return ParquetEncoder(file, png, request.first, labels=request.labels)


@contextmanager
def _folder(request: Request, place: Path, origin: Origin | None, *, force: bool) -> Iterator[Sink]:
    from digitvae.output import folders, manifest

    is_mnist = request.format == "mnist"
    check_space(place, request.least_bytes, files=4 if is_mnist else request.count)
    ours = manifest.only(folders.lists_mnist_file if is_mnist else folders.lists_picture)
    with new_folder(place, force=force, ours=ours) as folder:
        with output_errors(place):
            encoder: FolderEncoder
            if is_mnist:
                encoder = folders.MnistEncoder(folder, request)
            else:
                encoder = folders.PictureEncoder(folder, request)
        with _feeding(request, encoder) as sink:
            yield sink
        asked = manifest.what_is_asked(request, origin)
        if is_mnist and not request.labels:
            asked["unlabelled"] = folders.UNLABELLED
        told = manifest.Manifest(asked, True, encoder.records())
        with output_errors(place):
            (folder / manifest.NAME).write_bytes(told.to_bytes())


@contextmanager
def _feeding(request: Request, encoder: Encoder) -> Iterator[Sink]:
    """Finish the encoder when the block ends well, abandon it when not."""
    sink = Sink(request, encoder)
    try:
        yield sink
        sink.finish()
    except BaseException:
        encoder.abandon()
        raise
