"""What the model of docs/scale.md predicts, from what was measured on one machine.

    python -m benchmarks.scale_model [--digits N --nodes N --shard-size N --format npy|npz|tar …]

Without `--digits`: the table of docs/scale.md. The defaults of the other options are the measured
values, and assumed prices; give your own.
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

BYTES = {"npy": 784, "npz": 326, "idx.gz": 304, "parquet": 436, "tar": 1056}
"""A digit takes so many, drawn from N(0, I)."""
RATES = {"npy": 128_000, "npz": 48_000, "idx.gz": 48_000, "parquet": 14_000, "tar": 13_000}
"""Digits a second that one processor makes and writes."""
TABLE = [
    (10**9, "npy", 10**6, 1),
    (10**9, "npy", 10**6, 10),
    (10**9, "npz", 10**6, 10),
    (10**9, "npy", 10**6, 100),
    (10**12, "npy", 10**7, 100),
    (10**12, "npz", 10**7, 100),
    (10**12, "npz", 10**7, 1000),
]


class Prediction(NamedTuple):
    """What a run takes.

    Attributes:
        seconds: From start to exit.
        stored: Bytes of all shards.
        processor_hours: Of all nodes.
    """

    seconds: float
    stored: float
    processor_hours: float


def predict(
    arguments: argparse.Namespace, digits: int, kind: str, shard: int, nodes: int
) -> Prediction:
    """Apply the model."""
    workers = nodes * arguments.processors
    shards = math.ceil(digits / shard)
    stored = digits * BYTES[kind]
    # The last shards are waited for, whoever has nothing to do any more.
    turns = math.ceil(shards / workers)
    making = turns * (min(shard, digits) / RATES[kind] + arguments.shard_seconds)
    scheduling = shards * arguments.task_seconds
    sending = stored / (nodes * arguments.node_bytes)
    seconds = arguments.start_seconds + max(making, scheduling, sending)
    return Prediction(seconds, stored, workers * seconds / 3600)


def duration(seconds: float) -> str:
    """In the unit that people would use."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def main() -> None:
    """Print the predictions."""
    parser = argparse.ArgumentParser(description="Predict a run on a cluster.")
    parser.add_argument("--digits", type=int)
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument("--shard-size", type=int, default=10**6)
    parser.add_argument("--format", choices=BYTES, default="npy")
    parser.add_argument("--processors", type=int, default=16, help="of a node")
    parser.add_argument("--node-bytes", type=float, default=1.25e9, help="a node sends in a second")
    parser.add_argument("--start-seconds", type=float, default=2.0)
    parser.add_argument("--shard-seconds", type=float, default=0.001)
    parser.add_argument("--task-seconds", type=float, default=0.002)
    parser.add_argument("--processor-hour", type=float, default=0.04, help="price")
    parser.add_argument("--gigabyte-month", type=float, default=0.023, help="price")
    arguments = parser.parse_args()
    asked = [(arguments.digits, arguments.format, arguments.shard_size, arguments.nodes)]
    print("| digits | format | shards of | nodes | time | processors | stored | a month of it | "
          "into the store |")  # fmt: skip
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|")
    for digits, kind, shard, nodes in asked if arguments.digits else TABLE:
        found = predict(arguments, digits, kind, shard, nodes)
        print(
            f"| {digits:,} | `.{kind}` | {shard:,} | {nodes:,} | {duration(found.seconds)} "
            f"| {found.processor_hours * arguments.processor_hour:,.2f} $ "
            f"| {found.stored / 1e12:,.3g} TB "
            f"| {found.stored / 1e9 * arguments.gigabyte_month:,.0f} $ "
            f"| {found.stored / found.seconds / 1e9:,.1f} GB/s |"
        )


if __name__ == "__main__":
    main()
