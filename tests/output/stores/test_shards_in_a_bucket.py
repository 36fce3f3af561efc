"""Outputs in shards in an object store: the objects that a folder would have, resumed, replaced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from digitvae.base.errors import OutputError
from digitvae.engine.sampling import LatentSource
from digitvae.output import Sink
from digitvae.output.earlier_run import shard_name
from digitvae.output.shards import Shards, open_shards
from digitvae.output.spec import OutputSpec
from tests.support.bucket import Bucket
from tests.support.shards import KINDS, ORIGIN, fill, make, names, wanted
from tests.support.trees import tree


def in_bucket(bucket: Bucket, kind: str = "npy", **options: int) -> OutputSpec:
    """What :func:`wanted` wants of a folder, of a bucket."""
    return wanted(bucket.uri(), kind, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_objects_are_byte_for_byte_the_files_of_a_folder(
    bucket: Bucket, tmp_path: Path, kind: str
) -> None:
    assert make(wanted(tmp_path / "digits", kind)) == [0, 1, 2, 3, 4]
    assert make(in_bucket(bucket, kind)) == [0, 1, 2, 3, 4]
    assert bucket.tree() == tree(tmp_path / "digits")
    assert bucket.uploads() == []


@pytest.mark.parametrize("kind", ["npz", "tar"])
def test_a_shard_that_fails_leaves_no_object_and_resuming_makes_what_is_missing(
    bucket: Bucket, tmp_path: Path, kind: str
) -> None:
    make(wanted(tmp_path / "digits", kind))
    output = in_bucket(bucket, kind)
    bucket.keep_versions()

    def interrupted(first: int, count: int, sink: Sink) -> None:
        fill(first, count - 1, sink)
        raise KeyboardInterrupt

    def run() -> None:
        with open_shards(output) as shards:
            shards.make(0, fill)
            shards.make(3, fill)
            shards.make(1, interrupted)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert sorted(bucket.tree()) == [shard_name(output, 0), shard_name(output, 3), "manifest.json"]
    before = bucket.versions()
    with open_shards(output, resume=True) as shards:
        assert shards.missing == [1, 2, 4]
        assert shards.missing_images == 13
        assert shards.state == (
            f"2 of 5 shards in '{bucket.uri()}' are finished; resume (--resume) makes the others"
        )
        for index in shards.missing:
            shards.make(index, fill)
    assert bucket.tree() == tree(tmp_path / "digits")
    written = {key for key, _ in bucket.versions() - before}
    missing = {f"digits/{shard_name(output, index)}" for index in (1, 2, 4)}
    assert written == {"digits/manifest.json", *missing}


def test_objects_that_came_after_the_last_manifest_are_made_again(
    bucket: Bucket, tmp_path: Path
) -> None:
    make(wanted(tmp_path / "digits"))
    output = in_bucket(bucket)
    with open_shards(output):
        first = bucket.tree()["manifest.json"]
    make(output, 3, resume=True)
    bucket.put("digits/manifest.json", first)  # as if the run had been killed
    # Nothing keeps another run away from a bucket: they may be its.
    key = f"digits/{shard_name(output, 1)}"
    bucket.put(key, bytes(len(bucket.get(key))))
    assert make(output, resume=True) == [0, 1, 2, 3, 4]
    assert bucket.tree() == tree(tmp_path / "digits")


def test_a_run_whose_place_another_has_taken_over_ends(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digitvae.output.shards._LEAST_PAUSE", -1.0)
    monkeypatch.setattr("digitvae.output.shards._PAUSE_FACTOR", 0)
    output = in_bucket(bucket)
    other = replace(output, origin=ORIGIN._replace(source=LatentSource(seed=8)))
    with pytest.raises(OutputError, match="another run has taken over"), open_shards(output) as it:
        _make_while_taken_over(it, other)
    # What the first one says last must not pass for the other's.
    with pytest.raises(ValueError, match="begun with seed"):
        make(output, resume=True)


def _make_while_taken_over(shards: Shards, other: OutputSpec) -> None:
    shards.make(0, fill)
    make(other, 2, force=True)
    shards.make(1, fill)


def test_objects_of_the_wrong_size_are_made_again(bucket: Bucket, tmp_path: Path) -> None:
    make(wanted(tmp_path / "digits"))
    output = in_bucket(bucket)
    make(output)
    bucket.put(f"digits/{shard_name(output, 2)}", b"short")
    bucket.delete(f"digits/{shard_name(output, 4)}")
    assert make(output, resume=True) == [2, 4]
    assert bucket.tree() == tree(tmp_path / "digits")


@pytest.mark.parametrize("number", [3, 5])
def test_objects_of_another_hash_are_made_again(
    bucket: Bucket, tmp_path: Path, number: int
) -> None:
    make(wanted(tmp_path / "digits"))
    output = in_bucket(bucket)
    make(output, number)
    key = f"digits/{shard_name(output, 1)}"
    bucket.put(key, bytes(len(bucket.get(key))))
    assert make(output, resume=True) == sorted({1, *range(number, 5)})
    assert bucket.tree() == tree(tmp_path / "digits")


def test_resuming_what_is_complete_sends_nothing(bucket: Bucket) -> None:
    output = in_bucket(bucket)
    bucket.keep_versions()
    make(output)
    before = bucket.versions()
    assert make(output, resume=True) == []
    assert bucket.versions() == before


def test_what_is_there_is_kept_unless_told_otherwise(bucket: Bucket) -> None:
    output = in_bucket(bucket)
    make(output, 2)
    before = bucket.tree()
    with pytest.raises(OutputError, match=r"/digits' exists; .*--resume.*--force"):
        make(output)
    with pytest.raises(ValueError, match="begun with shard_size 5, not 6"):
        make(in_bucket(bucket, size=6), resume=True)
    with pytest.raises(ValueError, match="begun with format 'npy', not 'tar'"):
        make(in_bucket(bucket, "tar"), resume=True)
    assert bucket.tree() == before


def test_force_replaces_the_output_and_leaves_nothing_of_it(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("digits2/manifest.json", b"precious")
    make(in_bucket(bucket, size=2))
    make(in_bucket(bucket, "tar"), force=True)
    make(wanted(tmp_path / "digits", "tar"))
    assert bucket.tree() == tree(tmp_path / "digits")
    assert bucket.get("digits2/manifest.json") == b"precious"


@pytest.mark.parametrize("name", ["thesis.txt", "digits-00000-of-00005.npy.bak", "below/a.npy"])
def test_force_deletes_nothing_where_there_are_foreign_objects(bucket: Bucket, name: str) -> None:
    make(in_bucket(bucket))
    bucket.put(f"digits/{name}", b"precious")
    before = bucket.tree()
    with pytest.raises(OutputError, match=f"it holds '{name}', which digitvae did not write"):
        make(in_bucket(bucket), force=True)
    assert bucket.tree() == before
    # They are in nobody's way otherwise.
    assert make(in_bucket(bucket), resume=True) == []
    assert bucket.tree() == before


def test_force_takes_a_foreign_manifest_for_no_output_of_ours(bucket: Bucket) -> None:
    bucket.put("digits/manifest.json", b'{"name": "a web app"}')
    for options in ({"force": True}, {"resume": True}, {}):
        with pytest.raises(OutputError, match=r"manifest\.json|exists"):
            make(in_bucket(bucket), **options)
    assert bucket.tree() == {"manifest.json": b'{"name": "a web app"}'}


def test_shards_without_a_manifest_are_not_resumed(bucket: Bucket) -> None:
    output = in_bucket(bucket)
    make(output)
    bucket.delete("digits/manifest.json")
    before = bucket.tree()
    with pytest.raises(OutputError, match=r"cannot resume 's3://.*but no manifest\.json"):
        make(output, resume=True)
    assert bucket.tree() == before


def test_the_manifest_comes_last_and_goes_first(bucket: Bucket) -> None:
    # Whoever reads a bucket while it is written must not find more promised than there is.
    output = in_bucket(bucket)
    with open_shards(output) as shards:
        assert b'"complete": false' in bucket.tree()["manifest.json"]
        for index in shards.missing:
            shards.make(index, fill)
        assert b'"complete": false' in bucket.tree()["manifest.json"]
    assert b'"complete": true' in bucket.tree()["manifest.json"]
    with open_shards(output, force=True):
        assert list(bucket.tree()) == ["manifest.json"]
        assert b'"complete": false' in bucket.tree()["manifest.json"]


def test_the_names_are_those_of_a_folder(bucket: Bucket, tmp_path: Path) -> None:
    make(in_bucket(bucket), 2)
    make(wanted(tmp_path / "digits"), 2)
    assert sorted(bucket.tree()) == names(tmp_path / "digits")
