"""Choosing how a contender is at its best: by trying, on this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Setting = TypeVar("Setting")

BATCHES = (64, 128, 256, 512, 1000, 2048, 4096)
"""Sizes to try for the batches that a large request is cut into."""

_DIGITS = 8192
_ROUNDS = 3


def fastest(
    generators: Mapping[Setting, Callable[[int], object]],
) -> tuple[Setting, Callable[[int], object]]:
    """The setting whose generator makes some thousand digits in the least time.

    Args:
        generators: By setting, what generates so many digits. Each warms up, then they take turns.
    """
    best = dict.fromkeys(generators, float("inf"))
    for turn in range(_ROUNDS + 1):
        for setting, generate in generators.items():
            start = time.perf_counter()
            generate(_DIGITS)
            if turn > 0:
                best[setting] = min(best[setting], time.perf_counter() - start)
    winner = min(best, key=best.__getitem__)
    return winner, generators[winner]
