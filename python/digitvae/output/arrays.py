"""Encoders for arrays of images: NumPy files, zipped NumPy files, IDX files, bare bytes.

An encoder gets the images in order, a buffer of whole images at a time, and passes them on to a
binary file at once: memory stays constant whatever the count. NumPy is not needed to write its
formats, and importing it would take longer than making ten thousand digits.
"""

from __future__ import annotations

import contextlib
import sys
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO, BinaryIO


_ORDER = "<" if sys.byteorder == "little" else ">"
_DESCR = {"uint8": "|u1", "float32": _ORDER + "f4", "int32": _ORDER + "i4"}
_LABELS_IN_MEMORY = 1 << 20


def npy_header(shape: tuple[int, ...], dtype: str) -> bytes:
    """The header of a ``.npy`` file, format version 1.0 (NumPy enhancement proposal 1).

    Args:
        shape: Shape of the array, C order.
        dtype: ``"uint8"``, ``"float32"`` or ``"int32"`` (in this machine's byte order).
    """
    text = f"{{'descr': '{_DESCR[dtype]}', 'fortran_order': False, 'shape': {shape}, }}"
    # Magic (6), version (2), length (2), text, newline: the data start at a multiple of 64.
    padding = -(10 + len(text) + 1) % 64
    body = text.encode("ascii") + b" " * padding + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


class RawEncoder:
    """Nothing but the numbers, in C order and this machine's byte order."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, images: memoryview, labels: memoryview | None) -> None:  # noqa: ARG002
        """Append whole images."""
        self._file.write(images)

    def finish(self) -> None:
        """Nothing follows the last image."""

    def abandon(self) -> None:
        """Nothing is held back."""


class NpyEncoder(RawEncoder):
    """A ``.npy`` file: uint8 or float32 [n, height, width]."""

    def __init__(self, file: BinaryIO, shape: tuple[int, ...], dtype: str) -> None:
        super().__init__(file)
        file.write(npy_header(shape, dtype))


class IdxEncoder(RawEncoder):
    """An IDX file, the format of MNIST itself: uint8 [n, height, width]."""

    def __init__(self, file: BinaryIO, shape: tuple[int, ...]) -> None:
        from digitvae.data.idx import header

        super().__init__(file)
        file.write(header(shape))


class GzipIdxEncoder:
    """An IDX file in a gzip stream (RFC 1952) without name or time: same digits, same bytes."""

    def __init__(self, file: BinaryIO, shape: tuple[int, ...]) -> None:
        from digitvae.data.idx import header

        self._file = file
        # Runs of black are what there is to gain: on MNIST, looking only for runs makes a file
        # as small as level 6 does, in a quarter of the time (216 instead of 57 MB/s).
        self._deflate = zlib.compressobj(1, zlib.DEFLATED, 31, 9, zlib.Z_RLE)
        file.write(self._deflate.compress(header(shape)))

    def write(self, images: memoryview, labels: memoryview | None) -> None:  # noqa: ARG002
        """Append whole images."""
        self._file.write(self._deflate.compress(images))

    def finish(self) -> None:
        """Write what the compressor holds back, and the checksum."""
        self._file.write(self._deflate.flush())

    def abandon(self) -> None:
        """What the compressor holds back is dropped with it."""


class NpzEncoder:
    """A ``.npz`` file of deflated arrays.

    ``images`` is uint8 or float32 [n, height, width]; ``labels``, where there are labels, is
    int32 [n].

    Args:
        file: Where the file goes. Where it can seek, the sizes are put where every reader of zip
            files looks for them.
        shape: Shape of the images.
        dtype: Dtype of the images.
        labels: Whether there are labels.
    """

    def __init__(self, file: BinaryIO, shape: tuple[int, ...], dtype: str, *, labels: bool) -> None:
        from zipfile import ZIP_DEFLATED, ZipFile

        class Quiet(ZipFile):
            """An interruption may come before `abandon` can be called: nothing to print then."""

            def __del__(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().__del__()

        # Level 6 takes 2.3 times as long for a tenth less.
        self._zip = Quiet(file, "w", ZIP_DEFLATED, compresslevel=1)
        self._count = shape[0]
        self._images = self._member("images")
        self._images.write(npy_header(shape, dtype))
        self._labels: IO[bytes] | None = None
        if labels:
            from tempfile import SpooledTemporaryFile

            # A zip file takes one array after the other: the labels wait, many of them in a file
            # without name, so that memory stays constant.
            self._labels = SpooledTemporaryFile(_LABELS_IN_MEMORY)  # noqa: SIM115 (closed below)

    def write(self, images: memoryview, labels: memoryview | None) -> None:
        """Append whole images."""
        self._images.write(images)
        if self._labels is not None and labels is not None:
            self._labels.write(labels)

    def finish(self) -> None:
        """Write what the compressor holds back, the labels, and the zip directory."""
        self._images.close()
        if self._labels is not None:
            self._labels.seek(0)
            with self._member("labels") as member:
                member.write(npy_header((self._count,), "int32"))
                while piece := self._labels.read(_LABELS_IN_MEMORY):
                    member.write(piece)
            self._labels.close()
        self._zip.close()

    def abandon(self) -> None:
        """Close while the file is still open: left to the garbage collector, it would complain."""
        for part in (self._images, self._labels, self._zip):
            with contextlib.suppress(OSError, ValueError):
                if part is not None:
                    part.close()
        self._zip.fp = None  # or it tries again when it is deleted, and complains

    def _member(self, name: str) -> IO[bytes]:
        # Opened by name, a member is dated 1980-01-01: same digits, same bytes. Its size is
        # not known to zipfile before the end, and may pass 4 GiB.
        return self._zip.open(f"{name}.npy", "w", force_zip64=True)
