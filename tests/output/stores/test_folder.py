"""A folder as a place for files: whole or absent, never through links, and locked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from digitvae.base.errors import OutputError
from digitvae.output import manifest
from digitvae.output.stores import Entry, Folder
from tests.support.trees import tree


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    store = Folder(tmp_path / "digits")
    store.make(accept=False)
    return store


def write(folder: Folder, name: str, content: bytes) -> None:
    with folder.new_file(name) as file:
        file.write(content)


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "digits")
    assert not folder.exists()
    folder.make(accept=True)
    assert folder.exists()
    folder.make(accept=True)
    with pytest.raises(
        OutputError, match=r"digits' exists; go on with it with resume \(--resume\)"
    ):
        folder.make(accept=False)


def test_a_folder_without_a_parent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing' does not exist"):
        Folder(tmp_path / "missing" / "digits").make(accept=True)
    assert not list(tmp_path.iterdir())


def test_a_file_has_its_name_when_the_block_ends_and_replaces_another(folder: Folder) -> None:
    write(folder, "a", b"the older one")
    with folder.new_file("a") as file:
        file.write(b"new")
        assert (folder.path / "a").read_bytes() == b"the older one"
    assert tree(folder.path) == {"a": b"new"}


def test_what_fails_leaves_nothing_and_keeps_the_older_file(folder: Folder) -> None:
    write(folder, "old", b"precious")

    def fail(name: str) -> None:
        with folder.new_file(name) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    for name in ("old", "new"):
        with pytest.raises(KeyboardInterrupt):
            fail(name)
    assert tree(folder.path) == {"old": b"precious"}


def test_entries_are_sorted_and_tell_what_is_no_file(folder: Folder) -> None:
    write(folder, "b", b"22")
    write(folder, "a", b"1")
    (folder.path / "below").mkdir()
    (folder.path / "link").symlink_to("b")
    found = folder.entries()
    assert [(entry.name, entry.plain) for entry in found] == [
        ("a", True),
        ("b", True),
        ("below", False),
        ("link", False),
    ]
    assert found[:2] == [Entry("a", 1), Entry("b", 2)]


def test_reading_what_is_not_there_names_it(folder: Folder) -> None:
    with pytest.raises(OutputError) as caught, folder.open("a"):
        pass
    assert str(caught.value) == f"cannot read '{folder}/a': No such file or directory"


def test_deleting_takes_the_link_not_what_it_leads_to(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    (folder.path / "a").symlink_to(tmp_path / "thesis.txt")
    folder.delete("a")
    folder.delete("a")  # what is not there is no failure
    assert tree(tmp_path) == {"thesis.txt": b"precious"}
    assert not (folder.path / "a").is_symlink()


def test_one_lock_at_a_time_and_a_new_one_after_it(folder: Folder) -> None:
    def lock() -> None:
        with folder.locked():
            pass

    with folder.locked(), pytest.raises(OutputError, match="is in use by another digitvae"):
        lock()
    lock()
    assert os.listdir(folder.path) == []  # noqa: PTH208 (nothing is left behind)


def test_more_than_the_disk_has_is_refused(folder: Folder) -> None:
    folder.check_space(1, files=1)
    with pytest.raises(OutputError, match="needs at least"):
        folder.check_space(1 << 60, files=1)


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name, reason in (
        ("pipe", "Not a regular file"),
        ("zeros", "Not a regular file"),
        ("folder", "Is a directory"),
    ):
        with (
            pytest.raises(OutputError, match=f"cannot read '.*{name}': {reason}"),
            store.open(name),
        ):
            pass


def test_a_file_that_has_grown_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(1 << 40)
    record = manifest.FileRecord("a", 0, 1, 784, "0" * 64)
    told = manifest.problem(Folder(tmp_path), record)
    assert told == "has 1,099,511,627,776 bytes; the manifest says 784"
