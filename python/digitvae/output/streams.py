"""Outputs that are written front to back and have no name to take: pipes, devices, descriptors."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from digitvae.base.atomic import output_errors
from digitvae.base.errors import OutputError
from digitvae.output.descriptors import descriptor_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

_PATIENCE_SECONDS = 10.0
"""For somebody to read a pipe that nobody reads yet."""
_LOOK_SECONDS = 0.02


@contextmanager
def open_stream(path: str | Path) -> Iterator[BinaryIO]:
    """Write to a stream; what was written when the block fails cannot be taken back.

    Raises:
        OutputError: It is closed, or a terminal, or nobody reads it, or it refuses.
    """
    number = descriptor_of(path)
    if number == 1 and sys.stdout is None:
        raise OutputError("cannot write to standard output: it is closed")
    if number == 1:
        _refuse_terminal(path, is_terminal=sys.stdout.isatty())
        yield sys.stdout.buffer
        with output_errors(path):
            sys.stdout.buffer.flush()
        return
    with output_errors(path):
        descriptor = _opened(path) if number is None else os.dup(number)
        file = os.fdopen(descriptor, "wb")
    try:
        _refuse_terminal(path, is_terminal=file.isatty())
        yield file
        with output_errors(path):
            file.flush()
    finally:
        with contextlib.suppress(OSError):  # which flushes again, after a failure in vain
            file.close()


class Onward(io.RawIOBase):
    """A file to be written front to back, which hands on each piece; closing it closes no other.

    Args:
        take: Called with each piece, all of which it has to take.
    """

    def __init__(self, take: Callable[[memoryview], object]) -> None:
        super().__init__()
        self._take = take

    def writable(self) -> bool:
        """It is there to be written to."""
        return True

    def write(self, data: Buffer, /) -> int:
        """Hand on bytes."""
        with memoryview(data) as view:
            self._take(view)
            return view.nbytes


def _refuse_terminal(path: str | Path, *, is_terminal: bool) -> None:
    if is_terminal:
        raise OutputError(
            f"'{path}': will not write images to a terminal; redirect ('-o - > FILE'), or name a "
            "file with -o"
        )


def _opened(path: str | Path) -> int:
    """Open a pipe or a device. A pipe that nobody reads is waited for, but not for ever."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > deadline:
                raise OutputError(
                    f"cannot write '{path}': nobody reads this pipe, which is not a regular file; "
                    "start its reader first"
                ) from None
            time.sleep(_LOOK_SECONDS)
        else:
            os.set_blocking(descriptor, True)
            return descriptor
