"""Paths that mean an open descriptor, a pipe or a device, where what is written is passed on."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from digitvae.base.text import STDOUT

_DESCRIPTORS = {STDOUT: 1, "/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,9})", re.ASCII)


def is_standard_output(path: str | Path) -> bool:
    """Tell if a path means standard output: ``-``, ``/dev/stdout`` and the like."""
    return descriptor_of(path) == 1


def is_stream(path: str | Path) -> bool:
    """Tell if a path is a descriptor, a pipe or a device, which pass on what is written."""
    if descriptor_of(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (the path may be text)
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def is_uri(path: str) -> bool:
    """Tell if a path is an address, such as ``s3://bucket/digits``."""
    scheme, found, _ = path.partition("://")
    return bool(found) and scheme.isidentifier()


def called(path: str | Path) -> str:
    """Name a stream for messages."""
    return "standard output" if is_standard_output(path) else f"'{path}'"


def descriptor_of(path: str | Path) -> int | None:
    """The open descriptor that a path means: 1 for ``-``; ``None``: none."""
    text = str(path)
    if text in _DESCRIPTORS:
        return _DESCRIPTORS[text]
    found = _DESCRIPTOR.fullmatch(text)
    return int(found[1]) if found else None
