"""Looking for the input on which two runtimes disagree most.

Rounding has no gradient, so this is a (μ + λ) evolution: the worst rows that are known are
changed in a few coordinates, and the worst of old and new are kept. What it finds is the strongest
claim that can be made against an export short of a proof; only the proven bound has to hold there,
since the roundings of inputs that were selected for their roundings are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitvae.parity.compare.statistics import difference
from digitvae.parity.networks import Float32, Function

_PARENTS = 16
_CHILDREN = 64


@dataclass(frozen=True)
class Reach:
    """Where a search for the worst input begins, and how far it may go.

    Attributes:
        seeds: float32 [n, …]: where it begins, beside the worst rows that are known.
        low: Smallest value.
        high: Largest value.
        spread: Standard deviation of one change.
    """

    seeds: Float32
    low: float
    high: float
    spread: float


def farthest(a: Function, b: Function, known: Float32, reach: Reach, generations: int) -> Float32:
    """Evolve rows that two runtimes disagree on.

    Args:
        a: One runtime.
        b: Another.
        known: float32 [n, …]: the worst rows that are known.
        reach: Where else to begin, and how far to go.
        generations: Rounds of change and selection; 64 rows are computed in each.

    Returns:
        The last parents, the worst first: float32 [m, …], m ≤ 16.
    """
    rng = np.random.default_rng(0)
    parents = np.concatenate([known, reach.seeds])
    parents, scores = _worst(parents, _disagreement(a, b, parents))
    width = parents[0].size
    for _ in range(generations):
        children = parents[rng.integers(len(parents), size=_CHILDREN)]
        # Few coordinates at first hand, many now and then.
        changed = rng.random(children.shape) < rng.choice([1 / width, 4 / width, 0.1, 0.5])
        noise = rng.normal(0.0, reach.spread, children.shape) * rng.choice([0.01, 0.1, 1.0])
        children = np.where(changed, children + noise, children).clip(reach.low, reach.high)
        children = children.astype(np.float32)
        parents, scores = _worst(
            np.concatenate([parents, children]),
            np.concatenate([scores, _disagreement(a, b, children)]),
        )
    return parents


def _disagreement(a: Function, b: Function, rows: Float32) -> NDArray[np.float64]:
    """Largest |Δ| of any output, for each row."""
    worst = np.zeros(len(rows))
    for left, right in zip(a(rows), b(rows), strict=True):
        worst = np.maximum(worst, difference(left, right).reshape(len(rows), -1).max(axis=1))
    return worst


def _worst(rows: Float32, scores: NDArray[np.float64]) -> tuple[Float32, NDArray[np.float64]]:
    order = np.argsort(-scores, kind="stable")[:_PARENTS]
    return rows[order], scores[order]
