"""``encode`` and ``decode``: any readable input, the library's numbers, and clear refusals."""

from __future__ import annotations

import gzip
import io
import json
import os
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import digitvae as dv
from digitvae.cli.inputs import chunks, read_images, read_latents
from digitvae.engine.model import Model
from tests.support.readers import READERS
from tests.support.running import Runner, assert_explained

Images = np.ndarray[Any, Any]


def save_pngs(images: Images) -> Path:
    Path("folder").mkdir()
    for index, image in enumerate(images):
        # Not in the order in which a file system would list them.
        Image.fromarray(image).save(f"folder/{index:06d}.png")
    return Path("folder")


def save_idx(images: Images, *, packed: bool = False) -> Path:
    from digitvae.data.idx import header

    content = header(images.shape) + images.tobytes()
    path = Path("t10k-images-idx3-ubyte")  # no extension that would tell
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


def save_npy(array: Images) -> Path:
    np.save("array.npy", array)
    return Path("array.npy")


def save_npz(**arrays: Images) -> Path:
    np.savez_compressed("array.npz", allow_pickle=False, **arrays)
    return Path("array.npz")


@pytest.mark.parametrize(
    "save",
    [
        save_npy,
        save_pngs,
        save_idx,
        lambda x: save_idx(x, packed=True),
        lambda x: save_npz(images=x),
        lambda x: save_npz(anything=x),
        lambda x: save_npz(images=x, labels=np.arange(len(x))),
        lambda x: save_npy(x.reshape(len(x), 784)),
        lambda x: save_npy(np.asfortranarray(x)),
        lambda x: save_npy(x.astype(np.float32) / np.float32(255)),
        lambda x: save_npy(x.astype(">f4") / np.float32(255)),
    ],
)
def test_images_in_any_form_are_encoded_alike(
    run: Runner, model: dv.Model, mnist: Any, save: Callable[[Images], Path]
) -> None:
    images = mnist["test"].images[:12]
    assert run("encode", save(images), "-o", "latents.npz").code == 0
    posterior = model.encode(images)
    with np.load("latents.npz") as found:
        assert set(found.files) == {"mu", "logvar"}
        np.testing.assert_array_equal(found["mu"], posterior.mu)
        np.testing.assert_array_equal(found["logvar"], posterior.logvar)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "LA"])
def test_a_single_picture_is_encoded_whatever_its_colours(
    run: Runner, model: dv.Model, mode: str
) -> None:
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 13:16] = 255
    Image.fromarray(image).convert(mode).save("one.png")
    assert run("encode", "one.png").code == 0
    np.testing.assert_array_equal(np.load("latents.npy"), model.encode(image).mu[None])


