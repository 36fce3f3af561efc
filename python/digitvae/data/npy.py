"""NumPy's files, read with distrust: never more memory than the shape in the header allows.

A header is looked at before anything else is read or decompressed, so that a small file that would
become a huge array, or one with a huge header, ends with an error.
"""

from __future__ import annotations

import io
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from digitvae.base.errors import DataError
from digitvae.base.files import open_regular, refuse_more_than_memory
from digitvae.data.rows import File, Rows

Array = NDArray[Any]
Check = Callable[[np.dtype[Any], tuple[int, ...]], None]

ZIP_START = b"PK\x03\x04"
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
_MAX_HEADER_BYTES = 1 << 16
_PIECE = 1 << 22
_WRONG = (
    *(OSError, ValueError, TypeError, EOFError, KeyError, RecursionError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError),
    *(SyntaxError, tokenize.TokenError),  # of headers, which NumPy reads as Python
)


def read(path: Path, names: tuple[str, ...], check: Check) -> Array | Rows:
    """An array of a ``.npy`` file, read where it is used, or of a ``.npz`` file.

    Args:
        path: The file.
        names: Which array of a ``.npz`` file: the first of these, or the only one.
        check: Called with its dtype and shape before it is read; raises :class:`DataError`.

    Raises:
        DataError: The file cannot be read, or is none of NumPy's; or what ``check`` raises.
    """
    try:
        with open_regular(path) as file:
            if file.read(len(ZIP_START)) == ZIP_START:
                return _read_npz(path, file, names, check)
            file.seek(0)
            dtype, shape, fortran, offset = _read_header(file)
            check(dtype, shape)
            found = os.fstat(file.fileno()).st_size
            needed = offset + math.prod(shape) * dtype.itemsize
            if found < needed:
                raise ValueError(
                    f"it has {found:,} bytes of the {needed:,} that shape {shape} needs"
                )
            rows = Rows(File(path, file), offset, shape[::-1] if fortran else shape, dtype)
            return np.asarray(rows).T if fortran else rows
    except _WRONG as error:
        raise DataError(f"{path}: not a readable NumPy file: {error}") from error


def _read_npz(path: Path, file: IO[bytes], names: tuple[str, ...], check: Check) -> Array:
    with zipfile.ZipFile(file) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        found = [name for name in names if name in members]
        if not found and len(members) == 1:
            found = list(members)
        if not found:
            raise DataError(
                f"{path}: holds {', '.join(members) or 'nothing'}; "
                f"expected an array named {' or '.join(names)}"
            )
        info = members[found[0]]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{info.filename} is compressed by method {info.compress_type}")
        if info.flag_bits & 1:
            raise ValueError(f"{info.filename} is encrypted")
        with archive.open(info) as member:
            dtype, shape, fortran, offset = _read_header(member)
            check(dtype, shape)
            needed = math.prod(shape) * dtype.itemsize
            if info.file_size - offset != needed:
                raise ValueError(
                    f"{info.file_size - offset:,} bytes follow its header; shape {shape} needs "
                    f"{needed:,}"
                )
            refuse_more_than_memory(path, needed)
            data = bytearray()
            while len(data) < needed and (piece := member.read(min(_PIECE, needed - len(data)))):
                data += piece
            if len(data) < needed or member.read(1):
                raise ValueError(f"shape {shape} needs {needed:,} bytes; it has others")
            array: Array = np.frombuffer(data, dtype)
            return array.reshape(shape, order="F" if fortran else "C")


def _read_header(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """Dtype, shape, Fortran's order, of the header of a ``.npy`` file, and its size in bytes."""
    start = file.read(8)
    version = tuple(start[6:])
    if version not in _LENGTH_BYTES:
        raise ValueError(
            f"it begins with {start.hex(' ')}, expected \\x93NUMPY, version 1.0 or 2.0"
        )
    field = file.read(_LENGTH_BYTES[version])
    length = int.from_bytes(field, "little")
    if length > _MAX_HEADER_BYTES:
        raise ValueError(f"its header is said to have {length:,} bytes")
    text = io.BytesIO(start + field + file.read(length))
    np.lib.format.read_magic(text)
    numpy = np.lib.format
    read = numpy.read_array_header_1_0 if version == (1, 0) else numpy.read_array_header_2_0
    shape, fortran, dtype = read(text)
    if dtype.hasobject:
        raise ValueError(f"its dtype is {dtype}")
    if any(n < 0 for n in shape):
        raise ValueError(f"its shape is {shape}")
    return dtype, shape, fortran, text.tell()
