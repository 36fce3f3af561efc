"""From two arrays to quantiles, counts and the worst value, block by block.

Histograms take their bins from the bits of a float32: its exponent and the first three bits of its
mantissa, so that there are eight bins to an octave and no logarithm is ever taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitvae.parity.networks import Float32
from digitvae.parity.report.report import Peak, Spread

Locate = Callable[[float, int, int], Peak]
"""A value, its row in a block and its element, to the peak that names its input."""

_DROPPED_BITS = 20
_BINS = 1 << (31 - _DROPPED_BITS)
_BINS_IN_OCTAVE = 8
_EXPONENT_BIAS = 127

_ALL_ROWS = 64
_SAMPLED = 4
"""Of longer blocks every fourth row is counted: tens of millions of values are more than quantiles
need. The largest is always that of all rows."""


def largest(values: NDArray[np.floating], locate: Locate) -> Peak:
    """The largest of an array [n, m], the first of equals; an empty one has none."""
    index = int(values.argmax())
    return locate(float(values.flat[index]), *divmod(index, values.shape[1]))


@dataclass(frozen=True)
class Distribution:
    """The largest of one block's values or of several, and counts of a sample of their rows."""

    peak: Peak
    counts: NDArray[np.int64]
    zeros: int

    @classmethod
    def of(cls, values: Float32, locate: Locate) -> Distribution:
        """Look at the non-negative values [n, m] of one block."""
        sample = values if len(values) <= _ALL_ROWS else values[::_SAMPLED]
        bins = (sample.view(np.int32) >> _DROPPED_BITS).ravel()
        counts = np.bincount(bins, minlength=_BINS)
        zeros = int(sample.size - np.count_nonzero(sample))
        counts[0] -= zeros
        return cls(largest(values, locate), counts, zeros)

    def merge(self, later: Distribution) -> Distribution:
        """Both together."""
        peak = self.peak.merge(later.peak)
        return Distribution(peak, self.counts + later.counts, self.zeros + later.zeros)

    def spread(self) -> Spread:
        """The distribution as reports have it."""
        by_octave = self.counts.reshape(-1, _BINS_IN_OCTAVE).sum(axis=1)
        octaves = {
            int(index) - _EXPONENT_BIAS: int(by_octave[index])
            for index in np.flatnonzero(by_octave)
        }
        median, q99, q999 = (min(self.quantile(q), self.peak.value) for q in (0.5, 0.99, 0.999))
        return Spread(self.peak, median, q99, q999, octaves, self.zeros)

    def quantile(self, share: float) -> float:
        """Upper edge of the bin in which a share of all values has been passed."""
        rank = share * (self.zeros + int(self.counts.sum()))
        if rank <= self.zeros:
            return 0.0
        index = int(np.searchsorted(self.zeros + np.cumsum(self.counts), rank))
        edge = np.array([min(index + 1, _BINS - 1) << _DROPPED_BITS], np.int32).view(np.float32)
        return float(edge[0]) if np.isfinite(edge[0]) else float("inf")


def deviation(got: NDArray[np.floating], expected: NDArray[np.floating]) -> Float32:
    """|Δ|, subtracted in float64; where a value is not a number infinite, which no limit allows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _size(np.subtract(got, expected, dtype=np.float64).astype(np.float32))


def difference(a: Float32, b: Float32) -> Float32:
    """|a − b| of what two runtimes computed: exact where they are close (Sterbenz 1974)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _size(a - b)


def _size(differences: Float32) -> Float32:
    """Absolute values, in place; what is not a number becomes infinite."""
    np.abs(differences, out=differences)
    if not np.isfinite(differences.max(initial=0.0)):
        differences[np.isnan(differences)] = np.inf
    return differences


def share(deviations: Float32, limit: Float32) -> Float32:
    """Deviations as shares of limits; no deviation is no share, even of nothing."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        result: Float32 = deviations / limit
    if not np.isfinite(result.max(initial=0.0)):
        result[deviations == 0.0] = 0.0
        result[np.isnan(result)] = np.inf
    return result


def float32_spacing(size: Float32) -> Float32:
    """Units in the last place of positive float32 numbers, at least the smallest normal number."""
    exponents = size.view(np.int32) >> 23
    spacing: Float32 = (np.maximum(exponents - 23, 1) << 23).view(np.float32)
    return spacing


def to_pixels(x: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round intensities to bytes as the native engine does: half to even of 255·x in float32."""
    with np.errstate(invalid="ignore"):  # not a number has no byte; the deviation reports it
        pixels: NDArray[np.uint8] = np.rint(np.float32(255) * x).astype(np.uint8)
    return pixels


def same_bits(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    """Whether two float32 arrays of one shape are the same, −0 and NaN by their bits."""
    # Two values at a time where they come in pairs.
    kind = np.uint64 if a.shape[-1] % 2 == 0 else np.uint32
    left, right = (np.ascontiguousarray(x).view(kind) for x in (a, b))
    return bool(np.array_equal(left, right))


def bits_differ(a: NDArray[np.float32], b: NDArray[np.float32]) -> int:
    """In how many values two float32 arrays of one shape differ, −0 and NaN by their bits."""
    differ = np.ascontiguousarray(a).view(np.uint32) != np.ascontiguousarray(b).view(np.uint32)
    return int(np.count_nonzero(differ))
