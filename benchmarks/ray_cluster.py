"""What a Ray cluster of two nodes on this machine costs, beside the plain engine on the same cores.

    python -m benchmarks.ray_cluster [--digits 10_000_000] [--shard-size 500_000] [--small 10_000]
                                     [--rounds 3] [--folder .]

Whole commands in turns, flushed to the disk: `digitvae generate --shard-size` with two threads, and
the same with `--engine ray`, whose bytes have to be the same. Then as many small shards as
`--small` says, of ten digits each: what a shard costs beside its digits. Last, how long a task
takes that does nothing: what scheduling alone costs.

Needs 2 · 784 bytes a digit on the disk of the folder; all of it is removed again.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

PROGRAM = [sys.executable, "-m", "digitvae.cli.app", "generate"]
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 200 << 20, "include_dashboard": False}
SMALL_DIGITS = 10
TASKS = 5_000


def seconds(folder: Path, *words: object) -> tuple[float, bytes]:
    """Wall time of a command, which leaves nothing behind, and the hashes of its shards."""
    began = time.perf_counter()
    subprocess.run([*PROGRAM, *map(str, words), "-q", "-o", folder / "out.npy"], check=True)
    took = time.perf_counter() - began
    manifest = (folder / "out" / "manifest.json").read_bytes()
    shutil.rmtree(folder / "out")
    return took, manifest


def in_turns(folder: Path, rounds: int, *words: object) -> tuple[list[float], list[float]]:
    """Wall times of a command here and on the cluster."""
    here, there = [], []
    for _ in range(rounds):
        took, manifest = seconds(folder, *words)
        here.append(took)
        took, other = seconds(folder, *words, "--engine", "ray")
        there.append(took)
        if other != manifest:
            raise SystemExit("the cluster has made other bytes")
    return here, there


def nothing(_job: None, item: int) -> int:
    """A task that does nothing."""
    return item


def task_seconds(address: str) -> float:
    """Wall time a task of those that do nothing, with the program's own scheduling."""
    from digitvae.generation.ray.cluster import connected
    from digitvae.generation.ray.schedule import spread

    with connected(address):
        list(spread(nothing, None, range(100), threads=1))
        began = time.perf_counter()
        list(spread(nothing, None, range(TASKS), threads=1))
        return (time.perf_counter() - began) / TASKS


def report(arguments: argparse.Namespace, folder: Path, cluster: Any) -> None:
    """Measure and print."""
    digits, size, small = arguments.digits, arguments.shard_size, arguments.small
    here, there = in_turns(folder, arguments.rounds, digits, "--shard-size", size)
    ratios = [a / b for a, b in zip(here, there, strict=True)]
    print(f"{digits:,} digits in shards of {size:,}, whole commands, {arguments.rounds} rounds:")
    for name, times in (("here, two threads", here), ("two nodes", there)):
        middle = statistics.median(times)
        print(f"  {name:18} {middle:8.2f} s ({min(times):.2f} to {max(times):.2f}), "
              f"{digits / middle:,.0f} digits/s")  # fmt: skip
    print(f"  efficiency {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")

    asked = (SMALL_DIGITS * small, "--shard-size", SMALL_DIGITS)
    few = (SMALL_DIGITS * 2, "--shard-size", SMALL_DIGITS)
    start_here, start_there = in_turns(folder, 3, *few)
    starts = statistics.median(start_here), statistics.median(start_there)
    here, there = in_turns(folder, 1, *asked)
    print(f"\ntwo shards of {SMALL_DIGITS} digits: {starts[0]:.2f} s here, {starts[1]:.2f} s there")
    print(
        f"{small:,} shards of {SMALL_DIGITS} digits: {here[0]:.1f} s here, {there[0]:.1f} s there"
    )
    for name, took, start in (("here", here[0], starts[0]), ("there", there[0], starts[1])):
        print(f"  a shard {name}: {1e3 * (took - start) / small:.2f} ms")
    print(f"  a task that does nothing: {1e3 * task_seconds(cluster.address):.2f} ms")


def main() -> None:
    """Start two nodes, measure, end them."""
    parser = argparse.ArgumentParser(description="A local Ray cluster beside the plain engine.")
    parser.add_argument("--digits", type=int, default=10_000_000)
    parser.add_argument("--shard-size", type=int, default=500_000)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to write to")
    arguments = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            report(arguments, Path(name), cluster)
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
