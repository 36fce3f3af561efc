"""Encoders for folders: one PNG per image, and the files of MNIST as torchvision reads them."""

from __future__ import annotations

import contextlib
import hashlib
import re
from typing import TYPE_CHECKING

from digitvae.data import idx
from digitvae.output.manifest import FileRecord, HashingFile
from digitvae.output.png import PngEncoder

if TYPE_CHECKING:
    from pathlib import Path

    from digitvae.output.manifest import Manifest
    from digitvae.output.request import Request

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
    """``MNIST/raw`` with ``train-images-idx3-ubyte`` and so on, as torchvision reads it.

    torchvision takes a folder for MNIST only if it has the test set, too; otherwise it would
    offer to download MNIST, over our files. And of a test set without images it can read nothing.

    Args:
        folder: Where ``MNIST`` goes; it exists.
        request: What is to be written: the images of the training set, then those of the test set.
    """

    def __init__(self, folder: Path, request: Request) -> None:
        raw = folder / "MNIST" / "raw"
        raw.mkdir(parents=True)
        self._image_bytes = request.image_bytes
        self._open = contextlib.ExitStack()
        train = _Split("train", request.first, request.count)
        test = _Split("t10k", request.first + request.count, request.test)
        self._splits = [train, test]
        for split in self._splits:
            split.images = self._begin(raw, split, (split.count, request.height, request.width))
            split.labels = self._begin(raw, split, (split.count,))

    def write(self, images: memoryview, labels: memoryview | None) -> None:
        """Append whole images."""
        done, number = 0, len(images) // self._image_bytes
        for split in self._splits:
            part = slice(done, min(number, done + split.missing))
            of_part = part.stop - part.start
            split.images.write(images[done * self._image_bytes : part.stop * self._image_bytes])
            split.labels.write(
                bytes([UNLABELLED]) * of_part if labels is None else bytes(labels[part].tolist())
            )
            split.missing -= of_part
            done = part.stop

    def finish(self) -> None:
        """Close the files."""
        self._open.close()

    def abandon(self) -> None:
        """Close the files while that may fail unheard: the disk may be full."""
        with contextlib.suppress(OSError):
            self._open.close()

    def records(self) -> list[FileRecord]:
        """Each file in its entry."""
        return sorted(
            (
                FileRecord(f"MNIST/raw/{name}", split.first, split.count, file.size, file.sha256)
                for split in self._splits
                for name, file in (
                    (_mnist_name(split, 3), split.images),
                    (_mnist_name(split, 1), split.labels),
                )
            ),
            key=lambda record: record.name,
        )

    def _begin(self, raw: Path, split: _Split, shape: tuple[int, ...]) -> HashingFile:
        """Begin a file: of images, which have three dimensions, or of labels, which have one."""
        path = raw / _mnist_name(split, len(shape))
        file = HashingFile(self._open.enter_context(path.open("xb")))
        file.write(idx.header(shape))
        return file


class _Split:
    """The training set or the test set in the making.

    Attributes:
        name: How its files' names begin.
        first: Index of its first image.
        count: Number of its images.
        missing: How many of them are still to come.
        images: The file of its images.
        labels: The file of its labels.
    """

    images: HashingFile
    labels: HashingFile

    def __init__(self, name: str, first: int, count: int) -> None:
        self.name = name
        self.first = first
        self.count = self.missing = count


def _mnist_name(split: _Split, dimensions: int) -> str:
    return f"{split.name}-{'images' if dimensions == 3 else 'labels'}-idx{dimensions}-ubyte"
