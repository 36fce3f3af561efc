"""``digitvae.generate`` and ``digitvae.check``: what the commands do, from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import digitvae as dv
from tests.support.running import Runner
from tests.support.trees import tree


@pytest.mark.parametrize(
    ("path", "words", "asked"),
    [
        (
            "a.npz",
            ["--digit", "0-9", "--dtype", "float32"],
            {"digit": range(10), "dtype": "float32"},
        ),
        ("a.png", ["--columns", "5", "--invert"], {"columns": 5, "invert": True}),
        ("a", ["--format", "mnist", "--test", "2"], {"format": "mnist", "test": 2}),
        (
            "a.tar",
            ["--shard-size", "7", "--prior", "mixture"],
            {"shard_size": 7, "prior": "mixture"},
        ),
    ],
)
def test_the_function_makes_the_bytes_of_the_command(
    run: Runner, path: str, words: list[str], asked: dict[str, Any]
) -> None:
    Path("here").mkdir()
    Path("there").mkdir()
    assert run("generate", 20, "--seed", 3, "--first", 5, *words, "-o", f"here/{path}").code == 0
    done = dv.generate(f"there/{path}", 20, seed=3, first=5, **asked)
    assert (done.images, done.spec.count) == (20, 20)
    assert tree(Path("there")) == tree(Path("here"))


@pytest.mark.usefixtures("run")
def test_an_output_in_shards_is_resumed_and_checked_and_tells_how_far_it_is(
    model: dv.Model,
) -> None:
    told: list[tuple[str, int, int]] = []
    dv.generate("digits.npy", 50, shard_size=15, bundle=model)
    before = tree(Path())
    Path("digits/digits-00002-of-00004.npy").unlink()
    done = dv.generate(
        "digits.npy", 50, resume=True, again=1, progress=lambda *now: told.append(now)
    )
    assert (done.images, done.shards_made, done.shards_made_again) == (15, 1, 1)
    assert tree(Path()) == before
    assert told[:2] == [("checking", 0, 35), ("checking", 15, 35)]
    assert ("generating", 35, 50) in told
    assert ("generating", 50, 50) in told
    found = dv.check("digits", again=2)
    assert (found.shards, found.made_again, found.not_looked_at) == (4, 2, [])
    Path("digits/digits-00000-of-00004.npy").write_bytes(b"")
    with pytest.raises(dv.OutputError, match="1 of 4 shards of 'digits' are not what they"):
        dv.check(Path("digits"), again=0)


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("path", "count", "asked", "error", "message"),
    [
        ("a.npy", 0, {}, ValueError, "count is 0"),
        ("a.npy", 5, {"seed": -1}, ValueError, "seed is -1"),
        ("a.npy", 5, {"first": 2**64 - 2}, ValueError, "indices are 0 to"),
        ("a.npy", 5, {"digit": 10}, ValueError, "digit is 10, expected 0 to 9"),
        ("a.npy", 5, {"digit": "3"}, TypeError, "digit is '3'"),
        ("a.npy", 5, {"dtype": "int8"}, ValueError, "dtype is 'int8'"),
        ("a.npy", 5, {"test": 1}, ValueError, "test .--test. is for the format mnist"),
        ("a.npy", 5, {"again": 1, "same_bits": False}, ValueError, "again .* same_bits=False"),
        ("a.npy", 5, {"resume": True}, ValueError, "give shard_size"),
        ("s3://a/b.npy", 5, {}, ValueError, "is an address"),
        ("a.npy", 5, {"bundle": "nowhere"}, dv.BundleError, "nowhere"),
    ],
)
def test_what_cannot_be_done_raises_before_anything_is_made(
    path: str, count: int, asked: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        dv.generate(path, count, **asked)
    assert not list(Path().iterdir())
