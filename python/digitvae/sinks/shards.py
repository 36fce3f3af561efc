"""Large outputs in parts: a folder of shards, each whole or absent, that a later run completes.

>>> output = ShardedOutput(Path("digits"), Request("digits", "npy", 100_000), 10_000)
>>> with open_shards(output, resume=True) as shards:
...     for index in shards.missing:
...         shards.make(index, fill)

``fill(first, count, sink)`` writes the images ``first`` … ``first + count − 1``. What a shard holds
is a function of the request and its number alone, so :func:`make_shard` may also run in other
processes, and more than once.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from digitvae.errors import OutputError
from digitvae.sinks import manifest, shard_folder
from digitvae.sinks.atomic import check_space, destination, new_file, output_errors
from digitvae.sinks.formats import FORMATS, STDOUT, format_of
from digitvae.sinks.manifest import FileRecord, HashingFile, Manifest
from digitvae.sinks.sink import encoding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from digitvae.sinks.manifest import Origin
    from digitvae.sinks.request import Request
    from digitvae.sinks.sink import Sink

    Fill = Callable[[int, int, Sink], None]

MAX_SHARDS = 100_000
"""Most shards: each has its lines in the manifest, and folders of more files are slow."""

_UNSHARDED = {"png", "folder", "mnist"}


@dataclass(frozen=True)
class ShardedOutput:
    """What a folder of shards is to hold.

    Attributes:
        folder: Where the shards go.
        whole: All images, as if they went into one file.
        shard_size: Images in a shard; the last one may have fewer.
        origin: What makes the images, for the manifest.
    """

    folder: Path
    whole: Request
    shard_size: int
    origin: Origin | None = None

    @property
    def number(self) -> int:
        """Number of shards."""
        return -(-self.whole.count // self.shard_size)

    def name(self, index: int) -> str:
        """Name of shard ``index``, 0 … number − 1."""
        width = max(5, len(str(self.number)))
        extension = FORMATS[self.whole.format].extension
        return f"digits-{index:0{width}d}-of-{self.number:0{width}d}{extension}"

    def shard(self, index: int) -> Request:
        """What shard ``index`` is to hold."""
        start = index * self.shard_size
        return replace(
            self.whole,
            path=str(self.folder / self.name(index)),
            first=self.whole.first + start,
            count=min(self.shard_size, self.whole.count - start),
        )

    def asked(self) -> dict[str, object]:
        """What the manifest tells of it."""
        return manifest.what_is_asked(self.whole, self.origin, shard_size=self.shard_size)

    def check(self) -> None:
        """Refuse what cannot be done, before anything is made.

        Raises:
            ValueError: A format without shards, a size out of range, or what the format refuses.
            OutputError: As for :meth:`Request.check`.
        """
        if self.whole.format in _UNSHARDED:
            able = ", ".join(key for key in FORMATS if key not in _UNSHARDED)
            raise ValueError(
                f"{self.whole.format} is not written in shards; formats for shards: {able} "
                "(tar and parquet hold PNGs). PATH's extension or --format says which"
            )
        if self.shard_size < 1:
            raise ValueError(f"shard size is {self.shard_size}, expected at least 1")
        if self.number > MAX_SHARDS:
            raise ValueError(
                f"{self.whole.count:,} images in shards of {self.shard_size:,} make "
                f"{self.number:,} files, expected up to {MAX_SHARDS:,}; take shards of "
                f"{-(-self.whole.count // MAX_SHARDS):,} images or more"
            )
        for index in {0, self.number - 1}:
            self.shard(index).check()


class Shards:
    """The shards of an output in the making; made by :func:`open_shards`.

    Attributes:
        missing: Numbers of the shards that were missing when it was opened.
    """

    def __init__(
        self, output: ShardedOutput, finished: dict[int, FileRecord], threads: int | None
    ) -> None:
        self._output = output
        self._records = finished
        self._threads = threads
        self.missing = [index for index in range(output.number) if index not in finished]

    @property
    def missing_images(self) -> int:
        """How many images the missing shards are to hold."""
        return sum(self._output.shard(index).count for index in self.missing)

    @property
    def finished(self) -> int:
        """How many shards are finished by now."""
        return len(self._records)

    @property
    def state(self) -> str:
        """How far it is, and how to go on, in one sentence."""
        output = self._output
        # Not the records: an interruption may come between a shard and its record.
        there = sum((output.folder / output.name(i)).is_file() for i in range(output.number))
        return (
            f"{there:,} of {output.number:,} shards in '{output.folder}' are finished; --resume "
            "makes the others"
        )

    def make(self, index: int, fill: Fill) -> None:
        """Make one shard; see :func:`make_shard`."""
        self._records[index] = make_shard(self._output, index, fill, threads=self._threads)

    def records(self) -> list[FileRecord]:
        """What the manifest tells of the finished shards, in their order."""
        return [self._records[index] for index in sorted(self._records)]


def folder_and_format(path: str, asked: str | None = None) -> tuple[Path, str]:
    """Where the shards of an output go, and their format: ``out/digits.tar`` → ``out/digits``.

    Args:
        path: As for :func:`digitvae.sinks.open_sink`; an extension of the format is taken off.
        asked: Key in ``FORMATS``; by default the path decides.

    Raises:
        ValueError: Unknown extension or format, or standard output.
    """
    if path == STDOUT:
        raise ValueError("shards go into a folder, not to standard output; name one with -o")
    kind = format_of(path, asked)
    extension = FORMATS[kind].extension
    place = Path(path)
    if extension and path.lower().endswith(extension) and len(place.name) > len(extension):
        place = place.with_name(place.name[: -len(extension)])
    return place, kind


def make_shard(
    output: ShardedOutput, index: int, fill: Fill, *, threads: int | None = None
) -> FileRecord:
    """Make one shard, whole or not at all; a shard of that name is replaced.

    Args:
        output: What the folder, which exists, is to hold; it has been checked.
        index: Which shard.
        fill: Writes images ``first`` … ``first + count − 1`` to a sink.
        threads: As for :func:`digitvae.sinks.open_sink`.

    Returns:
        What the manifest tells of it.

    Raises:
        OutputError: It cannot be written.
    """
    request = output.shard(index)
    path = Path(request.path)
    with new_file(path, force=True) as file:
        # A zip file is not written front to back, and so cannot be hashed on the way.
        hashing = None if request.format == "npz" else HashingFile(file)
        with encoding(request, cast("BinaryIO", hashing or file), threads) as sink:
            fill(request.first, request.count, sink)
    if hashing is None:
        with output_errors(path):
            return manifest.describe(path, request.first, request.count)
    return FileRecord(path.name, request.first, request.count, hashing.size, hashing.sha256)


@contextmanager
def open_shards(
    output: ShardedOutput, *, resume: bool = False, force: bool = False, threads: int | None = None
) -> Iterator[Shards]:
    """Begin an output in shards, or go on with one.

    The folder is locked: one process at a time. Shards are made in place, one after the other, so
    that they outlive whatever ends the block; the manifest says whether they are complete.

    Args:
        output: What the folder is to hold.
        resume: Keep the finished shards of a folder that was begun for the same ``output``.
            Where there is no folder, begin one.
        force: Replace a folder that holds nothing but shards and their manifest.
        threads: As for :func:`digitvae.sinks.open_sink`.

    Yields:
        The :class:`Shards`, to make the missing ones of.

    Raises:
        ValueError: As for :meth:`ShardedOutput.check`; or the folder was begun for another output
            (the message names the first difference).
        OutputError: The folder exists, or is in use, or cannot be written, or will not fit, or has
            no readable manifest. Once shards are made, its message says how many are finished.
    """
    output.check()
    if resume and force:
        raise ValueError("--resume keeps what is there, --force replaces it: choose one")
    path = output.folder
    folder = destination(path)
    if not folder.exists():
        check_space(path, output.whole.least_bytes, files=output.number + 2)
    shard_folder.make_or_accept(path, folder, accept=resume or force)
    with shard_folder.locked(path, folder):
        if force:
            with output_errors(path):
                freed = shard_folder.bytes_to_clear(folder)
            check_space(path, output.whole.least_bytes - freed)  # before anything is deleted
            shard_folder.clear(path, folder)
        found = shard_folder.take_over(path, folder, output.asked(), resume=resume)
        shards = Shards(output, _finished(output, folder, found), threads)
        if found is not None and found.complete and not shards.missing:
            yield shards
            return
        check_space(
            path,
            sum(output.shard(index).least_bytes for index in shards.missing),
            files=len(shards.missing) + 1,
        )
        # What has the wrong size must be gone before a manifest says that the rest is whole.
        with output_errors(path):
            for index in shards.missing:
                (folder / output.name(index)).unlink(missing_ok=True)
        if found is None or found.complete:
            manifest.write(path, Manifest(output.asked(), complete=False, files=[]))
        try:
            yield shards
        except OutputError as error:
            raise OutputError(f"{error}. {shards.state}") from error
        if shards.finished == output.number:
            manifest.write(path, Manifest(output.asked(), complete=True, files=shards.records()))


def _finished(output: ShardedOutput, folder: Path, found: Manifest | None) -> dict[int, FileRecord]:
    """The shards that are there, by number. What has the wrong size is none: it will be made."""
    if found is None:
        return {}
    known = {record.name: record for record in found.files}
    finished = {}
    with output_errors(output.folder):
        for index in range(output.number):
            request, name = output.shard(index), output.name(index)
            file = folder / name
            if not file.is_file():
                continue
            size = file.stat().st_size
            if found.complete:
                if name in known and known[name].bytes == size:
                    finished[index] = known[name]
            elif request.exact_bytes in (None, size):
                finished[index] = manifest.describe(file, request.first, request.count)
    return finished
