"""The files of MNIST as torchvision reads them."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from digitvae.output.formats.format import Format, Writer
from digitvae.output.formats.idx import check_number
from digitvae.output.spec import OutputSpec

if TYPE_CHECKING:
    from digitvae.output.manifest import FileRecord, HashingFile, Manifest

_NAME = re.compile(r"MNIST/(raw/((train|t10k)-(images-idx3|labels-idx1)-ubyte)?)?")
"""Names in the folder, relative to it; a folder's own ends with a slash."""

UNLABELLED = 255
"""Label of images that have none, in the one format that cannot do without labels."""


def _check(spec: OutputSpec) -> None:
    """Refuse to do without a test set, and more images than a header can count."""
    if spec.test < 1:
        raise ValueError(f"test is {spec.test}, expected at least 1 for mnist")
    check_number(spec)


def _lists(found: Manifest, name: str) -> bool:
    """Tell if a manifest lists a file of MNIST, or the folder of one."""
    if not _NAME.fullmatch(name):
        return False
    return any(
        record.name.startswith(name) if name.endswith("/") else record.name == name
        for record in found.files
    )


class MnistWriter(Writer):
    """``MNIST/raw`` with ``train-images-idx3-ubyte`` and so on, as torchvision reads it.

    torchvision takes a folder for MNIST only if it has the test set, too; otherwise it would
    offer to download MNIST, over our files. And of a test set without images it can read nothing.

    The images of the training set come first, then those of the test set.
    """

    def __init__(self, folder: Path, spec: OutputSpec, threads: int | None) -> None:
        del threads
        raw = folder / "MNIST" / "raw"
        raw.mkdir(parents=True)
        self._spec = spec
        self._open = contextlib.ExitStack()
        train = _Split("train", spec.first, spec.count)
        test = _Split("t10k", spec.first + spec.count, spec.test)
        self._splits = [train, test]
        for split in self._splits:
            split.images = self._begin(raw, split, (split.count, spec.height, spec.width))
            split.labels = self._begin(raw, split, (split.count,))

    def write(self, images: memoryview, labels: memoryview | None) -> None:
        """Append whole images."""
        size = self._spec.image_bytes
        done, number = 0, len(images) // size
        for split in self._splits:
            part = slice(done, min(number, done + split.missing))
            of_part = part.stop - part.start
            split.images.write(images[done * size : part.stop * size])
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
        from digitvae.output.manifest import FileRecord

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

    def told(self) -> dict[str, object]:
        """The label of images without labels."""
        return {} if self._spec.labels else {"unlabelled": UNLABELLED}

    def _begin(self, raw: Path, split: _Split, shape: tuple[int, ...]) -> HashingFile:
        """Begin a file: of images, which have three dimensions, or of labels, which have one."""
        from digitvae.data import idx
        from digitvae.output.manifest import HashingFile

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


MNIST = Format(
    name="mnist",
    what="folder that torchvision.datasets.MNIST reads",
    open=MnistWriter,
    labels=True,
    shards=False,
    own=("test", "test (--test) is"),
    test_images=lambda count: max(1, count // 7),  # as many as MNIST has
    check=_check,
    files=lambda _spec: 4,
    lists=_lists,
)
