"""Which kind of output a path stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

STDOUT = "-"
"""The path that means standard output."""


class Format(NamedTuple):
    """A kind of output.

    Attributes:
        extension: How a file's name ends; empty for a folder.
        what: A few words for messages and help.
        float32: Whether it can hold float32 images as well as uint8.
        labels: Whether it can hold labels beside the images.
    """

    extension: str
    what: str
    float32: bool = False
    labels: bool = False


FORMATS = {
    "npy": Format(".npy", "NumPy array", float32=True),
    "npz": Format(".npz", "zipped NumPy array 'images'", float32=True, labels=True),
    "idx": Format(".idx", "IDX, the format of MNIST"),
    "idx.gz": Format(".idx.gz", "IDX, gzipped"),
    "png": Format(".png", "contact sheet"),
    "parquet": Format(".parquet", "Parquet, as Hugging Face datasets read it", labels=True),
    "tar": Format(".tar", "tar of PNGs, as WebDataset reads it", labels=True),
    "raw": Format(".raw", "bare numbers", float32=True),
    "folder": Format("", "folder of PNGs"),
    "mnist": Format("", "folder that torchvision.datasets.MNIST reads", labels=True),
}


def format_of(path: str | Path, asked: str | None = None) -> str:
    """The key in ``FORMATS`` for a path.

    The extension decides, unless a format is asked for. No extension, or a slash at the end,
    means a folder of PNGs; standard output gets bare numbers.

    Raises:
        ValueError: The extension or the format asked for is unknown.
    """
    text = str(path)
    if not text:
        raise ValueError("the output path is empty")
    if asked is not None:
        if asked not in FORMATS:
            raise ValueError(f"unknown format {asked!r}; known: {', '.join(FORMATS)}")
        if text == STDOUT and not FORMATS[asked].extension:
            raise ValueError(f"a folder ({asked}) cannot be written to standard output")
        return asked
    if text == STDOUT:
        return "raw"
    name = text.rpartition("/")[2]
    # A dot at the start hides a file, it does not begin an extension; '.' and '..' are folders.
    if "." not in name.lstrip("."):
        return "folder"
    # Longest first, so that .idx.gz is not looked up as .gz.
    for key, kind in sorted(FORMATS.items(), key=lambda item: -len(item[1].extension)):
        if kind.extension and name.lower().endswith(kind.extension):
            return key
    known = ", ".join(kind.extension for kind in FORMATS.values() if kind.extension)
    raise ValueError(
        f"'{path}': unknown extension; known: {known}. A name without extension, or with '/' at "
        "the end, means a folder of PNGs; --format overrides the name"
    )