@pytest.mark.parametrize("name", ["out.npy", "out.npz", "out.idx.gz", "out"])
def test_generated_outputs_can_be_encoded_again(run: Runner, model: dv.Model, name: str) -> None:
    run("generate", 9000, "-o", name, "-q") if name != "out" else run("generate", 30, "-o", name)
    count = 30 if name == "out" else 9000  # more than a chunk
    result = run("encode", name, "--json")
    told = json.loads(result.out)
    assert (told["command"], told["path"], told["count"]) == ("encode", "latents.npy", count)
    found = np.load("latents.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, model.encode(model.sample(count)).mu)


def test_decoding_the_latents_of_generated_digits_gives_those_digits(
    run: Runner, model: dv.Model
) -> None:
    save_npy(model.latents(9000, seed=5))
    assert run("decode", "array.npy", "--json").code == 0
    run("generate", 9000, "--seed", 5)
    assert Path("decoded.npy").read_bytes() == Path("digits.npy").read_bytes()


@pytest.mark.parametrize("name", READERS)
def test_latents_are_decoded_into_every_kind_of_output(
    run: Runner, model: dv.Model, name: str
) -> None:
    z = model.latents(30, seed=5)
    save_npz(mu=z, logvar=np.zeros_like(z))
    assert run("decode", "array.npz", "-o", name).code == 0
    np.testing.assert_array_equal(READERS[name](Path(name), 30), model.decode(z))


def test_latents_may_be_one_row_or_of_the_other_byte_order(run: Runner, model: dv.Model) -> None:
    z = model.latents(1)
    for array in (z[0], z.astype(">f4")):
        assert run("decode", save_npy(array), "--force", "--dtype", "float32").code == 0
        np.testing.assert_array_equal(np.load("decoded.npy"), model.decode(z, dtype="float32"))


def test_latents_can_be_piped(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
    model: dv.Model,
    mnist: Any,
) -> None:
    from digitvae.cli.app import main

    monkeypatch.chdir(tmp_path)
    images = mnist["test"].images[:3]
    np.save("images.npy", images)
    for words, key in ([], None), (["--format", "npz"], "logvar"):
        capsysbinary.readouterr()
        assert main(["encode", "images.npy", "-o", "-", *words]) == 0
        loaded = np.load(io.BytesIO(capsysbinary.readouterr().out))
        posterior = model.encode(images)
        expected = posterior.mu if key is None else posterior.logvar
        np.testing.assert_array_equal(loaded if key is None else loaded[key], expected)


def with_value(shape: tuple[int, ...], place: tuple[int, ...], value: float) -> Images:
    array = np.zeros(shape, np.float32)
    array[place] = value
    return array


def save_bytes(content: bytes) -> Path:
    Path("file.bin").write_bytes(content)
    return Path("file.bin")


def save_png(size: tuple[int, int], mode: str = "L") -> Path:
    Image.new(mode, size).save("one.png")
    return Path("one.png")


def npy_bytes(array: Images) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


ZEROS = np.zeros((3, 28, 28), np.uint8)


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda: Path("missing.npy"), "No such file"),
        (lambda: save_npy(np.zeros((3, 27, 28), np.uint8)), "[3, 27, 28], expected [n, 28, 28]"),
        (lambda: save_npy(np.zeros((3, 785), np.uint8)), "[3, 785], expected [n, 28, 28]"),
        (lambda: save_npy(np.zeros((2, 3, 28, 28), np.uint8)), "[2, 3, 28, 28], expected"),
        (lambda: save_npy(np.zeros((0, 28, 28), np.uint8)), "n at least 1"),
        (lambda: save_npy(np.zeros((), np.uint8)), "[], expected"),
        (lambda: save_npy(np.zeros((3, 28, 28))), "float64, expected uint8"),
        (lambda: save_npy(np.zeros((3, 28, 28), np.int64)), "int64, expected uint8"),
        (lambda: save_npy(np.array([{}], dtype=object)), "not a readable NumPy file"),
        (lambda: save_npy(with_value((3, 28, 28), (2, 1, 5), np.nan)), "2, element [1, 5], is nan"),
        (lambda: save_npy(with_value((3, 28, 28), (1, 0, 9), 254.0)), "is 254.0; float32 pixels"),
        (lambda: save_npy(with_value((9000, 28, 28), (8999, 0, 0), -0.5)), "image 8999"),
        (lambda: save_npz(a=ZEROS, b=ZEROS), "holds a, b; expected an array named images"),
        (lambda: save_bytes(b""), "not an image file"),
        (lambda: save_bytes(b"GIF89a" + bytes(100)), "not an image file"),
        (lambda: save_bytes(npy_bytes(ZEROS)[:-1]), "not a readable NumPy file"),
        (lambda: save_bytes(npy_bytes(ZEROS)[:20]), "not a readable NumPy file"),
        (lambda: save_bytes(b"PK\x03\x04" + bytes(50)), "not a readable NumPy file"),
        (lambda: save_bytes(b"\0\0\x08\x03" + bytes(3)), "truncated"),
        (lambda: save_bytes(gzip.compress(bytes(100))[:30]), "file.bin"),
        (lambda: save_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50)), "not a readable PNG"),
        (lambda: save_png((27, 28)), "27 × 28 pixels, expected 28 × 28"),
        (lambda: save_png((28, 28), "I;16"), "I;16"),
        (Path, "without PNG files"),
        (lambda: Path("/dev/zero"), "not a regular file"),
        (lambda: save_bytes(zlib_png(20_000, 20_000)), "20000 × 20000 pixels, expected 28 × 28"),
        (lambda: save_bytes(zlib_png(28, 28) + bytes(2 << 20)), "bytes are no picture of 28 × 28"),
        (lambda: save_bytes(zlib_png(28, 28)[:-30]), "not a readable PNG"),
        (lambda: save_bytes(npy_header_of(1 << 31)), "header is said to have 2,147,483,648 bytes"),
        (lambda: save_bytes(b"\x93NUMPY\x03\0" + bytes(50)), "not a readable NumPy file"),
        (lambda: save_zip(npy_header_of(1 << 31)), "header is said to have 2,147,483,648 bytes"),
        (lambda: save_zip(npy_bytes(ZEROS)[:-1]), "2,351 bytes follow its header"),
        (lambda: save_zip(npy_bytes(ZEROS) + b"x"), "2,353 bytes follow its header"),
        (lambda: save_zip(npy_bytes(ZEROS), zipfile.ZIP_LZMA), "is compressed by method 14"),
        (lambda: save_zip(npy_bytes(np.array([{}], dtype=object))), "dtype is object"),
        (lambda: save_zip(npy_bytes(ZEROS), encrypted=True), "is encrypted"),
    ],
)  # fmt: skip
def test_images_that_cannot_be_encoded_are_refused_by_name(
    run: Runner, tmp_path: Path, save: Callable[[], Path], message: str
) -> None:
    path = save()
    result = run("encode", path)
    assert_explained(result, 1, message)
    assert result.err.startswith(f"digitvae: error: {path}: ")
    assert not Path("latents.npy").exists()
    assert_explained(run("reconstruct", path), 1, message)
    assert not Path("pairs.png").exists()


