"""What a run in shards finds in its folder: resuming, replacing, and refusing to."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from digitvae.base.errors import OutputError
from digitvae.engine.sampling import LatentSource
from digitvae.output import Sink, manifest
from digitvae.output.earlier_run import shard_name
from digitvae.output.shards import Shards, open_shards
from digitvae.output.stores import open_store
from tests.support.shards import COUNT, KINDS, ORIGIN, SHARDS, fill, make, names, wanted
from tests.support.trees import file_size_limit, tree

EXACT = ["npy", "idx", "raw"]


def times(folder: Path) -> dict[str, tuple[int, int]]:
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in folder.iterdir()}


def test_a_folder_that_exists_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    make(wanted(tmp_path / "out"), 2)
    before = tree(tmp_path)
    with pytest.raises(OutputError, match=r"exists; .*--resume.*--force"):
        make(wanted(tmp_path / "out"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(OutputError, match=r"exists"):
        make(wanted(tmp_path / "empty"))
    with pytest.raises(ValueError, match="choose one"):
        make(wanted(tmp_path / "out"), resume=True, force=True)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("resume", [True, False])
def test_a_file_is_never_taken_for_the_folder(tmp_path: Path, resume: bool) -> None:
    (tmp_path / "out").write_text("precious")
    with pytest.raises(OutputError, match="a file of that name exists"):
        make(wanted(tmp_path / "out"), resume=resume, force=not resume)
    assert tree(tmp_path) == {"out": b"precious"}


@pytest.mark.parametrize("kind", KINDS)
def test_resuming_makes_what_is_missing_and_nothing_else(tmp_path: Path, kind: str) -> None:
    make(wanted(tmp_path / "whole", kind))
    output = wanted(tmp_path / "out", kind)
    assert make(output, 2) == [0, 1]
    assert json.loads((tmp_path / "out" / "manifest.json").read_bytes())["complete"] is False
    before = times(tmp_path / "out")
    assert make(output, resume=True) == [2, 3, 4]
    after = times(tmp_path / "out")
    assert {name: after[name] for name in before if name != "manifest.json"} == {
        name: time for name, time in before.items() if name != "manifest.json"
    }
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_resuming_what_is_complete_touches_nothing(tmp_path: Path) -> None:
    make(wanted(tmp_path / "out"))
    before = times(tmp_path / "out")
    assert make(wanted(tmp_path / "out"), resume=True) == []
    assert times(tmp_path / "out") == before


def test_resuming_what_was_not_begun_begins(tmp_path: Path) -> None:
    assert make(wanted(tmp_path / "out"), resume=True) == [0, 1, 2, 3, 4]
    (tmp_path / "empty").mkdir()  # as a run leaves it that is killed early
    (tmp_path / "empty" / ".digitvae-0123456789abcdef.tmp").write_text("{")
    assert make(wanted(tmp_path / "empty"), resume=True) == [0, 1, 2, 3, 4]
    assert tree(tmp_path / "empty") == tree(tmp_path / "out")


@pytest.mark.parametrize("kind", KINDS)
def test_lost_shards_of_a_complete_output_are_made_again(tmp_path: Path, kind: str) -> None:
    output = wanted(tmp_path / "out", kind)
    make(output)
    before = tree(tmp_path)
    (tmp_path / "out" / shard_name(output, 1)).unlink()
    os.truncate(tmp_path / "out" / shard_name(output, 3), 50)
    assert make(output, resume=True) == [1, 3]
    assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_shard_of_the_wrong_size_is_none(tmp_path: Path, kind: str, dtype: str) -> None:
    if (kind, dtype) == ("idx", "float32"):
        return
    output = wanted(tmp_path / "out", kind, dtype=dtype)

    def write(first: int, count: int, sink: Sink) -> None:
        sink.write(memoryview(bytes(count * 784 * (4 if dtype == "float32" else 1))))

    with open_shards(output) as shards:
        for index in range(4):
            shards.make(index, write)
    path = tmp_path / "out" / shard_name(output, 2)
    os.truncate(path, path.stat().st_size - 1)
    with open_shards(output, resume=True) as shards:
        assert shards.missing == [2, 4]


def test_what_a_killed_run_has_not_finished_is_removed(tmp_path: Path) -> None:
    output = wanted(tmp_path / "out")
    make(output, 1)
    (tmp_path / "out" / ".digitvae-0123456789abcdef.tmp").write_text("half a shard")
    (tmp_path / "out" / ".digitvae-mine").write_text("precious")
    make(output, resume=True)
    assert ".digitvae-0123456789abcdef.tmp" not in names(tmp_path / "out")
    assert (tmp_path / "out" / ".digitvae-mine").read_text() == "precious"


CHANGES: dict[str, Any] = {
    "count": lambda output: replace(output, count=COUNT + 1),
    "first": lambda output: replace(output, first=1),
    "dtype": lambda output: replace(output, dtype="float32"),
    "format": lambda output: replace(output, format="raw"),
    "height": lambda output: replace(output, height=14),
    "width": lambda output: replace(output, width=14),
    "shard_size": lambda output: replace(output, shard_size=6),
    "seed": lambda output: replace(output, origin=ORIGIN._replace(source=LatentSource(seed=8))),
    "prior": lambda output: replace(
        output, origin=ORIGIN._replace(source=ORIGIN.source._replace(prior="mixture"))
    ),
    "bundle_sha256": lambda output: replace(output, origin=ORIGIN._replace(bundle_sha256="cd")),
    "dataset": lambda output: replace(output, origin=ORIGIN._replace(dataset="fashion")),
    "digitvae": lambda output: replace(output, origin=ORIGIN._replace(digitvae="2")),
    "onnxruntime": lambda output: replace(output, origin=ORIGIN._replace(onnxruntime="3")),
}


@pytest.mark.parametrize("field", CHANGES)
def test_resuming_another_output_is_refused_with_the_difference(tmp_path: Path, field: str) -> None:
    output = wanted(tmp_path / "out")
    make(output, 2)
    (tmp_path / "out" / ".digitvae-0123456789abcdef.tmp").write_text("half a shard")
    before = tree(tmp_path)
    other = CHANGES[field](output)
    old, new = output.to_dict()[field], other.to_dict()[field]
    with pytest.raises(ValueError, match=f"begun with {field} {old!r}, not {new!r}"):
        make(other, resume=True)
    assert tree(tmp_path) == before


def test_what_the_manifest_has_beyond_what_is_asked_for_is_a_difference(tmp_path: Path) -> None:
    make(wanted(tmp_path / "out"), 1)
    with pytest.raises(ValueError, match="begun with seed 7, not None"):
        make(replace(wanted(tmp_path / "out"), origin=None), resume=True)


GOOD = {"name": "digits-00000-of-00005.npy", "first": 0, "count": 5, "bytes": 1, "sha256": ""}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged"),
        (b'{"schema": "digitvae-output/1", "comp', "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[]", "a list, expected an object"),
        (b"[" * 100_000, "is damaged"),
        (b'{"schema": "digitvae-output/1"}', "is damaged.*complete"),
        (b'{"schema": "digitvae-output/1", "complete": 1, "files": []}', "complete is 1"),
        (b'{"schema": "digitvae-output/1", "complete": true}', "files"),
        (b'{"schema": "digitvae-output/1", "complete": true, "files": 3}', "is damaged"),
        (b'{"schema": "digitvae-output/1", "complete": true, "files": [3]}', "is damaged"),
        (b'{"schema": "digitvae-output/2"}', "schema 'digitvae-output/2', expected"),
        (b'{"schema": "somebody-else/7"}', "schema 'somebody-else/7'"),
        (b'{"name": "a web app"}', "schema None"),
        *(
            (
                json.dumps(
                    {
                        "schema": "digitvae-output/1",
                        "complete": True,
                        "files": [{**GOOD, field: wrong}],
                    }
                ).encode(),
                f"{field} of a file is",
            )
            for field, wrong in [("name", 3), ("first", "0"), ("count", True), ("bytes", 1.5)]
        ),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_a_manifest_that_is_none_is_told_and_nothing_is_touched(
    tmp_path: Path, content: bytes, message: str, force: bool
) -> None:
    make(wanted(tmp_path / "out"), 2)
    (tmp_path / "out" / "manifest.json").write_bytes(content)
    before = tree(tmp_path)
    with pytest.raises(OutputError, match=r"manifest\.json" if force else message):
        make(wanted(tmp_path / "out"), force=force, resume=not force)
    assert tree(tmp_path) == before


def test_a_manifest_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    make(wanted(tmp_path / "out"), 2)
    (tmp_path / "out" / "manifest.json").unlink()
    with pytest.raises(OutputError, match=r"holds shards but no manifest\.json.*--force"):
        make(wanted(tmp_path / "out"), resume=True)
    (tmp_path / "out" / "manifest.json").mkdir()
    with pytest.raises(OutputError, match=r"'manifest\.json' in it is a link, a folder"):
        make(wanted(tmp_path / "out"), resume=True)


def test_an_absurdly_large_manifest_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(wanted(tmp_path / "out"), 2)
    monkeypatch.setattr(manifest, "_MAX_BYTES", 100)
    with pytest.raises(OutputError, match="more than 100 bytes"):
        make(wanted(tmp_path / "out"), resume=True)


def test_force_replaces_an_output_in_shards(tmp_path: Path) -> None:
    make(wanted(tmp_path / "out", "tar", size=2), 4)
    (tmp_path / "out" / ".digitvae-0123456789abcdef.tmp").write_text("half a shard")
    make(wanted(tmp_path / "out"), force=True)
    make(wanted(tmp_path / "fresh"), force=True)
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")


@pytest.mark.parametrize(
    "foreign",
    [
        "notes.txt",
        "digits.npy",
        "digits-1-of-2.npy",
        "digits-00000-of-00001.tar.gz",
        "digits-00000-of-00004.npy",
        "digits-00005-of-00005.npy",
        "digits-00000-of-00005.tar",
        "digits-000000-of-00005.npy",
        "digits-0000٣-of-00005.npy",
        "000000.png",
        "more/",
        "link",
    ],
)
def test_force_never_deletes_anything_else(tmp_path: Path, foreign: str) -> None:
    make(wanted(tmp_path / "out"))
    path = tmp_path / "out" / foreign
    if foreign.endswith("/"):
        path.mkdir()
    elif foreign == "link":
        path = tmp_path / "out" / "digits-00009-of-00009.npy"
        path.symlink_to("/etc/passwd")
    else:
        path.write_text("precious")
    before = names(tmp_path / "out")
    with pytest.raises(OutputError, match=f"holds '{path.name}'"):
        make(wanted(tmp_path / "out"), force=True)
    assert names(tmp_path / "out") == before


def test_force_deletes_shards_that_were_not_finished(tmp_path: Path) -> None:
    output = wanted(tmp_path / "out")
    make(output, 2)
    (tmp_path / "out" / shard_name(output, 4)).write_text("of a run that was killed")
    assert make(wanted(tmp_path / "out", "tar"), force=True) == [0, 1, 2, 3, 4]


def test_force_deletes_no_shards_that_nobody_knows(tmp_path: Path) -> None:
    make(wanted(tmp_path / "out"))
    (tmp_path / "out" / "manifest.json").unlink()
    before = tree(tmp_path)
    with pytest.raises(OutputError, match=r"holds 'digits-0000.-of-00005\.npy', which digitvae"):
        make(wanted(tmp_path / "out"), force=True)
    assert tree(tmp_path) == before


def test_with_force_what_says_complete_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(wanted(tmp_path / "out"))
    gone: list[str] = []
    original = Path.unlink

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if self.name.startswith("digits-"):
            told = manifest.read(open_store(tmp_path / "out"))
            assert (told.complete, told.files) == (False, [])
        if not self.name.startswith(".digitvae-"):
            gone.append(self.name)
        original(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    make(wanted(tmp_path / "out"), force=True)
    assert len(gone) == SHARDS + 1
    assert gone[-1] == "manifest.json"


@pytest.mark.parametrize("options", [{"resume": True}, {"force": True}])
def test_two_runs_in_one_folder_are_refused(tmp_path: Path, options: dict[str, bool]) -> None:
    output = wanted(tmp_path / "out")
    with open_shards(output) as shards:
        shards.make(0, fill)
        before = tree(tmp_path)
        with pytest.raises(OutputError, match="is in use by another digitvae"):
            make(output, **options)
        assert tree(tmp_path) == before
    make(output, **options)


def test_where_folders_cannot_be_locked_shards_are_made_anyway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError("No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert make(wanted(tmp_path / "out")) == [0, 1, 2, 3, 4]


def test_a_link_to_a_folder_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    make(wanted(tmp_path / "link"), 2)
    make(wanted(tmp_path / "link"), resume=True)
    assert (tmp_path / "link").is_symlink()
    assert len(names(tmp_path / "real")) == SHARDS + 1


@contextmanager
def breaking_after(number: int, shards: Shards) -> Iterator[None]:
    """Make some shards, then fail to write another."""
    for index in shards.missing[:number]:
        shards.make(index, fill)
    with file_size_limit(100):
        yield


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_tells_how_far_it_came_and_resuming_goes_on(tmp_path: Path, kind: str) -> None:
    output = wanted(tmp_path / "out", kind)

    def run() -> None:
        with open_shards(output) as shards, breaking_after(3, shards):
            shards.make(3, fill)

    with pytest.raises(OutputError, match=r"free some space.*3 of 5 shards.*--resume"):
        run()
    assert names(tmp_path / "out") == [*(shard_name(output, i) for i in range(3)), "manifest.json"]
    assert make(output, resume=True) == [3, 4]
    make(wanted(tmp_path / "whole", kind))
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@pytest.mark.parametrize("kind", ["npy", "tar"])
@pytest.mark.parametrize("name", ["manifest.json", "shard", ".digitvae-0123456789abcdef.tmp"])
def test_resuming_never_writes_through_a_link(tmp_path: Path, kind: str, name: str) -> None:
    output = wanted(tmp_path / "out", kind)
    make(output, 2)
    link = tmp_path / "out" / (shard_name(output, 3) if name == "shard" else name)
    link.unlink(missing_ok=True)
    (tmp_path / "thesis.txt").write_text("precious")
    link.symlink_to("../thesis.txt")
    with pytest.raises(OutputError, match=f"'{link.name}' in it is a link"):
        make(output, resume=True)
    assert (tmp_path / "thesis.txt").read_text() == "precious"
    assert link.is_symlink()


@pytest.mark.parametrize("kind", KINDS)
def test_a_shard_of_the_wrong_size_never_passes_for_a_whole_one(tmp_path: Path, kind: str) -> None:
    output = wanted(tmp_path / "out", kind)
    make(output)
    make(wanted(tmp_path / "whole", kind))
    (tmp_path / "out" / shard_name(output, 0)).unlink()
    cut = tmp_path / "out" / shard_name(output, 3)
    cut.write_bytes(cut.read_bytes()[:-100])
    assert make(output, 1, resume=True) == [0]  # and then it is interrupted
    assert not cut.exists()
    assert make(output, resume=True) == [3]
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_force_deletes_nothing_where_the_new_output_cannot_fit(tmp_path: Path) -> None:
    make(wanted(tmp_path / "out"))
    before = tree(tmp_path)
    output = wanted(tmp_path / "out")
    huge = replace(output, count=10**12, shard_size=10**9)
    with pytest.raises(OutputError, match="needs at least"):
        make(huge, force=True)
    assert tree(tmp_path) == before


def test_a_manifest_of_an_unfinished_output_lists_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digitvae.output.shards._LEAST_PAUSE", -1.0)
    monkeypatch.setattr("digitvae.output.shards._PAUSE_FACTOR", 0)
    output = wanted(tmp_path / "out", "tar")
    with open_shards(output) as shards:
        for index in (2, 0):
            shards.make(index, fill)
        told = manifest.read(open_store(output.path))
    assert not told.complete
    assert [record.name for record in told.files] == [shard_name(output, 0), shard_name(output, 2)]
    assert make(output, resume=True) == [1, 3, 4]
    assert manifest.read(open_store(output.path)).files[2] == told.files[1]


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_manifest_does_not_list_is_made_again_whatever_it_holds(
    tmp_path: Path, kind: str
) -> None:
    whole, output = wanted(tmp_path / "whole", kind), wanted(tmp_path / "out", kind)
    make(whole)
    with open_shards(output) as shards:
        shards.make(0, fill)
    right = [
        (tmp_path / "whole" / shard_name(output, index)).read_bytes() for index in range(SHARDS)
    ]
    # As left by a run that was killed before it could list it; and what was never ours.
    for index, content in ((1, right[1]), (2, bytes(len(right[2]))), (4, right[0]), (3, b"")):
        (tmp_path / "out" / shard_name(output, index)).write_bytes(content)
    with open_shards(output, resume=True) as shards:
        assert shards.missing == [1, 2, 3, 4]
        assert shards.state.startswith(f"1 of 5 shards in '{tmp_path / 'out'}' are finished")
    assert make(output, resume=True) == [1, 2, 3, 4]
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [3, SHARDS])
def test_what_the_manifest_lists_is_made_again_where_its_hash_is_another(
    tmp_path: Path, kind: str, number: int
) -> None:
    make(wanted(tmp_path / "whole", kind))
    output = wanted(tmp_path / "out", kind)
    make(output, number)
    path = tmp_path / "out" / shard_name(output, 1)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert make(output, resume=True) == sorted({1, *range(number, SHARDS)})
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_a_shard_that_could_not_be_listed_is_not_called_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OutputError("no space left")

    output = wanted(tmp_path / "out")

    def run() -> None:
        with open_shards(output) as shards, breaking_after(2, shards):
            monkeypatch.setattr(manifest, "write", refuse)
            shards.make(3, fill)

    with pytest.raises(OutputError, match="0 of 5 shards"):
        run()
    monkeypatch.undo()
    assert make(output, resume=True) == [0, 1, 2, 3, 4]


def test_a_manifest_that_cannot_be_written_on_the_way_does_not_end_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digitvae.output.shards._LEAST_PAUSE", -1.0)
    monkeypatch.setattr("digitvae.output.shards._PAUSE_FACTOR", 0)
    output = wanted(tmp_path / "out")
    original = manifest.write
    refused = 0

    def refuse(*_arguments: object) -> None:
        nonlocal refused
        refused += 1
        raise OutputError("slow down")

    with open_shards(output) as shards:
        monkeypatch.setattr(manifest, "write", refuse)
        for index in shards.missing:
            shards.make(index, fill)
        monkeypatch.setattr(manifest, "write", original)
    assert refused == SHARDS
    make(wanted(tmp_path / "whole"))
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_resuming_deletes_nothing_that_came_after_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where folders cannot be locked, two runs of the same may go on at the same time."""
    output = wanted(tmp_path / "out", "tar")
    make(output, 2)
    original = manifest.describe
    whole = wanted(tmp_path / "whole", "tar")
    make(whole)

    def describe(*arguments: Any) -> Any:
        name = shard_name(output, 4)  # the other run finishes a shard
        (tmp_path / "out" / name).write_bytes((tmp_path / "whole" / name).read_bytes())
        return original(*arguments)

    monkeypatch.setattr(manifest, "describe", describe)
    with open_shards(output, resume=True) as shards:
        assert shards.missing == [2, 3, 4]
        assert (tmp_path / "out" / shard_name(output, 4)).exists()


def test_what_is_about_to_be_made_again_is_listed_no_longer(tmp_path: Path) -> None:
    output = wanted(tmp_path / "out", "tar")
    make(output, 3)
    (tmp_path / "out" / shard_name(output, 1)).unlink()
    with open_shards(output, resume=True):
        told = manifest.read(open_store(output.path))
    assert [record.name for record in told.files] == [shard_name(output, 0), shard_name(output, 2)]
