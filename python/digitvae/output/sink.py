"""One way in for every kind of output: ``open_sink`` checks, places, and writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from digitvae.base.arguments import (
    MAX_COUNT,
    MAX_INDEX,
    check_count,
    check_threads,
    flag,
    path_text,
    pixel_type,
    whole,
)
from digitvae.base.atomic import check_space, new_file, new_folder, output_errors
from digitvae.output.descriptors import is_stream
from digitvae.output.formats import FORMATS, Writer, check, format_of
from digitvae.output.spec import Layout, Origin, OutputSpec
from digitvae.output.streams import open_stream

if TYPE_CHECKING:
    from digitvae.output.manifest import Manifest


class Sink:
    """An output in the making: made by :func:`open_sink`, fed with :meth:`write`.

    Attributes:
        writer: What turns the images into bytes.
    """

    def __init__(self, spec: OutputSpec, writer: Writer) -> None:
        self._spec = spec
        self.writer = writer
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
        size = self._spec.image_bytes
        number, rest = divmod(images.nbytes, size)
        room = self._spec.total - self._written
        if rest or number > room:
            raise ValueError(f"expected up to {room} images of {size} bytes, got {images.nbytes}")
        self._check_labels(labels, number)
        with output_errors(self._spec.path):
            self.writer.write(images.cast("B"), labels)
        self._written += number

    def finish(self) -> None:
        """Write what belongs after the last image; called at the end of the block.

        Raises:
            ValueError: Fewer images were written than announced.
            OutputError: As for :meth:`write`.
        """
        if self._written != self._spec.total:
            raise ValueError(f"{self._written} of {self._spec.total} images were written")
        with output_errors(self._spec.path):
            self.writer.finish()

    def _check_labels(self, labels: memoryview | None, number: int) -> None:
        if not self._spec.labels:
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
        ValueError: Unknown format, or one that cannot hold this count, dtype, or labels; or an
            argument is out of its range.
        TypeError: An argument is of another type.
        OutputError: The output exists, or cannot be written, or will not fit.
    """
    place, count = path_text(path), check_count(count, "count")
    kind = format_of(place, format)
    if origin is not None and not isinstance(origin, Origin):
        raise TypeError(f"origin is {origin!r}, expected an Origin")
    test = FORMATS[kind].test_images(count)
    spec = OutputSpec(
        path=place,
        format=kind,
        count=count - test,
        dtype=pixel_type(dtype),
        first=whole(first, "first", 0, MAX_INDEX),
        height=whole(height, "height", 1, MAX_COUNT),
        width=whole(width, "width", 1, MAX_COUNT),
        labels=flag(labels, "labels"),
        sheet=Layout.asked(columns, scale, padding, invert=invert),
        test=test,
        origin=origin,
    )
    force, threads = flag(force, "force"), check_threads(threads) or None
    with open_output(spec, force=force, threads=threads) as sink:
        yield sink


@contextmanager
def open_output(
    spec: OutputSpec, *, force: bool = False, threads: int | None = None
) -> Iterator[Sink]:
    """Begin an output that is not in shards; otherwise as :func:`open_sink`."""
    kind = check(spec)
    if is_stream(spec.path):
        with open_stream(spec.path) as file, writing(spec, file, threads) as sink:
            yield sink
        return
    place = Path(spec.path)
    check_space(place, kind.least_bytes(spec), files=kind.files(spec))
    if kind.lists is None:
        with new_file(place, force=force) as file, writing(spec, file, threads) as sink:
            yield sink
        return
    from digitvae.output import manifest

    with new_folder(place, force=force, ours=manifest.only(_lists)) as folder:
        with writing(spec, folder, threads) as sink:
            yield sink
        asked = spec.to_dict() | sink.writer.told()
        told = manifest.Manifest(asked, True, sink.writer.records())
        with output_errors(place):
            (folder / manifest.NAME).write_bytes(told.to_bytes())


def _lists(found: Manifest, name: str) -> bool:
    """Tell if a manifest lists an entry, as the folder's own format does."""
    kind = FORMATS.get(str(found.asked.get("format")))
    return kind is not None and kind.lists is not None and kind.lists(found, name)


@contextmanager
def writing(
    spec: OutputSpec, target: BinaryIO | Path, threads: int | None = None
) -> Iterator[Sink]:
    """Write the content of one file or folder.

    Args:
        spec: What it is to hold; it has been checked.
        target: The file, which stays open, or the folder, which exists.
        threads: As for :func:`open_sink`.

    Yields:
        The :class:`Sink`. The writer finishes when the block ends well, and lets go when not.
    """
    with output_errors(spec.path):
        writer = FORMATS[spec.format].open(target, spec, threads)
    sink = Sink(spec, writer)
    try:
        yield sink
        sink.finish()
    except BaseException:
        writer.abandon()
        raise
