"""``digitvae generate --engine ray``: the bytes of one machine, whatever dies meanwhile."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from digitvae.cli.app import main
from tests.generation.ray.programs import (
    Environment,
    finished,
    generating,
    kill_workers,
    wait_for_shards,
)
from tests.support.bucket import Bucket
from tests.support.running import PROGRAM, Runner
from tests.support.trees import tree

RunWell = Callable[..., str]

ON_RAY = ("--engine", "ray")


def identities(files: list[Path]) -> dict[str, tuple[int, int]]:
    """What changes when a file is written again, even to the same bytes."""
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


@pytest.fixture
def run_well(run: Runner, connected: Any) -> RunWell:
    """The command line in this process, which is connected to the cluster; what it says."""

    def run_and_look(*words: object) -> str:
        result = run(*words)
        assert result.code == 0, result
        assert result.err == ""
        return result.out

    return run_and_look


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("npy", ["--digit", "0-9", "--first", 12]),
        ("npz", ["--prior", "mixture", "--truncation", 0.7]),
        ("raw", ["--dtype", "float32", "--seed", 2**64 - 1]),
        ("tar", ["--digit", "3,8", "--threads", 1]),
        ("parquet", ["--seed", 5]),
    ],
)
def test_a_cluster_makes_the_bytes_of_one_machine(
    tmp_path: Path, run_well: RunWell, kind: str, words: list[object]
) -> None:
    asked = ("generate", 2_300, "--shard-size", 500, *words)
    run_well(*asked, "-o", f"here.{kind}")
    told = run_well(*asked, "-o", f"there.{kind}", *ON_RAY, "--again", 2)
    assert told.startswith("there: 2,300 digits, 5 of 5 shards, 2 made twice, in ")
    assert tree(tmp_path / "there") == tree(tmp_path / "here")


def test_it_is_told_as_json_what_was_made(tmp_path: Path, run_well: RunWell) -> None:
    asked = ("generate", 700, "--shard-size", 200, "-o", "out.npy", *ON_RAY, "--json")
    told = json.loads(run_well(*asked))
    expected = {"count": 700, "shards": 4, "shards_made": 4, "shards_made_again": 0, "path": "out"}
    assert told | expected == told
    (tmp_path / "out" / "digits-00001-of-00004.npy").unlink()
    told = json.loads(run_well(*asked, "--resume"))
    expected = {"count": 200, "shards": 4, "shards_made": 1}
    assert told | expected == told
    told = json.loads(run_well(*asked, "--resume"))
    assert told | {"count": 0, "shards_made": 0} == told


def test_without_a_size_shards_hold_a_million_images(tmp_path: Path, run_well: RunWell) -> None:
    run_well("generate", 10, "-o", "out.npy", *ON_RAY)
    assert json.loads((tmp_path / "out" / "manifest.json").read_bytes())["shard_size"] == 1_000_000


def test_another_bundle_goes_to_the_workers(
    tmp_path: Path, run_well: RunWell, tiny_bundle: Path
) -> None:
    """Relative to a folder in which no worker is; the workers know only the shipped one."""
    (tmp_path / "bundle").symlink_to(tiny_bundle)
    asked = ("generate", 900, "--shard-size", 300, "--bundle", "bundle")
    run_well(*asked, "-o", "here.npy")
    run_well(*asked, "-o", "there.npy", *ON_RAY)
    assert tree(tmp_path / "there") == tree(tmp_path / "here")
    run_well(*asked[:4], "-o", "shipped.npy")
    assert tree(tmp_path / "there") != tree(tmp_path / "shipped")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["npy", "tar"])
def test_killed_workers_cost_their_shards_and_no_others(
    tmp_path: Path, run_well: RunWell, on_cluster: Environment, kind: str
) -> None:
    asked = (120_000, "--shard-size", 4_000) if kind == "npy" else (36_000, "--shard-size", 1_200)
    run_well("generate", *asked, "-o", f"here.{kind}")
    out = tmp_path / "there"
    killed = 0
    with generating(tmp_path, *asked, "-o", f"there.{kind}", *ON_RAY, env=on_cluster) as process:
        for number in (2, 8, 15):
            before = identities(wait_for_shards(process, out, number))
            deadline = time.monotonic() + 60
            while not (now := kill_workers()) and process.poll() is None:
                assert time.monotonic() < deadline
            killed += now
        finished(process)
    assert killed >= 2
    # But for those that were whole when they were killed, and had not told of it yet.
    again = [name for name in before if identities([out / name])[name] != before[name]]
    assert len(again) <= killed
    assert tree(out) == tree(tmp_path / "here")


@pytest.mark.slow
def test_a_node_that_dies_takes_nothing_with_it(
    tmp_path: Path, run_well: RunWell, cluster: Any, on_cluster: Environment
) -> None:
    asked = (200_000, "--shard-size", 4_000)
    run_well("generate", *asked, "-o", "here.npy")
    node = cluster.add_node(num_cpus=2, object_store_memory=200 << 20)
    cluster.wait_for_nodes()
    with generating(tmp_path, *asked, "-o", "there.npy", *ON_RAY, env=on_cluster) as process:
        wait_for_shards(process, tmp_path / "there", 8)
        cluster.remove_node(node, allow_graceful=False)
        finished(process)
    whole = {name: hashlib.sha256(data).digest() for name, data in tree(tmp_path / "here").items()}
    found = {name: hashlib.sha256(data).digest() for name, data in tree(tmp_path / "there").items()}
    assert found == whole


THIRTY = (150_000, "--shard-size", 5_000, "-o")


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Thirty shards, made here."""
    folder = tmp_path_factory.mktemp("thirty")
    assert main(["generate", *map(str, THIRTY), str(folder / "here.npy"), "-q"]) == 0
    return tree(folder / "here")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_whole_shards_and_goes_on(
    tmp_path: Path,
    run_well: RunWell,
    on_cluster: Environment,
    thirty: dict[str, bytes],
    number: signal.Signals,
    code: int,
) -> None:
    out = tmp_path / "out"
    with generating(tmp_path, *THIRTY, "out.npy", *ON_RAY, env=on_cluster) as process:
        wait_for_shards(process, out, 2)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    # Shards that workers have not told of yet are not finished: nobody knows their hash.
    told = json.loads((out / "manifest.json").read_bytes())["files"]
    shards = [out / entry["name"] for entry in told]
    assert {*shards} <= {*out.glob("digits-*")}
    assert len(shards) < 30
    assert err == (
        f"digitvae: interrupted: {len(shards)} of 30 shards in 'out' are finished; "
        "resume (--resume) makes the others\n"
    )
    assert not list(out.glob(".digitvae-*"))
    before = identities(shards)
    run_well("generate", *THIRTY, "out.npy", *ON_RAY, "--resume")
    assert identities(shards) == before
    assert tree(out) == thirty


