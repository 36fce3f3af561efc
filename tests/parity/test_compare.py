"""Each limit decides alone, nothing that is not a number passes, and the worst input is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from digitvae.parity.compare.runtimes import NOISE_RMS_LIMIT
from digitvae.parity.inputs.sets import InputSet
from digitvae.parity.networks import ENCODER, Float32, Function, Network
from digitvae.parity.report.report import Comparison
from digitvae.parity.truth.enclosure import NOISE_DEVIATIONS, Enclosure
from tests.support.stand_ins import (
    ERROR,
    SIGMA,
    WIDTH,
    HalfEverywhere,
    by_runtime,
    doubled,
    find,
    half,
    numbered,
    off_by,
)


def compare(
    other: Function,
    inputs: InputSet,
    *,
    limit: float = 1e-3,
    bounded: bool = True,
    same_bits: bool = False,
) -> Comparison:
    """What is found of another runtime, where eager is right."""
    must_equal = {"other": "eager"} if same_bits else {}
    found = find(
        {"eager": half, "other": other}, inputs, limit=limit, bounded=bounded, must_equal=must_equal
    )
    eager, result = found.comparisons
    assert (eager.runtime, eager.status, result.runtime) == ("eager", "passed", "other")
    return result


def test_equal_outputs_pass_as_twins() -> None:
    found = compare(half, numbered(10), same_bits=True)
    assert (found.status, found.count, found.values) == ("passed", 10, WIDTH)
    assert (found.same_bits_as, found.deviations) == ("eager", None)
    assert (found.must_equal, found.bits_differ) == ("eager", 0)


def test_the_bound_alone_rejects_what_no_other_limit_sees() -> None:
    for typical in (True, False):
        within = compare(off_by(0.9 * ERROR), numbered(10, typical=typical), limit=1.0)
        beyond = compare(off_by(1.1 * ERROR), numbered(10, typical=typical), limit=1.0)
        assert (within.status, within.detail) == ("passed", "")
        assert beyond.status == "failed"
        assert beyond.detail == "1.1 times what rounding explains at row 0, output 1"


def test_without_a_proven_bound_there_is_none_to_leave() -> None:
    found = compare(off_by(0.25), numbered(10), limit=1.0, bounded=False)
    assert found.status == "passed"
    assert found.deviations is not None
    assert (found.deviations.bound_used, found.deviations.bound_there) == (None, None)


def test_the_noise_limit_alone_rejects_typical_inputs_and_no_others() -> None:
    limit, unit = 2.0**-20, 2.0**-24  # far below the bound; units in the last place of ½
    for typical, status in ((True, "failed"), (False, "passed")):
        within = compare(off_by(15 * unit, 5), numbered(40, typical=typical), limit=limit)
        beyond = compare(off_by(17 * unit, 5), numbered(40, typical=typical), limit=limit)
        assert (within.status, within.detail) == ("passed", "")
        assert beyond.status == status
        assert beyond.deviations is not None
        assert beyond.deviations.noise_used is not None
        assert beyond.deviations.noise_used.value == pytest.approx(17 / 16)
        assert beyond.detail == ("1.06 times the noise limit at row 5, output 1" if typical else "")


def shifted(deviation: float) -> Function:
    """Every value is off by the same, which for one alone would be nothing."""
    return lambda rows: (half(rows)[0] + np.float32(deviation),)


@pytest.mark.parametrize(("sigmas", "status"), [(3.9, "passed"), (4.1, "failed")])
def test_the_mean_of_all_deviations_has_a_limit_of_its_own(sigmas: float, status: str) -> None:
    sigma = 40 * 2.0**-24  # units in the last place of ½; far below the bound
    limit = NOISE_DEVIATIONS * sigma
    assert NOISE_RMS_LIMIT == 4.0
    for typical in (True, False):
        found = compare(shifted(sigmas * sigma), numbered(10, typical=typical), limit=limit)
        assert found.status == (status if typical else "passed")
        assert found.deviations is not None
        assert found.deviations.noise_rms == pytest.approx(sigmas)
        assert found.deviations.rms_to_truth == pytest.approx(sigmas * sigma)
        assert found.typical == typical
    if status == "failed":
        words = "4.1 times the standard deviation of roundings in the mean of all values"
        assert compare(shifted(sigmas * sigma), numbered(10), limit=limit).detail == words


def test_a_tolerance_is_no_statistic_of_roundings() -> None:
    # Without a proven bound the limit comes from outside, and any mean below it will do.
    assert (
        compare(shifted(0.99 * NOISE_DEVIATIONS * SIGMA), numbered(10), bounded=False).status
        == "passed"
    )
    assert (
        compare(shifted(1.01 * NOISE_DEVIATIONS * SIGMA), numbered(10), bounded=False).status
        == "failed"
    )


def test_the_mean_is_that_of_all_values_and_blocks() -> None:
    # One element of three deviates, in one of two blocks of unequal size.
    found = compare(off_by(4 * SIGMA, 5), numbered(6), bounded=False)
    assert found.deviations is not None
    assert found.deviations.noise_rms == pytest.approx(4 / np.sqrt(18), rel=1e-3)
    assert found.deviations.rms_to_truth == pytest.approx(4 * SIGMA / np.sqrt(18), rel=1e-3)


def test_every_limit_that_is_left_is_named() -> None:
    found = compare(off_by(0.25, None), numbered(10), same_bits=True)
    reasons = found.detail.split("; ")
    assert [reason.split(" ", 1)[1] for reason in reasons] == [
        "times the noise limit at row 0, output 1",
        "times what rounding explains at row 0, output 1",
        "times the standard deviation of roundings in the mean of all values",
        "values are not eager's bits, first at row 0",
    ]


def test_one_other_bit_fails_where_bits_must_be_equal() -> None:
    one_bit = float(np.spacing(np.float32(0.5)))
    free = compare(off_by(one_bit, number=6), numbered(10))
    bound = compare(off_by(one_bit, number=6), numbered(10), same_bits=True)
    assert (free.status, free.must_equal, free.bits_differ) == ("passed", None, None)
    assert (bound.status, bound.must_equal, bound.bits_differ) == ("failed", "eager", 1)
    assert bound.detail == "1 values are not eager's bits, first at row 6"


def test_other_bits_are_counted_in_all_blocks_and_the_first_row_is_named() -> None:
    one_bit = float(np.spacing(np.float32(0.5)))

    def call(rows: Float32) -> tuple[Float32, ...]:
        (x,) = half(rows)
        x[rows[:, 0] >= 2, 1:] += np.float32(one_bit)
        return (x,)

    found = compare(call, numbered(10), same_bits=True)
    assert found.detail == "16 values are not eager's bits, first at row 2"


def test_bits_may_have_to_be_those_of_another_runtime_than_eager() -> None:
    one_bit = float(np.spacing(np.float32(0.5)))
    functions = {"eager": half, "a": off_by(one_bit), "b": off_by(one_bit), "c": half}
    must_equal = {"b": "a", "c": "a", "a": "absent"}
    found = by_runtime(find(functions, numbered(10), must_equal=must_equal))
    assert {name: c.status for name, c in found.items()} == {
        "eager": "passed",
        "a": "passed",
        "b": "passed",
        "c": "failed",
    }
    assert (found["a"].must_equal, found["a"].bits_differ) == (None, None)
    assert (found["b"].must_equal, found["b"].bits_differ) == ("a", 0)
    assert found["c"].detail == "1 values are not a's bits, first at row 0"


def test_a_twin_of_what_fails_fails_for_the_same_reason() -> None:
    functions = {"eager": half, "a": off_by(0.25, 7), "b": off_by(0.25, 7)}
    found = by_runtime(find(functions, numbered(10)))
    assert (found["b"].status, found["b"].same_bits_as) == ("failed", "a")
    assert found["b"].deviations is None
    assert found["b"].detail == found["a"].detail != ""


def test_runtimes_are_twins_only_if_every_block_has_the_same_bits() -> None:
    one_bit = float(np.spacing(np.float32(0.5)))
    functions = {
        "eager": half,
        "differs in row 9": off_by(one_bit, 9),
        "also": off_by(one_bit, 9),
        "differs in row 0": off_by(one_bit, 0),
        "never": half,
    }
    found = find(functions, numbered(10))
    assert {name: c.same_bits_as for name, c in by_runtime(found).items()} == {
        "eager": None,
        "differs in row 9": None,
        "also": "differs in row 9",
        "differs in row 0": None,
        "never": "eager",
    }
    for comparison in found.comparisons:
        assert (comparison.deviations is None) == (comparison.same_bits_as is not None)


def test_pairs_are_of_those_whose_bits_differ_somewhere() -> None:
    functions = {"eager": half, "a": off_by(1e-6, 9), "b": off_by(-2e-6, 1), "c": half}
    found = find(functions, numbered(10))
    peaks = {(p.a, p.b): (p.peak.value, p.peak.input, p.peak.element) for p in found.pairs}
    one, two = (abs(float(np.float32(0.5) + np.float32(d)) - 0.5) for d in (1e-6, -2e-6))
    assert peaks == {
        ("eager", "a"): (one, "row 9", 1),
        ("eager", "b"): (two, "row 1", 1),
        ("a", "b"): (two, "row 1", 1),
    }
    assert {(p.network, p.output, p.inputs) for p in found.pairs} == {("decoder", "x", "numbers")}


def test_pairs_of_runtimes_that_are_twins_in_some_blocks_are_found_in_the_others() -> None:
    functions = {"eager": half, "a": off_by(1e-6, 1), "b": off_by(1e-6, 1, 2), "c": off_by(1e-6, 9)}
    pairs = find(functions, numbered(10)).pairs
    assert {(p.a, p.b): p.peak.input for p in pairs} == {
        ("eager", "a"): "row 1",
        ("eager", "b"): "row 1",
        ("eager", "c"): "row 9",
        ("a", "b"): "row 1",
        ("a", "c"): "row 1",
        ("b", "c"): "row 1",
    }


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("typical", [True, False])
@pytest.mark.parametrize("bounded", [True, False])
def test_what_is_not_a_number_fails(value: float, typical: bool, bounded: bool) -> None:
    found = compare(off_by(value, number=9), numbered(10, typical=typical), bounded=bounded)
    assert found.status == "failed"
    assert found.detail == "not a number, or infinite, at row 9, output 1"
    assert found.deviations is not None
    peaks = [found.deviations.noise_used]
    peaks += [s.peak for s in (found.deviations.to_truth, found.deviations.relative)]
    assert found.deviations.to_eager is not None
    peaks += [found.deviations.to_eager.peak, found.deviations.ulps.peak]
    if bounded:
        peaks.append(found.deviations.bound_used)
    for peak in peaks:
        assert peak is not None
        assert (peak.value, peak.input, peak.element) == (np.inf, "row 9", 1)


def test_the_worst_row_is_found_in_any_block() -> None:
    for worst in (0, 3, 4, 9):
        deviation = float(np.float32(0.5 + 1.5e-6)) - 0.5
        found = compare(off_by(1.5e-6, number=worst, element=2), numbered(10)).deviations
        assert found is not None
        assert found.to_eager is not None
        for peak, value in (
            (found.to_truth.peak, deviation),
            (found.to_eager.peak, deviation),
            (found.relative.peak, deviation / 0.5),
            (found.ulps.peak, deviation / 2.0**-24),
            (found.bound_used, deviation / ERROR),
            (found.noise_used, deviation / 1e-3),
        ):
            assert peak is not None
            assert (peak.input, peak.element) == (f"row {worst}", 2)
            assert peak.value == pytest.approx(value, rel=1e-5)
        assert found.bound_there == np.float32(ERROR)


class WiderWithEveryRow(HalfEverywhere):
    """Its bound is a hundred-thousandth times one more than the number of the row."""

    def __call__(self, rows: Float32) -> tuple[Enclosure, ...]:
        (found,) = super().__call__(rows)
        bound = found.error * (1.0 + torch.from_numpy(rows[:, :1]))
        return (replace(found, error=bound),)


def test_the_bound_is_shown_where_the_deviation_is_largest_not_its_share() -> None:
    def call(rows: Float32) -> tuple[Float32, ...]:
        (x,) = half(rows)
        for row, deviation in ((0, 0.5), (5, 2.0), (9, 1.0)):
            x[rows[:, 0] == row, 2] += np.float32(deviation * ERROR)
        return (x,)

    found = find({"eager": half, "other": call}, numbered(12), truth=WiderWithEveryRow(1.0))
    deviations = by_runtime(found)["other"].deviations
    assert deviations is not None
    assert deviations.to_truth.peak.input == "row 5"
    assert deviations.bound_there == pytest.approx(6 * ERROR)
    assert deviations.bound_used is not None
    assert deviations.bound_used.input == "row 0"


def test_eager_is_compared_with_the_truth_but_not_with_itself() -> None:
    found = find({"eager": off_by(1e-6, 6), "other": half}, numbered(10))
    eager, other = found.comparisons
    assert eager.deviations is not None
    assert eager.deviations.to_truth.peak.input == "row 6"
    measures = eager.deviations
    assert (measures.to_eager, measures.bytes_differ, measures.bytes_by) == (None, None, None)
    assert measures.bytes_per_million is None
    assert other.deviations is not None
    assert other.deviations.to_eager is not None
    assert other.deviations.to_truth.peak.value == 0.0
    assert other.deviations.to_eager.peak.input == "row 6"


def test_pixels_that_round_to_another_byte_are_counted() -> None:
    # 127.5 goes to 128, the even neighbour; what is just below it goes to 127.
    below = float(np.nextafter(np.float32(0.5), np.float32(0))) - 0.5
    found = compare(off_by(below, number=7), numbered(10))
    assert found.status == "passed"
    assert found.deviations is not None
    assert (found.deviations.bytes_differ, found.deviations.bytes_by) == (1, 1)
    assert found.deviations.bytes_per_million == pytest.approx(1e6 / 30)


def test_bytes_differ_by_the_most_grey_levels_of_any_block() -> None:
    def call(rows: Float32) -> tuple[Float32, ...]:
        (x,) = half(rows)
        x[:, 0] += np.where(rows[:, 0] == 5, -7, 3) * np.float32(1 / 255)
        return (x,)

    found = compare(call, numbered(10), limit=9.0, bounded=False)
    assert found.deviations is not None
    # 127½ − 7 and 127½ + 3 go to the even 120 and 130, from 128.
    assert (found.deviations.bytes_differ, found.deviations.bytes_by) == (10, 8)
    assert found.deviations.bytes_per_million == pytest.approx(1e7 / 30)


def test_only_the_first_output_of_a_network_of_images_is_one() -> None:
    network = Network("n", "z", ("x", "y"), images=True)
    functions = {"eager": doubled(half), "other": doubled(off_by(0.25))}
    found = find(functions, numbered(10), network=network)
    numbers = [c.deviations.bytes_differ for c in found.comparisons if c.deviations is not None]
    assert numbers == [None, 1, None, None]


def test_every_output_is_compared_and_only_images_have_bytes() -> None:
    def second_off(rows: Float32) -> tuple[Float32, ...]:
        return (*half(rows), *off_by(0.25, 4)(rows))

    functions = {"eager": doubled(half), "other": second_off}
    found = find(functions, numbered(10), network=ENCODER, shape=(1, 3))
    assert [(c.output, c.runtime, c.status) for c in found.comparisons] == [
        ("mu", "eager", "passed"),
        ("mu", "other", "passed"),
        ("logvar", "eager", "passed"),
        ("logvar", "other", "failed"),
    ]
    assert [c.same_bits_as for c in found.comparisons] == [None, "eager", None, None]
    assert found.comparisons[3].deviations is not None
    assert found.comparisons[3].deviations.bytes_differ is None
    assert [(p.output, p.a, p.b) for p in found.pairs] == [("logvar", "eager", "other")]
    assert found.worst_cases == ()
    # The worst row is that of the output in which it is worst.
    assert found.worst_rows["other"].tolist() == [[4, 0]]
