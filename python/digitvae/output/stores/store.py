"""A place for the files of an output, which folders and object stores implement."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, Protocol

from digitvae.base.errors import OutputError


class Entry(NamedTuple):
    """A name in a store.

    Attributes:
        name: Relative to the store.
        bytes: Its size.
        plain: Whether it is a file, not a link, a folder or the like.
    """

    name: str
    bytes: int
    plain: bool = True


class Store(Protocol):
    """A place for the files of one output. Its string is what to call it.

    It is a description without open connections, which can be pickled and sent to other machines.
    Every method raises :class:`digitvae.OutputError` where the place refuses.
    """

    @property
    def locks(self) -> bool:
        """True if one run can keep others away while it lasts."""

    def exists(self) -> bool:
        """Tell if there is anything at the place yet."""

    def make(self, *, accept: bool) -> None:
        """Make the place; with ``accept``, it may exist."""

    def check_space(self, needed: int, *, files: int) -> None:
        """Refuse what cannot fit, as far as the place tells."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep other runs from the place inside the block, where it can be locked."""

    def entries(self) -> list[Entry]:
        """List the place, sorted by name."""

    def of(self, name: str) -> str:
        """The path or address of a file."""

    def new_file(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Write a file that has its name, and replaces another, when the block ends well.

        Whoever writes the same file twice, or is killed half-way and begins again, does no harm.
        """

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Read a file, front to back; it can be asked for its size by seeking to its end."""

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""


def is_missing(error: OutputError) -> bool:
    """Tell if an error means that a file is not there; other errors may pass."""
    return isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError))


def exists_already(place: object) -> OutputError:
    """The error for an output in shards that is there already."""
    return OutputError(
        f"'{place}' exists; go on with it with resume (--resume), replace it with force (--force), "
        "or choose another name"
    )