def test_a_killed_driver_leaves_an_output_that_goes_on_here_too(
    tmp_path: Path, run_well: RunWell, on_cluster: Environment, thirty: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    with generating(tmp_path, *THIRTY, "out.npy", *ON_RAY, env=on_cluster) as process:
        wait_for_shards(process, out, 3)
        process.kill()
        process.wait()
    run_well("generate", *THIRTY, "out.npy", "--resume")
    # Orphaned workers may still be at it; what they finish has the same bytes.
    found = {name: data for name, data in tree(out).items() if not name.startswith(".digitvae-")}
    assert found == thirty


def test_a_damaged_shard_is_found_and_made_again(
    tmp_path: Path, run: Runner, run_well: RunWell
) -> None:
    asked = ("generate", 3_000, "--shard-size", 500, "-o", "out.npy", *ON_RAY)
    run_well(*asked)
    whole = tree(tmp_path / "out")
    damaged = tmp_path / "out" / "digits-00004-of-00006.npy"
    content = bytearray(damaged.read_bytes())
    content[1000] ^= 1
    damaged.write_bytes(content)
    found = run("check", "out", *ON_RAY)
    assert found.code == 1
    assert "1 of 6 shards" in found.err
    assert f"{damaged.name}: was changed: its SHA-256 is" in found.err
    damaged.unlink()
    run_well(*asked, "--resume")
    assert tree(tmp_path / "out") == whole
    assert "6 made again: the same" in run_well("check", "out", *ON_RAY, "--again", 6)


@pytest.mark.usefixtures("s3")
def test_shards_go_to_s3_as_they_go_to_a_folder(
    tmp_path: Path, run: Runner, run_well: RunWell
) -> None:
    bucket = Bucket("made-by-many")
    asked = ("generate", 2_000, "--shard-size", 400, "-o")
    run_well(*asked, "here.npz")
    address = bucket.uri("a/there")
    told = run_well(*asked, f"{address}.npz", *ON_RAY)
    assert told.startswith(f"{address}: 2,000 digits, 5 of 5 shards, in ")
    assert bucket.tree("a/there") == tree(tmp_path / "here")
    run_well("check", address, *ON_RAY, "--again", 2)
    name = "a/there/digits-00003-of-00005.npz"
    bucket.put(name, bucket.get(name)[:-1] + b"!")
    found = run("check", address, *ON_RAY)
    assert found.code == 1
    assert "digits-00003-of-00005.npz: was changed" in found.err


FULL_DISK = """
mount -t tmpfs -o size=2m tmpfs "$1" || exit 77
cd "$1" && shift && exec "$@"
"""

ON_A_CLUSTER_OF_ITS_OWN = """
import os, subprocess, sys
import ray
from digitvae.cli.app import main
context = ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=100 << 20,
                   log_to_driver=False, logging_level="ERROR")
os.environ["RAY_ADDRESS"] = context.address_info["address"]
first = subprocess.run(sys.argv[1:])
print("exit", first.returncode, *sorted(os.listdir("out")), flush=True)
subprocess.run(["mount", "-o", "remount,size=40m", "."], check=True)
words = sys.argv[sys.argv.index("generate"):]
assert main([*words, "--resume"]) == 0  # in this process, which is connected already
subprocess.run(["cp", "-r", "out", ".."], check=True)
"""


@pytest.mark.slow
def test_a_disk_that_is_really_full_is_told_and_what_is_finished_is_kept(
    tmp_path: Path, run_well: RunWell, on_cluster: Environment
) -> None:
    asked = ["generate", "10_000", "--shard-size", "1000", "-q"]
    run_well(*asked, "-o", "whole.npz")
    (tmp_path / "mounted").mkdir()
    own = [sys.executable, "-c", ON_A_CLUSTER_OF_ITS_OWN, *PROGRAM, *asked, "-o", "out.npz"]
    script = ["unshare", "-Urm", "sh", "-c", FULL_DISK, "sh", str(tmp_path / "mounted"), *own]
    env = {name: value for name, value in on_cluster.items() if name != "RAY_ADDRESS"}
    try:
        done = subprocess.run(
            [*script, *ON_RAY], capture_output=True, text=True, check=False, env=env, timeout=180
        )
    except FileNotFoundError:
        pytest.skip("a disk that is full (needs unshare: install util-linux)")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("a disk that is full (needs user namespaces: allow them)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("exit 1 ")
    listed = done.stdout.splitlines()[0].split()
    shards = [name for name in listed if name.startswith("digits-")]
    assert 1 <= len(shards) < 10
    assert "No space left on device: free some space" in done.stderr
    assert (
        f"{len(shards)} of 10 shards in 'out' are finished; resume (--resume) makes" in done.stderr
    )
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
