"""Two processes train what one trains, and only the first of them writes and talks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from digitvae import run
from digitvae.distributed import Group, joined
from digitvae.train import Progress, TrainConfig, read_config, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from digitvae.data import Split

    Start = Callable[..., "subprocess.CompletedProcess[str]"]

# 600 images in batches of 97: the parts are not equal, nor is the last batch.
OPTIONS = (
    *("--epochs", "3", "--batch-size", "97", "--limit", "600", "--threads", "1"),
    *("--precision", "float32"),
)


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Runs ``digitvae train``, in so many processes."""

    def begin(processes: int, *words: str) -> subprocess.CompletedProcess[str]:
        torchrun = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
        command = [*(torchrun if processes > 1 else ()), "digitvae", "train", *words]
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return begin


def weights(folder: Path) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    held = load_file(folder / run.WEIGHTS)
    return np.concatenate([held[name].ravel() for name in sorted(held)])


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["elbo", "pixel-mean", "autoencoder"])
def test_two_processes_train_the_model_of_one_but_for_rounding(
    objective: str, start: Start, tmp_path: Path
) -> None:
    for processes, name in ((1, "one"), (2, "two")):
        done = start(processes, "--out", name, "--objective", objective, *OPTIONS)
        assert done.returncode == 0, done.stderr
        assert sum(line.startswith("epoch ") for line in done.stdout.splitlines()) == 3
        assert done.stdout.count("active latents") == 1
    one, two = tmp_path / "one", tmp_path / "two"
    assert sorted(p.name for p in two.iterdir()) == sorted(run.FILES)
    assert read_config(two) == replace(read_config(one), processes=2)
    before, after = (json.loads((folder / run.LOG_JSON).read_text()) for folder in (one, two))
    for a, b in zip(before, after, strict=True):
        for name in ("train_loss", "train_bce", "test_bce"):
            assert b[name] == pytest.approx(a[name], rel=1e-4)
        for name in ("learning_rate", "kl_weight", "epoch"):
            assert b[name] == a[name]
    # Adam turns a gradient of rounding errors into a step, so that few weights are far off.
    difference = np.abs(weights(one) - weights(two))
    assert 0 < difference.mean() < 1e-4


@pytest.mark.slow
def test_what_one_process_began_two_complete(
    mnist: dict[str, Split], start: Start, tmp_path: Path
) -> None:
    assert start(2, "--out", "whole", *OPTIONS).returncode == 0
    config = replace(read_config(tmp_path / "whole"), processes=1)
    assert config == TrainConfig(epochs=3, batch_size=97, limit=600, threads=1)

    def interrupt(progress: Progress) -> None:
        if progress.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "part", data=mnist, on_progress=interrupt)
    done = start(2, "--out", "part", "--resume")
    assert done.returncode == 0, done.stderr
    assert "begun with 1 processes, going on with 2" in done.stderr
    part, whole = weights(tmp_path / "part"), weights(tmp_path / "whole")
    assert np.abs(part - whole).mean() < 1e-4


@pytest.mark.slow
def test_a_refusal_ends_every_process_and_is_said_once(start: Start, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("")
    done = start(2, "--out", "taken", *OPTIONS)
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
