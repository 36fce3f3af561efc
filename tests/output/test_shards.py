"""Outputs in shards: the same digits in parts, each whole or absent, completed by a later run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from digitvae.base.errors import OutputError
from digitvae.output import Sink, manifest
from digitvae.output.earlier_run import shard_name
from digitvae.output.shards import folder_and_format, make_shard, open_shards
from digitvae.output.spec import OutputSpec
from digitvae.output.stores import Folder
from tests.support.readers import READERS
from tests.support.shards import (
    COUNT,
    IMAGES,
    KINDS,
    SHARDS,
    SIZE,
    fill,
    make,
    names,
    wanted,
)
from tests.support.trees import tree


@pytest.mark.parametrize("kind", KINDS)
def test_every_shard_is_what_its_format_makes_of_its_part(tmp_path: Path, kind: str) -> None:
    assert make(wanted(tmp_path / "out", kind)) == [0, 1, 2, 3, 4]
    shards = [f"digits-{i:05d}-of-00005.{kind}" for i in range(SHARDS)]
    assert names(tmp_path / "out") == [*shards, "manifest.json"]
    found = READERS[f"out.{kind}"](tmp_path / "out" / shards[0], SIZE)
    np.testing.assert_array_equal(found, IMAGES[:SIZE])


@pytest.mark.parametrize("kind", KINDS)
def test_a_shard_is_byte_for_byte_the_output_of_its_range(tmp_path: Path, kind: str) -> None:
    output = wanted(tmp_path / "out", kind)
    make(output)
    from digitvae.output import open_sink

    with open_sink(tmp_path / "part", format=kind, count=SIZE, first=2 * SIZE) as sink:
        fill(2 * SIZE, SIZE, sink)
    assert (tmp_path / "part").read_bytes() == (
        tmp_path / "out" / shard_name(output, 2)
    ).read_bytes()


def test_a_shard_is_hashed_to_its_end(tmp_path: Path) -> None:
    """Also one of several reads, as most are: those of the other tests are small."""
    content = np.random.default_rng(0).bytes((2 << 20) + 1)
    (tmp_path / "shard").write_bytes(content)
    record = manifest.describe(Folder(tmp_path), "shard", 3, 4)
    assert record == manifest.FileRecord(
        "shard", 3, 4, len(content), hashlib.sha256(content).hexdigest()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_has_what_was_asked_for_and_what_was_made(tmp_path: Path, kind: str) -> None:
    output = wanted(tmp_path / "out", kind)
    make(output)
    told = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    files = told.pop("files")
    assert told == {
        "schema": "digitvae-output/1",
        "count": COUNT,
        "first": 0,
        "dtype": "uint8",
        "format": kind,
        "shard_size": SIZE,
        "height": 28,
        "width": 28,
        "labels": None,
        "seed": 7,
        "prior": "standard",
        "bundle_sha256": "ab" * 32,
        "dataset": "mnist",
        "digitvae": "1",
        "onnxruntime": "2",
        "digits": [1, 7],
        "truncation": 0.5,
        "complete": True,
    }
    assert [(f["first"], f["count"]) for f in files] == [(0, 5), (5, 5), (10, 5), (15, 5), (20, 3)]
    for file in files:
        content = (tmp_path / "out" / file["name"]).read_bytes()
        assert file["bytes"] == len(content)
        assert file["sha256"] == hashlib.sha256(content).hexdigest()


def test_names_grow_with_their_number() -> None:
    output = wanted(Path("out"), count=100_000, size=1)
    assert shard_name(output, 7) == "digits-000007-of-100000.npy"
    assert shard_name(wanted("out", count=99_999, size=1), 7) == "digits-00007-of-99999.npy"


@pytest.mark.parametrize("first", [1000, 2**64 - COUNT])
def test_shards_count_from_0_and_images_from_first(tmp_path: Path, first: int) -> None:
    seen = []

    def note(first: int, count: int, sink: Sink) -> None:
        seen.append((first, count))
        sink.write(memoryview(bytes(count * 784)))

    with open_shards(wanted(tmp_path / "out", "tar", first=first)) as shards:
        for index in shards.missing:
            shards.make(index, note)
    assert seen == [(first + i, min(SIZE, COUNT - i)) for i in range(0, COUNT, SIZE)]
    assert names(tmp_path / "out")[0] == "digits-00000-of-00005.tar"


@pytest.mark.parametrize(
    ("path", "asked", "expected"),
    [
        ("a/digits.tar", None, ("a/digits", "tar")),
        ("digits.IDX.gz", None, ("digits", "idx.gz")),
        ("digits.v2.npy", None, ("digits.v2", "npy")),
        ("digits", "npy", ("digits", "npy")),
        ("digits.tar", "npy", ("digits.tar", "npy")),
        ("digits.npy", "npy", ("digits", "npy")),
        ("digits.npy/", "npy", ("digits.npy", "npy")),
        (".npy", "npy", (".npy", "npy")),
        ("s3://bucket/a/digits.tar", None, ("s3://bucket/a/digits", "tar")),
    ],
)
def test_the_folder_is_the_path_without_its_extension(
    path: str, asked: str | None, expected: tuple[str, str]
) -> None:
    assert folder_and_format(path, asked) == expected


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (wanted(Path("out"), "png"), "png is not written in shards; .*npy, .*tar"),
        (wanted(Path("out"), "folder"), "folder is not written in shards"),
        (wanted(Path("out"), "mnist"), "mnist is not written in shards"),
        (wanted(Path("out"), size=0), "shard size is 0"),
        (wanted(Path("out"), count=10**9, size=9999), "100,011 files.*10,000 images or more"),
        (wanted(Path("out"), "idx", count=2**33, size=2**32), "IDX"),
        (wanted(Path("out"), "tar", dtype="float32"), "uint8 only"),
        (wanted(Path("out"), first=2**64 - COUNT + 1), "indices"),
        (wanted(Path("out"), labels=True), "labels"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: OutputSpec, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        make(output)
    assert not list(tmp_path.iterdir())


def test_what_will_not_fit_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="needs at least"):
        make(wanted(tmp_path / "out", count=2**40, size=2**32))
    assert not list(tmp_path.iterdir())


def test_standard_output_takes_no_shards() -> None:
    with pytest.raises(ValueError, match="not to standard output"):
        folder_and_format("-", "npy")


def test_shards_made_apart_in_any_order_and_twice_are_the_same(tmp_path: Path) -> None:
    make(wanted(tmp_path / "whole", "tar"))
    output = wanted(tmp_path / "out", "tar")
    (tmp_path / "out").mkdir()
    records = {index: make_shard(output, index, fill) for index in (4, 2, 0, 1, 3, 2, 4)}
    told = manifest.read(Folder(tmp_path / "whole"))
    assert [records[index] for index in range(SHARDS)] == told.files
    whole = tree(tmp_path / "whole")
    del whole["manifest.json"]
    assert tree(tmp_path / "out") == whole
