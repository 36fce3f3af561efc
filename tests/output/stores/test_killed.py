"""Runs that are killed on their way into a bucket leave whole objects, and others complete them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.bucket import Bucket
from tests.support.processes import started
from tests.support.running import PROGRAM, Runner, assert_explained
from tests.support.trees import tree

DYING = Path(__file__).with_name("dying.py")


def assert_objects_are_whole(found: dict[str, bytes], whole: dict[str, bytes]) -> None:
    """What has a name is finished; the manifest claims nothing that is not there."""
    for name, content in found.items():
        if name != "manifest.json":
            assert content == whole[name], name
        elif content == whole[name]:
            assert found.keys() == whole.keys()


def test_a_run_that_is_killed_is_completed_by_another(run: Runner, bucket: Bucket) -> None:
    words = ["generate", "100_000", "--shard-size", "1_000", "-q", "-o"]
    assert run(*words, "digits.npy").code == 0
    whole = tree(Path("digits"))
    with started([*PROGRAM, *words, bucket.uri("digits.npy")]) as process:
        deadline = time.monotonic() + 60
        while len(bucket.keys()) < 4:
            assert process.poll() is None
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    found = bucket.tree()
    assert 4 <= len(found) < 101
    assert_objects_are_whole(found, whole)
    result = run("check", bucket.uri())
    assert_explained(result, 1, f"'{bucket.uri()}' is not complete: ")
    assert "of 100 shards are still to be made, by the command that began it" in result.err
    assert run(*words, bucket.uri("digits.npy"), "--resume").code == 0
    assert bucket.tree() == whole


@pytest.mark.slow
def test_a_run_that_is_killed_between_parts_again_and_again_ends_as_one_that_is_not(
    run: Runner, bucket: Bucket
) -> None:
    # Two shards of two parts each, and one that is sent at once.
    words = ["generate", "60_000", "--shard-size", "25_000", "-q", "-o"]
    assert run(*words, "digits.npy").code == 0
    whole = tree(Path("digits"))
    command = [*words, bucket.uri("digits.npy"), "--resume"]
    begun = False
    # Before the manifest; between parts; when all parts are there; in the next shard; at the end.
    for step in (1, 4, 4, 6, 6):
        process = subprocess.run(
            [sys.executable, str(DYING), str(step), *command],
            check=False,
            cwd=Path(__file__).parents[3],
            env=os.environ,
            timeout=60,
        )
        assert process.returncode == -signal.SIGKILL, step
        assert_objects_are_whole(bucket.tree(), whole)
        begun = begun or bucket.uploads() == ["digits/digits-00000-of-00003.npy"]
    assert begun
    assert run(*command).code == 0
    assert bucket.tree() == whole
