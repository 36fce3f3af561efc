"""Every kind of output holds exactly the images it was given, whoever reads it."""

from __future__ import annotations

import io
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digitvae.base.errors import OutputError
from digitvae.output import FORMATS, format_of, open_sink
from digitvae.output.formats.arrays import npy_header
from tests.support.images import some_images, write
from tests.support.readers import READERS, cut_sheet, read_picture

STREAMED = [name for name in READERS if name != "out"]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(("count", "chunk"), [(1, 1), (10, 1), (23, 7), (23, 23)])
def test_independent_readers_find_the_pixels_that_were_written(
    tmp_path: Path, name: str, count: int, chunk: int
) -> None:
    images = some_images(count)
    write(tmp_path / name, images, chunk)
    found = READERS[name](tmp_path / name, count)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, images)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["out.npy", "out.npz", "out.raw"])
def test_float32_arrays_keep_every_bit(tmp_path: Path, name: str) -> None:
    images = np.random.default_rng(1).random((5, 28, 28), np.float32)
    images[0, 0, :3] = [0.0, 1.0, np.nextafter(np.float32(0), np.float32(1))]
    write(tmp_path / name, images, 2, dtype="float32")
    if name == "out.raw":
        found = np.fromfile(tmp_path / name, np.float32).reshape(images.shape)
    else:
        loaded = np.load(tmp_path / name)
        found = loaded["images"] if name == "out.npz" else loaded
    np.testing.assert_array_equal(found.view(np.uint32), images.view(np.uint32))


def test_an_array_file_is_byte_for_byte_what_numpy_itself_writes(tmp_path: Path) -> None:
    images = some_images(3)
    write(tmp_path / "ours.npy", images)
    np.save(tmp_path / "theirs.npy", images)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()


@given(shape=st.lists(st.integers(0, 2**40), max_size=6).map(tuple), float32=st.booleans())
def test_numpy_understands_the_header_of_any_shape(shape: tuple[int, ...], float32: bool) -> None:
    dtype = np.dtype("float32" if float32 else "uint8")
    header = io.BytesIO(npy_header(shape, dtype.name))
    assert np.lib.format.read_magic(header) == (1, 0)
    assert np.lib.format.read_array_header_1_0(header) == (shape, False, dtype)
    assert header.read() == b""
    assert header.tell() % 64 == 0


@pytest.mark.parametrize("name", STREAMED)
def test_the_same_images_give_the_same_bytes_in_any_chunks_on_any_threads(
    tmp_path: Path, name: str
) -> None:
    images = some_images(5000)
    for folder, chunk, threads in (("a", 5000, 1), ("b", 2999, 2)):
        (tmp_path / folder).mkdir()
        options = {"scale": 1} if name == "out.png" else {}
        write(tmp_path / folder / name, images, chunk, threads=threads, **options)
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_compressed_outputs_carry_no_date(tmp_path: Path) -> None:
    write(tmp_path / "out.npz", some_images(2))
    write(tmp_path / "out.idx.gz", some_images(2))
    with zipfile.ZipFile(tmp_path / "out.npz") as archive:
        assert archive.testzip() is None
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)
    assert (tmp_path / "out.idx.gz").read_bytes()[3:8] == bytes(5)  # no name, time 0


