"""IDX, the format of MNIST itself, plain and gzipped."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from digitvae.output.formats.format import Format, Writer
from digitvae.output.spec import OutputSpec


def check_number(spec: OutputSpec) -> None:
    """Refuse more images than the header can count.

    Raises:
        ValueError: There are 2³² or more.
    """
    if spec.total >= 2**32:
        raise ValueError(f"IDX holds fewer than 2**32 images, not {spec.total:,}; use .npy")


class IdxWriter(Writer):
    """An IDX file, the format of MNIST itself: uint8 [n, height, width]."""

    def __init__(self, file: BinaryIO, spec: OutputSpec, threads: int | None) -> None:
        super().__init__(file, spec, threads)
        from digitvae.data.idx import header

        file.write(header(spec.shape))


class GzipIdxWriter(Writer):
    """An IDX file in a gzip stream (RFC 1952) without name or time: same digits, same bytes."""

    def __init__(self, file: BinaryIO, spec: OutputSpec, threads: int | None) -> None:
        super().__init__(file, spec, threads)
        from digitvae.data.idx import header

        # Runs of black are what there is to gain: on MNIST, looking only for runs makes a file
        # as small as level 6 does, in a quarter of the time (216 instead of 57 MB/s).
        self._deflate = zlib.compressobj(1, zlib.DEFLATED, 31, 9, zlib.Z_RLE)
        file.write(self._deflate.compress(header(spec.shape)))

    def write(self, images: memoryview, labels: memoryview | None) -> None:  # noqa: ARG002
        """Append whole images."""
        self._file.write(self._deflate.compress(images))

    def finish(self) -> None:
        """Write what the compressor holds back, and the checksum."""
        self._file.write(self._deflate.flush())


IDX = Format(
    name="idx",
    extension=".idx",
    what="IDX, the format of MNIST",
    open=IdxWriter,
    check=check_number,
)
IDX_GZ = Format(
    name="idx.gz",
    extension=".idx.gz",
    what="IDX, gzipped",
    open=GzipIdxWriter,
    least_share=1 / 32,
    check=check_number,
)
