"""A format of outputs, and what writes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from digitvae.output.spec import OutputSpec

if TYPE_CHECKING:
    from digitvae.output.manifest import FileRecord, Manifest


class Writer:
    """Turns images into the bytes of one format and passes them on at once.

    Memory stays constant, whatever the count. This one writes the numbers and nothing else.

    Args:
        file: Where they go. It stays open.
        spec: What it is to hold; it has been checked.
        threads: Most threads that encode PNGs; ``None``: one a processor, up to 4.
    """

    def __init__(self, file: BinaryIO, spec: OutputSpec, threads: int | None) -> None:
        del threads
        self._file = file
        self._spec = spec

    def write(self, images: memoryview, labels: memoryview | None) -> None:  # noqa: ARG002
        """Append whole images, as bytes, and their labels, if there are labels at all."""
        self._file.write(images)

    def finish(self) -> None:
        """Write what belongs after the last image."""

    def abandon(self) -> None:
        """Let go of everything; what was written will be thrown away."""

    def records(self) -> list[FileRecord]:
        """Of a folder that is finished: what the manifest tells of its files."""
        raise NotImplementedError

    def told(self) -> dict[str, object]:
        """Of a folder: what the manifest tells beyond what is asked."""
        return {}


class Format(NamedTuple):
    """A kind of output, with all that is to be known of it.

    Attributes:
        name: As ``--format`` and the manifest have it.
        extension: How a file's name ends; empty for a folder.
        what: A few words for messages and help.
        open: Begins an output: its :class:`Writer`. A folder's gets the folder, which exists.
        pixels: Types of pixels that it can hold.
        labels: Whether it can hold labels beside the images.
        shards: Whether a large output may be in shards of it.
        seeks: Whether its writer goes back in files that can seek, to other bytes than in a pipe.
        least_share: A lower bound on the output's size, as a share of the images' bytes. Compressed
            digits take about a fifth; space is checked for far less, since the check is there for
            counts that cannot fit, not to guess how well these digits compress.
        least_image_bytes: Another, in bytes for each image, twice where there are labels.
        package: What has to be installed to write it, and our extra that has it.
        own: A field of an ``OutputSpec`` that is for this format alone, and how messages begin that
            tell so.
        test_images: How many images of a test set go with a number of others, unless asked for.
        check: Refuses what it cannot do beyond all this, with a ValueError.
        files: Of a folder: how many files there will be, beside the manifest.
        lists: Of a folder: whether its manifest lists an entry, by the name relative to the folder;
            a folder's ends with a slash.
    """

    name: str
    what: str
    open: Callable[[Any, OutputSpec, int | None], Writer]
    extension: str = ""
    pixels: tuple[str, ...] = ("uint8",)
    labels: bool = False
    shards: bool = True
    seeks: bool = False
    least_share: float = 1.0
    least_image_bytes: int = 0
    package: tuple[str, str] | None = None
    own: tuple[str, str] | None = None
    test_images: Callable[[int], int] = lambda _count: 0
    check: Callable[[OutputSpec], None] = lambda _spec: None
    files: Callable[[OutputSpec], int] = lambda _spec: 1
    lists: Callable[[Manifest, str], bool] | None = None

    @property
    def is_sheet(self) -> bool:
        """True if it shows its images beside one another."""
        return self.own is not None and self.own[0] == "sheet"

    @property
    def asked_by(self) -> str:
        """The part of a command line that asks for it."""
        return self.extension or f"--format {self.name}"

    def least_bytes(self, spec: OutputSpec) -> int:
        """A lower bound on the output's size in bytes."""
        share = int(spec.total * spec.image_bytes * self.least_share)
        return max(share, spec.count * self.least_image_bytes * (1 + spec.labels))
