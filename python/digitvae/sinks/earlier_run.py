"""The folder that shards go into: making it, locking it, taking it over from an earlier run."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from digitvae.errors import OutputError
from digitvae.sinks import manifest
from digitvae.sinks.atomic import (
    output_errors,
    refuse_foreign,
    refuse_other_than_folder,
    sync_folder,
)
from digitvae.sinks.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from digitvae.sinks.manifest import Manifest

_SHARD = re.compile(
    r"digits-[0-9]{5,}-of-[0-9]{5,}("
    + "|".join(re.escape(kind.extension) for kind in FORMATS.values() if kind.extension)
    + ")"
)
_UNFINISHED = re.compile(r"\.digitvae-[0-9a-f]{16}\.tmp")
_OURS = re.compile(f"{_SHARD.pattern}|{_UNFINISHED.pattern}")


def make_or_accept(path: Path, folder: Path, *, accept: bool) -> None:
    """Make the folder where there is none.

    Args:
        path: What to call it.
        folder: The folder.
        accept: Whether it may exist.

    Raises:
        OutputError: It exists and may not, or is no folder, or cannot be made.
    """
    with output_errors(path):
        if not folder.exists():
            folder.mkdir(exist_ok=accept)
            sync_folder(folder.parent)
            return
    refuse_other_than_folder(path, folder)
    if not accept:
        raise _exists(path)


def bytes_to_clear(folder: Path) -> int:
    """What :func:`clear` will make free, at the most."""
    return sum(entry.lstat().st_size for entry in folder.iterdir())


@contextmanager
def locked(path: Path, folder: Path) -> Iterator[None]:
    """Keep other processes from locking the folder until the block, or this process, ends.

    Raises:
        OutputError: Another process has locked it.
    """
    with output_errors(path):
        # The folder itself is locked: a file to lock would have to be left behind in it.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"'{path}' is in use by another digitvae; wait for it, or choose another name"
            ) from None
        except OSError:
            # A network file system without locks. Two runs of the same would write the same.
            pass
        yield
    finally:
        os.close(descriptor)


def clear(path: Path, folder: Path) -> None:
    """Delete an output in shards, but nothing else.

    Raises:
        OutputError: The folder holds anything else, which the message names.
    """
    with output_errors(path):
        refuse_foreign(path, folder, manifest.only(_OURS, needs_manifest=False))
        # First of all what says that everything is there.
        (folder / manifest.NAME).unlink(missing_ok=True)
        for entry in folder.iterdir():
            entry.unlink()


def take_over(
    path: Path, folder: Path, asked: Mapping[str, object], *, resume: bool
) -> Manifest | None:
    """See what an earlier run has left, and remove what it has not finished.

    Args:
        path: What to call the folder.
        folder: The folder, locked.
        asked: What is asked for.
        resume: Whether there may be anything.

    Returns:
        The manifest of the earlier run, ``None`` if there was none.

    Raises:
        ValueError: The earlier run was asked for something else; nothing is touched.
        OutputError: The folder holds what it may not, or has no readable manifest.
    """
    with output_errors(path):
        entries = sorted(folder.iterdir())
        leftovers = [entry for entry in entries if _UNFINISHED.fullmatch(entry.name)]
        others = [entry.name for entry in entries if entry not in leftovers]
    if not resume and (others or leftovers):
        raise _exists(path)
    _refuse_other_than_files(path, entries)
    found = None
    if manifest.NAME in others:
        found = manifest.read(path)
        _refuse_differences(path, found.asked, asked)
    elif others:
        raise OutputError(
            f"cannot resume '{path}': it holds '{others[0]}' but no {manifest.NAME}, so it is not "
            "an output in shards; choose another name"
        )
    with output_errors(path):
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
    return found


def _refuse_other_than_files(path: Path, entries: list[Path]) -> None:
    """Refuse links, folders and pipes under our names: they lead elsewhere, or nowhere."""
    for entry in entries:
        is_ours = entry.name == manifest.NAME or _OURS.fullmatch(entry.name)
        if is_ours and not stat.S_ISREG(entry.lstat().st_mode):
            raise OutputError(
                f"cannot resume '{path}': '{entry.name}' in it is a link, a folder or the like, "
                "not a file; remove it, or choose another name"
            )


def _refuse_differences(
    path: Path, found: Mapping[str, object], asked: Mapping[str, object]
) -> None:
    for field in dict.fromkeys([*asked, *found]):
        before, now = found.get(field), asked.get(field)
        if before != now:
            raise ValueError(
                f"cannot resume '{path}': it was begun with {field} {before!r}, not {now!r}; ask "
                "for the same, choose another name, or begin again with --force"
            )


def _exists(path: Path) -> OutputError:
    return OutputError(
        f"'{path}' exists; go on with it with --resume, replace it with --force, or choose "
        "another name"
    )