@pytest.mark.parametrize("name", ["out.npz", "out.idx.gz", "out.png"])
def test_digits_shrink_when_they_are_compressed(
    tmp_path: Path, mnist: dict[str, Any], name: str
) -> None:
    images = mnist["test"].images[:1000]
    write(tmp_path / name, images, scale=1 if name == "out.png" else None)
    assert (tmp_path / name).stat().st_size < images.nbytes / 3


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    count=st.integers(1, 20),
    columns=st.integers(1, 25),
    scale=st.integers(1, 4),
    height=st.integers(1, 30),
    width=st.integers(1, 30),
)
def test_a_contact_sheet_has_every_image_in_its_cell(
    tmp_path: Path, count: int, columns: int, scale: int, height: int, width: int
) -> None:
    images = np.random.default_rng(count).integers(0, 256, (count, height, width), np.uint8)
    write(
        tmp_path / "sheet.png",
        images,
        3,
        columns=columns,
        scale=scale,
        height=height,
        width=width,
        force=True,
    )
    sheet = read_picture(tmp_path / "sheet.png")
    np.testing.assert_array_equal(cut_sheet(sheet, count, columns, scale, height, width), images)


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (9, 3, 3), (10, 4, 3), (100, 10, 10)]
)
def test_a_contact_sheet_is_nearly_square(
    tmp_path: Path, count: int, columns: int, rows: int
) -> None:
    write(tmp_path / "sheet.png", some_images(count), scale=1)
    assert read_picture(tmp_path / "sheet.png").shape == (rows * 30 + 2, columns * 30 + 2)


def test_a_folder_names_its_pictures_by_index_so_that_ranges_can_be_merged(
    tmp_path: Path,
) -> None:
    images = some_images(7)
    write(tmp_path / "whole", images, first=999_996)
    write(tmp_path / "a", images[:3], first=999_996)
    write(tmp_path / "b", images[3:], first=999_999)
    whole = {file.name: file.read_bytes() for file in (tmp_path / "whole").glob("*.png")}
    parts = {f.name: f.read_bytes() for part in "ab" for f in (tmp_path / part).glob("*.png")}
    assert parts == whole
    assert {"999996.png", "999999.png", "1000000.png", "1000002.png"} <= set(whole)


@pytest.mark.parametrize("name", STREAMED)
def test_memory_does_not_grow_with_the_count(tmp_path: Path, name: str) -> None:
    part = memoryview(some_images(200))
    tracemalloc.start()
    try:
        with open_sink(
            tmp_path / name, count=8_000, scale=1 if name == "out.png" else None
        ) as sink:
            for _ in range(40):
                sink.write(part)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5e6  # 6.3 MB went through


def test_the_buffer_may_be_filled_again_as_soon_as_write_returns(tmp_path: Path) -> None:
    images = some_images(11)
    for name, reader in READERS.items():
        buffer = bytearray(4 * 784)
        with open_sink(tmp_path / name, count=11) as sink:
            for start in range(0, 11, 4):
                part = images[start : start + 4]
                view = memoryview(buffer)[: part.nbytes]
                view[:] = part.tobytes()
                sink.write(view)
                buffer[:] = b"\xff" * len(buffer)
        np.testing.assert_array_equal(reader(tmp_path / name, 11), images)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.npy", "npy"),
        ("A.NPY", "npy"),
        ("a.b/c.npz", "npz"),
        ("a.idx", "idx"),
        ("a.idx.gz", "idx.gz"),
        ("a.png", "png"),
        ("a.raw", "raw"),
        ("digits", "folder"),
        ("a.b/digits", "folder"),
        ("digits.png/", "folder"),
        ("digits.v2/", "folder"),
        (".hidden", "folder"),
        ("..", "folder"),
        ("a.parquet", "parquet"),
        ("digits.000.tar", "tar"),
        ("-", "raw"),
    ],
)
def test_the_name_of_an_output_says_its_kind(path: str, expected: str) -> None:
    assert format_of(path) == expected


@pytest.mark.parametrize("path", ["a.jpg", "a.gz", "a.npy.bak", "v1.2", "a.", ".hidden.txt"])
def test_an_unknown_extension_is_refused_with_the_known_ones(path: str) -> None:
    with pytest.raises(ValueError, match=r"unknown extension.*\.npy.*\.npz.*\.idx\.gz.*\.png"):
        format_of(path)


