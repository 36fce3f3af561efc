"""Tar files as WebDataset reads them: the files of a sample side by side, named by its index."""

from __future__ import annotations

from typing import BinaryIO

from digitvae.output.formats.format import Format, Writer
from digitvae.output.spec import OutputSpec

_BLOCK, _RECORD = 512, 20 * 512
"""Bytes (POSIX.1-1988, ustar); a header is a block, an archive ends with its record."""

_NAME, _SIZE, _CHECKSUM = slice(0, 100), slice(124, 136), slice(148, 156)
"""Where the fields of a header are."""


class TarWriter(Writer):
    """``000000.png`` and so on, each followed by its ``000000.cls`` where there are labels.

    Nobody's files of no date: same digits, same bytes. Readable from a pipe.
    """

    def __init__(self, file: BinaryIO, spec: OutputSpec, threads: int | None) -> None:
        super().__init__(file, spec, threads)
        import tarfile

        from digitvae.output.png import PngEncoder

        self._png = PngEncoder.of(spec, threads)
        self._index = spec.first
        self._written = 0
        # tarfile makes one header; making all of them with it would take as long as their PNGs.
        header = tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)
        self._before_size = header[_NAME.stop : _SIZE.start]
        self._before_checksum = header[_SIZE.stop : _CHECKSUM.start]
        self._after_checksum = header[_CHECKSUM.stop :]
        # The checksum is the sum of all bytes, its own place taken for eight blanks.
        self._sum = 8 * ord(" ") + sum(
            self._before_size + self._before_checksum + self._after_checksum
        )

    def write(self, images: memoryview, labels: memoryview | None) -> None:
        """Append whole images."""
        position = 0
        for pictures in self._png.encode(images):
            members = []
            for picture in pictures:
                members.append(self._member(b"%06d.png" % self._index, picture))
                if labels is not None:
                    members.append(
                        self._member(b"%06d.cls" % self._index, b"%d" % labels[position])
                    )
                self._index += 1
                position += 1
            # At once: each write lets go of the interpreter's lock, for which the threads wait.
            content = b"".join(members)
            self._file.write(content)
            self._written += len(content)

    def finish(self) -> None:
        """Write the end of the archive: two blocks of zeros, and zeros up to a whole record."""
        self._file.write(bytes(2 * _BLOCK))
        self._written += 2 * _BLOCK
        self._file.write(bytes(-self._written % _RECORD))
        self._png.close()

    def abandon(self) -> None:
        """End the threads."""
        self._png.close()

    def _member(self, name: bytes, content: bytes) -> bytes:
        size = b"%011o\0" % len(content)
        return b"".join(
            (
                name.ljust(_NAME.stop, b"\0"),
                self._before_size,
                size,
                self._before_checksum,
                b"%06o\0 " % (self._sum + sum(name) + sum(size)),
                self._after_checksum,
                content,
                bytes(-len(content) % _BLOCK),
            )
        )


TAR = Format(
    name="tar",
    extension=".tar",
    what="tar of PNGs, as WebDataset reads it",
    open=TarWriter,
    labels=True,
    least_share=0,
    least_image_bytes=2 * _BLOCK,  # a header, and at least one block of content
)
