"""Quantiles from bins, exact counts and peaks, and shares that are never not a number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from digitvae.parity.compare.statistics import (
    Distribution,
    bits_differ,
    deviation,
    float32_spacing,
    largest,
    share,
    to_pixels,
)
from digitvae.parity.report.report import Peak, Spread

WIDEST_BIN = 1.125
"""Ratio of its edges: eight bins of one size share an octave, the first of them is 1 to 9/8."""

TINY = float(np.finfo(np.float32).tiny)


def float32(values: Sequence[object]) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def located(block: int, value: float, row: int, element: int) -> Peak:
    return Peak(value, f"{block}, {row}", element, (block, row))


def distribution(values: NDArray[np.float32], block: int = 0) -> Distribution:
    return Distribution.of(values, partial(located, block))


def spread_of(*blocks: NDArray[np.float32]) -> Spread:
    return reduce(Distribution.merge, map(distribution, blocks, range(len(blocks)))).spread()


def test_the_largest_is_found_with_its_place_the_first_of_equals() -> None:
    values = float32([[1, 2, 3], [0, 7, 2], [7, 7, 1]])
    at = partial(located, 5)
    assert largest(values, at) == Peak(7.0, "5, 1", 1)
    assert largest(values, at).place == (5, 1)
    assert largest(values[:1], at) == Peak(3.0, "5, 0", 2)
    assert largest(float32([[0, np.inf], [3, 1]]), at) == Peak(float("inf"), "5, 0", 1)


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.integers(1, 5)),
        elements=st.floats(TINY, 2.0**100, width=32),
    ),
    st.floats(0.001, 1.0),
)
def test_a_quantile_is_the_upper_edge_of_the_bin_that_holds_it(
    values: NDArray[np.float32], q: float
) -> None:
    exact = float(np.quantile(values, q, method="inverted_cdf"))
    edge = distribution(values).quantile(q)
    assert exact < edge <= exact * WIDEST_BIN


@pytest.mark.parametrize("zeros", [0, 300, 5000])
def test_quantiles_of_all_blocks_are_those_of_all_values(zeros: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.lognormal(-12, 2, 10_000 - zeros)
    values = rng.permutation(np.concatenate([values, np.zeros(zeros)])).astype(np.float32)
    found = spread_of(*values.reshape(10, 50, 20))
    for q, got in ((0.5, found.median), (0.99, found.q99), (0.999, found.q999)):
        exact = float(np.quantile(values, q, method="inverted_cdf"))
        assert exact <= got <= exact * WIDEST_BIN
    assert found.zeros == zeros
    assert found.peak.value == values.max()


def test_a_quantile_among_zeros_is_zero() -> None:
    found = distribution(float32([[0, 0, 0, 1.0]]))
    assert [found.quantile(q) for q in (0.1, 0.5, 0.75)] == [0.0, 0.0, 0.0]
    assert found.quantile(0.76) == 1.125


def test_no_quantile_exceeds_the_peak() -> None:
    found = spread_of(float32([[1.0, 1.0, 1.0]]))
    assert (found.median, found.q99, found.q999, found.peak.value) == (1.0, 1.0, 1.0, 1.0)


def test_octaves_are_counted_exactly() -> None:
    # An octave begins with its power of two; what is just below belongs to the one before.
    below = float(np.nextafter(np.float32(2), np.float32(0)))
    values = float32([[0, 0, 1, below, 2, 3.9, 4, 0.5, 0.5, TINY, 3e38, 1e-45]])
    found = spread_of(values)
    assert found.octaves == {-127: 1, -126: 1, -1: 2, 0: 2, 1: 2, 2: 1, 127: 1}
    assert found.zeros == 2
    assert found.zeros + sum(found.octaves.values()) == values.size


def test_octaves_of_blocks_add_up() -> None:
    found = spread_of(float32([[1, 0]]), float32([[1, 2], [0, 0]]))
    assert (found.octaves, found.zeros) == ({0: 2, 1: 1}, 3)


def test_infinity_is_counted_and_is_the_peak() -> None:
    found = spread_of(float32([[1.0, 1.0, 1.0]]), float32([[1.0, np.inf, np.inf]]))
    assert found.peak.value == np.inf
    assert (found.peak.input, found.peak.element) == ("1, 0", 1)
    assert found.octaves == {0: 4, 128: 2}
    assert (found.median, found.q99) == (1.125, np.inf)


def test_short_blocks_are_counted_in_whole_and_of_longer_ones_every_fourth_row() -> None:
    for rows, counted in ((64, 64), (65, 17), (512, 128)):
        values = np.full((rows, 3), 0.25, np.float32)
        values[::4] = 1.0
        part = distribution(values)
        assert part.counts.sum() + part.zeros == 3 * counted
        smallest = 0.25 if rows == counted else 1.0
        assert part.quantile(0.01) == smallest * WIDEST_BIN


@pytest.mark.parametrize("row", [0, 1, 2, 3, 99])
def test_the_peak_is_that_of_all_rows(row: int) -> None:
    values = np.full((100, 3), 0.25, np.float32)
    values[row, 2] = 8.0
    found = spread_of(np.full((1, 3), 0.25, np.float32), values)
    assert (found.peak.value, found.peak.input, found.peak.element) == (8.0, f"1, {row}", 2)
    assert found.octaves == ({-2: 78} if row % 4 else {-2: 77, 3: 1})


def test_of_equal_peaks_the_first_is_kept() -> None:
    blocks = [float32([[0, 1], [2, 0]]), float32([[2, 2], [1, 2]]), float32([[2, 0], [0, 0]])]
    found = spread_of(*blocks)
    assert (found.peak.value, found.peak.input, found.peak.element) == (2.0, "0, 1", 0)
    assert spread_of(np.zeros((2, 2), np.float32)).peak.input == "0, 0"


def test_deviations_are_exact_where_float32_would_cancel() -> None:
    got = float32([[0.5, 1.0, -3.0]])
    expected = np.array([[0.5 + 2.0**-40, 1.0, -3.0 - 2.0**-30]])
    assert deviation(got, expected).tolist() == [[2.0**-40, 0.0, 2.0**-30]]
    assert deviation(got, expected).dtype == np.float32


def test_what_is_not_a_number_deviates_infinitely() -> None:
    got = float32([[np.nan, np.inf, -np.inf, np.inf, 1.0, 3e38]])
    expected = np.array([[1.0, 1.0, 1.0, np.inf, np.nan, -3e38]])
    assert deviation(got, expected).tolist() == [[np.inf] * 6]
    assert deviation(float32([[np.nan, 1.5]]), np.array([[1.0, 1.0]])).tolist() == [[np.inf, 0.5]]
    assert deviation(float32([]).reshape(0, 3), np.zeros((0, 3))).shape == (0, 3)


def test_no_deviation_is_no_share_even_of_nothing() -> None:
    deviations = float32([[0, 0, 1, 1, np.inf, np.inf, 0, 3]])
    limits = float32([[0, 2, 0, 4, np.inf, 1, np.inf, 2]])
    expected = [[0, 0, np.inf, 0.25, np.inf, np.inf, 0, 1.5]]
    assert share(deviations, limits).tolist() == expected
    assert share(float32([[0.0]]), float32([[0.0]])).tolist() == [[0.0]]
    assert share(float32([[3e38]]), float32([[1e-30]])).tolist() == [[np.inf]]


@given(st.floats(2.0**-102, 2.0**127, width=32))
def test_spacing_is_that_of_float32(size: float) -> None:
    assert float32_spacing(float32([size]))[0] == np.spacing(np.float32(size))


def test_spacing_is_never_below_the_smallest_normal_number() -> None:
    sizes = float32([0, 1e-45, TINY, 2.0**-110, 2.0**-103, 2.0**-102, 1, 2 - 2.0**-23, 2])
    expected = [*[TINY] * 5, 2.0**-125, 2.0**-23, 2.0**-23, 2.0**-22]
    assert float32_spacing(sizes).tolist() == expected


def test_intensities_round_to_bytes_half_to_even() -> None:
    values = float32([0, 0.5 / 255, 1.5 / 255, 2.5 / 255, 0.5, 1, 1.0000001])
    assert to_pixels(values).tolist() == [0, 0, 2, 2, 128, 255, 255]
    assert to_pixels(values).dtype == np.uint8
    # 127.5 goes to 128, the even neighbour; what is just below it goes to 127.
    assert to_pixels(np.nextafter(values[4:5], np.float32(0))).tolist() == [127]
    levels = np.arange(256)
    assert to_pixels((levels / 255).astype(np.float32)).tolist() == levels.tolist()


def test_bits_tell_zeros_and_nans_apart() -> None:
    a = float32([0.0, 1.0, np.nan])
    assert bits_differ(a, a.copy()) == 0
    assert bits_differ(a, float32([-0.0, 1.0, np.nan])) == 1
    assert bits_differ(a, -a) == 3
    one_bit = np.nextafter(a, np.float32(9))
    assert bits_differ(a[:2], one_bit[:2]) == 2


def test_bits_are_compared_whatever_the_layout_of_memory() -> None:
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert bits_differ(a.T, np.ascontiguousarray(a.T)) == 0
    assert bits_differ(a[:, ::2], a[:, 1::2]) == 6
