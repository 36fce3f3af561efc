"""Replace a folder by another, in one step where the system can.

Linux exchanges two names in one step (``renameat2``), on most file systems. Elsewhere a folder is
moved away before the other takes its place, and a death in between leaves it under a name from
which the next run moves it back.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}
"""Errors of systems (EPERM: some containers) and file systems that have no such call."""


def temporary_name(target: Path) -> Path:
    """A new name beside a file or folder that is to be written: one of ``atomic.UNFINISHED``."""
    # Not derived from the target's, which may already be as long as a name can be.
    return target.parent / f".digitvae-{os.urandom(8).hex()}.tmp"


def swap(one: Path, other: Path) -> bool:
    """Exchange two names in one step.

    Returns:
        Whether it was done; ``False`` where system or file system cannot.

    Raises:
        OSError: One of them is missing, or may not be renamed.
    """
    names = os.fsencode(one), os.fsencode(other)
    code = call_libc("renameat2", _AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    if code and code not in _CANNOT:
        raise OSError(code, os.strerror(code), str(other))
    return code == 0


def call_libc(name: str, *arguments: object) -> int:
    """Call a function of the C library that returns 0 when it succeeds.

    Returns:
        0, or why it failed: ``errno.ENOSYS`` too where there is no such function.
    """
    import ctypes  # here and below: at the top they would cost every start some milliseconds

    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        return errno.ENOSYS
    return ctypes.get_errno() if function(*arguments) else 0


@contextlib.contextmanager
def replacing(target: Path, new: Path) -> Iterator[Path]:
    """Give a folder the name of another, which is to be removed then. If the block fails, undo it.

    Args:
        target: The other.
        new: The folder, in the same file system.

    Yields:
        Where the other is now.

    Raises:
        OSError: It cannot be done; both are where they were.
    """
    if swap(new, target):
        try:
            yield new
        except BaseException:
            if not swap(new, target):
                reason = "Two names could be exchanged, and not back"
                raise OSError(errno.ENOTSUP, reason, str(target)) from None
            raise
        return
    old = _moved_away(target)
    if os.path.lexists(old):  # of a run that died when all was done: as what others have left
        old.rename(temporary_name(target))
    target.rename(old)
    try:
        new.rename(target)
        try:
            yield old
        except BaseException:
            target.rename(new)
            raise
    except BaseException:
        old.rename(target)
        raise


def recover(target: Path) -> None:
    """Bring back a folder that a run had moved away when it died, if nothing has its name."""
    old = _moved_away(target)
    if not os.path.lexists(target) and old.is_dir() and not old.is_symlink():
        old.rename(target)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that it holds, as far as the system lets us."""
    import shutil

    with contextlib.suppress(OSError):
        folder.chmod(stat.S_IRWXU)  # nothing can be removed from one that is read-only
    shutil.rmtree(folder, ignore_errors=True)


def keep_mode(before: os.stat_result, now: int) -> None:
    """Give an open file or folder the permissions, and the owner, of what it replaces."""
    found = os.fstat(now)
    if (found.st_uid, found.st_gid) != (before.st_uid, before.st_gid):
        with contextlib.suppress(OSError):  # only root may give files away
            os.fchown(now, before.st_uid, before.st_gid)
    if stat.S_IMODE(found.st_mode) != stat.S_IMODE(before.st_mode):
        os.fchmod(now, stat.S_IMODE(before.st_mode))


def keep_modes(before: Path, now: Path) -> None:
    """Give a folder, and whatever in it has a namesake in the other, the permissions of that."""
    for folder, _, files in os.walk(now):
        for name in ("", *files):
            path = Path(folder, name)
            with contextlib.suppress(FileNotFoundError):
                state = (before / path.relative_to(now)).lstat()
                if stat.S_ISLNK(state.st_mode):
                    continue
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    keep_mode(state, descriptor)
                finally:
                    os.close(descriptor)


def _moved_away(target: Path) -> Path:
    """The name of a folder while another takes its place: the same in every run."""
    import hashlib

    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.parent / f".digitvae-old-{name}.tmp"
