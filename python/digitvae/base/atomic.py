"""Files and folders that appear whole or not at all.

Everything is written under a temporary name beside its destination, flushed to the disk, and
renamed as the last act. Whatever goes wrong before that (a full disk, Ctrl-C, an exception in
the caller) leaves the destination as it was and removes the temporary.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from digitvae.base import exchange
from digitvae.base.errors import OutputError
from digitvae.base.exchange import keep_mode, temporary_name
from digitvae.base.text import STDOUT

UNFINISHED = re.compile(r"\.digitvae-[0-9a-f]{16}\.tmp")
"""Names of files that are being written, or that a run which was killed has left behind."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


class _SyncedOnTheWay(io.FileIO):
    """A file of which every so many bytes are flushed to the disk before the next are taken.

    So the disk works while the next digits are made, and the last flush has little left to wait
    for: 10 ms instead of 180 for 200,000 digits. A long run does not fill the memory with pages to
    be written, at which the system would slow it down.
    """

    _FIRST_STRETCH, _LONGEST_STRETCH = 4 << 20, 16 << 20

    def __init__(self, path: Path) -> None:
        super().__init__(path, "xb")
        self._unsynced = 0
        self._stretch = self._FIRST_STRETCH

    def write(self, data: Any, /) -> int:
        """Write, and flush where a stretch is full."""
        written = super().write(data)
        self._unsynced += written
        if self._unsynced >= self._stretch:
            os.fsync(self.fileno())
            self._unsynced = 0
            self._stretch = min(2 * self._stretch, self._LONGEST_STRETCH)
        return written


