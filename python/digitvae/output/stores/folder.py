"""A folder, on a disk of this machine or one that several machines share."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from digitvae.base import atomic
from digitvae.base.atomic import output_errors
from digitvae.base.errors import OutputError
from digitvae.base.files import open_regular
from digitvae.output.stores.store import Entry, exists_already


@dataclass(frozen=True)
class Folder:
    """A :class:`digitvae.output.stores.Store` on a disk.

    Attributes:
        path: The folder. Its parent must exist; links are followed.
    """

    path: Path
    locks = True
    """But for folders on some network file systems."""

    def __str__(self) -> str:
        return str(self.path)

    @property
    def _real(self) -> Path:
        return atomic.destination(self.path)

    def exists(self) -> bool:
        """Tell if there is anything of this name."""
        return self._real.exists()

    def make(self, *, accept: bool) -> None:
        """Make the folder, if there is none."""
        with output_errors(self.path):
            if not self.exists():
                self._real.mkdir(exist_ok=accept)
                atomic.sync_folder(self._real.parent)
                return
        atomic.refuse_other_than_folder(self.path, self._real)
        if not accept:
            raise exists_already(self)

    def check_space(self, needed: int, *, files: int) -> None:
        """Refuse what the file system has no room for."""
        atomic.check_space(self.path, needed, files=files)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from locking the folder until the block, or this process, ends."""
        with output_errors(self.path):
            # The folder itself is locked: a file to lock would have to be left behind in it.
            descriptor = os.open(self._real, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OutputError(
                    f"'{self}' is in use by another digitvae; wait for it, or choose another name"
                ) from None
            except OSError:
                # A network file system without locks. Two runs of the same would write the same.
                pass
            yield
        finally:
            os.close(descriptor)

    def entries(self) -> list[Entry]:
        """Everything in the folder."""
        found = []
        with output_errors(self.path), os.scandir(self._real) as entries:
            for entry in entries:
                try:
                    state = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # renamed meanwhile, by a worker whose run has ended
                    continue
                plain = stat.S_ISREG(state.st_mode)
                found.append(Entry(entry.name, state.st_size, plain))
        return sorted(found)

    def of(self, name: str) -> str:
        """The path of a file."""
        return str(self.path / name)

    def new_file(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Write a file, flushed to the disk before it has its name."""
        return atomic.new_file(self.path / name, force=True)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Read a file."""
        path = self.path / name
        try:
            with open_regular(path) as file:
                yield file
        except OSError as error:
            raise OutputError(f"cannot read '{path}': {error.strerror}") from error

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        with output_errors(self.path):
            (self._real / name).unlink(missing_ok=True)
