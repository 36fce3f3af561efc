"""``digitvae`` as a program that a cluster works for, and what can befall the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import AbstractContextManager
from pathlib import Path

from tests.support.processes import started
from tests.support.running import PROGRAM

Environment = dict[str, str]


def generate(
    folder: Path, *words: object, env: Environment, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run ``digitvae generate`` in a folder, and look at its exit code."""
    done = subprocess.run(
        [*PROGRAM, "generate", *map(str, words)],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def generating(
    folder: Path, *words: object, env: Environment
) -> AbstractContextManager[subprocess.Popen[str]]:
    """Run ``digitvae generate`` in a folder beside the block."""
    return started(
        [*PROGRAM, "generate", *map(str, words)],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    """Wait until a program has ended well; what it said."""
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert err == ""
    assert len(out.splitlines()) == 1  # nor does Ray say anything
    return out


def wait_for_shards(process: subprocess.Popen[str], out: Path, number: int) -> list[Path]:
    """Wait until so many shards are there; those that are."""
    deadline = time.monotonic() + 120
    while len(shards := sorted(out.glob("digits-*"))) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return shards


def kill_workers(below: int | None = None) -> int:
    """Kill whoever is making a shard right now, by SIGKILL; how many those were.

    Args:
        below: Only those that are children of this process.
    """
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title = (process / "cmdline").read_bytes()
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        if title.startswith(b"ray::make") and below in (None, parent):
            os.kill(int(process.name), signal.SIGKILL)
            killed += 1
    return killed