def zlib_png(width: int, height: int) -> bytes:
    """A PNG of so many black pixels, whatever its header says of them."""
    from digitvae.output.png import _chunk

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content = _chunk(b"IHDR", size + bytes((8, 0, 0, 0, 0)))
    content += _chunk(b"IDAT", zlib.compress(bytes(29 * 28))) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def npy_header_of(length: int) -> bytes:
    return b"\x93NUMPY\x02\0" + length.to_bytes(4, "little") + b" " * 100


def save_zip(
    content: bytes, method: int = zipfile.ZIP_DEFLATED, *, encrypted: bool = False
) -> Path:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("images.npy", content)
    told = bytearray(file.getvalue())
    if encrypted:
        told[told.index(b"PK\x01\x02") + 8] |= 1
    return save_bytes(bytes(told))


def unpacking(action: Callable[[], object]) -> int:
    """Most bytes that Python had at once while something was done."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


BOMB = 40_000_000


@pytest.mark.parametrize("shape", [(BOMB // 784, 28, 27), (BOMB,), (1, 1, BOMB), (BOMB, 28, 28)])
@pytest.mark.parametrize("kind", ["idx.gz", "npz"])
def test_what_has_not_the_right_shape_is_not_unpacked(
    tmp_path: Path, shape: tuple[int, ...], kind: str
) -> None:
    from digitvae.base.errors import DataError
    from digitvae.cli.inputs import read_images
    from digitvae.data.idx import header
    from digitvae.output.formats.arrays import npy_header

    path = tmp_path / "bomb"
    if kind == "npz":
        path.write_bytes(save_zip_bytes(npy_header(shape, "uint8") + bytes(BOMB)))
    else:
        path.write_bytes(gzip.compress(header(shape) + bytes(BOMB), 1))

    def read() -> None:
        with pytest.raises(DataError, match=r"shape is|truncated|follow its header|it takes"):
            read_images(path, 28, 28)

    # The last shape is right, and promises more than there is: all of it, but nothing beyond.
    assert unpacking(read) < (3 * BOMB if shape[0] == BOMB and len(shape) == 3 else 20_000_000)


def save_zip_bytes(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("images.npy", content)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["idx.gz", "npz"])
def test_what_this_machine_cannot_hold_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from digitvae.base.errors import DataError
    from digitvae.cli.inputs import read_images

    monkeypatch.chdir(tmp_path)
    path = save_npz(images=ZEROS) if kind == "npz" else save_idx(ZEROS, packed=True)
    monkeypatch.setattr(os, "sysconf", lambda name: 1 if name == "SC_PHYS_PAGES" else 2_351)
    with pytest.raises(DataError, match=r"takes 2,352 bytes, and this machine has 2,351"):
        read_images(path, 28, 28)


LATENTS = np.zeros((3, 40), np.float32)


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda: Path("missing.npy"), "No such file"),
        (lambda: save_npy(np.zeros((3, 41), np.float32)), "[3, 41], expected [n, 40]"),
        (lambda: save_npy(np.zeros((3, 2, 40), np.float32)), "[3, 2, 40], expected [n, 40]"),
        (lambda: save_npy(np.zeros((0, 40), np.float32)), "n at least 1"),
        (lambda: save_npy(np.zeros((3, 40))), "float64, expected float32"),
        (lambda: save_npy(np.zeros((3, 40), np.uint8)), "uint8, expected float32"),
        (lambda: save_npy(with_value((3, 40), (2, 7), np.nan)), "row 2, element [7], is nan"),
        (lambda: save_npy(with_value((3, 40), (0, 0), np.inf)), "row 0, element [0], is inf"),
        (lambda: save_npy(with_value((9000, 40), (8500, 39), -np.inf)), "row 8500, element [39]"),
        (lambda: save_npz(a=LATENTS, b=LATENTS), "expected an array named mu"),
        (lambda: save_idx(ZEROS), "not a NumPy file"),
        (lambda: save_bytes(b"hello"), "not a NumPy file"),
        (Path, "not a NumPy file"),
    ],
)
def test_latents_that_cannot_be_decoded_are_refused_by_name(
    run: Runner, tmp_path: Path, save: Callable[[], Path], message: str
) -> None:
    path = save()
    before = sorted(os.listdir())  # noqa: PTH208
    result = run("decode", path)
    assert_explained(result, 1, message)
    assert result.err.startswith(f"digitvae: error: {path}: ")
    assert sorted(os.listdir()) == before  # noqa: PTH208


@pytest.mark.parametrize(
    ("command", "left"),
    [("encode", 0), ("encode", -1), ("decode", 8192 * 40 * 4 + 1000), ("reconstruct", 100)],
)
def test_an_input_that_is_cut_short_while_it_is_read_is_told(
    run: Runner, monkeypatch: pytest.MonkeyPatch, command: str, left: int
) -> None:
    """A mapped file would end the process, by SIGBUS."""
    shape = (9000, 40) if command == "decode" else (9000, 28, 28)
    path = save_npy(np.zeros(shape, np.float32))
    size = path.stat().st_size
    before = sorted(os.listdir())  # noqa: PTH208
    work = Model.decode if command == "decode" else Model.encode

    def cut(model: dv.Model, *arguments: Any, **options: Any) -> Any:
        os.truncate(path, left % size)
        return work(model, *arguments, **options)

    monkeypatch.setattr(Model, work.__name__, cut)
    assert_explained(run(command, path), 1, f"{path}: was cut short while it was read")
    assert sorted(os.listdir()) == before  # noqa: PTH208


def test_of_a_large_file_only_what_is_used_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has holes of 7 TB, as a tenth of which no memory has."""
    path = tmp_path / "large.npy"
    with path.open("wb") as file:
        shape = (10_000_000_000, 784)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        file.truncate(start + 784 * shape[0])
        os.pwrite(file.fileno(), bytes([9] * 784), start + 784 * 7_000_000_000)
    images = read_images(path, 28, 28)
    assert images.shape == (10_000_000_000, 28, 28)
    _, chunk = next(chunks(path, images[7_000_000_000:]))
    assert (chunk.shape, chunk[0].min(), chunk[1:].max()) == ((8192, 28, 28), 9, 0)
    assert images[[5, 7_000_000_000]].sum(axis=(1, 2)).tolist() == [0, 9 * 784]
    assert images[10_000_000_000 - 3 :].shape == (3, 28, 28)


