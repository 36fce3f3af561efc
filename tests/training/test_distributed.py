"""Two processes train what one trains, and only the first of them writes and talks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from digitvae.bundle.names import WEIGHTS
from digitvae.data.sets import Split
from digitvae.training import run_directory as run_files
from digitvae.training.distributed import Group, joined
from digitvae.training.loop import Progress, TrainConfig, read_config, train
from tests.support.running import Runner

# 600 images in batches of 97: the parts are not equal, nor is the last batch.
CONFIG = TrainConfig(epochs=3, batch_size=97, limit=600, threads=1)
OPTIONS = (
    *("--epochs", "3", "--batch-size", "97", "--limit", "600", "--threads", "1"),
    *("--precision", "float32"),
)


# In one group of processes, one command after the other: each process takes longer to import torch
# than to train.
COMMANDS = """
import json, sys
from contextlib import nullcontext
from digitvae.training import distributed
from digitvae.cli.app import main

with distributed.joined() as group:
    distributed.joined = lambda: nullcontext(group)
    for words in json.loads(sys.argv[1]):
        assert main(words) == 0
        if group.is_first:
            print("END", flush=True)
"""


def torchrun(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program in two processes, in a folder."""
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *words]
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


class Two(NamedTuple):
    """What two processes did: the folder of all runs, what each said, and what went to stderr."""

    folder: Path
    told: dict[str, str]
    errors: str


@pytest.fixture(scope="module")
def two(mnist: dict[str, Split], tmp_path_factory: pytest.TempPathFactory) -> Two:
    """A run of each objective, and ``part``, which one process began."""
    folder = tmp_path_factory.mktemp("two")

    def interrupt(progress: Progress) -> None:
        if progress.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, folder / "part", data=mnist, on_progress=interrupt)
    objectives = ("elbo", "pixel-mean", "autoencoder")
    whole = [["train", "--out", name, "--objective", name, *OPTIONS] for name in objectives]
    (folder / "commands.py").write_text(COMMANDS)
    commands = json.dumps([*whole, ["train", "--out", "part", "--resume"]])
    done = torchrun(folder, "commands.py", commands)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("begun with") == 1  # what is said of "part" alone
    told = done.stdout.split("END\n")
    return Two(folder, dict(zip((*objectives, "part"), told, strict=False)), done.stderr)


def weights(folder: Path) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    held = load_file(folder / WEIGHTS)
    return np.concatenate([held[name].ravel() for name in sorted(held)])


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["elbo", "pixel-mean", "autoencoder"])
def test_two_processes_train_the_model_of_one_but_for_rounding(
    objective: str, two: Two, run: Runner, tmp_path: Path
) -> None:
    here = run("train", "--out", "one", "--objective", objective, *OPTIONS)
    assert here.code == 0, here.err
    for said in (here.out, two.told[objective]):
        assert sum(line.startswith("epoch ") for line in said.splitlines()) == 3
        assert said.count("active latents") == 1
    one, other = tmp_path / "one", two.folder / objective
    assert sorted(p.name for p in other.iterdir()) == sorted(run_files.FILES)
    assert read_config(other) == replace(read_config(one), processes=2)
    before, after = (
        json.loads((folder / run_files.LOG_JSON).read_text()) for folder in (one, other)
    )
    for a, b in zip(before, after, strict=True):
        for name in ("train_loss", "train_bce", "test_bce"):
            assert b[name] == pytest.approx(a[name], rel=1e-4)
        for name in ("learning_rate", "kl_weight", "epoch"):
            assert b[name] == a[name]
    # Adam turns a gradient of rounding errors into a step, so that few weights are far off.
    difference = np.abs(weights(one) - weights(other))
    assert 0 < difference.mean() < 1e-4


@pytest.mark.slow
def test_what_one_process_began_two_complete(two: Two) -> None:
    assert replace(read_config(two.folder / "elbo"), processes=1) == CONFIG
    assert "begun with 1 processes, going on with 2" in two.errors
    part, whole = weights(two.folder / "part"), weights(two.folder / "elbo")
    assert np.abs(part - whole).mean() < 1e-4


@pytest.mark.slow
def test_a_refusal_ends_every_process_and_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("")
    done = torchrun(tmp_path, "-m", "digitvae", "train", "--out", "taken", *OPTIONS)
    assert done.returncode != 0
    assert "exists and is not empty" in done.stderr
    assert [p.name for p in (tmp_path / "taken").iterdir()] == ["mine"]


@given(rows=st.integers(0, 1000), size=st.integers(1, 9))
def test_the_parts_are_the_whole_and_as_equal_as_can_be(rows: int, size: int) -> None:
    parts = [Group(rank, size).part(rows) for rank in range(size)]
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(rows))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_without_torchrun_a_process_is_alone() -> None:
    with joined() as group, group.first_alone():
        assert group == Group(0, 1)
        assert group.is_first
        assert group.shared(lambda: "made") == "made"
        assert group.sums([1.0, 2.5]) == [1.0, 2.5]
