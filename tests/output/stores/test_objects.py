"""A prefix in a bucket as a place for files: objects are whole or absent, and neighbours safe."""

from __future__ import annotations

import gc
import random

import pytest

from digitvae.base.errors import OutputError
from digitvae.output.stores import Entry, Store, open_store
from tests.support.bucket import Bucket

PART = 16 << 20
"""What is sent at a time."""


def write(store: Store, name: str, *pieces: bytes) -> None:
    with store.new_file(name) as file:
        for piece in pieces:
            file.write(piece)


def read(store: Store, name: str) -> bytes:
    with store.open(name) as file:
        return file.read()


def test_an_object_appears_when_the_block_ends(bucket: Bucket) -> None:
    store = open_store(bucket.uri())
    with store.new_file("a.npy") as file:
        assert file.write(b"first") == 5
        assert file.write(memoryview(b"_second")[1:]) == 6
        assert bucket.keys() == []
    assert bucket.tree("digits") == {"a.npy": b"firstsecond"}
    assert read(store, "a.npy") == b"firstsecond"


def test_an_object_may_hold_nothing(bucket: Bucket) -> None:
    store = open_store(bucket.uri())
    write(store, "a")
    assert bucket.tree() == {"a": b""}
    assert store.entries() == [Entry("a", 0)]
    assert read(store, "a") == b""


def test_what_is_written_replaces_what_was_there_only_at_the_end(bucket: Bucket) -> None:
    store = open_store(bucket.uri())
    write(store, "a", b"the older one")
    with store.new_file("a") as file:
        file.write(b"new")
        assert bucket.tree() == {"a": b"the older one"}
    assert bucket.tree() == {"a": b"new"}


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, 2 * PART + 5])
def test_large_objects_have_their_bytes_in_order(bucket: Bucket, size: int) -> None:
    content = random.Random(size).randbytes(size)
    store = open_store(bucket.uri())
    # Pieces that end at no part's end, and one that is larger than a part.
    write(store, "a", content[:7], content[7 : PART // 3], content[PART // 3 :])
    assert bucket.get("digits/a") == content
    assert read(store, "a") == content
    assert store.entries() == [Entry("a", size)]
    assert bucket.uploads() == []


def test_large_objects_are_sent_while_they_are_written(bucket: Bucket) -> None:
    # Else a shard would be held in memory.
    with open_store(bucket.uri()).new_file("a") as file:
        for _ in range(PART >> 20):
            file.write(bytes(1 << 20))
        assert bucket.uploads() == ["digits/a"]
        assert bucket.keys() == []
    assert bucket.uploads() == []
    assert bucket.about()["digits/a"]["Size"] == PART


@pytest.mark.parametrize("pieces", [0, 1, 2, 3])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_leaves_nothing_and_keeps_the_older_object(
    bucket: Bucket, pieces: int, error: type[BaseException]
) -> None:
    bucket.put("digits/old", b"precious")
    store = open_store(bucket.uri())

    def fail(name: str) -> None:
        with store.new_file(name) as file:
            for _ in range(pieces):
                file.write(bytes(PART - 1))  # two of them: a part is sent, and something is left
            assert bool(bucket.uploads()) is (pieces > 1)
            raise error("enough")

    for name in ("old", "new"):
        with pytest.raises(error, match="enough"):
            fail(name)
        gc.collect()  # what was given up must not come to life when it is cleared away
        assert bucket.tree() == {"old": b"precious"}
        assert bucket.uploads() == []
    write(store, "new", b"next")
    assert bucket.tree() == {"old": b"precious", "new": b"next"}


def test_entries_are_sorted_and_have_their_sizes(bucket: Bucket) -> None:
    store = open_store(bucket.uri("a/digits"))
    for name, size in [("b", 2), ("a", 1), ("manifest.json", 3), ("below/c", 4), ("B", 5)]:
        bucket.put(f"a/digits/{name}", bytes(size))
    assert store.entries() == [
        Entry("B", 5),
        Entry("a", 1),
        Entry("b", 2),
        Entry("below/c", 4),
        Entry("manifest.json", 3),
    ]


def test_entries_are_those_of_now(bucket: Bucket) -> None:
    # fsspec would rather remember what it has seen, and others write there, too.
    store = open_store(bucket.uri())
    assert store.entries() == []
    bucket.put("digits/a", b"1")
    assert store.entries() == [Entry("a", 1)]
    bucket.put("digits/a", b"22")
    assert store.entries() == [Entry("a", 2)]
    assert read(store, "a") == b"22"
    bucket.delete("digits/a")
    assert store.entries() == []
    assert not store.exists()


def test_there_may_be_more_entries_than_a_listing_tells_at_once(bucket: Bucket) -> None:
    names = [f"{i:02}" for i in range(30)]  # the server tells a few at a time
    for name in names:
        bucket.put(f"digits/{name}", b"")
    assert [entry.name for entry in open_store(bucket.uri()).entries()] == names


def test_neighbours_with_a_common_beginning_are_not_mixed_up(bucket: Bucket) -> None:
    neighbours = ["digits2/a", "digits.npy", "digits-old/manifest.json", "digits", "digit/a"]
    for key in neighbours:
        bucket.put(key, b"precious")
    store = open_store(bucket.uri())
    assert not store.exists()
    assert store.entries() == []
    store.make(accept=False)
    write(store, "a", b"ours")
    assert store.entries() == [Entry("a", 4)]
    store.delete("a")
    store.delete("../digits2/a")  # is a name in the store as any other
    assert bucket.keys() == sorted(neighbours)


def test_an_object_of_the_prefix_s_own_name_is_the_folder_that_consoles_make(
    bucket: Bucket,
) -> None:
    bucket.put("digits/", b"")
    store = open_store(bucket.uri())
    assert not store.exists()
    assert store.entries() == []


def test_a_prefix_exists_while_there_is_something_in_it(bucket: Bucket) -> None:
    store = open_store(bucket.uri())
    assert not store.exists()
    store.make(accept=False)
    assert not store.exists()
    write(store, "a", b"1")
    assert store.exists()
    store.make(accept=True)
    with pytest.raises(
        OutputError, match=r"digits' exists; go on with it with resume \(--resume\)"
    ):
        store.make(accept=False)
    store.delete("a")
    assert not store.exists()


def test_deleting_what_is_not_there_is_no_failure(bucket: Bucket) -> None:
    store = open_store(bucket.uri())
    write(store, "a", b"1")
    write(store, "ab", b"2")
    store.delete("missing")
    assert bucket.tree() == {"a": b"1", "ab": b"2"}
    store.delete("a")
    store.delete("a")
    assert bucket.tree() == {"ab": b"2"}


def test_reading_what_is_not_there_says_so(bucket: Bucket) -> None:
    store = open_store(bucket.uri())
    with pytest.raises(OutputError) as caught:
        read(store, "a.npy")
    assert str(caught.value) == f"cannot read '{bucket.uri()}/a.npy': there is no such object"


def test_reading_goes_on_where_it_was(bucket: Bucket) -> None:
    content = random.Random(1).randbytes(PART + 1000)
    bucket.put("digits/a", content)
    with open_store(bucket.uri()).open("a") as file:
        assert file.read(10) == content[:10]
        assert file.read(PART) == content[10 : PART + 10]
        assert file.read() == content[PART + 10 :]
        assert file.read(1) == b""


def test_there_is_always_room_and_no_lock(bucket: Bucket) -> None:
    store = open_store(bucket.uri())
    store.check_space(1 << 60, files=1 << 40)
    with store.locked(), store.locked():
        write(store, "a", b"1")
    assert bucket.tree() == {"a": b"1"}