@contextmanager
def output_errors(path: str | Path) -> Iterator[None]:
    """Turn an ``OSError`` inside the block into an :class:`OutputError` that names ``path``.

    A broken pipe passes unchanged: it means that the reader has had enough, which is no failure
    of ours.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _NO_ROOM:
            reason = f"{reason}: free some space or write less"
        place = "standard output" if str(path) == STDOUT else f"'{path}'"
        raise OutputError(f"cannot write {place}: {reason}") from error


@contextmanager
def new_file(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing that gets its name only when the block ends well.

    Args:
        path: Destination. A link is followed, so that what it points to is replaced.
        force: Replace an existing regular file, whose permissions stay. It survives when the block
            fails.

    Yields:
        A binary file under a temporary name in the destination's folder.

    Raises:
        OutputError: The destination exists, its folder is missing or refuses, the disk is full.
    """
    target = destination(path)
    replaced = _refuse_existing_file(path, target, force=force)
    temporary = temporary_name(target)
    try:
        with output_errors(path):
            file = io.BufferedWriter(_SyncedOnTheWay(temporary))
        try:
            if replaced is not None:
                with output_errors(path):  # before a byte of it can be read
                    keep_mode(replaced, file.fileno())
            yield file
            with output_errors(path):
                file.flush()
                os.fsync(file.fileno())
        finally:
            # Closing flushes again: after a failed write it fails again, and must not hide why.
            with contextlib.suppress(OSError):
                file.close()
        with output_errors(path):
            if force:
                temporary.replace(target)
            else:
                _rename_to_unused(temporary, path, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(target.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file of this content, as :func:`new_file` does, in place of any other."""
    with new_file(path, force=True) as file, output_errors(path):
        file.write(content)


def write_json(path: Path, value: object) -> None:
    """Write JSON that a person can read; floats keep every digit."""
    import json  # which nothing that writes digits needs

    write_whole(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def remove_unfinished(folder: Path) -> None:
    """Remove files that writers left in a folder when they were killed. None must be at work.

    Raises:
        OSError: The folder, or a file in it, refuses.
    """
    for path in folder.iterdir():
        if UNFINISHED.fullmatch(path.name):
            path.unlink()


@contextmanager
def new_folder(
    path: Path,
    *,
    force: bool = False,
    ours: Callable[[Path, str], bool] = lambda _folder, _name: False,
) -> Iterator[Path]:
    """Make a folder that gets its name only when the block ends well.

    Args:
        path: Destination. A link is followed.
        force: Replace an existing folder, if it holds nothing but what is ours. Its permissions and
            those of its files stay. It survives when the block fails, and as long as the other has
            not taken its place.
        ours: Tells, of a folder and the relative name of a file or folder in it (a folder's ends
            with a slash), whether it may be deleted.

    Yields:
        The temporary folder, beside the destination.

    Raises:
        OutputError: As for :func:`new_file`; also when ``force`` would delete other files.
    """
    target = recover(path)
    _refuse_existing_folder(path, target, force=force, ours=ours)
    temporary = temporary_name(target)
    try:
        with output_errors(path):
            # Who may not look into the one that is replaced may not look into this one either.
            temporary.mkdir(mode=0o700 if target.exists() else 0o777)
        yield temporary
        with output_errors(path):
            _sync_file_system(temporary)
            _refuse_existing_folder(path, target, force=force, ours=ours)
            if not target.exists():
                temporary.rename(target)
                sync_folder(target.parent)
                return
            exchange.keep_modes(target, temporary)
            with exchange.replacing(target, temporary) as old:
                refuse_foreign(path, old, ours)  # which may have come in the last moment
            sync_folder(target.parent)  # or the disk might have the old name and no content
            exchange.remove_folder(old)
    except BaseException:
        exchange.remove_folder(temporary)
        raise


def recover(path: Path) -> Path:
    """Bring back a folder that a run had moved away when it died; returns where it really is.

    Raises:
        OutputError: As for :func:`destination`, or it cannot be brought back.
    """
    target = destination(path)
    with output_errors(path):
        exchange.recover(target)
    return target


def check_space(path: Path, needed: int, *, files: int = 1) -> None:
    """Refuse up front what cannot fit where ``path`` is to be written.

    Args:
        path: Destination (its folder must exist).
        needed: Bytes that will be written at the very least.
        files: How many files they make up.

    Raises:
        OutputError: The file system has less room, or fewer free inodes.
    """
    target = destination(path)
    with output_errors(path):
        room = os.statvfs(target if target.is_dir() else target.parent)
    free = room.f_bavail * room.f_frsize
    # Pseudo file systems report no blocks at all; writing will tell what is wrong with them.
    if room.f_blocks and needed > free:
        raise OutputError(
            f"'{path}' needs at least {needed:,} bytes, but its disk has {free:,} left; "
            "write fewer digits, or elsewhere"
        )
    # Some file systems (btrfs, network shares) report no inodes at all: they do not run out.
    if room.f_files and files > room.f_favail:
        raise OutputError(
            f"'{path}' needs {files:,} files, but its disk has room for {room.f_favail:,}; "
            "write one file (.npy, .npz, .idx.gz) instead"
        )


def destination(path: Path) -> Path:
    """Follow the links of ``path``; its folder has to exist.

    Raises:
        OutputError: That folder is missing, or is none.
    """
    with output_errors(path):
        target = Path(os.path.realpath(path))
        parent = target.parent
        if not parent.exists():
            raise OutputError(f"cannot write '{path}': its folder '{parent}' does not exist")
        if not parent.is_dir():
            raise OutputError(f"cannot write '{path}': '{parent}' is not a folder")
    return target


def _refuse_existing_file(path: Path, target: Path, *, force: bool) -> os.stat_result | None:
    """Return the state of the file to be replaced, if there is one."""
    with output_errors(path):
        try:
            state = target.stat()
        except FileNotFoundError:
            return None
    mode = state.st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise OutputError(f"cannot write '{path}': it is {kind}; choose another name")
    if not force:
        raise _exists(path)
    return state


def _refuse_existing_folder(
    path: Path, target: Path, *, force: bool, ours: Callable[[Path, str], bool]
) -> None:
    if not target.exists():
        return
    refuse_other_than_folder(path, target)
    if not force:
        raise _exists(path)
    refuse_foreign(path, target, ours)


def refuse_other_than_folder(path: Path, target: Path) -> None:
    """Refuse to take what is no folder for one.

    Raises:
        OutputError: ``target``, which exists, is no folder.
    """
    if not target.is_dir():
        raise OutputError(
            f"cannot make the folder '{path}': a file of that name exists; "
            "for one file, give a name with an extension, or --format"
        )


def refuse_foreign(path: Path, folder: Path, ours: Callable[[Path, str], bool]) -> None:
    """Refuse to delete what is not ours.

    Args:
        path: What to call the folder.
        folder: The folder, searched to the bottom. Links are not followed.
        ours: As for :func:`new_folder`.

    Raises:
        OutputError: Names the first entry that is not ours.
    """

    def search(below: str) -> None:
        with os.scandir(folder / below) as entries:
            for entry in entries:
                name = below + entry.name
                is_folder = entry.is_dir(follow_symlinks=False)
                plain = is_folder or entry.is_file(follow_symlinks=False)
                if not plain or not ours(folder, name + "/" * is_folder):
                    raise OutputError(
                        f"will not replace the folder '{path}': it holds '{name}', which digitvae "
                        "did not write; move it away, or choose another folder"
                    )
                if is_folder:
                    search(name + "/")

    search("")


def _exists(path: Path) -> OutputError:
    return OutputError(f"'{path}' exists; choose another name, or replace it with --force")


def _rename_to_unused(temporary: Path, path: Path, target: Path) -> None:
    """Rename, but lose no file that has appeared under the name in the meantime."""
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if target.exists():
            raise _exists(path) from None
        temporary.rename(target)
    else:
        temporary.unlink()


def sync_folder(folder: Path) -> None:
    """Have the names in a folder reach the disk. Some file systems cannot do it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_file_system(folder: Path) -> None:
    """Flush all files of a folder with one call: ten thousand calls of fsync take 1.6 s."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        code = exchange.call_libc("syncfs", descriptor)
        if code == errno.ENOSYS:  # not Linux
            os.sync()
        elif code:
            raise OSError(code, os.strerror(code))
    finally:
        os.close(descriptor)
