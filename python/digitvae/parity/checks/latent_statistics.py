"""Checks the engine's latents against the specification, and against N(0, I)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from digitvae.engine.sampling import LATENT_STREAM
from digitvae.parity.checks.random_reference import standard_normal
from digitvae.parity.compare.statistics import bits_differ
from digitvae.parity.networks import Float32
from digitvae.parity.report.report import Check, first_line

SUBJECT = "latents"

_STANDARD_ERRORS = 6.0
"""A sound generator leaves this in one of 10⁹ statistics; 900 of them are looked at."""

_KOLMOGOROV_LIMIT = 3.2
"""√n·sup|F̂ − Φ| stays below it but for 3 in 10⁹ cases: 2·exp(−2·3.2²) (Smirnov 1948)."""

_FEWEST = 1000
_ROWS = 256
_PLACES = ((0, 0), (0, 2**32 - 100), (7, 2**64 - 256), (2**64 - 1, 10**12))
"""(seed, first): where indexes carry into the other word, and at the ends of both."""


def check_latents(draws: Float32, make: Callable[[int, int, int], Float32]) -> list[Check]:
    """Check the latents against the specification and against N(0, I).

    Args:
        draws: float32 [n, d]: latents 0 … n−1 of seed 0, as they are compared.
        make: ``make(count, seed, first)``: the engine's latents.
    """
    return [_as_specified(draws, make), *_statistics(draws)]


def _as_specified(draws: Float32, make: Callable[[int, int, int], Float32]) -> Check:
    statement = "are those of docs/random-numbers.md, bit for bit"
    dim = draws.shape[1]
    few = draws[:_ROWS]
    try:
        wrong = bits_differ(few, standard_normal(0, LATENT_STREAM, 0, len(few), dim))
        compared = few.size
        for seed, first in _PLACES:
            expected = standard_normal(seed, LATENT_STREAM, first, _ROWS, dim)
            wrong += bits_differ(make(_ROWS, seed, first), expected)
            compared += expected.size
    except Exception as error:  # an engine that raises does not make latents
        return Check(SUBJECT, statement, "failed", first_line(error))
    return Check.none_differ(SUBJECT, statement, wrong, compared)


def _statistics(draws: Float32) -> list[Check]:
    n, dim = draws.shape
    if n < _FEWEST:
        detail = f"{n} draws, at least {_FEWEST} are needed"
        return [Check(SUBJECT, "look like N(0, I)", "not run", detail)]
    z = draws.astype(np.float64)
    root = np.sqrt(n)
    second = z.T @ z / n  # [d, d]
    following = (z[:-1] * z[1:]).sum(axis=0) / np.sqrt(n - 1)
    apart = ~np.eye(dim, dtype=bool)
    statistics = {
        "have mean 0": np.abs(z.mean(axis=0)) * root,
        "have variance 1": np.abs(np.diag(second) - 1.0) * root / np.sqrt(2.0),
        "have no correlation within a draw": np.abs(second[apart]) * root,
        "have no correlation from one draw to the next": np.abs(following),
    }
    checks = []
    for statement, found in statistics.items():
        worst = float(found.max(initial=0.0))
        detail = f"at most {worst:.2f} standard errors in {found.size}, limit {_STANDARD_ERRORS:g}"
        checks.append(Check.of(SUBJECT, statement, worst <= _STANDARD_ERRORS, detail))
    distance = _kolmogorov(z.ravel())
    checks.append(
        Check.of(
            SUBJECT,
            "have the normal distribution (Kolmogorov–Smirnov)",
            distance <= _KOLMOGOROV_LIMIT,
            f"√n·D = {distance:.2f}, limit {_KOLMOGOROV_LIMIT}",
        )
    )
    return checks


def _kolmogorov(values: NDArray[np.float64]) -> float:
    ordered = np.sort(values)
    n = len(ordered)
    normal = torch.special.ndtr(torch.from_numpy(ordered)).numpy()
    steps = np.arange(n + 1) / n
    return float(max((steps[1:] - normal).max(), (normal - steps[:-1]).max()) * np.sqrt(n))
