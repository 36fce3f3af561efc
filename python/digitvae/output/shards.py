"""Large outputs in parts: a folder of shards, each whole or absent, that a later run completes.

>>> spec = OutputSpec("digits", "npy", 100_000, shard_size=10_000)
>>> with open_shards(spec, resume=True) as shards:
...     for index in shards.missing:
...         shards.make(index, fill)

``fill(first, count, sink)`` writes the images ``first`` … ``first + count − 1``. What a shard holds
is a function of the spec and its number alone, so :func:`make_shard` may also run in other
processes, on other machines, and more than once.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from tempfile import TemporaryFile, gettempdir
from typing import BinaryIO, cast

from digitvae.base.atomic import output_errors
from digitvae.base.errors import DigitVAEError, OutputError, add_note
from digitvae.output import earlier_run, manifest
from digitvae.output.descriptors import called, is_stream
from digitvae.output.earlier_run import shard_name
from digitvae.output.formats import FORMATS, Format, able, check, format_of
from digitvae.output.manifest import FileRecord, HashingFile, Manifest
from digitvae.output.sink import Sink, writing
from digitvae.output.spec import OutputSpec
from digitvae.output.stores import Store, open_store

Fill = Callable[[int, int, Sink], None]
Changed = Callable[[list[FileRecord]], Iterable[FileRecord]]

MAX_SHARDS = 100_000
"""Most shards: each has its lines in the manifest, and folders of more files are slow."""

_LEAST_PAUSE = 1.0
"""Seconds between manifests of an unfinished output."""
_PAUSE_FACTOR = 50
"""A manifest of very many shards takes its time: a fiftieth of the run, at the most."""
_COPY_BYTES = 1 << 20


def shard(spec: OutputSpec, index: int) -> OutputSpec:
    """The part of an output that shard ``index`` holds."""
    size = spec.shard_size or spec.count
    return replace(
        spec,
        path=f"{spec.path}/{shard_name(spec, index)}",
        first=spec.first + index * size,
        count=min(size, spec.count - index * size),
        shard_size=None,
    )


def check_shards(spec: OutputSpec) -> Format:
    """Refuse what cannot be done, before anything is made.

    Returns:
        The format.

    Raises:
        ValueError: A format without shards, a size out of range, or what the format refuses.
        OutputError: As for :func:`digitvae.output.formats.check`.
    """
    kind, size = FORMATS[spec.format], spec.shard_size
    if not kind.shards:
        raise ValueError(
            f"{kind.name} is not written in shards; formats for shards: "
            f"{able(lambda one: one.shards)} (tar and parquet hold PNGs). PATH's extension or "
            "format (--format) says which"
        )
    if size is None or size < 1:
        raise ValueError(f"shard size is {size}, expected at least 1")
    if spec.shards > MAX_SHARDS:
        raise ValueError(
            f"{spec.count:,} images in shards of {size:,} make {spec.shards:,} files, expected up "
            f"to {MAX_SHARDS:,}; take shards of {-(-spec.count // MAX_SHARDS):,} images or more"
        )
    for index in {0, spec.shards - 1}:
        check(shard(spec, index))
    return kind


class Shards:
    """The shards of an output in the making; made by :func:`open_shards`.

    Attributes:
        spec: What they are shards of.
        missing: Numbers of the shards that were missing when it was opened.
    """

    def __init__(
        self, spec: OutputSpec, finished: dict[int, FileRecord], threads: int | None
    ) -> None:
        self.spec = spec
        self.missing = [index for index in range(spec.shards) if index not in finished]
        self._store = open_store(spec.path)
        self._records = finished
        self._listed = len(finished)
        self._threads = threads
        self._saved = time.monotonic()
        self._pause = _LEAST_PAUSE

    @property
    def missing_images(self) -> int:
        """Number of images in the missing shards."""
        return sum(shard(self.spec, index).count for index in self.missing)

    @property
    def finished(self) -> int:
        """Number of shards that are finished by now."""
        return len(self._records)

    @property
    def state(self) -> str:
        """One sentence that says how far the run is and how to go on."""
        # Not what lies there: what the manifest does not list will be made again.
        return (
            f"{self._listed:,} of {self.spec.shards:,} shards in '{self.spec.path}' are finished; "
            "resume (--resume) makes the others"
        )

    def make(self, index: int, fill: Fill) -> None:
        """Make one shard here; see :func:`make_shard`."""
        self.add(index, make_shard(self.spec, index, fill, threads=self._threads))

    def add(self, index: int, record: FileRecord) -> None:
        """Note a shard that is finished, and now and then, what is finished by now.

        Raises:
            OutputError: Another run has taken the place over.
        """
        self._records[index] = record
        if time.monotonic() - self._saved > self._pause:
            self._refuse_other_run()
            try:
                self._write()
            except OutputError:  # a convenience, which can wait
                self._saved = time.monotonic()

    def save(self) -> None:
        """Write a manifest of what is finished: a run that goes on keeps nothing else.

        Raises:
            OutputError: It cannot be written, or another run has taken the place over.
        """
        self._refuse_other_run()
        self._write()

    def _write(self) -> None:
        began = time.monotonic()
        complete = self.finished == self.spec.shards
        records = [self._records[index] for index in sorted(self._records)]
        manifest.write(self._store, Manifest(self.spec.to_dict(), complete, records))
        self._listed = len(records)
        self._saved = time.monotonic()
        self._pause = max(_LEAST_PAUSE, _PAUSE_FACTOR * (self._saved - began))

    def _refuse_other_run(self) -> None:
        """Where nothing is locked, refuse a place that another run has taken over."""
        if self._store.locks:
            return
        try:
            found = manifest.read(self._store).asked
        except OutputError:  # who cannot be asked has not been replaced, as far as we know
            return
        if found != self.spec.to_dict():
            raise OutputError(
                f"another run has taken over '{self._store}', and asks for something else"
            )


def folder_and_format(path: str, asked: str | None = None) -> tuple[str, str]:
    """The place and the format of an output in shards: ``out/digits.tar`` → ``out/digits``.

    Args:
        path: As for :func:`digitvae.output.open_sink`, or an address such as
            ``s3://bucket/digits.tar``; an extension of the format is taken off.
        asked: Key in ``FORMATS``; by default the path decides.

    Raises:
        ValueError: Unknown extension or format, or standard output.
    """
    if is_stream(path):
        raise ValueError(f"shards go into a folder, not to {called(path)}; name one with -o")
    kind = format_of(path, asked)
    extension = FORMATS[kind].extension
    name = path.rpartition("/")[2]
    if extension and name.lower().endswith(extension) and len(name) > len(extension):
        return path[: -len(extension)], kind
    return path.rstrip("/") or "/", kind


def make_shard(
    spec: OutputSpec, index: int, fill: Fill, *, threads: int | None = None
) -> FileRecord:
    """Make one shard, whole or not at all; a shard of that name is replaced.

    Args:
        spec: What the place, which has been made, is to hold; it has been checked.
        index: Which shard.
        fill: Writes images ``first`` … ``first + count − 1`` to a sink.
        threads: As for :func:`digitvae.output.open_sink`.

    Returns:
        What the manifest tells of it.

    Raises:
        OutputError: It cannot be written.
    """
    store, name = open_store(spec.path), shard_name(spec, index)
    with store.new_file(name) as file:
        record = write_shard(spec, index, fill, file, threads=threads)
    if record is None:
        part = shard(spec, index)
        return manifest.describe(store, name, part.first, part.count)
    return record


def write_shard(
    spec: OutputSpec, index: int, fill: Fill, file: BinaryIO, *, threads: int | None = None
) -> FileRecord | None:
    """Write the content of one shard to a file; otherwise as :func:`make_shard`.

    Returns:
        What the manifest tells of it; ``None`` where it was not written front to back, and so could
        not be hashed on the way.
    """
    part = shard(spec, index)
    hashing = HashingFile(file)
    target = cast("BinaryIO", hashing)

    def write(to: BinaryIO) -> None:
        with writing(part, to, threads) as sink:
            fill(part.first, part.count, sink)

    if not FORMATS[spec.format].seeks:
        write(target)
    elif file.seekable():
        write(file)
        return None
    else:  # the bytes that it has on a disk: a zip file that cannot seek is another
        with output_errors(gettempdir()), TemporaryFile() as whole:
            write(whole)
            whole.seek(0)
            shutil.copyfileobj(whole, target, _COPY_BYTES)
    return FileRecord(shard_name(spec, index), part.first, part.count, hashing.size, hashing.sha256)


@contextmanager
def open_shards(
    spec: OutputSpec,
    *,
    resume: bool = False,
    force: bool = False,
    threads: int | None = None,
    changed: Changed | None = None,
) -> Iterator[Shards]:
    """Begin an output in shards, or go on with one.

    A folder is locked: one process at a time. Shards are made in place, in any order, so that they
    outlive whatever ends the block; the manifest says which are finished, and whether all are.

    Args:
        spec: What the place is to hold.
        resume: Keep the finished shards of a place that was begun for the same ``spec``: those
            that its manifest lists and that still have their size and SHA-256. Where there is
            nothing, begin.
        force: Replace what holds nothing but shards and their manifest.
        threads: As for :func:`digitvae.output.open_sink`.
        changed: Tells which of the files that the manifest lists have another SHA-256, by reading
            them. Default: here, one after the other.

    Yields:
        The :class:`Shards`, to make the missing ones of.

    Raises:
        ValueError: As for :func:`check_shards`; or the place was begun for another output
            (the message names the first difference).
        OutputError: The place exists, or is in use, or cannot be written, or will not fit, or has
            no readable manifest. Once shards are made, its message says how many are finished.
    """
    kind = check_shards(spec)
    if resume and force:
        raise ValueError(
            "resume (--resume) keeps what is there, force (--force) replaces it: choose one"
        )
    store = open_store(spec.path)
    if not store.exists():
        store.check_space(kind.least_bytes(spec), files=spec.shards + 2)
    store.make(accept=resume or force)
    with store.locked():
        if force:
            freed = sum(entry.bytes for entry in store.entries())
            # Before anything is deleted.
            store.check_space(kind.least_bytes(spec) - freed, files=1)
            earlier_run.clear(store)
        found = earlier_run.take_over(store, spec.to_dict(), resume=resume)
        finished, wrong = _finished(spec, store, found, changed or partial(_changed, store))
        shards = Shards(spec, finished, threads)
        if found is not None and found.complete and not shards.missing:
            yield shards
            return
        store.check_space(
            sum(kind.least_bytes(shard(spec, index)) for index in shards.missing),
            files=len(shards.missing) + 1,
        )
        # Nobody is to take them for shards, should this run end before it has made them again.
        for name in wrong:
            store.delete(name)
        if found is None or found.complete or len(found.files) != shards.finished:
            shards.save()
        try:
            yield shards
        except BaseException as error:
            with contextlib.suppress(OutputError):  # the failure is what there is to tell
                shards.save()
                earlier_run.remove_unfinished(store, store.entries())  # of workers that were killed
            if isinstance(error, DigitVAEError):
                raise type(error)(f"{error}. {shards.state}") from error
            if not isinstance(error, Exception):  # somebody has interrupted it
                add_note(error, shards.state)
            raise
        shards.save()
        earlier_run.remove_unfinished(store, store.entries())


def _finished(
    spec: OutputSpec, store: Store, found: Manifest | None, changed: Changed
) -> tuple[dict[int, FileRecord], list[str]]:
    """The finished shards, by number, and the names of what else lies under shards' names.

    What the manifest does not list is none, whatever it holds: a run that was killed may have left
    it before it could list it, but so may anybody else.
    """
    if found is None:
        return {}, []
    known = {record.name: record for record in found.files}
    sizes = {entry.name: entry.bytes for entry in store.entries() if entry.plain}
    finished, there = {}, {}
    for index in range(spec.shards):
        part, name = shard(spec, index), shard_name(spec, index)
        if name not in sizes:
            continue
        there[name] = index
        if name in known:
            record = known[name]
            expected = replace(record, first=part.first, count=part.count, bytes=sizes[name])
            if record == expected:
                finished[index] = record
    for record in changed(list(finished.values())):
        del finished[there[record.name]]
    return finished, [name for name, index in there.items() if index not in finished]


def _changed(store: Store, records: list[FileRecord]) -> Iterator[FileRecord]:
    """Those of some files that are no longer what they were."""
    for record in records:
        if manifest.problem(store, record) is not None:
            yield record
