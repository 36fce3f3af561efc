"""The IDX format of the MNIST files: a short header, then the array in C order.

Bytes 0–1 are zero, byte 2 is the element type (0x08: unsigned byte, the only one here), byte 3
the number of dimensions; then each dimension as a big-endian 32-bit integer; then the data.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from digitvae.base.errors import DataError
from digitvae.base.files import open_regular, refuse_more_than_memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_UINT8 = 0x08
_TYPES = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_GZIP_MAGIC = b"\x1f\x8b"
_PIECE = 1 << 22  # bytes read at once: a header may promise more than there is memory


def header(shape: tuple[int, ...]) -> bytes:
    """The header of a uint8 array, 4 + 4·len(shape) bytes.

    Args:
        shape: 1 to 255 dimensions, each in [0, 2³²).

    Raises:
        ValueError: a shape that the format cannot express.
    """
    if not 1 <= len(shape) <= 255:
        raise ValueError(f"IDX holds 1 to 255 dimensions, not {len(shape)}: {shape}")
    if any(not 0 <= n < 2**32 for n in shape):
        raise ValueError(f"IDX dimensions are in [0, 2**32), not {shape}")
    return struct.pack(f">HBB{len(shape)}I", 0, _UINT8, len(shape), *shape)


def read(
    path: str | Path, check: Callable[[tuple[int, ...]], None] = lambda _shape: None
) -> NDArray[np.uint8]:
    """Read a file, plain or gzip (told apart by content, not by name).

    Args:
        path: the file.
        check: called with the shape, before anything else is read or decompressed; raises
            ``DataError`` if it is not the one that is wanted.

    Returns:
        A uint8 array of the shape the header names, writable, C-contiguous.

    Raises:
        DataError: the file cannot be opened or decompressed, has no IDX header, holds another
            element type, is truncated, or has bytes left over; the message names the file.
    """
    path = Path(path)

    def check_packed(shape: tuple[int, ...]) -> None:
        check(shape)
        refuse_more_than_memory(path, math.prod(shape))

    try:
        with open_regular(path) as raw:
            packed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if not packed:
                return parse(raw, str(path), check)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return parse(unpacked, str(path), check_packed)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def parse(
    stream: IO[bytes] | gzip.GzipFile,
    name: str,
    check: Callable[[tuple[int, ...]], None] = lambda _shape: None,
) -> NDArray[np.uint8]:
    """Read one IDX array, which must end where the stream ends.

    Never reads more than the header promises and one byte, and never allocates before it has
    read, so a false header fills no memory.

    Args:
        stream: positioned at the header.
        name: what to call it in errors.
        check: as ``read``.

    Returns:
        As ``read``.

    Raises:
        DataError: as ``read``.
    """
    import numpy as np

    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in {_UINT8, *_TYPES} or not start[3]:
        raise DataError(
            f"{name}: not an IDX file: it starts with {start.hex(' ') or 'nothing'}, "
            "expected 00 00 08 and the number of dimensions"
        )
    if start[2] != _UINT8:
        raise DataError(f"{name}: holds {_TYPES[start[2]]} elements, expected unsigned bytes")
    sizes = stream.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise DataError(f"{name}: truncated inside the header of {start[3]} dimensions")
    shape = struct.unpack(f">{start[3]}I", sizes)
    check(shape)
    count = math.prod(shape)
    data = bytearray()
    while len(data) < count and (piece := stream.read(min(count - len(data), _PIECE))):
        data += piece
    if len(data) < count:
        raise DataError(
            f"{name}: truncated: {len(data):,} of the {count:,} bytes that shape {shape} needs"
        )
    if stream.read(1):
        raise DataError(f"{name}: bytes left over after the {count:,} that shape {shape} needs")
    try:
        return np.frombuffer(data, np.uint8).reshape(shape)
    except ValueError as error:  # more dimensions, or larger ones, than NumPy has
        raise DataError(f"{name}: shape {shape} cannot be held: {error}") from error
