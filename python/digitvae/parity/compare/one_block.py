"""Comparing what runtimes compute for one block of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitvae.parity.compare.statistics import (
    Distribution,
    Locate,
    bits_differ,
    deviation,
    difference,
    float32_spacing,
    largest,
    same_bits,
    share,
    to_pixels,
)
from digitvae.parity.networks import Float32, Function, Network
from digitvae.parity.report.report import Peak, first_line
from digitvae.parity.truth.enclosure import NOISE_DEVIATIONS, Enclosure, Reference


@dataclass(frozen=True)
class _Exact:
    """One output's truth on one block: its own shape, and arrays [n, m]."""

    shape: tuple[int, ...]
    value: NDArray[np.float64]
    size: Float32
    spacing: Float32
    bound: Float32 | None
    sigma: Float32

    @classmethod
    def of(cls, enclosure: Enclosure, *, bounded: bool) -> _Exact:
        shape = tuple(enclosure.value.shape)
        n = shape[0]
        value: NDArray[np.float64] = enclosure.value.reshape(n, -1).numpy()
        with np.errstate(over="ignore"):
            size = np.abs(value.astype(np.float32))
        bound: Float32 = enclosure.error.reshape(n, -1).numpy()
        sigma: Float32 = enclosure.deviation().reshape(n, -1).numpy()
        return cls(shape, value, size, float32_spacing(size), bound if bounded else None, sigma)


@dataclass(frozen=True)
class BlockDeviations:
    """How one block of one output deviates, or several; shared by all with the same bits."""

    values: int
    to_truth: Distribution
    square_sum: float
    relative: Distribution
    ulps: Distribution
    to_eager: Distribution
    bound_used: Peak | None
    bound_there: float | None
    noise_used: Peak
    noise_square_sum: float
    bytes_differ: int
    bytes_by: int

    def merge(self, later: BlockDeviations) -> BlockDeviations:
        """Both together."""
        to_truth = self.to_truth.merge(later.to_truth)
        farthest = self if to_truth.peak is self.to_truth.peak else later
        return BlockDeviations(
            values=self.values + later.values,
            to_truth=to_truth,
            square_sum=self.square_sum + later.square_sum,
            relative=self.relative.merge(later.relative),
            ulps=self.ulps.merge(later.ulps),
            to_eager=self.to_eager.merge(later.to_eager),
            bound_used=self.bound_used and self.bound_used.merge(later.bound_used),
            bound_there=farthest.bound_there,
            noise_used=self.noise_used.merge(later.noise_used),
            noise_square_sum=self.noise_square_sum + later.noise_square_sum,
            bytes_differ=self.bytes_differ + later.bytes_differ,
            bytes_by=max(self.bytes_by, later.bytes_by),
        )


def _measure(
    got: Float32, eager: Float32, exact: _Exact, locate: Locate, *, image: bool
) -> BlockDeviations:
    deviations = deviation(got, exact.value)
    in_sigmas = share(deviations, exact.sigma)
    worst = largest(in_sigmas, locate)
    to_truth = Distribution.of(deviations, locate)
    bound_used = bound_there = None
    if exact.bound is not None:
        bound_used = largest(share(deviations, exact.bound), locate)
        bound_there = float(exact.bound[to_truth.peak.place[1], to_truth.peak.element])
    levels = np.zeros(1, np.int16)
    if image and got is not eager:
        levels = np.abs(to_pixels(got).astype(np.int16) - to_pixels(eager).astype(np.int16))
    with np.errstate(over="ignore", invalid="ignore"):
        square_sum = float(np.vdot(deviations, deviations))
        noise_square_sum = float(np.vdot(in_sigmas, in_sigmas))
    return BlockDeviations(
        values=got.size,
        to_truth=to_truth,
        square_sum=square_sum,
        relative=Distribution.of(share(deviations, exact.size), locate),
        ulps=Distribution.of(share(deviations, exact.spacing), locate),
        to_eager=Distribution.of(difference(got, eager), locate),
        bound_used=bound_used,
        bound_there=bound_there,
        noise_used=replace(worst, value=worst.value / NOISE_DEVIATIONS),
        noise_square_sum=noise_square_sum,
        bytes_differ=int(np.count_nonzero(levels)),
        bytes_by=int(levels.max()),
    )


@dataclass(frozen=True)
class Unequal:
    """Values of a block whose bits are not those of the runtime that they must equal."""

    count: int
    first: str

    def merge(self, later: Unequal) -> Unequal:
        """Both together; the input of the first stays."""
        return Unequal(self.count + later.count, self.first)


