"""What README.md and docs/scale.md have people type, with smaller numbers, on a real cluster."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.generation.ray.programs import Environment, generate
from tests.support.bucket import Bucket
from tests.support.running import Runner


def command(page: str) -> list[str]:
    """The words after ``digitvae generate`` in the block of a page that has a cluster work."""
    lines = [line for each in blocks(page) for line in each.code.splitlines()]
    (line,) = (line for line in lines if "digitvae generate" in line and "--engine ray" in line)
    _, words = line.split("digitvae generate ")
    return shlex.split(words, comments=True)


def test_the_command_of_the_readme(tmp_path: Path, on_cluster: Environment) -> None:
    words = command("README.md")
    assert words[0] == "10_000_000"
    done = generate(tmp_path, 1_000, *words[1:], env=on_cluster)
    assert done.stdout.startswith("digits: 1,000 digits, 1 of 1 shards, in ")
    assert done.stderr == ""


@pytest.mark.usefixtures("connected", "s3")
def test_the_command_of_scale_md(run: Runner) -> None:
    words = command("docs/scale.md")
    assert words[0] == "1_000_000_000"
    # Into a bucket of its own: other tests find nothing in the one of that name.
    bucket = Bucket("documented")
    assert "s3://bucket/digits.npy" in words
    words = [bucket.uri("digits.npy") if word.startswith("s3:") else word for word in words]
    made = run("generate", 2_000, "--shard-size", 500, *words[1:])
    assert made.code == 0, made
    assert len(bucket.tree("digits")) == 5
    found = run("check", bucket.uri(), "--engine", "ray")
    assert found.code == 0, found


def test_the_program_of_scale_md(tmp_path: Path, on_cluster: Environment) -> None:
    (block,) = (each for each in blocks("docs/scale.md") if each.language == "python")
    code = block.code
    for old, new in (
        ("1_000_000", "600"),
        ("ray.init()", "ray.init(log_to_driver=False)"),
        ("batch[", "print(batch['image'].shape); batch["),
    ):
        assert old in code
        code = code.replace(old, new, 1)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=on_cluster,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    shapes = [line for line in done.stdout.splitlines() if line.startswith("torch.Size")]
    assert shapes == [*["torch.Size([256, 28, 28])"] * 2, "torch.Size([88, 28, 28])"]
