"""Arrays of images: NumPy files, zipped NumPy files, bare bytes.

NumPy is not needed to write its formats, and importing it would take longer than making ten
thousand digits.
"""

from __future__ import annotations

import contextlib
import sys
from typing import IO, BinaryIO

from digitvae.output.formats.format import Format, Writer
from digitvae.output.spec import OutputSpec

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


class NpyWriter(Writer):
    """A ``.npy`` file: uint8 or float32 [n, height, width]."""

    def __init__(self, file: BinaryIO, spec: OutputSpec, threads: int | None) -> None:
        super().__init__(file, spec, threads)
        file.write(npy_header(spec.shape, spec.dtype))


class NpzWriter(Writer):
    """A ``.npz`` file of deflated arrays.

    ``images`` is uint8 or float32 [n, height, width]; ``labels``, where there are labels, is
    int32 [n]. Where the file can seek, the sizes are put where every reader of zip files looks for
    them.
    """

    def __init__(self, file: BinaryIO, spec: OutputSpec, threads: int | None) -> None:
        super().__init__(file, spec, threads)
        from zipfile import ZIP_DEFLATED, ZipFile

        class Quiet(ZipFile):
            """An interruption may come before `abandon` can be called: nothing to print then."""

            def __del__(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().__del__()

        # Level 6 takes 2.3 times as long for a tenth less.
        self._zip = Quiet(file, "w", ZIP_DEFLATED, compresslevel=1)
        self._images = self._member("images")
        self._images.write(npy_header(spec.shape, spec.dtype))
        self._labels: IO[bytes] | None = None
        if spec.labels:
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
                member.write(npy_header((self._spec.count,), "int32"))
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


_BOTH = ("uint8", "float32")
NPY = Format(name="npy", extension=".npy", what="NumPy array", open=NpyWriter, pixels=_BOTH)
NPZ = Format(
    name="npz",
    extension=".npz",
    what="zipped NumPy array 'images'",
    open=NpzWriter,
    pixels=_BOTH,
    labels=True,
    seeks=True,
    least_share=1 / 32,
)
RAW = Format(name="raw", extension=".raw", what="bare numbers", open=Writer, pixels=_BOTH)
