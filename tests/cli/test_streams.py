"""Outputs that are no files: pipes, devices and descriptors get the bytes that files would."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

import digitvae as dv
from digitvae.output import FORMATS, format_of, streams
from tests.support.running import PROGRAM, Runner, assert_explained, run_program

FILES = [kind for kind, told in FORMATS.items() if told.extension]
MAKE = ("generate", 300, "--seed", 3)


class Reading:
    """What comes through a pipe, read by a thread beside the block."""

    def __init__(self, path: Path) -> None:
        self.content = b""
        self._path = path
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        self.content = self._path.read_bytes()

    def __enter__(self) -> Reading:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("kind", FILES)
def test_a_pipe_gets_what_a_file_would(run: Runner, kind: str) -> None:
    assert run(*MAKE, "-o", f"file.{kind}").code == 0
    os.mkfifo(f"pipe.{kind}")
    with Reading(Path(f"pipe.{kind}")) as pipe:
        result = run(*MAKE, "-o", f"pipe.{kind}")
    assert (result.code, result.err) == (0, "")
    if kind == "npz":  # a zip file that cannot seek is another, of the same arrays
        Path("piped.npz").write_bytes(pipe.content)
        with np.load("piped.npz") as one, np.load("file.npz") as other:
            np.testing.assert_array_equal(one["images"], other["images"])
    else:
        assert pipe.content == Path(f"file.{kind}").read_bytes()
    assert not list(Path().glob(".digitvae-*"))
    assert Path(f"pipe.{kind}").is_fifo()


@pytest.mark.parametrize("name", ["pipe", "pipe.raw"])
def test_a_pipe_without_extension_gets_bare_numbers(
    run: Runner, model: dv.Model, name: str
) -> None:
    os.mkfifo(name)
    with Reading(Path(name)) as pipe:
        assert run(*MAKE, "-o", name, "--force").code == 0
    assert pipe.content == model.sample(300, seed=3).tobytes()


@pytest.mark.parametrize("kind", FILES)
def test_the_device_that_takes_everything_does(run: Runner, kind: str) -> None:
    result = run(*MAKE, "-o", "/dev/null", "--format", kind)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("/dev/null: 300 digits in ")


def test_a_device_that_is_full_is_told(run: Runner) -> None:
    result = run("generate", 30_000, "-o", "/dev/full")
    assert_explained(result, 1, "cannot write '/dev/full': No space left on device")


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_every_name_of_standard_output_means_it(tmp_path: Path, model: dv.Model, name: str) -> None:
    """Into a pipe, and after what a file holds already, which is never replaced."""
    expected = model.sample(300, seed=3).tobytes()
    assert run_program(*MAKE, "-o", name).stdout == expected
    with (tmp_path / "file").open("wb") as file:
        file.write(b"before")
        file.flush()
        command = [*PROGRAM, *map(str, MAKE), "-o", name]
        subprocess.run(command, stdout=file, check=True, timeout=60)
    assert (tmp_path / "file").read_bytes() == b"before" + expected


def test_any_descriptor_can_be_written_to(run: Runner, model: dv.Model) -> None:
    with Path("file").open("wb") as file:
        assert run(*MAKE, "-o", f"/dev/fd/{file.fileno()}").code == 0
        assert not file.closed
    assert Path("file").read_bytes() == model.sample(300, seed=3).tobytes()
    message = "cannot write '/dev/fd/99': Bad file descriptor"
    assert_explained(run(*MAKE, "-o", "/dev/fd/99"), 1, message)


def test_latents_and_pictures_go_to_streams_too(run: Runner, model: dv.Model) -> None:
    np.save("images.npy", model.sample(5))
    os.mkfifo("pipe")
    with Reading(Path("pipe")) as pipe:
        assert run("encode", "images.npy", "-o", "pipe").code == 0
    Path("latents.npy").write_bytes(pipe.content)
    np.testing.assert_array_equal(np.load("latents.npy"), model.encode(model.sample(5)).mu)
    assert run("decode", "latents.npy", "-o", "/dev/null").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "/dev/stdout", "--json"], "--json prints to standard output, and so does '-o /dev"),
        (["-o", "/dev/stdout", "--format", "mnist"], "cannot be written to standard output"),
        (
            ["-o", "/dev/null", "--format", "folder"],
            "cannot be written to '/dev/null'",
        ),
        (["-o", "/dev/null", "--shard-size", "5"], "shards go into a folder, not to '/dev/null'"),
    ],
)
def test_what_a_stream_cannot_hold_is_wrong_usage(
    run: Runner, words: list[str], message: str
) -> None:
    assert_explained(run(*MAKE, *words), 2, message)


def test_a_pipe_that_nobody_reads_is_not_waited_for_without_end(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_PATIENCE_SECONDS", 0.1)
    os.mkfifo("pipe")
    result = run(*MAKE, "-o", "pipe")
    assert_explained(result, 1, "cannot write 'pipe': nobody reads this pipe")


def test_a_reader_that_has_enough_ends_the_program_quietly(run: Runner) -> None:
    os.mkfifo("pipe")
    reader = threading.Thread(target=lambda: Path("pipe").open("rb").close())
    reader.start()
    result = run("generate", 50_000, "-o", "pipe")
    reader.join(30)
    assert result == (1, "", "")


def test_a_socket_is_never_replaced(run: Runner) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.npy")  # relative, for such names are short
        result = run(*MAKE, "-o", "socket.npy", "--force")
    assert_explained(result, 1, "cannot write 'socket.npy': it is not a regular file; choose")


def test_formats_of_streams() -> None:
    assert [format_of(name) for name in ("-", "/dev/stdout", "/dev/null")] == ["raw"] * 3
    assert format_of("/dev/null", "npy") == "npy"
    assert format_of("/dev/absent") == "folder"


@pytest.mark.parametrize("kind", ["npy", "npz", "tar", "parquet"])
def test_where_no_thread_can_be_started_the_bytes_are_the_same(
    run: Runner, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    make = ("generate", 20_000, "--threads", 1)
    assert run(*make, "-o", f"one.{kind}").code == 0

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    result = run(*make, "-o", f"two.{kind}")
    assert (result.code, result.err) == (0, "")
    assert Path(f"two.{kind}").read_bytes() == Path(f"one.{kind}").read_bytes()
