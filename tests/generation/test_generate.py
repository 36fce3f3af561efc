"""``digitvae.generate`` and ``digitvae.check``: what the commands do, from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import digitvae as dv
from digitvae.output import open_sink
from tests.support.running import Runner
from tests.support.trees import tree

pytestmark = pytest.mark.usefixtures("run")
WRONG: list[tuple[str, Any]] = [
    *(("test", value) for value in (1.5, "a")),
    ("first", "0"),
    *(("shard_size", value) for value in (1.5, "5", True)),
    *((name, 5) for name in ("resume", "force", "invert", "same_bits", "progress", "cluster")),
    *((name, 1.5) for name in ("columns", "padding", "again", "seed")),
    *((name, "a") for name in ("scale", "threads", "truncation")),
]


@pytest.mark.parametrize(
    ("path", "words", "asked"),
    [
        ("a.npz", "--digit 0-9 --dtype float32", {"digit": range(10), "dtype": "float32"}),
        ("a.png", "--columns 5 --invert", {"columns": 5, "invert": True}),
        ("a", "--format mnist --test 2", {"format": "mnist", "test": 2}),
        ("a.tar", "--shard-size 7 --prior mixture", {"shard_size": 7, "prior": "mixture"}),
    ],
)
def test_the_function_makes_the_bytes_of_the_command(
    run: Runner, path: str, words: str, asked: dict[str, Any]
) -> None:
    Path("here").mkdir()
    Path("there").mkdir()
    command = ["generate", 20, "--seed", 3, "--first", 5, *words.split(), "-o", f"here/{path}"]
    assert run(*command).code == 0
    done = dv.generate(f"there/{path}", 20, seed=3, first=5, **asked)
    assert (done.images, done.spec.count) == (20, 20)
    assert tree(Path("there")) == tree(Path("here"))


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
        *(
            ("a", 5, {name: value}, TypeError, f"{name} is {value!r}, expected")
            for name, value in WRONG
        ),
        *((path, 5, {}, TypeError, "path is .*, expected text") for path in (None, 5, b"a.npy")),
        ("o\0.npy", 5, {}, ValueError, "path is 'o.*, expected a path without NUL"),
        ("a", 5, {"format": ["npy"]}, ValueError, "format"),
        ("a", 5, {"same_bits": False}, ValueError, "same_bits is False"),
        ("a", 5, {"prior": "standard", "digit": 3}, ValueError, "digit is 3 and prior is"),
        ("a", 5, {"cluster": ""}, ValueError, "cluster is '', expected"),
        ("a", 5, {"threads": 2000}, ValueError, "threads is 2000"),
    ],
)
def test_what_cannot_be_done_raises_before_anything_is_made(
    path: str, count: int, asked: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        dv.generate(path, count, **asked)
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    "asked",
    [
        *({"again": value} for value in (-1, 1.5, "1", True)),
        *({"threads": value} for value in (0, 2000, "x")),
        {"cluster": ""},
        {"progress": 5},
    ],
)
def test_a_check_names_a_wrong_argument_and_blames_no_shard(asked: dict[str, Any]) -> None:
    dv.generate("digits.npy", 4, shard_size=2)
    with pytest.raises((ValueError, TypeError), match=f"{next(iter(asked))} is"):
        dv.check("digits", **asked)


@pytest.mark.parametrize(
    "asked",
    [
        *({"count": value} for value in ("a", 1.5, True)),
        *({"path": value} for value in (None, 5, b"a", "a\0")),
        *({name: 1.5} for name in ("columns", "scale", "padding", "invert", "force", "labels")),
        *({name: "x"} for name in ("threads", "first", "height", "width", "dtype", "origin")),
        {"format": ["npy"]},
    ],
)
def test_a_sink_names_a_wrong_argument(tmp_path: Path, asked: dict[str, Any]) -> None:
    given = {"path": tmp_path / "out", "count": 1, **asked}
    with pytest.raises((ValueError, TypeError), match=next(iter(asked))), open_sink(**given):
        pass
    assert not list(tmp_path.iterdir())


def test_the_integers_of_numpy_are_numbers_too() -> None:
    dv.generate("a", np.int64(9), first=np.int64(1), test=np.int64(2), format="mnist")  # type: ignore[arg-type]
    dv.generate("b.npy", 9, shard_size=np.int64(5))  # type: ignore[arg-type]
    assert dv.check("b", again=np.int64(1)).shards == 2  # type: ignore[arg-type]


def test_force_replaces_a_folder_of_another_format() -> None:
    for kind in ("mnist", "folder", "mnist"):
        dv.generate("a", 10, format=kind, force=True)
        assert Path("a/MNIST").exists() == (kind == "mnist")
