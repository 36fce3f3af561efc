"""Comparing what runtimes compute for one block of rows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Protocol

import numpy as np

from digitvae.parity.enclosure import NOISE_DEVIATIONS, Enclosure
from digitvae.parity.report import first_line
from digitvae.parity.statistics import (
    Extreme,
    Part,
    bits_differ,
    deviation,
    difference,
    float32_spacing,
    largest,
    same_bits,
    share,
    to_pixels,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from digitvae.parity.networks import Float32, Function, Network


class Reference(Protocol):
    """Float64 truth with bounds: :class:`digitvae.parity.truth.Truth`, or a stand-in."""

    @property
    def bounded(self) -> bool:
        """Whether ``error`` is a proven bound; otherwise only the noise limit counts."""

    def __call__(self, rows: Float32) -> tuple[Enclosure, ...]:
        """Evaluate the outputs, each [n, …]."""


@dataclass(frozen=True)
class _Exact:
    """One output's truth on one block, as arrays [n, m]."""

    value: NDArray[np.float64]
    size: Float32
    spacing: Float32
    bound: Float32 | None
    sigma: Float32

    @classmethod
    def of(cls, enclosure: Enclosure, *, bounded: bool) -> _Exact:
        n = len(enclosure.value)
        value: NDArray[np.float64] = enclosure.value.reshape(n, -1).numpy()
        with np.errstate(over="ignore"):
            size = np.abs(value.astype(np.float32))
        bound: Float32 = enclosure.error.reshape(n, -1).numpy()
        sigma: Float32 = enclosure.deviation().reshape(n, -1).numpy()
        return cls(value, size, float32_spacing(size), bound if bounded else None, sigma)


@dataclass(frozen=True)
class BlockDeviations:
    """How one block of one output deviates; shared by all runtimes with the same bits."""

    values: int
    to_truth: Part
    square_sum: float
    relative: Part
    ulps: Part
    to_eager: Part
    bound_used: Extreme | None
    bound_there: float | None
    noise_used: Extreme
    noise_square_sum: float
    bytes_differ: int
    bytes_by: int


def _measure(got: Float32, eager: Float32, exact: _Exact, *, image: bool) -> BlockDeviations:
    to_truth = deviation(got, exact.value)
    in_sigmas = share(to_truth, exact.sigma)
    worst = largest(in_sigmas)
    farthest = largest(to_truth)
    levels = np.zeros(1, np.int16)
    if image and got is not eager:
        levels = np.abs(to_pixels(got).astype(np.int16) - to_pixels(eager).astype(np.int16))
    with np.errstate(over="ignore", invalid="ignore"):
        square_sum = float(np.vdot(to_truth, to_truth))
        noise_square_sum = float(np.vdot(in_sigmas, in_sigmas))
    return BlockDeviations(
        values=got.size,
        to_truth=Part.of(to_truth),
        square_sum=square_sum,
        relative=Part.of(share(to_truth, exact.size)),
        ulps=Part.of(share(to_truth, exact.spacing)),
        to_eager=Part.of(difference(got, eager)),
        bound_used=None if exact.bound is None else largest(share(to_truth, exact.bound)),
        bound_there=None
        if exact.bound is None
        else float(exact.bound[farthest.row, farthest.element]),
        noise_used=worst._replace(value=worst.value / NOISE_DEVIATIONS),
        noise_square_sum=noise_square_sum,
        bytes_differ=int(np.count_nonzero(levels)),
        bytes_by=int(levels.max()),
    )


@dataclass(frozen=True)
class Unequal:
    """Values of a block whose bits are not those of the runtime that they must equal."""

    count: int
    first_row: int


@dataclass(frozen=True)
class BlockOutput:
    """One output on one block, of all runtimes that computed it."""

    representative: dict[str, str]
    deviations: dict[str, BlockDeviations]
    pairs: dict[tuple[str, str], Extreme]
    unequal: dict[str, Unequal]


@dataclass(frozen=True)
class Block:
    """All outputs on one block, and what runtimes raised."""

    outputs: tuple[BlockOutput, ...]
    errors: dict[str, str]


def compute_block(
    rows: Float32,
    network: Network,
    functions: Mapping[str, Function],
    truth: Reference,
    must_equal: Mapping[str, str],
) -> Block:
    """Compare all runtimes on one block; see :func:`digitvae.parity.compare.compare_runtimes`."""
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
            image=network.images and i == 0,
        )
        for i in range(len(exact))
    )
    return Block(outputs, errors)


def _call(function: Function, rows: Float32, exact: Sequence[_Exact]) -> tuple[Float32, ...]:
    """Call a runtime and check that its outputs have the number, shapes and type they must."""
    outputs = function(rows)
    expected = [(one.value.shape, np.dtype(np.float32)) for one in exact]
    found = [(output.shape, output.dtype) for output in outputs]
    if found != expected:
        listed = ", ".join(f"{dtype} {list(shape)}" for shape, dtype in found)
        wanted = ", ".join(f"{dtype} {list(shape)}" for shape, dtype in expected)
        raise ValueError(f"it computes {listed or 'nothing'}; expected {wanted}")
    return outputs


def _compare_output(
    values: Mapping[str, Float32], exact: _Exact, must_equal: Mapping[str, str], *, image: bool
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
            unequal[runtime] = Unequal(bits_differ(got, wanted), first)
    return BlockOutput(
        representative,
        {name: _measure(values[name], eager, exact, image=image) for name in distinct},
        {(a, b): largest(difference(values[a], values[b])) for a, b in combinations(distinct, 2)},
        unequal,
    )
