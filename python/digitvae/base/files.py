"""Reading files that somebody else may have made: none without an end, none too large."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from digitvae.base.errors import DataError


def open_regular(path: str | Path, *, follow: bool = True) -> BinaryIO:
    """Open a regular file for reading.

    A pipe would keep its reader waiting, and a device would never end.

    Args:
        path: The file.
        follow: Follow a link in the last part of the path.

    Raises:
        OSError: It cannot be opened, or is a folder, a pipe, a device, or the like.
    """
    # Not blocking: a pipe that nobody writes to would keep us waiting before we know what it is.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def refuse_more_than_memory(name: str | Path, needed: int) -> None:
    """Refuse to unpack what this machine cannot hold.

    Raises:
        DataError: ``needed`` bytes are more than it has.
    """
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise DataError(
            f"{name}: unpacked, it takes {needed:,} bytes, and this machine has {there:,} of "
            "memory; cut it into several files"
        )
