"""Signals end a run at once, and leave no unfinished output behind."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.processes import started
from tests.support.running import PROGRAM


def interrupt(words: list[str], folder: Path, *numbers: signal.Signals) -> tuple[int, bytes, bytes]:
    """Start the program, and send signals as soon as its output has begun to grow."""
    # Whoever runs the tests under nohup has them ignore SIGHUP, and so would the program.
    command = ["env", "--default-signal=HUP", *PROGRAM, *words]
    with started(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not any(has_begun(path) for path in folder.glob(".digitvae-*")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the output did not begin to grow"
            time.sleep(0.005)
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.03)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err


def has_begun(path: Path) -> bool:
    try:
        return any(path.iterdir()) if path.is_dir() else path.stat().st_size > 100_000
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    "words",
    [
        ["generate", "2_000_000", "-o", "a.idx.gz"],
        ["generate", "2_000_000", "-o", "a.npz"],
        ["generate", "500_000", "-o", "folder"],
        ["decode", "latents.npy", "-o", "a.idx.gz"],
    ],
)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_in_mid_run_leaves_nothing_behind(
    tmp_path: Path, words: list[str], number: signal.Signals, code: int
) -> None:
    if words[0] == "decode":
        np.save(tmp_path / "latents.npy", np.zeros((1_000_000, 40), np.float32))
    before = sorted(tmp_path.iterdir())
    assert interrupt(words, tmp_path, number) == (code, b"", b"")
    assert sorted(tmp_path.iterdir()) == before


def test_what_was_there_survives_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "a.idx.gz").write_text("precious")
    words = ["generate", "2_000_000", "-o", "a.idx.gz", "--force"]
    assert interrupt(words, tmp_path, signal.SIGINT) == (130, b"", b"")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_further_signals_do_not_keep_it_from_cleaning_up(
    tmp_path: Path, first: signal.Signals
) -> None:
    words = ["generate", "500_000", "-o", "folder"]
    further = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    code, out, err = interrupt(words, tmp_path, first, *further)
    assert (code, out, err) == (130 if first == signal.SIGINT else 143, b"", b"")
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_told_to_ignore_a_closed_terminal_ignores_it(tmp_path: Path) -> None:
    words = ["nohup", *PROGRAM, "generate", "100_000", "-o", "a.idx.gz", "-q"]
    with started(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not any(has_begun(path) for path in tmp_path.glob(".digitvae-*")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert [file.name for file in tmp_path.iterdir()] == ["a.idx.gz"]
