"""A network whose outputs are all ½, runtimes that compute it or nearly, and their comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from digitvae.parity.compare.runtimes import Findings, compare_runtimes
from digitvae.parity.inputs.sets import InputSet
from digitvae.parity.networks import DECODER, Float32, Function, Network
from digitvae.parity.report.report import Comparison
from digitvae.parity.truth.enclosure import NOISE_DEVIATIONS, UNIT_ROUNDOFF, Enclosure, Reference

ERROR = 1e-5
WIDTH = 3
SIGMA = 1e-3 / NOISE_DEVIATIONS


class HalfEverywhere:
    """A network whose every output is ½ with a bound of 10⁻⁵, and the noise limit that is given."""

    def __init__(self, limit: float, outputs: int = 1, *, bounded: bool = True) -> None:
        self.bounded = bounded
        self.limit = limit
        self.outputs = outputs

    def __call__(self, rows: Float32) -> tuple[Enclosure, ...]:
        shape = (len(rows), WIDTH)
        variance = 3.0 * (self.limit / NOISE_DEVIATIONS / UNIT_ROUNDOFF) ** 2
        value = torch.full(shape, 0.5, dtype=torch.float64)
        one = Enclosure(value, torch.full(shape, ERROR), torch.full(shape, variance))
        return (one,) * self.outputs


def half(rows: Float32) -> tuple[Float32, ...]:
    return (np.full((len(rows), WIDTH), 0.5, np.float32),)


def off_by(deviation: float, number: float | None = 0.0, element: int = 1) -> Function:
    """½, but ½ + deviation in one element of the row whose first input is ``number``, or of all."""

    def call(rows: Float32) -> tuple[Float32, ...]:
        (x,) = half(rows)
        chosen = slice(None) if number is None else rows[:, 0] == np.float32(number)
        x[chosen, element] += np.float32(deviation)
        return (x,)

    return call


def numbered(count: int, *, typical: bool = True) -> InputSet:
    """Rows 0 … count − 1 in blocks of four; the first input of a row is its number."""
    rows = np.zeros((count, 2), np.float32)
    rows[:, 0] = np.arange(count)
    blocks = tuple(rows[i : i + 4] for i in range(0, count, 4))
    return InputSet("numbers", blocks, typical=typical)


def find(
    functions: Mapping[str, Function],
    inputs: InputSet,
    *,
    limit: float = 1e-3,
    bounded: bool = True,
    network: Network = DECODER,
    must_equal: Mapping[str, str] | None = None,
    threads: int = 1,
    shape: tuple[int, int] | None = None,
    on_block: Callable[[str], None] = lambda _: None,
    truth: Reference | None = None,
) -> Findings:
    return compare_runtimes(
        network,
        inputs,
        functions,
        truth or HalfEverywhere(limit, len(network.outputs), bounded=bounded),
        must_equal=must_equal or {},
        threads=threads,
        on_block=on_block,
        image_shape=shape,
    )


def by_runtime(found: Findings) -> dict[str, Comparison]:
    return {c.runtime: c for c in found.comparisons}


def doubled(function: Function) -> Function:
    return lambda rows: function(rows) * 2
