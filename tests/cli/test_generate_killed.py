"""Whatever ends a run (kill -9 at any moment, a full disk), its shards are whole and it goes on."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import started
from tests.support.running import PROGRAM, run_program
from tests.support.trees import tree

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
    [("npy", 45_000, 2_500), ("tar", 8_000, 450), ("parquet", 8_000, 450)],
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
    for attempt in range(6):
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


class DyingCommand:
    """The command line in processes that may die on the way, one after the other."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self._process = process
        self._errors = errors

    def __call__(self, *words: object, step: int = 0) -> int:
        """The exit code: 9 if it died before the given change of the disk, without a word."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([step, *map(str, words)]), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def all_errors(self) -> str:
        return self._errors.read_text()


@pytest.fixture(scope="module")
def dying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DyingCommand]:
    errors = tmp_path_factory.mktemp("dying") / "stderr"
    options: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        errors.open("w") as stderr,
        started([sys.executable, str(DYING)], stderr=stderr, **options) as process,
    ):
        assert process.stdin is not None
        with process.stdin:
            yield DyingCommand(process, errors)
    assert process.returncode == 0


@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize("before", ["nothing", "another output"])
def test_a_run_that_dies_between_any_two_steps_goes_on(
    tmp_path: Path, dying: DyingCommand, kind: str, before: str
) -> None:
    words = ("generate", 20, "--shard-size", 8, "-q", "-o")
    assert dying(*words, tmp_path / f"whole.{kind}") == 0
    other = ("generate", 30, "--seed", 1, *words[2:])
    assert dying(*other, tmp_path / f"other.{kind}") == 0
    whole, out, target = tmp_path / "whole", tmp_path / "out", tmp_path / f"out.{kind}"
    force = ["--force"] if before == "another output" else []
    for step in range(1, 100):
        if before == "another output":
            shutil.copytree(tmp_path / "other", out)
        code = dying(*words, target, *force, step=step)
        if code == 0:
            break
        assert code == 9, dying.all_errors()
        if out.exists() and before == "nothing":
            assert_shards_are_whole(out, whole)
        if dying(*words, target, "--resume") != 0:
            # It died while it deleted the other output, which is not what it was asked to resume.
            assert before == "another output", dying.all_errors()
            assert dying(*words, target, "--force") == 0, dying.all_errors()
        assert tree(out) == tree(whole), step
        shutil.rmtree(out)
    assert step > 15
    assert tree(out) == tree(whole)


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
        pytest.skip("a disk that is full (needs unshare: install util-linux)")
    if done.returncode == 77 or b"unshare" in done.stderr:
        pytest.skip("a disk that is full (needs user namespaces: allow them)")
    assert done.returncode == 0, done.stderr
    first, *listed = done.stdout.decode().split("\n")
    assert first == "exit 1"
    finished = [name for name in listed if name.startswith("digits-")]
    assert 2 <= len(finished) < 10
    error = done.stderr.decode()
    assert "No space left on device: free some space" in error
    assert f"{len(finished)} of 10 shards in 'out' are finished; resume (--resume) makes" in error
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
