"""A folder of pictures: one PNG per image, named by its index."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from digitvae.output.formats.format import Format, Writer
from digitvae.output.spec import OutputSpec

if TYPE_CHECKING:
    from digitvae.output.manifest import FileRecord, Manifest

_PICTURE_NAME = re.compile(r"[0-9]{6,}\.png", re.ASCII)
_PICTURES = "*.png"


def _lists(found: Manifest, name: str) -> bool:
    """Tell if a manifest lists a picture, by its index."""
    if not _PICTURE_NAME.fullmatch(name):
        return False
    index = int(name.removesuffix(".png"))
    return name == f"{index:06d}.png" and any(
        record.first <= index < record.first + record.count
        for record in found.files
        if record.name == _PICTURES
    )


class PictureWriter(Writer):
    """One PNG per image, named by its index: ``000000.png`` and so on.

    The names count from ``first``, so that the folders of neighbouring ranges can be merged.
    """

    def __init__(self, folder: Path, spec: OutputSpec, threads: int | None) -> None:
        import hashlib

        from digitvae.output.png import PngEncoder

        del threads
        self._prefix = f"{folder}/"
        # Making a file lets go of the interpreter's lock three times, and would have to wait for
        # other threads each time: with them it takes twice as long.
        self._png = PngEncoder.of(spec, threads=1)
        self._spec = spec
        self._index = spec.first
        self._bytes = 0
        self._hash = hashlib.sha256()

    def write(self, images: memoryview, labels: memoryview | None) -> None:  # noqa: ARG002
        """Write whole images, each to its file."""
        for pictures in self._png.encode(images):
            for picture in pictures:
                # Not Path.open: making the path takes a third as long as making the file.
                with open(f"{self._prefix}{self._index:06d}.png", "xb", buffering=0) as file:  # noqa: PTH123
                    file.write(picture)
                self._hash.update(picture)
                self._bytes += len(picture)
                self._index += 1

    def finish(self) -> None:
        """Every file is already closed."""
        self._png.close()

    def abandon(self) -> None:
        """End the threads. The folder is removed by whoever made it."""
        self._png.close()

    def records(self) -> list[FileRecord]:
        """All pictures in one entry, their contents one after the other."""
        from digitvae.output.manifest import FileRecord

        spec = self._spec
        digest = self._hash.hexdigest()
        return [FileRecord(_PICTURES, spec.first, spec.count, self._bytes, digest)]


FOLDER = Format(
    name="folder",
    what="folder of PNGs",
    open=PictureWriter,
    shards=False,
    least_share=1 / 32,
    files=lambda spec: spec.count,
    lists=_lists,
)
