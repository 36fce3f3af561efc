"""Which kind of output a path stands for."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from digitvae.base.text import STDOUT

if TYPE_CHECKING:
    from pathlib import Path

_DESCRIPTORS = {STDOUT: 1, "/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,9})", re.ASCII)


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
    means a folder of PNGs; standard output, pipes and devices get bare numbers.

    Raises:
        ValueError: The extension or the format asked for is unknown.
    """
    text = str(path)
    if not text:
        raise ValueError("the output path is empty")
    if asked is not None:
        if asked not in FORMATS:
            raise ValueError(f"unknown format {asked!r}; known: {', '.join(FORMATS)}")
        if not FORMATS[asked].extension and is_stream(text):
            what = "standard output" if is_standard_output(text) else f"'{text}'"
            raise ValueError(f"a folder ({asked}) cannot be written to {what}")
        return asked
    name = text.rpartition("/")[2]
    # A dot at the start hides a file, it does not begin an extension; '.' and '..' are folders.
    if "." not in name.lstrip("."):
        return "raw" if is_stream(text) else "folder"
    # Longest first, so that .idx.gz is not looked up as .gz.
    for key, kind in sorted(FORMATS.items(), key=lambda item: -len(item[1].extension)):
        if kind.extension and name.lower().endswith(kind.extension):
            return key
    known = ", ".join(kind.extension for kind in FORMATS.values() if kind.extension)
    raise ValueError(
        f"'{path}': unknown extension; known: {known}. A name without extension, or with '/' at "
        "the end, means a folder of PNGs; --format overrides the name"
    )


def is_standard_output(path: str | Path) -> bool:
    """Whether a path means standard output: ``-``, ``/dev/stdout`` and the like."""
    return descriptor_of(path) == 1


def is_stream(path: str | Path) -> bool:
    """Whether what is written to a path is passed on at once: descriptors, pipes, devices."""
    if descriptor_of(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (the path may be text)
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def descriptor_of(path: str | Path) -> int | None:
    """The open descriptor that a path means: 1 for ``-``; ``None``: none."""
    text = str(path)
    if text in _DESCRIPTORS:
        return _DESCRIPTORS[text]
    found = _DESCRIPTOR.fullmatch(text)
    return int(found[1]) if found else None
