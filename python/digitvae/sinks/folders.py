"""Encoders for folders: one PNG per image, and the files of MNIST as torchvision reads them."""

from __future__ import annotations

import contextlib
import hashlib
import re
from typing import TYPE_CHECKING

from digitvae import idx
from digitvae.sinks.manifest import FileRecord, HashingFile
from digitvae.sinks.png import PngEncoder

if TYPE_CHECKING:
    from pathlib import Path

    from digitvae.sinks.manifest import Manifest
    from digitvae.sinks.request import Request

_PICTURE_NAME = re.compile(r"[0-9]{6,}\.png", re.ASCII)
_PICTURES = "*.png"
_MNIST_NAME = re.compile(r"MNIST/(raw/((train|t10k)-(images-idx3|labels-idx1)-ubyte)?)?")
"""Names in the folders, relative to them; a folder's own ends with a slash."""

UNLABELLED = 255
"""Label of images that have none, in the one format that cannot do without labels."""


def lists_picture(found: Manifest, name: str) -> bool:
    """Whether a manifest lists a picture, by its index."""
    if not _PICTURE_NAME.fullmatch(name):
        return False
    index = int(name.removesuffix(".png"))
    return name == _picture_name(index) and any(
        record.first <= index < record.first + record.count
        for record in found.files
        if record.name == _PICTURES
    )


def lists_mnist_file(found: Manifest, name: str) -> bool:
    """Whether a manifest lists a file of MNIST, or the folder of one."""
    if not _MNIST_NAME.fullmatch(name):
        return False
    return any(
        record.name.startswith(name) if name.endswith("/") else record.name == name
        for record in found.files
    )


def _picture_name(index: int) -> str:
    return f"{index:06d}.png"


class PictureEncoder:
    """One PNG per image, named by its index: ``000000.png`` and so on.

    The names count from ``first``, so that the folders of neighbouring ranges can be merged.

    Args:
        folder: Where the files go; it exists.
        request: What is to be written.
    """

    def __init__(self, folder: Path, request: Request) -> None:
        self._prefix = f"{folder}/"
        # Making a file lets go of the interpreter's lock three times, and would have to wait for
        # other threads each time: with them it takes twice as long.
        self._png = PngEncoder(request.height, request.width, request.count, threads=1)
        self._request = request
        self._index = request.first
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
        asked = self._request
        digest = self._hash.hexdigest()
        return [FileRecord(_PICTURES, asked.first, asked.count, self._bytes, digest)]


class MnistEncoder:
    """``MNIST/raw`` with ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``.

    torchvision takes a folder for MNIST only if it has the test set, too; otherwise it would
    offer to download MNIST, over our files. So there is a test set, of no images.

    Args:
        folder: Where ``MNIST`` goes; it exists.
        request: What is to be written.
    """

    def __init__(self, folder: Path, request: Request) -> None:
        raw = folder / "MNIST" / "raw"
        raw.mkdir(parents=True)
        height, width = request.height, request.width
        self._request = request
        self._open = contextlib.ExitStack()
        self._files: dict[str, tuple[HashingFile, int]] = {}
        for split, count in (("t10k", 0), ("train", request.count)):
            shapes = {"images-idx3": (count, height, width), "labels-idx1": (count,)}
            for kind, shape in shapes.items():
                name = f"{split}-{kind}-ubyte"
                file = HashingFile(self._open.enter_context((raw / name).open("xb")))
                self._files[name] = file, count
                file.write(idx.header(shape))
        self._images, _ = self._files["train-images-idx3-ubyte"]
        self._labels, _ = self._files["train-labels-idx1-ubyte"]

    def write(self, images: memoryview, labels: memoryview | None) -> None:
        """Append whole images."""
        number = len(images) // self._request.image_bytes
        self._images.write(images)
        self._labels.write(
            bytes([UNLABELLED]) * number if labels is None else bytes(labels.tolist())
        )

    def finish(self) -> None:
        """Close the files."""
        self._open.close()

    def abandon(self) -> None:
        """Close the files while that may fail unheard: the disk may be full."""
        with contextlib.suppress(OSError):
            self._open.close()

    def records(self) -> list[FileRecord]:
        """Each file in its entry."""
        first = self._request.first
        return [
            FileRecord(f"MNIST/raw/{name}", first, count, file.size, file.sha256)
            for name, (file, count) in sorted(self._files.items())
        ]
