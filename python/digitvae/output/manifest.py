"""``manifest.json``: what an output of several files holds, and what was asked for.

It carries no dates and no paths: two runs that ask for the same write the same manifest.
``docs/command-line.md`` describes it.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

from digitvae.base.errors import OutputError
from digitvae.output.stores import Store
from digitvae.output.stores.folder import Folder
from digitvae.output.stores.store import is_missing
from digitvae.output.streams import Onward

SCHEMA = "digitvae-output/1"
NAME = "manifest.json"
_MAX_BYTES = 64 << 20
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class FileRecord:
    """One finished file.

    Attributes:
        name: Relative to the manifest.
        first: Index of its first image.
        count: Number of its images.
        bytes: Its size.
        sha256: Of its content, 64 hex digits.
    """

    name: str
    first: int
    count: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The content of a manifest.

    Attributes:
        asked: What was asked for, as :meth:`OutputSpec.to_dict` has it.
        complete: Whether everything is there.
        files: The finished files; before it is complete, those that were when it was written.
    """

    asked: dict[str, Any]
    complete: bool
    files: list[FileRecord]

    def to_bytes(self) -> bytes:
        """The manifest as JSON."""
        content = {
            "schema": SCHEMA,
            **self.asked,
            "complete": self.complete,
            "files": [asdict(record) for record in self.files],
        }
        return json.dumps(content, indent=2).encode("ascii") + b"\n"


class HashingFile(Onward):
    """Counts and hashes what passes through to a binary file."""

    def __init__(self, file: BinaryIO) -> None:
        self._hash = hashlib.sha256()
        self.size = 0

        def take(content: memoryview) -> None:
            file.write(content)
            self._hash.update(content)
            self.size += content.nbytes

        super().__init__(take)

    @property
    def sha256(self) -> str:
        """Of what was written so far, 64 hex digits."""
        return self._hash.hexdigest()


def describe(
    store: Store, name: str, first: int, count: int, most: int | None = None
) -> FileRecord:
    """The record of a finished file, by reading it.

    Args:
        store: Where it is.
        name: Which file.
        first: Index of its first image.
        count: Number of its images.
        most: A file of more bytes is not read, and its record has no SHA-256.

    Raises:
        OutputError: It cannot be read.
    """
    digest, done = hashlib.sha256(), 0
    with store.open(name) as file:
        size = file.seek(0, io.SEEK_END)
        if most is not None and size > most:
            return FileRecord(name, first, count, size, "")
        file.seek(0)
        # No further than it reached: it may grow as fast as it is read.
        while piece := file.read(min(_READ_BYTES, size - done)):
            digest.update(piece)
            done += len(piece)
    return FileRecord(name, first, count, done, digest.hexdigest())


def problem(store: Store, record: FileRecord) -> str | None:
    """Say how a file differs from its entry; ``None``: it has its size and SHA-256.

    Raises:
        OutputError: It is there, and cannot be read.
    """
    try:
        found = describe(store, record.name, record.first, record.count, record.bytes)
    except OutputError as error:
        if is_missing(error):
            return str(error)
        raise  # what cannot be read now may be as it should be
    if found.bytes != record.bytes:
        return f"has {found.bytes:,} bytes; the manifest says {record.bytes:,}"
    if found.sha256 != record.sha256:
        return f"was changed: its SHA-256 is {found.sha256}, the manifest says {record.sha256}"
    return None


def write(store: Store, manifest: Manifest) -> None:
    """Write or replace the manifest of an output, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    with store.new_file(NAME) as file:
        file.write(manifest.to_bytes())


def read(store: Store) -> Manifest:
    """Read the manifest of an output.

    Raises:
        OutputError: There is none, or it is no manifest, or one of another schema.
    """
    path = store.of(NAME)
    with store.open(NAME) as file:
        text = file.read(_MAX_BYTES + 1)
    try:
        if len(text) > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES:,} bytes")
        content = json.loads(text)
        if not isinstance(content, dict):
            raise TypeError(f"a {type(content).__name__}, expected an object")
        schema = content.pop("schema", None)
        if schema != SCHEMA:
            raise OutputError(f"'{path}' has the schema {schema!r}, expected {SCHEMA!r}")
        complete = content.pop("complete")
        files = [_record(entry) for entry in content.pop("files")]
        if not isinstance(complete, bool):
            raise TypeError(f"complete is {complete!r}")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise OutputError(
            f"'{path}' is damaged ({reason}); remove '{store}' and begin again, or choose "
            "another name"
        ) from error
    return Manifest(content, complete, files)


def only(lists: Callable[[Manifest, str], bool]) -> Callable[[Path, str], bool]:
    """A test whether an entry of a folder is ours: a manifest of ours, or what it lists.

    Args:
        lists: Tells whether a manifest lists an entry, by its name relative to the folder.
    """

    @functools.cache
    def manifest_of(folder: Path) -> Manifest | None:
        try:
            return read(Folder(folder))
        except OutputError:
            return None

    def is_ours(folder: Path, name: str) -> bool:
        found = manifest_of(folder)
        return found is not None and (name == NAME or lists(found, name))

    return is_ours


def _record(entry: dict[str, Any]) -> FileRecord:
    record = FileRecord(**entry)
    for field in fields(FileRecord):
        value = getattr(record, field.name)
        if type(value).__name__ != field.type:
            raise TypeError(f"{field.name} of a file is {value!r}, expected {field.type}")
    return record
