"""Whatever ends a run (kill -9 at any moment, a full disk), its shards are whole and it goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.running import PROGRAM, run_program
from tests.processes import started
from tests.sinks.test_atomic import tree

DYING = Path(__file__).with_name("dying.py")


def generate(path: Path, *words: object) -> None:
    done = run_program("generate", *words, "-q", "-o", path)
    assert done.returncode == 0, done.stderr


def assert_shards_are_whole(found: Path, whole: Path) -> None:
    """What has a name is finished; the manifest claims nothing that is not there."""
    expected = tree(whole)
    for name, content in tree(found).items():
        if name.startswith("digits-"):
            assert content == expected[name], name
        elif name == "manifest.json" and content == expected[name]:
            assert tree(found).keys() >= expected.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "count", "size"),
    [("npy", 90_000, 5_000), ("tar", 16_000, 900), ("parquet", 16_000, 900)],
)
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_is_not(
    tmp_path: Path, kind: str, count: int, size: int
) -> None:
    words = (count, "--shard-size", size)
    began = time.monotonic()
    generate(tmp_path / f"whole.{kind}", *words)
    duration = time.monotonic() - began
    seed = random.SystemRandom().randrange(2**32)
    print(f"moments of killing drawn with seed {seed}")  # noqa: T201
    moments = random.Random(seed)
    command = [*PROGRAM, "generate", *map(str, words), "-q", "--resume"]
    killed = 0
    for attempt in range(8):
        # The first kills come anywhere in a run, from its start to its end.
        with started([*command, "-o", str(tmp_path / f"out.{kind}")]) as process:
            try:
                process.wait(moments.uniform(0.05, duration if attempt else duration / 2))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                killed += 1
        assert process.returncode in (0, -signal.SIGKILL)
        if (tmp_path / "out").exists():
            assert_shards_are_whole(tmp_path / "out", tmp_path / "whole")
    assert killed > 0
    generate(tmp_path / f"out.{kind}", *words, "--resume")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def die_at(step: int, *words: object) -> subprocess.CompletedProcess[bytes]:
    """Run the command line, but die without a word before the given change of the disk."""
    return subprocess.run(
        [sys.executable, str(DYING), str(step), *map(str, words)],
        capture_output=True,
        check=False,
        env=os.environ,
        timeout=60,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize("before", ["nothing", "another output"])
def test_a_run_that_dies_between_any_two_steps_goes_on(
    tmp_path: Path, kind: str, before: str
) -> None:
    words = ("generate", 20, "--shard-size", 8, "-q")
    generate(tmp_path / f"whole.{kind}", *words[1:-1])
    out = tmp_path / "out"
    for step in range(1, 100):
        if before == "another output":
            generate(tmp_path / f"out.{kind}", 30, "--shard-size", 8, "--seed", 1, "--force")
        force = ["--force"] if before == "another output" else []
        done = die_at(step, *words, *force, "-o", tmp_path / f"out.{kind}")
        if done.returncode == 0:
            break
        assert done.returncode == 9, done.stderr
        if out.exists() and before == "nothing":
            assert_shards_are_whole(out, tmp_path / "whole")
        again = run_program(*words, "--resume", "-o", tmp_path / f"out.{kind}")
        if again.returncode != 0:
            # It died while it deleted the other output, which is not what it was asked to resume.
            assert before == "another output", again.stderr
            generate(tmp_path / f"out.{kind}", *words[1:-1], "--force")
        assert tree(out) == tree(tmp_path / "whole"), step
        for file in out.iterdir():
            file.unlink()
        out.rmdir()
    assert step > 15
    assert tree(out) == tree(tmp_path / "whole")


FULL_DISK = """
mount -t tmpfs -o size=2m tmpfs "$1" || exit 77
cd "$1" || exit 77
shift
"$@" -o out.npz
echo "exit $?"
ls out
mount -o remount,size=40m .
"$@" -o out.npz --resume || exit 1
cp -r out ..
"""


def test_a_disk_that_is_really_full_is_told_and_what_is_finished_is_kept(tmp_path: Path) -> None:
    generate(tmp_path / "whole.npz", 10_000, "--shard-size", 1000)
    (tmp_path / "mounted").mkdir()
    words = ["generate", "10_000", "--shard-size", "1000", "-q"]
    script = ["unshare", "-Urm", "sh", "-c", FULL_DISK, "sh", str(tmp_path / "mounted")]
    try:
        done = subprocess.run([*script, *PROGRAM, *words], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if done.returncode == 77 or b"unshare" in done.stderr:
        pytest.skip("needs file systems of its own")
    assert done.returncode == 0, done.stderr
    first, *listed = done.stdout.decode().split("\n")
    assert first == "exit 1"
    finished = [name for name in listed if name.startswith("digits-")]
    assert 2 <= len(finished) < 10
    error = done.stderr.decode()
    assert "No space left on device: free some space" in error
    assert f"{len(finished)} of 10 shards in 'out' are finished; --resume makes" in error
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
