"""Outputs appear whole or not at all, and what existed before survives whatever goes wrong."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from digitvae.base import exchange
from digitvae.base.atomic import new_file, new_folder
from digitvae.base.errors import OutputError
from digitvae.output import open_sink, streams
from tests.support.readers import READERS
from tests.support.trees import file_size_limit, tree

IMAGES = memoryview(bytes(range(256)) * 49)  # 16 images
BOTH = ["out.npy", "out"]  # a file and a folder


def put(path: Path, *, force: bool = False, then: Callable[[], object] | None = None) -> None:
    """Write the images; ``then`` is called when they are written, but not yet in place."""
    with open_sink(path, count=16, force=force) as sink:
        sink.write(IMAGES)
        if then is not None:
            then()


def fail_with(error: type[BaseException]) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing_behind(
    tmp_path: Path, name: str, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        put(tmp_path / name, then=fail_with(error))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("limit", [20, 100])
def test_a_full_disk_is_told_and_leaves_nothing_behind(
    tmp_path: Path, name: str, limit: int
) -> None:
    with (
        pytest.raises(OutputError, match=f"cannot write '.*{name}'.*free some space"),
        file_size_limit(limit),
    ):
        put(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", READERS)
def test_what_exists_is_kept_unless_force_is_given(tmp_path: Path, name: str) -> None:
    put(tmp_path / name)
    before = tree(tmp_path)
    with pytest.raises(OutputError, match=r"exists.*--force"):
        put(tmp_path / name)
    assert tree(tmp_path) == before
    with open_sink(tmp_path / name, count=1, force=True) as sink:
        sink.write(IMAGES[:784])
    assert len(b"".join(tree(tmp_path).values())) < len(b"".join(before.values()))
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_with_force_the_old_output_survives_a_failure(
    tmp_path: Path, name: str, error: type[BaseException]
) -> None:
    put(tmp_path / name)
    before = tree(tmp_path)
    with pytest.raises(error):
        put(tmp_path / name, force=True, then=fail_with(error))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", BOTH)
def test_with_force_the_old_output_survives_a_full_disk(tmp_path: Path, name: str) -> None:
    put(tmp_path / name)
    before = tree(tmp_path)
    with pytest.raises(OutputError), file_size_limit(100):
        put(tmp_path / name, force=True)
    assert tree(tmp_path) == before


def test_with_force_a_folder_that_cannot_be_exchanged_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "out")
    before = tree(tmp_path)
    original = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if target.name == "out" and self.suffix == ".tmp" and not target.exists():
            monkeypatch.undo()
            raise OSError(errno.EIO, "Input/output error")
        return original(self, target)

    monkeypatch.setattr(exchange, "swap", lambda *_names: False)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OutputError, match="Input/output error"):
        put(tmp_path / "out", force=True)
    assert tree(tmp_path) == before
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("foreign", ["notes.txt", "000000.png.bak", "12.png", "000001.png/"])
def test_force_never_deletes_a_folder_that_holds_anything_else(
    tmp_path: Path, foreign: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    if foreign.endswith("/"):
        (folder / foreign).mkdir()
    else:
        (folder / foreign).write_text("precious")
    with pytest.raises(OutputError, match=f"holds '{foreign.rstrip('/')}'"):
        put(folder, force=True)
    assert [file.name for file in folder.iterdir()] == [foreign.rstrip("/")]


@pytest.mark.parametrize("name", ["999999.png", "000016.png", "000000000.png", "00001٣.png"])
def test_force_never_deletes_a_picture_that_the_manifest_does_not_list(
    tmp_path: Path, name: str
) -> None:
    put(tmp_path / "out")
    (tmp_path / "out" / name).write_text("precious")
    before = tree(tmp_path)
    with pytest.raises(OutputError, match=f"holds '{name}', which digitvae did not write; move it"):
        put(tmp_path / "out", force=True)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("swaps", [True, False])
def test_force_never_deletes_what_appears_at_the_very_last_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool
) -> None:
    put(tmp_path / "out")
    before = tree(tmp_path)
    swap = exchange.swap

    def appear(one: Path, other: Path) -> bool:
        if not (one / "notes.txt").exists():
            (other / "notes.txt").write_text("precious")
        return swaps and swap(one, other)

    monkeypatch.setattr(exchange, "swap", appear)
    with pytest.raises(OutputError, match=r"notes\.txt"):
        put(tmp_path / "out", force=True)
    assert tree(tmp_path) == before | {"out/notes.txt": b"precious"}


@pytest.mark.parametrize("swaps", [True, False])
def test_a_run_that_dies_while_it_replaces_a_folder_leaves_one_or_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool
) -> None:
    """Where names cannot be exchanged, it may be away, and the next run brings it back."""
    target = tmp_path / "out"
    put(target)
    old = tree(target)
    if not swaps:
        monkeypatch.setattr(exchange, "swap", lambda *_names: False)
    elif not exchange.swap(target, target):
        pytest.skip("replacing in one step (needs a file system that exchanges names)")
    for step in range(1, 100):
        code = dying_at(step, lambda: put_one(target, force=True))
        if not target.exists():
            assert not swaps
            with pytest.raises(OutputError, match="exists"):  # it is back
                put_one(target)
        assert tree(target) == old or len(tree(target)) == 2
        if code == 0:
            break
        if tree(target) != old:
            put(target, force=True)
    assert step > 20
    assert len(tree(target)) == 2
    for left in tmp_path.glob(".digitvae-*"):
        assert not left.name.startswith(".digitvae-old-")


def put_one(path: Path, *, force: bool = False) -> None:
    with open_sink(path, count=1, force=force) as sink:
        sink.write(IMAGES[:784])


def dying_at(step: int, action: Callable[[], None]) -> int:
    """Do something in a process that dies before its so-manieth change of the disk.

    Returns:
        9, or 0 if it came to its end before.
    """
    child = os.fork()
    if child == 0:
        left = step

        def counted(original: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: Any, **options: Any) -> object:
                nonlocal left
                left -= 1
                if left == 0:
                    os._exit(9)
                return original(*arguments, **options)

            return call

        for name in ("fsync", "mkdir", "rename", "rmdir", "unlink", "chmod", "fchmod"):
            setattr(os, name, counted(getattr(os, name)))
        exchange.swap = counted(exchange.swap)  # type: ignore[assignment]
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code


@pytest.mark.parametrize("mode", [0o600, 0o444, 0o644, 0o777])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "out.npy"
    put(path)
    path.chmod(mode)
    with open_sink(path, count=16, force=True) as sink:
        (unfinished,) = tmp_path.glob(".digitvae-*")
        assert stat.S_IMODE(unfinished.stat().st_mode) == mode
        sink.write(IMAGES)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o700, 0o555, 0o755, 0o2770])
def test_a_folder_that_is_replaced_keeps_its_permissions_and_those_of_its_files(
    tmp_path: Path, mode: int
) -> None:
    folder = tmp_path / "out"
    put(folder)
    (folder / "000003.png").chmod(0o600)
    (folder / "manifest.json").chmod(0o640)
    folder.chmod(mode)
    with open_sink(folder, count=16, force=True) as sink:
        (unfinished,) = tmp_path.glob(".digitvae-*")
        assert stat.S_IMODE(unfinished.stat().st_mode) == 0o700
        sink.write(IMAGES)
    assert stat.S_IMODE(folder.stat().st_mode) == mode
    assert stat.S_IMODE((folder / "000003.png").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "manifest.json").stat().st_mode) == 0o640
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_force_never_deletes_what_appears_in_a_folder_meanwhile(tmp_path: Path) -> None:
    put(tmp_path / "out")
    notes = tmp_path / "out" / "notes.txt"
    with pytest.raises(OutputError, match=r"notes\.txt"):
        put(tmp_path / "out", force=True, then=lambda: notes.write_text("precious"))
    assert notes.read_text() == "precious"


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_file_that_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool
) -> None:
    if not hard_links:
        forbid_hard_links(monkeypatch)
    path = tmp_path / "out.npy"
    with pytest.raises(OutputError, match="exists"):
        put(path, then=lambda: path.write_text("precious"))
    assert tree(tmp_path) == {"out.npy": b"precious"}


def test_a_folder_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:

    def appear() -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "notes.txt").write_text("precious")

    with pytest.raises(OutputError, match="exists"):
        put(tmp_path / "out", then=appear)
    assert tree(tmp_path) == {"out/notes.txt": b"precious"}


def forbid_hard_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)


def test_a_file_system_without_hard_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_hard_links(monkeypatch)
    put(tmp_path / "out.raw")
    assert tree(tmp_path) == {"out.raw": bytes(IMAGES)}


@pytest.mark.parametrize("name", BOTH)
def test_a_folder_that_is_missing_or_no_folder_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"folder '.*missing' does not exist"):
        put(tmp_path / "missing" / name)
    with pytest.raises(OutputError, match=r"'.*file' is not a folder"):
        put(tmp_path / "file" / name)


@pytest.mark.parametrize("name", BOTH)
def test_a_place_that_refuses_is_told(name: str) -> None:
    with pytest.raises(OutputError, match=f"cannot write '/proc/{name}'"):
        put(Path("/proc") / name)


@pytest.mark.parametrize("force", [False, True])
def test_only_regular_files_are_ever_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        put(tmp_path / "folder.npy", force=force)
    monkeypatch.setattr(streams, "_PATIENCE_SECONDS", 0.0)
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(OutputError, match="nobody reads this pipe, which is not a regular file"):
        put(tmp_path / "pipe.npy", force=force)
    assert (tmp_path / "pipe.npy").is_fifo()
    (tmp_path / "file").write_text("precious")
    with pytest.raises(OutputError, match="a file of that name exists"):
        put(tmp_path / "file", force=force)
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("name", BOTH)
def test_counts_that_cannot_fit_are_refused_up_front(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(OutputError, match=r"needs .*, but its disk has"),
        open_sink(tmp_path / name, count=2**40),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "real.raw").write_text("old")
    (tmp_path / "link.raw").symlink_to("data/real.raw")
    with pytest.raises(OutputError, match="exists"):
        put(tmp_path / "link.raw")
    put(tmp_path / "link.raw", force=True)
    assert (tmp_path / "link.raw").is_symlink()
    assert (tmp_path / "data" / "real.raw").read_bytes() == bytes(IMAGES)


def test_new_files_have_the_permissions_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        put(tmp_path / "out.npy")
        put(tmp_path / "out")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.npy").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750


def test_the_longest_names_work(tmp_path: Path) -> None:
    put(tmp_path / ("a" * 251 + ".npy"))
    put(tmp_path / ("b" * 255))
    with pytest.raises(OutputError, match="File name too long"):
        put(tmp_path / ("c" * 252 + ".npy"))


def test_until_the_block_ends_nothing_has_the_name(tmp_path: Path) -> None:
    with new_file(tmp_path / "file") as file, new_folder(tmp_path / "folder") as folder:
        file.write(b"x")
        (folder / "000000.png").write_bytes(b"y")
        assert not (tmp_path / "file").exists()
        assert not (tmp_path / "folder").exists()
    assert tree(tmp_path) == {"file": b"x", "folder/000000.png": b"y"}


def test_a_file_reaches_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.raw"
    flushed: list[tuple[int, bool]] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        flushed.append((os.fstat(descriptor).st_size, target.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    put(target)
    assert flushed[0] == (16 * 784, False)  # the file, whole and unnamed
    assert [named for _, named in flushed] == [False, True]  # then its folder, with the name


def test_a_disk_that_fails_at_the_very_end_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="Input/output error"):
        put(tmp_path / "out.npy")
    assert not list(tmp_path.iterdir())
