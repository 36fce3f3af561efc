"""The search climbs to the worst input that there is, and what is generated is always the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from digitvae.parity.inputs.generated import generated
from digitvae.parity.inputs.search import Reach, farthest
from digitvae.parity.networks import Float32, Function

LOW, HIGH = -2.0, 3.0
SMALLEST_NORMAL = 2.0**-126


def zero(rows: Float32) -> tuple[Float32, ...]:
    return (np.zeros((len(rows), 2), np.float32),)


def off_by(bump: Callable[[Float32], NDArray[np.floating]]) -> Function:
    """Zero, but the bump in its second value."""

    def call(rows: Float32) -> tuple[Float32, ...]:
        (y,) = zero(rows)
        y[:, 1] = bump(rows.reshape(len(rows), -1))
        return (y,)

    return call


def seeds(count: int = 20, shape: tuple[int, ...] = (8,)) -> Float32:
    rng = np.random.default_rng(1)
    return rng.uniform(-1, 1, (count, *shape)).astype(np.float32)


def climb(
    bump: Callable[[Float32], NDArray[np.floating]], begin: Float32, generations: int = 60
) -> Float32:
    return climb_between(zero, off_by(bump), begin, generations)


def climb_between(
    a: Function, b: Function, begin: Float32, generations: int = 0, spread: float = 1.0
) -> Float32:
    return farthest(a, b, begin[:1], Reach(begin[1:], LOW, HIGH, spread), generations)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_search_climbs_to_the_edge_where_a_coordinate_makes_the_difference(
    sign: float,
) -> None:
    # ±4 − x: largest at the lower edge, whatever the sign of the difference.
    found = climb(lambda rows: sign * (4.0 - rows[:, 5]), seeds())
    assert found[0, 5] == LOW


def test_the_search_finds_a_peak_inside() -> None:
    def bump(rows: Float32) -> NDArray[np.floating]:
        far = np.square(rows[:, 2] - 1.75) + np.square(rows[:, 6] + 1.25)
        return np.asarray(1.0 / (1.0 + far))

    begin = seeds()
    assert bump(begin).max() < 0.6
    found = climb(bump, begin, generations=80)
    assert bump(found[:1])[0] > 0.99
    assert np.abs(found[0, [2, 6]] - [1.75, -1.25]).max() < 0.1


def test_the_search_finds_what_needs_many_coordinates() -> None:
    begin = seeds()
    found = climb(lambda rows: 100.0 + rows.sum(axis=1), begin, generations=150)
    assert found[0].sum() > 0.95 * 8 * HIGH > begin.sum(axis=1).max()


def test_the_worst_come_first_and_never_get_better() -> None:
    def bump(rows: Float32) -> NDArray[np.floating]:
        return np.asarray(np.square(rows).sum(axis=1))

    begin = seeds(40)
    worst = []
    for generations in (0, 1, 5, 20):
        found = climb(bump, begin, generations)
        scores = bump(found)
        assert found.shape == (16, 8)
        assert (np.diff(scores) <= 0).all()
        worst.append(scores[0])
        assert scores[-1] >= np.sort(bump(begin))[-16]
    assert worst == sorted(worst)
    assert worst[0] == bump(begin).max() < worst[-1]


def test_without_generations_the_worst_seeds_are_found_the_first_of_equals() -> None:
    begin = seeds(30)
    found = climb(lambda rows: np.abs(rows[:, 0]), begin, 0)
    order = np.argsort(-np.abs(begin[:, 0]), kind="stable")[:16]
    assert np.array_equal(found, begin[order])
    assert np.array_equal(climb(lambda rows: 0 * rows[:, 0], begin, 0), begin[:16])
    assert len(climb(lambda rows: rows[:, 0], begin[:3], 0)) == 3


@pytest.mark.parametrize("shape", [(1,), (8,), (3, 2, 2)])
def test_what_is_found_keeps_its_shape_type_and_range(shape: tuple[int, ...]) -> None:
    asked: list[tuple[int, ...]] = []

    def a(rows: Float32) -> tuple[Float32, ...]:
        asked.append(rows.shape)
        assert rows.dtype == np.float32
        assert ((rows >= LOW) & (rows <= HIGH)).all()
        return zero(rows)

    b = off_by(lambda rows: np.abs(rows).sum(axis=1))
    found = climb_between(a, b, seeds(5, shape), 10, spread=5.0)
    assert found.dtype == np.float32
    assert found.shape == (16, *shape)
    assert asked == [(5, *shape), *[(64, *shape)] * 10]
    assert ((found >= LOW) & (found <= HIGH)).all()
    assert found.max() == HIGH


def test_the_search_finds_the_same_rows_each_time_and_leaves_its_seeds_alone() -> None:
    begin = seeds()
    kept = begin.copy()
    one, other = (climb(lambda rows: rows.sum(axis=1), begin, 20) for _ in range(2))
    assert np.array_equal(one, other)
    assert np.array_equal(begin, kept)


def test_few_coordinates_are_changed_now_and_then() -> None:
    # A difference in one coordinate that the slightest change of another one ends.
    begin = np.zeros((1, 50), np.float32)

    def bump(rows: Float32) -> NDArray[np.floating]:
        return np.where((rows[:, 1:] == 0).all(axis=1), 1.0 + rows[:, 0], 0.0)

    assert climb(bump, begin, 200)[0, 0] > 0.0


def test_what_is_not_a_number_counts_as_infinitely_far() -> None:
    def bump(rows: Float32) -> NDArray[np.floating]:
        return np.where(rows[:, 0] > 0.9, np.nan, 1000.0 - rows[:, 0])

    begin = seeds(40)
    assert (begin[:, 0] > 0.9).sum() > 0
    found = climb(bump, begin, 0)
    not_numbers = int((begin[:, 0] > 0.9).sum())
    assert (found[:not_numbers, 0] > 0.9).all()
    assert (found[not_numbers:, 0] <= 0.9).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_infinities_of_one_runtime_or_of_both_count_and_warn_of_nothing(value: float) -> None:
    begin = seeds(40)
    b = off_by(lambda rows: np.where(rows[:, 3] > 0.8, np.float32(value), rows[:, 3]))
    chosen = begin[:, 3] > 0.8
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for a in (zero, b):
            found = climb_between(a, b, begin)
            assert (found[: chosen.sum(), 3] > 0.8).all()


def test_the_largest_deviation_of_any_output_counts() -> None:
    def two(first: float, second: float) -> Function:
        def call(rows: Float32) -> tuple[Float32, ...]:
            return first * rows[:, :1], second * rows[:, 1:3]

        return call

    begin = seeds(40)
    found = climb_between(two(0, 0), two(1, 2), begin)
    scores = np.maximum(np.abs(begin[:, 0]), 2 * np.abs(begin[:, 1:3]).max(axis=1))
    assert np.array_equal(found, begin[np.argsort(-scores, kind="stable")[:16]])


def test_the_smallest_difference_is_one() -> None:
    def tiny(rows: Float32) -> tuple[Float32, ...]:
        return (np.where(rows > 0.9, np.float32(2.0**-149), 0).astype(np.float32),)

    begin = seeds(40)
    found = climb_between(zero_like, tiny, begin)
    assert (found[0] > 0.9).any()


def zero_like(rows: Float32) -> tuple[Float32, ...]:
    return (np.zeros_like(rows),)


@pytest.mark.parametrize(
    ("shape", "low", "high"), [((40,), -1e4, 1e4), ((784,), 0.0, 1.0), ((3, 4, 4), -10.0, 10.0)]
)
def test_generated_rows_are_the_same_each_time_and_in_range(
    shape: tuple[int, ...], low: float, high: float
) -> None:
    one, other = (generated(shape, 40, low, high) for _ in range(2))
    assert (one.name, one.typical) == ("generated", False)
    rows = np.concatenate(one.blocks)
    assert np.array_equal(rows, np.concatenate(other.blocks))
    assert rows.dtype == np.float32
    assert 1 < len(rows) <= 40
    assert rows.shape[1:] == shape
    assert ((rows >= low) & (rows <= high)).all()
    assert rows.flags["C_CONTIGUOUS"]


def test_generated_rows_contain_what_programs_dislike() -> None:
    rows = np.concatenate(generated((40,), 60, -1e4, 1e4).blocks)
    sizes = np.abs(rows)
    assert (rows == 0).any()
    assert ((sizes > 0) & (sizes < SMALLEST_NORMAL)).any()
    assert (rows < 0).any()
    assert sizes.max() > 1000
    # They are not each the same number over and over, nor each the same row.
    assert max(len(np.unique(row)) for row in rows) > 3
    assert len(np.unique(rows, axis=0)) > len(rows) / 2
    # What a row is filled with is another number in each.
    assert len({float(np.median(row)) for row in rows}) > 10


def test_generated_rows_come_in_blocks() -> None:
    many = generated((2,), 600, -1.0, 1.0)
    assert [len(block) for block in many.blocks] == [512, many.count - 512]