def test_the_file_that_was_opened_is_read_and_then_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.ones((4, 40), np.float32))
    opened = os.listdir("/proc/self/fd")  # noqa: PTH208
    latents = read_latents(path, 40)[1:3]
    path.unlink()
    np.save(path, np.zeros((4, 40), np.float32))
    np.testing.assert_array_equal(latents, np.ones((2, 40), np.float32))
    del latents
    assert os.listdir("/proc/self/fd") == opened  # noqa: PTH208


def test_headers_that_promise_nonsense_are_refused(run: Runner) -> None:
    for shape in ("(-1, 784)", "(2**70, 784)", "(99999999999999999999, 784)", "(True,)", "(3"):
        head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        content = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode()
        assert_explained(run("encode", save_bytes(content + bytes(784))), 1, "file.bin: ")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["encode"], 2, "IMAGES"),
        (["decode"], 2, "LATENTS"),
        (["encode", "array.npy", "-o", "a.png"], 2, "as .npy or .npz"),
        (["encode", "array.npy", "-o", "a"], 2, "as .npy or .npz"),
        (["encode", "array.npy", "-o", "missing/a.npy"], 1, "does not exist"),
        (["encode", "array.npy", "-o", "array.npy"], 1, "'array.npy' exists"),
        (["encode", "array.npy", "-o", "-", "--json"], 2, "--json"),
        (["encode", "array.npy", "--bundle", "missing"], 1, "missing"),
        (["decode", "array.npy", "-o", "a.jpg"], 2, "unknown extension"),
    ],
)
def test_other_mistakes_are_explained(
    run: Runner, words: list[str], code: int, message: str
) -> None:
    save_npy(ZEROS)
    assert_explained(run(*words), code, message)
    assert os.listdir() == ["array.npy"]  # noqa: PTH208


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_full_disk_is_told_when_latents_are_written(run: Runner, name: str) -> None:
    from tests.support.trees import file_size_limit

    save_npy(np.zeros((100, 28, 28), np.uint8))
    with file_size_limit(10_000):
        assert_explained(run("encode", "array.npy", "-o", name), 1, "free some space")
    assert os.listdir() == ["array.npy"]  # noqa: PTH208