@dataclass(frozen=True)
class BlockOutput:
    """One output on one block or on several, of all runtimes that computed it.

    Attributes:
        representatives: By runtime, of each block the first runtime with the same bits.
        deviations: By runtime.
        pairs: The largest difference of two runtimes whose bits differ, by their names in order.
        unequal: By runtime, where another's bits are not those that it must have.
    """

    representatives: dict[str, tuple[str, ...]]
    deviations: dict[str, BlockDeviations]
    pairs: dict[tuple[str, str], Peak]
    unequal: dict[str, Unequal]

    def merge(self, later: BlockOutput) -> BlockOutput:
        """Both together."""
        return BlockOutput(
            {
                runtime: self.representatives.get(runtime, ()) + more
                for runtime, more in later.representatives.items()
            },
            _merged(self.deviations, later.deviations),
            _merged(self.pairs, later.pairs),
            _merged(self.unequal, later.unequal),
        )


def _merged(one: Mapping[Any, Any], later: Mapping[Any, Any]) -> dict[Any, Any]:
    return {**one, **{k: one[k].merge(value) if k in one else value for k, value in later.items()}}


def compute_block(
    rows: Float32,
    network: Network,
    functions: Mapping[str, Function],
    truth: Reference,
    must_equal: Mapping[str, str],
    *,
    locate: Locate,
) -> tuple[tuple[BlockOutput, ...], dict[str, str]]:
    """Compare all runtimes on one block; see ``compare_runtimes``.

    Returns:
        What was found of each output, and by runtime what was raised.
    """
    exact = [_Exact.of(enclosure, bounded=truth.bounded) for enclosure in truth(rows)]
    computed: dict[str, tuple[Float32, ...]] = {}
    errors: dict[str, str] = {}
    for runtime, function in functions.items():
        try:
            computed[runtime] = _call(function, rows, exact)
        except Exception as error:  # whatever a runtime raises, it did not compute
            errors[runtime] = first_line(error)
    eager = next(iter(functions))
    if eager in errors:
        raise RuntimeError(
            f"{eager} cannot compute what the others are compared with: {errors[eager]}"
        )
    outputs = tuple(
        _compare_output(
            {runtime: values[i] for runtime, values in computed.items()},
            exact[i],
            must_equal,
            locate,
            image=network.images and i == 0,
        )
        for i in range(len(exact))
    )
    return outputs, errors


def _call(function: Function, rows: Float32, exact: Sequence[_Exact]) -> tuple[Float32, ...]:
    """Outputs [n, m] of a runtime, whose number, shapes and type are those that they must be."""
    outputs = function(rows)
    # Before they are flattened: an axis too much or axes in another order are no detail.
    expected = [(one.shape, np.dtype(np.float32)) for one in exact]
    found = [(output.shape, output.dtype) for output in outputs]
    if found != expected:
        listed = ", ".join(f"{dtype} {list(shape)}" for shape, dtype in found)
        wanted = ", ".join(f"{dtype} {list(shape)}" for shape, dtype in expected)
        raise ValueError(f"it computes {listed or 'nothing'}; expected {wanted}")
    return tuple(
        output.reshape(one.value.shape) for output, one in zip(outputs, exact, strict=True)
    )


def _compare_output(
    values: Mapping[str, Float32],
    exact: _Exact,
    must_equal: Mapping[str, str],
    locate: Locate,
    *,
    image: bool,
) -> BlockOutput:
    eager = next(iter(values.values()))
    representative: dict[str, str] = {}
    distinct: list[str] = []
    for runtime, got in values.items():
        twin = next((name for name in distinct if same_bits(values[name], got)), None)
        representative[runtime] = twin or runtime
        if twin is None:
            distinct.append(runtime)
    unequal = {}
    for runtime, other in must_equal.items():
        if (
            runtime in values
            and other in values
            and representative[runtime] != representative[other]
        ):
            got, wanted = values[runtime], values[other]
            first = next(row for row in range(len(got)) if bits_differ(got[row], wanted[row]))
            unequal[runtime] = Unequal(bits_differ(got, wanted), locate(0.0, first, 0).input)
    measured = {
        name: _measure(values[name], eager, exact, locate, image=image) for name in distinct
    }
    peaks = {
        frozenset(ends): largest(difference(*(values[name] for name in ends)), locate)
        for ends in combinations(distinct, 2)
    }
    return BlockOutput(
        {runtime: (name,) for runtime, name in representative.items()},
        {runtime: measured[name] for runtime, name in representative.items()},
        {
            (a, b): peaks[frozenset((representative[a], representative[b]))]
            for a, b in combinations(values, 2)
            if representative[a] != representative[b]
        },
        unequal,
    )
