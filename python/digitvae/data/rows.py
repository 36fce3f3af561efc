"""Arrays in ``.npy`` files, read row by row where they are used.

They are not mapped: of a mapped file, whoever shortens it ends this process (SIGBUS), and whoever
writes to it changes values that have been checked.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from digitvae.base.errors import DataError

Array = NDArray[Any]


class Rows:
    """Some rows of an array in a file. A range of them is such an object again, and reads nothing.

    What NumPy makes an array of (``np.asarray(rows)``), it reads. The file stays open until the
    last of these objects is gone, so that another one under its name is not read.

    Attributes:
        dtype: As the file has it, byte order included.
        shape: The number of rows first.
    """

    def __init__(self, file: File, offset: int, shape: tuple[int, ...], dtype: Any) -> None:
        self._file, self._offset = file, offset
        self.shape, self.dtype = shape, dtype

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def reshape(self, *shape: int) -> Rows:
        """The same values in rows of another shape, the number of rows being −1."""
        count = self.size // math.prod(shape[1:])
        return Rows(self._file, self._offset, (count, *shape[1:]), self.dtype)

    def __getitem__(self, which: slice | Sequence[int]) -> Any:
        """A range of rows, as :class:`Rows`; or an array of those with these numbers."""
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        if isinstance(which, slice):
            start, stop, _ = which.indices(len(self))
            shape = (max(stop - start, 0), *self.shape[1:])
            return Rows(self._file, self._offset + start * row_bytes, shape, self.dtype)
        array = np.empty((len(which), *self.shape[1:]), self.dtype)
        for row, number in zip(array, which, strict=True):
            self._file.fill(row, self._offset + number * row_bytes)
        return array

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Read them all.

        Raises:
            DataError: The file has become shorter, or cannot be read.
        """
        array = np.empty(self.shape, self.dtype)
        self._file.fill(array, self._offset)
        return array if dtype is None else array.astype(dtype, copy=False)


class File:
    """Another descriptor of an open file, closed when nobody holds this any more.

    Args:
        path: Its name in messages.
        file: The file, which may be closed afterwards.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)

    def fill(self, array: Array, offset: int) -> None:
        """Read an array, C-contiguous, from a place in the file."""
        memory = memoryview(array.reshape(-1).view(np.uint8))
        done = 0
        while done < len(memory):
            try:
                read = os.preadv(self._descriptor, [memory[done:]], offset + done)
            except OSError as error:
                raise DataError(f"{self._path}: cannot be read: {error.strerror}") from error
            if read == 0:
                raise DataError(
                    f"{self._path}: was cut short while it was read: it ends at byte "
                    f"{offset + done:,}, and {len(memory) - done:,} more were there before"
                )
            done += read
