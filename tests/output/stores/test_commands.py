"""``digitvae generate -o s3://…`` and ``digitvae check s3://…``, here, without a cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.bucket import Bucket
from tests.support.running import Runner, assert_explained
from tests.support.s3_server import HOST, unused_port
from tests.support.shards import KINDS
from tests.support.trees import tree

SHARDED = ("generate", 50, "--shard-size", 20, "--seed", 5)


def shard(index: int, kind: str = "npy") -> str:
    return f"digits-{index:05}-of-00003.{kind}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_bucket_gets_what_a_folder_gets_and_it_is_found_to_be_good(
    run: Runner, bucket: Bucket, kind: str
) -> None:
    assert run(*SHARDED, "-o", f"digits.{kind}").code == 0
    result = run(*SHARDED, "-o", bucket.uri(f"digits.{kind}"))
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{bucket.uri()}: 50 digits, 3 of 3 shards, in ")
    assert bucket.tree() == tree(Path("digits"))
    result = run("check", bucket.uri(), "--again", 2)
    assert (result.code, result.err) == (0, "")
    size = sum(len(content) for name, content in bucket.tree().items() if name != "manifest.json")
    assert result.out.startswith(
        f"{bucket.uri()}: 3 shards, {size:,} bytes, are what they should be; 2 made again: the same"
    )


def test_labels_go_into_a_bucket_as_into_a_folder(
    run: Runner, bucket: Bucket, labelled_bundle: Path
) -> None:
    words = (*SHARDED, "--digit", "0-9", "--bundle", labelled_bundle, "-o")
    assert run(*words, "digits.npz").code == 0
    assert run(*words, bucket.uri("digits.npz")).code == 0
    assert bucket.tree() == tree(Path("digits"))
    assert run("check", bucket.uri(), "--bundle", labelled_bundle, "--again", 3).code == 0


def test_what_is_told_as_json_has_the_address(run: Runner, bucket: Bucket) -> None:
    told = json.loads(run(*SHARDED, "-o", bucket.uri("digits.npy"), "--json").out)
    assert (told["path"], told["count"], told["format"]) == (bucket.uri(), 50, "npy")
    assert (told["shards"], told["shards_made"], told["shards_made_again"]) == (3, 3, 0)
    told = json.loads(run("check", bucket.uri(), "--json").out)
    assert (told["path"], told["shards"], told["shards_made_again"]) == (bucket.uri(), 3, 1)


def test_resuming_makes_what_is_missing(run: Runner, bucket: Bucket) -> None:
    assert run(*SHARDED, "-o", bucket.uri("digits.npy")).code == 0
    before = bucket.tree()
    bucket.delete(f"digits/{shard(1)}")
    # The manifest knows the size.
    result = run("generate", 50, "--seed", 5, "-o", bucket.uri("digits.npy"), "--resume")
    assert result.out.startswith(f"{bucket.uri()}: 20 digits, 1 of 3 shards, in ")
    assert bucket.tree() == before
    result = run(*SHARDED, "-o", bucket.uri("digits.npy"), "--resume", "--again", 2)
    assert result.out.startswith(f"{bucket.uri()}: 0 digits, already complete, 2 made twice, in ")
    result = run(*SHARDED, "-o", bucket.uri("digits.npy"))
    assert_explained(result, 1, f"'{bucket.uri()}' exists; go on with it with resume (--resume), ")
    assert bucket.tree() == before


def test_force_replaces_an_output_but_nothing_else(run: Runner, bucket: Bucket) -> None:
    assert run("generate", 50, "--shard-size", 5, "-o", bucket.uri("digits.tar")).code == 0
    assert run(*SHARDED, "-o", "digits.npy").code == 0
    assert run(*SHARDED, "-o", bucket.uri("digits.npy"), "--force").code == 0
    assert bucket.tree() == tree(Path("digits"))
    bucket.put("digits/thesis.txt", b"precious")
    before = bucket.tree()
    result = run(*SHARDED, "-o", bucket.uri("digits.npy"), "--force")
    assert_explained(result, 1, "it holds 'thesis.txt', which digitvae did not write")
    assert bucket.tree() == before


def damaged(content: bytes, how: str) -> bytes:
    """What has become of a shard: as long as before, or shorter."""
    changed = bytearray(content)
    changed[-3] ^= 1
    return bytes(changed) if how == "changed" else content[:-1]


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet"])
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("changed", "was changed: its SHA-256 is "),
        ("truncated", "bytes; the manifest says "),
        ("missing", "there is no such object"),
    ],
)
def test_what_has_become_of_a_shard_is_found_and_can_be_mended(
    run: Runner, bucket: Bucket, kind: str, how: str, message: str
) -> None:
    words = (*SHARDED, "-o", bucket.uri(f"digits.{kind}"))
    assert run(*words).code == 0
    before = bucket.tree()
    name = shard(1, kind)
    if how == "missing":
        bucket.delete(f"digits/{name}")
    else:
        bucket.put(f"digits/{name}", damaged(before[name], how))
    result = run("check", bucket.uri(), "--again", 0)
    assert_explained(result, 1, f"1 of 3 shards of '{bucket.uri()}' are not what they should be")
    assert "made by the command that made them, with resume (--resume)" in (result.err)
    (told,) = (line for line in result.err.splitlines() if line.startswith("  "))
    assert told.startswith(f"  {name}: ")
    assert message in told
    bucket.delete(f"digits/{name}")
    result = run(*words, "--resume")
    assert result.out.startswith(f"{bucket.uri()}: 20 digits, 1 of 3 shards, in ")
    assert bucket.tree() == before
    assert run("check", bucket.uri()).code == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["-o", "s3://bucket/digits.npy"], 2, "is an address, where outputs go in shards: give"),
        (["-o", "s3://bucket/digits.npy", "--resume"], 2, "give shard_size (--shard-size), too"),
        (["-o", "s3://bucket/digits", "--shard-size", "5"], 2, "folder is not written in shards"),
        (["-o", "s3://bucket/a.png", "--shard-size", "5"], 2, "png is not written in shards"),
        (["-o", "s3://bucket/a.xyz", "--shard-size", "5"], 2, "unknown extension"),
        (["-o", "s3://bucket.npy", "--shard-size", "5"], 2, "names no place in a bucket"),
        (["-o", "s3://", "--shard-size", "5", "--format", "npy"], 2, "'s3://' names no place"),
        (["-o", "file:///", "--shard-size", "5"], 2, "folder is not written in shards"),
        (["-o", "ftp://host/a.npy", "--shard-size", "5"], 2, "cannot write to ftp://; known: s3"),
        (["-o", "file://host/a.npy", "--shard-size", "5"], 2, "names another machine"),
        (
            ["-o", "s3://no-such-bucket/a.npy", "--shard-size", "5"],
            1,
            "cannot write 's3://no-such-bucket/a/manifest.json': The specified bucket does not",
        ),
    ],
)
def test_what_cannot_be_written_is_told_in_one_message_and_nothing_is_made(
    run: Runner, s3: dict[str, str], tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    result = run("generate", 20, *words)
    assert_explained(result, code, message)
    if code == 1:
        assert result.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there_is_told_in_one_line(
    run: Runner, new_clients: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{HOST}:{unused_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for words in (SHARDED[:4], ("check",)):
        place = ("-o", "s3://b/digits.npy") if words[0] == "generate" else ("s3://b/digits",)
        result = run(*words, *place)
        assert_explained(result, 1, "digitvae: error: cannot read 's3://b/digits")
        assert "Could not connect to the endpoint URL" in result.err
        assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("place", "code", "message"),
    [
        ("s3://", 2, "'s3://' names no place in a bucket"),
        ("ftp://host/digits", 2, "cannot write to ftp://"),
        ("s3://no-such-bucket/digits", 1, "cannot read 's3://no-such-bucket/digits/manifest.json'"),
        ("BUCKET/nothing", 1, "/nothing/manifest.json': there is no such object"),
    ],
)
def test_what_cannot_be_checked_is_told(
    run: Runner, bucket: Bucket, place: str, code: int, message: str
) -> None:
    result = run("check", place.replace("BUCKET", f"s3://{bucket.name}"))
    assert_explained(result, code, message)
    assert result.err.count("\n") == 1
