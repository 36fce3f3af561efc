"""``digitvae generate --shard-size``: parts on the command line, and how runs go on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import digitvae as dv
from digitvae.cli import progress as progress_module
from tests.support.processes import started
from tests.support.readers import READERS
from tests.support.running import PROGRAM, Runner, assert_explained
from tests.support.trees import tree

KINDS = ["npy", "npz", "idx", "idx.gz", "raw"]


@pytest.mark.parametrize("kind", KINDS)
def test_shards_hold_the_digits_that_the_library_makes(
    run: Runner, model: dv.Model, kind: str
) -> None:
    words = ("--shard-size", 120, "--seed", 5, "--first", 17)
    result = run("generate", 300, "-o", f"out.{kind}", *words)
    assert result.code == 0
    assert result.err == ""
    assert result.out.startswith("out: 300 digits, 3 of 3 shards, in ")
    found = [
        READERS[f"out.{kind}"](Path(f"out/digits-0000{i}-of-00003.{kind}"), count)
        for i, count in enumerate([120, 120, 60])
    ]
    np.testing.assert_array_equal(np.concatenate(found), model.sample(300, seed=5, first=17))


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_shards_of_pictures_are_the_outputs_of_their_ranges(run: Runner, kind: str) -> None:
    assert run("generate", 30, "-o", f"out.{kind}", "--shard-size", 20, "--first", 7).code == 0
    for index, first, count in ((0, 7, 20), (1, 27, 10)):
        assert run("generate", count, "--first", first, "-o", f"part.{kind}", "--force").code == 0
        shard = Path(f"out/digits-0000{index}-of-00002.{kind}")
        assert shard.read_bytes() == Path(f"part.{kind}").read_bytes()


def test_float32_shards_are_the_library_s_to_the_bit(run: Runner, model: dv.Model) -> None:
    words = ("--format", "npy", "--shard-size", 4, "--dtype", "float32")
    assert run("generate", 7, "-o", "out", *words).code == 0
    found = [np.load(f"out/digits-0000{i}-of-00002.npy") for i in range(2)]
    np.testing.assert_array_equal(np.concatenate(found), model.sample(7, dtype="float32"))


def test_without_a_name_shards_go_to_digits(run: Runner) -> None:
    assert run("generate", 7, "--shard-size", 7).code == 0
    assert np.load("digits/digits-00000-of-00001.npy").shape == (7, 28, 28)


def test_resuming_makes_the_missing_shards(run: Runner) -> None:
    assert run("generate", 50, "-o", "whole.tar", "--shard-size", 10).code == 0
    assert run("generate", 50, "-o", "out.tar", "--shard-size", 10).code == 0
    Path("out/digits-00001-of-00005.tar").unlink()
    Path("out/digits-00004-of-00005.tar").unlink()
    result = run("generate", 50, "-o", "out.tar", "--resume")  # the manifest knows the size
    assert result.out.startswith("out: 20 digits, 2 of 5 shards, in ")
    assert tree(Path("out")) == tree(Path("whole"))
    result = run("generate", 50, "-o", "out.tar", "--resume", "--shard-size", 10, "--json")
    told = json.loads(result.out)
    assert (told["path"], told["count"]) == ("out", 0)
    assert (told["shard_size"], told["shards"], told["shards_made"]) == (10, 5, 0)
    result = run("generate", 50, "-o", "out.tar", "--resume")
    assert result.code == 0
    assert "already complete" in result.out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["20", "--shard-size", "0"], 2, "--shard-size"),
        (["20", "--shard-size", "5", "-o", "-"], 2, "not to standard output"),
        (["20", "--shard-size", "5", "-o", "sheet.png"], 2, "png is not written in shards"),
        (["20", "--shard-size", "5", "-o", "folder"], 2, "tar and parquet hold PNGs"),
        (["20", "--shard-size", "5", "-o", "data", "--format", "mnist"], 2, "mnist is not"),
        (["20", "--shard-size", "5", "--columns", "3"], 2, "contact sheet"),
        (["10_000_000", "--shard-size", "5"], 2, "take shards of 100 images or more"),
        (["20", "--resume"], 2, "give shard_size (--shard-size), too"),
        (["20", "--resume", "-o", "old.npy", "--shard-size", "6"], 2, "shard_size 5, not 6"),
        (["20", "--resume", "-o", "old.npy", "--seed", "1"], 2, "seed 0, not 1"),
        (["21", "--resume", "-o", "old.npy"], 2, "count 20, not 21"),
        (["20", "--resume", "-o", "old", "--format", "tar"], 2, "format 'npy', not 'tar'"),
        (["20", "--resume", "--force", "-o", "old.npy"], 2, "choose one"),
        (
            ["20", "--resume", "-o", "pictures", "--format", "npy"],
            2,
            "give shard_size (--shard-size), too",
        ),
        (["20", "--shard-size", "5", "-o", "old.npy"], 1, "'old' exists; go on"),
        (["20", "--shard-size", "5", "-o", "missing/a.npy"], 1, "missing' does not exist"),
        (["20", "--shard-size", "5", "-o", "pictures.npy", "--force"], 1, "holds '00000"),
    ],
)
def test_what_cannot_be_done_is_told_and_touches_nothing(
    run: Runner, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    assert run("generate", 20, "-o", "old.npy", "--shard-size", 5).code == 0
    assert run("generate", 2, "-o", "pictures").code == 0
    before = tree(tmp_path)
    assert_explained(run("generate", *words), code, message)
    assert tree(tmp_path) == before


def test_force_replaces_an_output_in_shards(run: Runner) -> None:
    assert run("generate", 20, "-o", "out.npy", "--shard-size", 5).code == 0
    assert run("generate", 9, "-o", "out.tar", "--shard-size", 5, "--force").code == 0
    names = {"digits-00000-of-00002.tar", "digits-00001-of-00002.tar", "manifest.json"}
    assert {file.name for file in Path("out").iterdir()} == names


def test_the_bar_goes_over_all_shards_and_counts_those_that_are_there(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress_module, "_PATIENCE", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    result = run("generate", 40_000, "-o", "a.raw", "--shard-size", 9_000)
    assert "/40000" in result.err
    Path("a/digits-00004-of-00005.raw").unlink()
    result = run("generate", 40_000, "-o", "a.raw", "--resume")
    assert "40000/40000" in result.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(("kind", "count", "size"), [("npz", 60_000, 2_000), ("tar", 15_000, 500)])
def test_an_interrupted_run_says_how_to_go_on_and_can(
    tmp_path: Path, run: Runner, number: signal.Signals, code: int, kind: str, count: int, size: int
) -> None:
    words = ["generate", str(count), "--shard-size", str(size), "-o", f"out.{kind}"]
    with started([*PROGRAM, *words], cwd=tmp_path, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not (tmp_path / "out" / f"digits-00001-of-00030.{kind}").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    there = {path.name for path in (tmp_path / "out").glob("digits-*")}
    told = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    finished = {entry["name"] for entry in told["files"]}
    # A shard that it had no time to list is made again.
    assert finished <= there
    assert 1 <= len(there) - 1 <= len(finished) < 30
    assert not list((tmp_path / "out").glob(".digitvae-*"))
    assert err.decode() == (
        f"digitvae: interrupted: {len(finished)} of 30 shards in 'out' are finished; "
        "resume (--resume) makes the others\n"
    )
    assert run(*words, "--resume").code == 0
    words[-1] = f"whole.{kind}"
    assert run(*words).code == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