def test_a_format_that_is_asked_for_overrides_the_name() -> None:
    assert {key: format_of("a.jpg", key) for key in FORMATS} == {key: key for key in FORMATS}
    with pytest.raises(ValueError, match="unknown format 'jpg'"):
        format_of("a.npy", "jpg")
    for folder in ("folder", "mnist"):
        with pytest.raises(ValueError, match="standard output"):
            format_of("-", folder)
    with pytest.raises(ValueError, match="empty"):
        format_of("")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.npy", {"count": 0}, "count is 0"),
        ("a.npy", {"count": -5}, "count is -5"),
        ("a.npy", {"count": 5, "dtype": "float64"}, "float64"),
        ("a.idx", {"count": 5, "dtype": "float32"}, "npy, npz, raw"),
        ("a.png", {"count": 5, "dtype": "float32"}, "uint8 only"),
        ("a", {"count": 5, "dtype": "float32"}, "uint8 only"),
        ("a.idx", {"count": 2**32}, r"use \.npy"),
        ("a.npy", {"count": 5, "columns": 3}, "contact sheet"),
        ("a", {"count": 5, "scale": 3}, "contact sheet"),
        ("a.png", {"count": 5, "columns": 0}, "expected 1 to"),
        ("a.png", {"count": 5, "scale": 0}, "expected 1 to"),
        ("a.png", {"count": 1_000_000}, r"89,478,485.*24,855 images at scale 2.*folder"),
        ("a.png", {"count": 5, "padding": -1}, "padding is -1"),
        ("a", {"count": 5, "padding": 0}, "contact sheet"),
        ("a.npz", {"count": 5, "invert": True}, "contact sheet"),
        ("a.tar", {"count": 5, "dtype": "float32"}, "tar holds uint8 only"),
        ("a.parquet", {"count": 5, "dtype": "float32"}, "parquet holds uint8 only"),
        ("a", {"count": 2**32, "format": "mnist"}, r"IDX holds fewer"),
        ("a", {"count": 1, "format": "mnist"}, "count is 1, expected at least 2"),
        ("a.npy", {"count": 2, "first": 2**64 - 1}, r"indices are 0 to 2\*\*64"),
        ("a.npy", {"count": 2, "first": -1}, "first is -1"),
        ("a.jpg", {"count": 5}, "unknown extension"),
    ],
)
def test_what_a_format_cannot_do_is_refused_before_anything_is_made(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message), open_sink(tmp_path / name, **options):
        pass
    assert not list(tmp_path.iterdir())


def test_the_largest_sheet_that_is_not_refused_opens_without_a_warning(tmp_path: Path) -> None:
    count = 24_649  # 157 × 157
    write(tmp_path / "sheet.png", np.full((count, 28, 28), 255, np.uint8))
    assert read_picture(tmp_path / "sheet.png").shape == (9424, 9424)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("sizes", "message"),
    [([784 * 3], "3 of 4"), ([784 * 3, 784 * 2], "up to 1 images"), ([783], "783"), ([], "0 of 4")],
)
def test_other_than_the_announced_images_leave_nothing_behind(
    tmp_path: Path, name: str, sizes: list[int], message: str
) -> None:
    def write_parts() -> None:
        with open_sink(tmp_path / name, count=4) as sink:
            for size in sizes:
                sink.write(memoryview(bytes(size)))

    with pytest.raises(ValueError, match=message):
        write_parts()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", STREAMED)
def test_standard_output_gets_the_bytes_of_the_file(
    tmp_path: Path, name: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    images = some_images(5)
    write(tmp_path / name, images)
    with open_sink("-", count=5, format=name.removeprefix("out.")) as sink:
        sink.write(memoryview(images))
    found = capsysbinary.readouterr().out
    if name != "out.npz":  # a zip that cannot seek puts its sizes elsewhere
        assert found == (tmp_path / name).read_bytes()
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / name).write_bytes(found)
    np.testing.assert_array_equal(READERS[name](tmp_path / "again" / name, 5), images)


def test_standard_output_is_refused_when_it_is_a_terminal_or_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(OutputError, match="terminal"), open_sink("-", count=1):
        pass
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OutputError, match="closed"), open_sink("-", count=1):
        pass
