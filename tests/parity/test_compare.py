"""Each limit decides alone, nothing that is not a number passes, and the worst input is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from digitvae.parity.compare import bits_differ, compare_runtimes, to_pixels
from digitvae.parity.inputs import InputSet
from digitvae.parity.networks import DECODER, ENCODER
from digitvae.parity.truth import Enclosure, sigmoid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from digitvae.parity.networks import Float32, Function, Network
    from digitvae.parity.report import Comparison
    from digitvae.parity.truth import Truth

ERROR = 1e-5
WIDTH = 3


class HalfEverywhere:
    """A network whose every output is ½, with a bound of 10⁻⁵ and the unit that is given."""

    def __init__(self, unit: float) -> None:
        self.unit = unit

    def decode(self, rows: NDArray[np.float32]) -> tuple[Enclosure, ...]:
        shape = (len(rows), WIDTH)
        return (Enclosure(np.full(shape, 0.5), np.full(shape, ERROR), np.full(shape, self.unit)),)

    def encode(self, rows: NDArray[np.float32]) -> tuple[Enclosure, ...]:
        return self.decode(rows) * 2


def half(rows: Float32) -> tuple[Float32, ...]:
    return (np.full((len(rows), WIDTH), 0.5, np.float32),)


def off_by(deviation: float, number: float = 0.0, element: int = 1) -> Function:
    """½, but ½ + deviation in one element of the row whose first input is ``number``."""

    def call(rows: Float32) -> tuple[Float32, ...]:
        (x,) = half(rows)
        x[rows[:, 0] == np.float32(number), element] += np.float32(deviation)
        return (x,)

    return call


def numbered(count: int, *, gated: bool = True) -> InputSet:
    """Rows 0 … count − 1 in blocks of four; the first input of a row is its number."""
    rows = np.zeros((count, 2), np.float32)
    rows[:, 0] = np.arange(count)
    blocks = tuple(rows[i : i + 4] for i in range(0, count, 4))
    return InputSet("numbers", blocks, gated=gated)


def compare(
    other: Function,
    inputs: InputSet,
    *,
    unit: float = 1e-3,
    network: Network = DECODER,
    same_bits: bool = False,
) -> list[Comparison]:
    def doubled(function: Function) -> Function:
        return function if network is DECODER else lambda rows: function(rows) * 2

    results = compare_runtimes(
        network,
        inputs,
        {"eager": doubled(half), "other": doubled(other)},
        cast("Truth", HalfEverywhere(unit)),
        same_bits={"other": "eager"} if same_bits else {},
        on_block=lambda _: None,
    )
    assert all(c.status == "passed" for c in results if c.runtime == "eager")
    return [c for c in results if c.runtime == "other"]


def test_equal_outputs_pass() -> None:
    (found,) = compare(half, numbered(10), same_bits=True)
    assert (found.status, found.bits_differ, found.pixels_differ, found.count) == (
        "passed",
        0,
        0,
        10,
    )


def test_the_bound_alone_rejects_what_no_other_limit_sees() -> None:
    # On extremes there is no limit on the deviation from eager.
    (within,) = compare(off_by(0.9 * ERROR), numbered(10, gated=False))
    (beyond,) = compare(off_by(1.1 * ERROR), numbered(10, gated=False))
    assert within.status == "passed"
    assert beyond.status == "failed"
    assert "times what rounding explains at row 0, output 1" in beyond.detail
    assert "limit from eager" not in beyond.detail


def test_pixels_get_two_millionths_whatever_their_unit() -> None:
    (within,) = compare(off_by(1.9e-6), numbered(10), unit=1.0)
    (beyond,) = compare(off_by(2.1e-6), numbered(10), unit=1.0)
    assert within.status == "passed"
    assert beyond.status == "failed"
    assert "1.0" in beyond.detail
    assert "times the limit from eager at row 0, output 1" in beyond.detail


def test_means_and_log_variances_get_four_units_or_two_millionths() -> None:
    for deviation, unit, status in (
        (1.9e-6, 1e-9, "passed"),
        (2.1e-6, 1e-9, "failed"),
        (3.9e-6, 1e-6, "passed"),
        (4.1e-6, 1e-6, "failed"),
    ):
        mu, logvar = compare(off_by(deviation), numbered(10), unit=unit, network=ENCODER)
        assert (mu.status, logvar.status) == (status, status), (deviation, unit)


def test_one_other_bit_fails_where_bits_must_be_equal() -> None:
    one_bit = float(np.spacing(np.float32(0.5)))
    (free,) = compare(off_by(one_bit, number=6), numbered(10))
    (bound,) = compare(off_by(one_bit, number=6), numbered(10), same_bits=True)
    assert free.status == "passed"
    assert (bound.status, bound.bits_differ) == ("failed", 1)
    assert "1 values are not eager's bits, first at row 6" in bound.detail


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("gated", [True, False])
def test_what_is_not_a_number_fails(value: float, gated: bool) -> None:
    (found,) = compare(off_by(value, number=9), numbered(10, gated=gated))
    assert found.status == "failed"
    assert found.bound_used is not None
    assert (found.bound_used.value, found.bound_used.input) == (np.inf, "row 9")
    assert found.to_eager is not None
    assert found.to_eager.value == np.inf


def test_the_worst_row_is_found_in_any_block() -> None:
    for worst in (0, 3, 4, 9):
        (found,) = compare(off_by(1.5e-6, number=worst, element=2), numbered(10))
        for peak in (found.to_eager, found.to_truth, found.bound_used, found.eager_limit_used):
            assert peak is not None
            assert (peak.input, peak.element) == (f"row {worst}", 2)
        assert found.bound_there == ERROR


def test_pixels_that_round_to_another_byte_are_counted() -> None:
    # 127.5 goes to 128, the even neighbour; what is just below it goes to 127.
    below = float(np.nextafter(np.float32(0.5), np.float32(0))) - 0.5
    (found,) = compare(off_by(below, number=7), numbered(10))
    assert (found.status, found.pixels_differ) == ("passed", 1)
    values = np.array([0, 0.5 / 255, 1.5 / 255, 2.5 / 255, 0.5, 1, 1.0000001], np.float32)
    assert to_pixels(values).tolist() == [0, 0, 2, 2, 128, 255, 255]


def wrong_width(rows: Float32) -> tuple[Float32, ...]:
    return (np.full((len(rows), WIDTH + 1), 0.5, np.float32),)


def wrong_type(rows: Float32) -> tuple[Float32, ...]:
    return (cast("Float32", np.full((len(rows), WIDTH), 0.5)),)


def one_row(rows: Float32) -> tuple[Float32, ...]:
    return (half(rows)[0][:1],)


def nothing(_rows: Float32) -> tuple[Float32, ...]:
    return ()


def raising(_rows: Float32) -> tuple[Float32, ...]:
    raise RuntimeError("out of order")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (wrong_width, "it computes float32 [4, 4]; expected float32 [4, 3]"),
        (wrong_type, "it computes float64 [4, 3]; expected float32 [4, 3]"),
        (one_row, "it computes float32 [1, 3]; expected float32 [4, 3]"),
        (nothing, "it computes nothing; expected float32 [4, 3]"),
        (raising, "out of order"),
    ],
)
def test_a_runtime_that_computes_nothing_comparable_fails_and_says_why(
    function: Callable[[Float32], tuple[Float32, ...]], words: str
) -> None:
    (found,) = compare(function, numbered(10))
    assert found.status == "failed"
    assert found.detail == f"row 0 and on: {words}"
    assert found.to_truth is None


def test_a_runtime_that_fails_now_and_then_fails() -> None:
    def moody(rows: Float32) -> tuple[Float32, ...]:
        if rows[0, 0] == 4:
            raise RuntimeError("not today")
        return half(rows)

    (found,) = compare(moody, numbered(10))
    assert (found.status, found.detail) == ("failed", "row 4 and on: not today")


def test_bits_tell_zeros_and_nans_apart() -> None:
    a = np.array([0.0, 1.0, np.nan], np.float32)
    assert bits_differ(a, a.copy()) == 0
    assert bits_differ(a, np.array([-0.0, 1.0, np.nan], np.float32)) == 1
    assert bits_differ(a, -a) == 3


def test_the_unit_of_a_pixel_is_that_of_its_logit_times_the_slope() -> None:
    logit = Enclosure(np.array([[0.0, 40.0]]), np.array([[1e-9, 1e-9]]), np.array([[1e-6, 1e-6]]))
    pixel = sigmoid(logit)
    assert pixel.unit[0].tolist() == pytest.approx([0.25e-6 + 2**-24, 2**-24], rel=1e-6)
