"""NumPy's files, read with distrust: never more memory than the shape in the header allows.

A header is looked at before anything else is read or decompressed, so that a small file that would
become a huge array, or one with a huge header, ends with an error.
"""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitvae.base.errors import DataError
from digitvae.base.files import open_regular, refuse_more_than_memory
from digitvae.data.rows import Rows, rows_in

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


class _Header(NamedTuple):
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran_order: bool


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
            header, size = _read_header(file)
            check(header.dtype, header.shape)
            return rows_in(
                path, file, size, header.shape, header.dtype, fortran=header.fortran_order
            )
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
            header, size = _read_header(member)
            check(header.dtype, header.shape)
            return _read_array(path, member, header, info.file_size - size)


def _read_header(file: IO[bytes]) -> tuple[_Header, int]:
    """The header of a ``.npy`` file, and its size in bytes."""
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
    of_version = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, fortran_order, dtype = of_version[version](text)
    if dtype.hasobject:
        raise ValueError(f"its dtype is {dtype}")
    if any(n < 0 for n in shape):
        raise ValueError(f"its shape is {shape}")
    return _Header(dtype, shape, fortran_order), text.tell()


def _read_array(path: Path, member: IO[bytes], header: _Header, told: int) -> Array:
    """The numbers that follow a header, of which the archive tells how many bytes they take."""
    needed = math.prod(header.shape) * header.dtype.itemsize
    if told != needed:
        raise ValueError(f"{told:,} bytes follow its header; shape {header.shape} needs {needed:,}")
    refuse_more_than_memory(path, needed)
    data = bytearray()
    while len(data) < needed and (piece := member.read(min(_PIECE, needed - len(data)))):
        data += piece
    if len(data) < needed or member.read(1):
        raise ValueError(f"shape {header.shape} needs {needed:,} bytes; it has others")
    array: Array = np.frombuffer(data, header.dtype)
    return array.reshape(header.shape, order="F" if header.fortran_order else "C")
