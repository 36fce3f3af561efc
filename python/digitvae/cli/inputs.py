"""Read images and latents that users bring along, and say what is wrong with them.

The kind of a file is told from its first bytes, not from its name, so that MNIST's own
``t10k-images-idx3-ubyte`` works like any other. Arrays in ``.npy`` files are read where they are
used: only that part takes memory.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digitvae.base.errors import DataError
from digitvae.base.files import open_regular
from digitvae.data import idx, npy
from digitvae.data.rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

CHUNK = 8192
"""Rows that are handled at a time."""

_PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA"}
_PNG_EXTRAS = 1 << 20
"""Bytes of a PNG that are not pixels: colour profiles, notes, a thumbnail."""
_PNG, _NPY, _GZIP = b"\x89PNG", b"\x93NUMPY", b"\x1f\x8b"


def read_images(path: Path, height: int, width: int) -> Array | Rows:
    """Images from a ``.npy``, ``.npz``, IDX (plain or gzip) or PNG file, or a folder of PNGs.

    What is compressed is unpacked only if it has the right shape, and no further.

    Args:
        path: The file or folder.
        height: Rows that an image must have.
        width: Columns that an image must have.

    Returns:
        uint8 or float32 [n, height, width], n ≥ 1; the values are not looked at yet.

    Raises:
        DataError: The file cannot be read, or is of another kind, shape or dtype.
    """
    grid = (height, width)

    def check(dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        if dtype.name not in ("uint8", "float32"):
            raise DataError(f"{path}: dtype is {dtype}, expected uint8, or float32 from 0 to 1")
        is_flat = len(shape) == 2 and shape[1] == height * width
        if shape != grid and not ((is_flat or shape[1:] == grid) and shape[0]):
            raise DataError(
                f"{path}: shape is {_shape(shape)}, expected [n, {height}, {width}], n at least 1"
            )

    start = _start(path)
    images: Array | Rows
    if path.is_dir():
        images = _read_folder(path, height, width)
    elif start.startswith(_PNG):
        images = _read_png(path, height, width)
    elif start.startswith((_NPY, npy.ZIP_START)):
        images = npy.read(path, ("images",), check)
    elif start.startswith((_GZIP, b"\0\0")):
        images = idx.read(path, partial(check, np.dtype(np.uint8)))
    else:
        raise DataError(f"{path}: not an image file: expected .npy, .npz, .idx, .idx.gz or .png")
    return images.reshape(-1, *grid)


def read_latents(path: Path, dim: int) -> Array | Rows:
    """Latents from a ``.npy`` file, or the array ``mu`` (or the only one) of a ``.npz`` file.

    Returns:
        float32 [n, dim], n ≥ 1; the values are not looked at yet.

    Raises:
        DataError: The file cannot be read, or is of another kind, shape or dtype.
    """

    def check(dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        if dtype.name != "float32":
            raise DataError(f"{path}: dtype is {dtype}, expected float32")
        if shape != (dim,) and not (len(shape) == 2 and shape[1] == dim and shape[0]):
            raise DataError(f"{path}: shape is {_shape(shape)}, expected [n, {dim}], n at least 1")

    if not _start(path).startswith((_NPY, npy.ZIP_START)):
        raise DataError(f"{path}: not a NumPy file: expected latents as .npy or .npz")
    return npy.read(path, ("mu", "latents", "z"), check).reshape(-1, dim)


def chunks(path: Path, array: Array | Rows, size: int = CHUNK) -> Iterator[tuple[int, Array]]:
    """Go through images [n, height, width] or latents [n, dim] a chunk at a time, checking values.

    float32 pixels have to lie in [0, 1]; latents have to be finite.

    Yields:
        The index of the chunk's first row, and the chunk, C-contiguous.

    Raises:
        DataError: Names the first value that is wrong; or the file was cut short.
    """
    for start in range(0, len(array), size):
        part = array[start : start + size]
        # Also turns the byte order to this machine's.
        chunk = np.ascontiguousarray(part, part.dtype.newbyteorder("="))
        if chunk.dtype == np.float32:
            if chunk.ndim == 3:
                good = (chunk >= 0) & (chunk <= 1)
                what = "image"
                rule = "float32 pixels must be from 0 to 1 (divide by 255, or save as uint8)"
            else:
                good, what, rule = np.isfinite(chunk), "row", "latents must be finite"
            if not good.all():
                row, *inside = (int(i) for i in np.argwhere(~good)[0])
                value = chunk[(row, *inside)]
                raise DataError(
                    f"{path}: {what} {start + row}, element {inside}, is {value}; {rule}"
                )
        yield start, chunk


def _start(path: Path) -> bytes:
    """The first bytes of a file; none for a folder."""
    try:
        if path.is_dir():
            return b""
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: not a regular file; save the data to a file first")
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error


def _read_folder(folder: Path, height: int, width: int) -> Array:
    files = sorted(folder.glob("*.png"))
    if not files:
        raise DataError(f"{folder}: a folder without PNG files")
    images = np.empty((len(files), height, width), np.uint8)
    for image, file in zip(images, files, strict=True):
        image[:] = _read_png(file, height, width)
    return images


def _read_png(path: Path, height: int, width: int) -> Array:
    most = 16 * height * width + _PNG_EXTRAS
    try:
        with open_regular(path) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    if len(content) > most:
        raise DataError(f"{path}: more than {most:,} bytes are no picture of {width} × {height}")
    # From its header, before anything of it is unpacked: two numbers after 16 bytes.
    size = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if content[12:16] == b"IHDR" and len(content) >= 24 and size != (width, height):
        raise DataError(
            f"{path}: the picture is {size[0]} × {size[1]} pixels, expected {width} × {height}"
        )
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if picture.mode not in _PNG_MODES:
                raise DataError(f"{path}: pixel format {picture.mode}, expected 8 bits or less")
            return np.asarray(picture.convert("L"))
    except DataError:
        raise
    except Exception as error:  # damaged files make Pillow raise whatever comes
        raise DataError(f"{path}: not a readable PNG: {error}") from error


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(str(n) for n in shape)}]"
