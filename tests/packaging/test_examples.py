"""The examples, built against the installed package: the same digits, to the byte, everywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import digitvae as dv
from tests.support.packages import DECODER, EXAMPLES, ROOT, Installed, must_run, run
from tests.support.processes import started
from tests.support.readers import parse_idx

Bytes = npt.NDArray[np.uint8]

SEED, COUNT = 7, 300
CTYPES: list[str | Path] = [sys.executable, EXAMPLES / "ctypes" / "digits.py"]


class Programs:
    """The compiled examples, each built when it is first asked for."""

    def __init__(self, installed: Installed, folder: Path) -> None:
        self.installed = installed
        self._folder = folder

    def __getitem__(self, name: str) -> Path:
        build = self._folder / name
        if not build.exists():
            self.installed.cmake_build(EXAMPLES / name, build)
        return build / name


@pytest.fixture(scope="session")
def programs(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(installed, tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="session")
def viewer(programs: Programs) -> Path:
    """The example `viewer`, where there is SDL2."""
    if run("sh", ROOT / "tools" / "fetch-tools.sh", "--have", "sdl2").returncode != 0:
        pytest.skip("the SDL2 viewer (needs SDL2: install libsdl2-dev)")
    return programs["viewer"]


@pytest.fixture(scope="session")
def expected() -> Bytes:
    """What the Python module makes."""
    return np.asarray(dv.load().sample(COUNT, seed=SEED))


def digits_command(programs: Programs, language: str) -> list[str | Path]:
    """The example `digits` in one of its two languages."""
    if language == "cpp":
        return [programs["digits"], "--model", DECODER]
    return [*CTYPES, "--library", programs.installed.shared_library, "--model", DECODER]


LANGUAGES = pytest.mark.parametrize("language", ["cpp", "ctypes"])


def test_the_c_program_gives_the_bytes_of_the_python_module(
    programs: Programs, expected: Bytes
) -> None:
    assert must_run(programs["minimal"], DECODER, str(SEED), str(COUNT)) == expected.tobytes()


def test_the_embedded_model_gives_the_same_bytes_without_any_file(
    programs: Programs, expected: Bytes, tmp_path: Path
) -> None:
    alone = shutil.copy(programs["embedded"], tmp_path / "alone")
    assert must_run(alone, str(SEED), str(COUNT), cwd=tmp_path) == expected.tobytes()
    assert b"libdigitvae" not in must_run("ldd", alone)


def test_a_digit_as_text_is_that_digit(programs: Programs, expected: Bytes) -> None:
    text = must_run(programs["minimal"], DECODER, str(SEED)).decode()
    levels = [[" .:-=+*#%@".index(sign) for sign in line] for line in text.splitlines()]
    np.testing.assert_array_equal(levels, expected[0].astype(int) * 10 // 256)
    assert must_run(programs["embedded"], str(SEED)).decode() == text


@LANGUAGES
@pytest.mark.parametrize("count", [1, 19, 20, 21, 300])
def test_a_sheet_holds_the_digits_in_rows_of_twenty(
    programs: Programs, expected: Bytes, tmp_path: Path, language: str, count: int
) -> None:
    sheet = tmp_path / "sheet.pgm"
    options = ("--seed", str(SEED), "--count", str(count), "--output", sheet)
    must_run(*digits_command(programs, language), *options)
    with Image.open(sheet) as image:
        pixels = np.asarray(image)
    columns, rows = min(count, 20), -(-count // 20)
    assert pixels.shape == (rows * 28, columns * 28)
    tiles = pixels.reshape(rows, 28, columns, 28).swapaxes(1, 2).reshape(-1, 28, 28)
    np.testing.assert_array_equal(tiles[:count], expected[:count])
    assert not tiles[count:].any()


@LANGUAGES
def test_an_idx_file_holds_the_digits_from_the_first_one(
    programs: Programs, expected: Bytes, tmp_path: Path, language: str
) -> None:
    path = tmp_path / "digits.idx"
    options = ("--seed", str(SEED), "--first", "100", "--count", "200", "--output", path)
    must_run(*digits_command(programs, language), *options)
    np.testing.assert_array_equal(parse_idx(path.read_bytes()), expected[100:])


@LANGUAGES
@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--output", "out.png"], 2, "ends in neither .pgm nor .idx"),
        (["--output", "there.pgm"], 2, "there.pgm exists; --force overwrites it"),
        (["--output", "out.pgm", "--count", "0"], 2, "from 1 to"),
        (["--output", "out.pgm", "--seed", "-1"], 2, "from 0 to"),
        (["--output", "out.pgm", "--seed", "18446744073709551616"], 2, "from 0 to"),
        (["--output", "out.pgm", "--first", "18446744073709551615"], 2, "beyond 2^64"),
        (["--output", "out.pgm", "--threads", "1025"], 2, "threads is 1025, expected at most"),
        (["--output", "out.idx", "--count", "4294967296"], 2, "at most 4294967295"),
        (["--output", "out.pgm", "--model", "missing.onnx"], 1, "missing.onnx"),
        (["--output", "out.pgm", "--model", "there.pgm"], 1, "or cut short"),
        (["--output", "missing/out.pgm"], 1, "cannot write"),
        (["--out", "out.pgm"], 2, "--out"),
        ([], 2, "--output"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_file(
    programs: Programs, tmp_path: Path, language: str, words: list[str], status: int, message: str
) -> None:
    (tmp_path / "there.pgm").write_bytes(b"mine")
    done = run(*digits_command(programs, language), *words, cwd=tmp_path)
    said = done.stderr.decode()
    assert (done.returncode, len(said.splitlines())) == (status, 1), said
    assert message in said
    assert [path.name for path in tmp_path.iterdir()] == ["there.pgm"]
    assert (tmp_path / "there.pgm").read_bytes() == b"mine"


@LANGUAGES
def test_a_full_disk_leaves_no_file(programs: Programs, tmp_path: Path, language: str) -> None:
    command = " ".join(f'"{word}"' for word in digits_command(programs, language))
    done = run(
        "sh", "-c", f"trap '' XFSZ; ulimit -f 100; exec {command} --output out.idx", cwd=tmp_path
    )
    assert done.returncode == 1
    assert b"cannot write" in done.stderr
    assert list(tmp_path.iterdir()) == []


@LANGUAGES
def test_an_interrupt_leaves_no_file(programs: Programs, tmp_path: Path, language: str) -> None:
    words = [*digits_command(programs, language), "--count", "4000000000", "--output", "out.idx"]
    with started(list(map(str, words)), cwd=tmp_path, stderr=subprocess.PIPE) as program:
        while not any(path.stat().st_size > 1000 for path in tmp_path.iterdir()):
            assert program.poll() is None
        program.send_signal(2)
        _, said = program.communicate(timeout=60)
    assert program.returncode == 130
    assert b"interrupted, nothing was written" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("ort_library", "message"),
    [
        ("/missing/libonnxruntime.so.1", "/missing/libonnxruntime.so.1"),
        (str(ROOT / "README.md"), "README.md"),
    ],
)
def test_a_missing_onnx_runtime_is_told(programs: Programs, ort_library: str, message: str) -> None:
    done = run(programs["minimal"], DECODER, env={"DIGITVAE_ORT_LIBRARY": ort_library})
    assert done.returncode == 1
    assert message in done.stderr.decode()
    assert done.stdout == b""


def test_a_truncated_model_is_told(programs: Programs, tmp_path: Path) -> None:
    half = tmp_path / "half.onnx"
    half.write_bytes(DECODER.read_bytes()[:50_000])
    done = run(programs["minimal"], half)
    assert done.returncode == 1
    assert f"minimal: {half}: the model is no message of ONNX" in done.stderr.decode()
    assert done.stdout == b""


def test_a_full_standard_output_is_told(programs: Programs) -> None:
    for program in ([programs["minimal"], DECODER], [programs["embedded"]]):
        command = " ".join(f'"{word}"' for word in program)
        done = run("sh", "-c", f"{command} 7 300 > /dev/full")
        assert done.returncode == 1
        assert b"cannot write" in done.stderr


@pytest.mark.parametrize("corner", range(4))
def test_the_viewer_shows_the_corner_s_digit_in_the_corner(
    viewer: Path, tmp_path: Path, corner: int
) -> None:
    """The first four digits of the seed, each pixel a square of one colour, in the middle."""
    frame = tmp_path / "frame.bmp"
    at = f"{corner % 2},{corner // 2}"
    words: list[str | Path] = [
        "--model",
        DECODER,
        "--seed",
        str(SEED),
        "--at",
        at,
        "--frame",
        frame,
    ]
    must_run(viewer, *words, env={"SDL_VIDEODRIVER": "dummy"})
    with Image.open(frame) as image:
        assert image.size == (720, 720)
        picture = np.asarray(image.convert("RGB"))
    digit = np.asarray(dv.load().sample(4, seed=SEED))[corner]
    side = next(s for s in range(720 // 28, 5, -1) if is_shown(picture, digit, s))
    assert side * 28 >= 360


def is_shown(picture: npt.NDArray[np.uint8], digit: Bytes, scale: int) -> bool:
    """A digit stands in the middle of the picture, `scale` pixels for one."""
    start = 360 - 28 * scale // 2
    middle = picture[start : start + 28 * scale, start : start + 28 * scale]
    enlarged = np.kron(digit, np.ones((scale, scale), np.uint8))
    return bool((middle == enlarged[..., None]).all())


def test_the_viewer_opens_a_window_and_closes_it_when_told(viewer: Path, tmp_path: Path) -> None:
    command = [str(viewer), "--model", str(DECODER)]
    environment = {**os.environ, "SDL_VIDEODRIVER": "dummy"}
    with started(command, env=environment, stderr=subprocess.PIPE, cwd=tmp_path) as program:
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(timeout=1)
        program.send_signal(2)  # SDL turns it into the event that closing the window is
        _, said = program.communicate(timeout=60)
    assert program.returncode == 0
    assert said == b""
