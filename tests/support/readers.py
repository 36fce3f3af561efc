"""Read every kind of output with programs that are not ours."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pyarrow import parquet

Images = np.ndarray[Any, Any]
PADDING = 2


def read_npy(path: Path, count: int) -> Images:
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    loaded = np.load(path, allow_pickle=False)
    np.testing.assert_array_equal(mapped, loaded)
    return np.asarray(loaded)


def read_npz(path: Path, count: int) -> Images:
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays.files == ["images"]
        return np.asarray(arrays["images"])


def read_idx(path: Path, count: int) -> Images:
    return parse_idx(path.read_bytes())


def read_idx_gz(path: Path, count: int) -> Images:
    with gzip.open(path) as file:
        return parse_idx(file.read())


def parse_idx(content: bytes) -> Images:
    magic, n, height, width = struct.unpack(">IIII", content[:16])
    assert magic == 0x0803
    assert len(content) == 16 + n * height * width
    return np.frombuffer(content, np.uint8, offset=16).reshape(n, height, width)


def read_raw(path: Path, count: int) -> Images:
    return np.fromfile(path, np.uint8).reshape(count, 28, 28)


def read_folder(path: Path, count: int) -> Images:
    files = sorted(path.iterdir())
    assert files.pop().name == "manifest.json"
    return np.stack([read_picture(file) for file in files])


def read_tar(path: Path, count: int) -> Images:
    with tarfile.open(path, "r:") as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == [f"{i:06d}.png" for i in range(count)]
        return np.stack([parse_png(read_member(archive, member)) for member in members])


def read_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def read_parquet(path: Path, count: int) -> Images:
    rows = parquet.read_table(path).to_pylist()
    assert [row["index"] for row in rows] == list(range(count))
    assert [row["image"]["path"] for row in rows] == [f"{i:06d}.png" for i in range(count)]
    return np.stack([parse_png(row["image"]["bytes"]) for row in rows])


def read_mnist(path: Path, count: int) -> Images:
    return parse_idx((path / "MNIST" / "raw" / "train-images-idx3-ubyte").read_bytes())


def read_picture(path: Path) -> Images:
    return parse_png(path.read_bytes())


def parse_png(content: bytes) -> Images:
    with Image.open(io.BytesIO(content)) as picture:
        picture.verify()  # checks every checksum, and spoils the object
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L")
        return np.asarray(picture)


def cut_sheet(
    sheet: Images,
    count: int,
    columns: int,
    scale: int,
    height: int = 28,
    width: int = 28,
    padding: int = PADDING,
) -> Images:
    """The images of a contact sheet; all that is not an image must be black."""
    rows = -(-count // columns)
    cell_height, cell_width = height + padding, width + padding
    shape = ((rows * cell_height + padding) * scale, (columns * cell_width + padding) * scale)
    assert sheet.shape == shape
    small = sheet[::scale, ::scale]
    np.testing.assert_array_equal(np.kron(small, np.ones((scale, scale), np.uint8)), sheet)
    rest = small.copy()
    images = []
    for index in range(count):
        top = padding + index // columns * cell_height
        left = padding + index % columns * cell_width
        area = (slice(top, top + height), slice(left, left + width))
        images.append(small[area])
        rest[area] = 0
    assert not rest.any()
    return np.stack(images)


def read_sheet(path: Path, count: int) -> Images:
    """A sheet with the default columns and scale."""
    return cut_sheet(read_picture(path), count, columns=int(np.ceil(np.sqrt(count))), scale=2)


READERS: dict[str, Callable[[Path, int], Images]] = {
    "out.npy": read_npy,
    "out.npz": read_npz,
    "out.idx": read_idx,
    "out.idx.gz": read_idx_gz,
    "out.png": read_sheet,
    "out.raw": read_raw,
    "out": read_folder,
    "out.tar": read_tar,
    "out.parquet": read_parquet,
}
"""The name of an output, and how to read it back as uint8 [n, 28, 28]."""
