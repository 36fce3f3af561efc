"""Which store a place names, and which places name none."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from digitvae.base.errors import OutputError
from digitvae.output.descriptors import is_uri
from digitvae.output.stores import Folder, Store, open_store
from digitvae.output.stores.objects import Objects


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("s3://bucket/digits", True),
        ("gs://bucket/digits", True),
        ("file:///tmp/digits", True),
        ("ftp://host/digits", True),
        ("s3://", True),
        ("digits", False),
        ("a/b.npy", False),
        ("s3:/bucket/digits", False),
        ("s3:digits", False),
        ("://digits", False),
        ("./s3://digits", False),  # a folder of that name can be named in this way
        ("", False),
    ],
)
def test_an_address_has_a_scheme_before_its_slashes(place: str, expected: bool) -> None:
    assert is_uri(place) is expected


@pytest.mark.parametrize(
    ("place", "folder"),
    [
        ("digits", "digits"),
        ("a/digits/", "a/digits"),
        (Path("a/digits"), "a/digits"),
        ("s3:/digits", "s3:/digits"),
        ("file:///tmp/digits", "/tmp/digits"),
        ("file:///tmp/digits//", "/tmp/digits"),
    ],
)
def test_paths_and_addresses_of_files_are_folders(place: str | Path, folder: str) -> None:
    store = open_store(place)
    assert store == Folder(Path(folder))
    assert str(store) == folder
    assert store.of("a.npy") == f"{folder}/a.npy"


@pytest.mark.parametrize(
    "place",
    [
        "s3://bucket/a/digits",
        "s3://bucket/a/digits/",
        "s3://bucket/a/digits//",
        "s3://bucket//a/digits",
    ],
)
def test_addresses_are_prefixes_without_slashes_around_them(place: str) -> None:
    store = open_store(place)
    assert store == Objects("s3://bucket/a/digits")
    assert str(store) == "s3://bucket/a/digits"
    assert store.of("a.npy") == "s3://bucket/a/digits/a.npy"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://", "'s3://' names no place in a bucket; write s3://BUCKET/NAME"),
        ("s3:///", "'s3:///' names no place in a bucket; write s3://BUCKET/NAME"),
        ("s3:///name", "names no place in a bucket"),
        ("s3://bucket", "'s3://bucket' names no place in a bucket; write s3://BUCKET/NAME"),
        ("s3://bucket///", "names no place in a bucket"),
        ("gs://bucket/", "write gs://BUCKET/NAME"),
        ("file://host/digits", "'file://host/digits' names another machine; write file:///PATH"),
        ("file://", "names another machine"),
        ("ftp://host/digits", "cannot write to ftp://; known: s3://, gs://, file://, and folders"),
        ("S3://bucket/digits", "cannot write to S3://"),
    ],
)
def test_addresses_that_name_no_place_are_refused(place: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared as it is)
        open_store(place)
    assert message in str(caught.value)


def test_a_package_that_is_missing_is_named_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)  # where it happens to be installed
    with pytest.raises(OutputError) as caught:
        open_store("gs://bucket/digits")
    assert str(caught.value) == "'gs://bucket/digits' needs gcsfs: pip install 'digitvae[gs]'"


def test_without_s3fs_or_fsspec_the_package_for_s3_is_named() -> None:
    # In a process of its own: fsspec keeps the classes that it has imported.
    for missing in ("s3fs", "fsspec"):
        program = (
            f"import sys; sys.modules[{missing!r}] = None\n"
            "from digitvae.output.stores import open_store\n"
            "open_store('s3://bucket/digits')"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=False, timeout=60
        )
        last = done.stderr.decode().splitlines()[-1]
        expected = "OutputError: 's3://bucket/digits' needs s3fs: pip install 'digitvae[s3]'"
        assert last.endswith(expected)


@pytest.mark.parametrize("place", ["digits", "file:///tmp/digits", "s3://bucket/digits"])
def test_stores_can_be_sent_to_other_processes(place: str) -> None:
    store = open_store(place)
    again: Store = pickle.loads(pickle.dumps(store))
    assert again == store
    assert type(again) is type(store)
    assert str(again) == str(store)


def test_a_store_carries_nothing_of_the_client_that_it_was_used_with(
    s3: dict[str, str],
) -> None:
    # What is sent to other machines must not depend on what has happened on this one.
    store = open_store("s3://bucket/digits")
    before = pickle.dumps(store)
    store.exists()
    assert pickle.dumps(store) == before
    assert os.environ["AWS_SECRET_ACCESS_KEY"].encode() not in before


def test_opening_a_store_makes_nothing_and_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # where nothing listens
    open_store(tmp_path / "digits")
    open_store("s3://bucket/digits")
    assert not list(tmp_path.iterdir())
