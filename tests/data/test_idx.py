"""The IDX format: what is written can be read, and what is wrong is told apart and named."""

from __future__ import annotations

import gzip
import io
import math
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitvae.base.errors import DataError
from digitvae.data import idx

shapes = st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple)


def test_header_of_the_mnist_test_images_is_the_published_one() -> None:
    assert (
        idx.header((10_000, 28, 28)).hex(" ") == "00 00 08 03 00 00 27 10 00 00 00 1c 00 00 00 1c"
    )
    assert idx.header((10_000,)).hex(" ") == "00 00 08 01 00 00 27 10"


@pytest.mark.parametrize("shape", [(), (1,) * 256, (-1,), (2**32,)])
def test_shapes_that_the_format_cannot_express_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="IDX"):
        idx.header(shape)


@settings(max_examples=60)
@given(shapes, st.booleans(), st.randoms(use_true_random=False))
def test_an_array_survives_the_round_trip(shape: tuple[int, ...], packed: bool, rnd) -> None:  # type: ignore[no-untyped-def]
    array = np.frombuffer(rnd.randbytes(int(np.prod(shape))), np.uint8).reshape(shape)
    content = idx.header(shape) + array.tobytes()
    stream = (
        gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(content))) if packed else io.BytesIO(content)
    )
    back = idx.parse(stream, "memory")
    assert back.dtype == np.uint8
    assert back.flags.writeable
    assert np.array_equal(back, array)
    assert back.shape == shape


def test_compression_is_recognized_by_content_and_not_by_name(tmp_path: Path) -> None:
    content = idx.header((3,)) + b"abc"
    (tmp_path / "plain.gz").write_bytes(content)
    (tmp_path / "packed").write_bytes(gzip.compress(content))
    assert idx.read(tmp_path / "plain.gz").tobytes() == b"abc"
    assert idx.read(str(tmp_path / "packed")).tobytes() == b"abc"


whole = idx.header((2, 3)) + b"abcdef"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file: it starts with nothing"),
        (b"\x00\x00\x08", "not an IDX file: it starts with 00 00 08"),
        (b"\x89PNG\r\n", "not an IDX file: it starts with 89 50 4e 47"),
        (b"\x00\x00\x08\x00abc", "not an IDX file"),
        (b"\x00\x00\x07" + whole[3:], "not an IDX file"),
        (b"\x00\x00\x0d" + whole[3:], "holds float32 elements"),
        (whole[:9], "truncated inside the header of 2 dimensions"),
        (whole[:-1], r"truncated: 5 of the 6 bytes that shape \(2, 3\) needs"),
        (whole + b"!", "left over after the 6"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_every_way_to_be_wrong_has_its_own_error_that_names_the_file(
    tmp_path: Path, content: bytes, message: str, packed: bool
) -> None:
    path = tmp_path / "file-idx"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=message) as caught:
        idx.read(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_damaged_compression_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        idx.read(tmp_path / "nowhere")
    packed = bytearray(gzip.compress(idx.header((50_000,)) + bytes(range(250)) * 200))
    for damaged in (packed[:-10], packed[:40] + b"\xff\xff\xff" + packed[43:]):
        (tmp_path / "damaged.gz").write_bytes(damaged)
        with pytest.raises(DataError, match="damaged"):
            idx.read(tmp_path / "damaged.gz")


def test_a_header_that_promises_more_than_memory_is_found_truncated(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    path.write_bytes(struct.pack(">HBB4I", 0, 8, 4, *[2**32 - 1] * 4) + b"few")
    with pytest.raises(DataError, match="truncated: 3 of the"):
        idx.read(path)


def test_importing_it_loads_no_numpy() -> None:
    code = "import sys, digitvae.data.idx; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("shape", [(1,) * 65, (0, 2**32 - 1, 2**32 - 1, 2**32 - 1)])
def test_a_shape_that_numpy_cannot_hold_is_a_data_error(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    header = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    (tmp_path / "odd").write_bytes(header + bytes(math.prod(shape)))
    with pytest.raises(DataError, match="cannot be held"):
        idx.read(tmp_path / "odd")
