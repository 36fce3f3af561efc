"""What to measure, and how long."""

from __future__ import annotations

from dataclasses import dataclass

PARTS = ("warm", "latency", "process", "limits")


@dataclass(frozen=True)
class Settings:
    """What to measure, and how long.

    Attributes:
        parts: Some of ``PARTS``.
        threads: Numbers of threads for warm generation and latency.
        rounds: Turns of every contender in everything that is measured.
        sizes: Digits of a warm request.
        counts: Digits of a file that a whole process writes.
        turn_seconds: How long a turn lasts at least, in warm generation.
        latency_calls: Requests for one digit in a turn.
        fma_seconds: How long the multiply-add units are measured in a round.
        write_mib: Size of the file for the bandwidth of writing, in MiB.
    """

    parts: tuple[str, ...] = PARTS
    threads: tuple[int, ...] = (1,)
    rounds: int = 9
    sizes: tuple[int, ...] = (1, 2, 8, 64, 100, 256, 1000, 4096, 10_000, 40_000)
    counts: tuple[int, ...] = (1, 10_000, 200_000)
    turn_seconds: float = 0.1
    latency_calls: int = 100
    fma_seconds: float = 0.2
    write_mib: int = 512


QUICK = Settings(
    rounds=3,
    sizes=(1, 64, 1000, 10_000),
    counts=(1, 10_000),
    turn_seconds=0.05,
    latency_calls=50,
    fma_seconds=0.1,
    write_mib=128,
)
"""A look, in minutes."""
