"""Values anywhere in their enclosures stay in that of what is computed from them."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from digitvae.parity.truth import enclosure
from digitvae.parity.truth.enclosure import (
    SIGMOID_NOISE_UNITS,
    SIGMOID_UNITS,
    UNIT_ROUNDOFF,
    Enclosure,
)
from tests.support.roundings import (
    error_of,
    given_to_all,
    known,
    moved_within,
    numbers,
    orders,
    shares,
    summed_in_random_order,
    to_float32,
)


@given(st.floats(-50, 50), st.floats(0, 50, width=32), st.floats(-1, 1))
def test_relu_keeps_every_value_that_was_possible(value: float, error: float, at: float) -> None:
    found = enclosure.relu(known([[value]], error))
    reached = max(value + at * error, 0.0)
    # Bounds are float32, and what they are made of has slack for that.
    assert abs(reached - found.value.item()) <= found.error.item() * (1 + UNIT_ROUNDOFF) + 1e-45


def test_a_unit_that_is_surely_inactive_has_no_error() -> None:
    found = enclosure.relu(known([[-2.0, -0.5]], 1.0, 3.0))
    assert found.value.tolist() == [[0.0, 0.0]]
    assert found.error.tolist() == [[0.0, 0.5]]
    assert found.variance.tolist() == [[0.0, 3.0]]


def exact_sigmoid(x: float) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        return 1 / (1 + (-Decimal(x)).exp())


def exact_tanh(x: float) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        return 1 - 2 / ((2 * Decimal(x)).exp() + 1)


@pytest.mark.parametrize(
    ("rule", "exact"),
    [(enclosure.sigmoid, exact_sigmoid), (enclosure.tanh, exact_tanh)],
    ids=["sigmoid", "tanh"],
)
@given(value=st.floats(-800, 800), error=st.floats(0, 100, width=32), at=st.floats(-1, 1))
def test_the_sigmoid_of_every_possible_logit_is_enclosed(
    rule: Callable[[Enclosure], Enclosure],
    exact: Callable[[float], Decimal],
    value: float,
    error: float,
    at: float,
) -> None:
    found = rule(known([[value]], error))
    assert found.value.item() == pytest.approx(float(exact(value)), rel=1e-15, abs=1e-45)
    # The part of the error that is not the approximation's must do for the slope alone.
    slope_part = found.error.item() - SIGMOID_UNITS * UNIT_ROUNDOFF
    reached = exact(value + at * error)
    assert abs(float(reached - exact(value))) <= slope_part * (1 + 1e-6) + 1e-16


def test_noise_goes_through_the_slope_of_the_sigmoid() -> None:
    own = 3 * SIGMOID_NOISE_UNITS**2
    found = enclosure.sigmoid(known([[0.0, 40.0, -40.0]], 1e-9, 16.0))
    assert found.variance[0].tolist() == pytest.approx([16.0 / 16 + own, own, own])
    found = enclosure.tanh(known([[0.0, 40.0, -40.0]], 1e-9, 16.0))
    assert found.variance[0].tolist() == pytest.approx([16.0 + own, own, own])


def test_a_saturated_pixel_has_no_more_than_the_error_of_the_sigmoid() -> None:
    found = enclosure.sigmoid(known([[-90.0, 90.0]], 1.0))
    assert found.error.max() <= SIGMOID_UNITS * UNIT_ROUNDOFF * (1 + 2**-11)


def onnx_runtime_sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    values = [onnx.helper.make_tensor_value_info(name, 1, ["n"]) for name in "xy"]
    node = onnx.helper.make_node("Sigmoid", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "sigmoid", values[:1], values[1:])
    opset = onnx.helper.make_opsetid("", 18)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    result: NDArray[np.float32] = session.run(["y"], {"x": x})[0]
    return result


SIGMOIDS = pytest.mark.parametrize(
    "function",
    [lambda x: torch.sigmoid(torch.from_numpy(x)).numpy(), onnx_runtime_sigmoid],
    ids=["PyTorch", "ONNX Runtime"],
)


@SIGMOIDS
def test_the_sigmoids_of_the_runtimes_are_as_good_as_the_bound_assumes(
    function: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> None:
    edges = [0.0, -0.0, 1e-45, 88.0, -88.0, 104.0, -104.0, 1e4, -1e4, 3e38, -3e38]
    logits = np.concatenate([np.linspace(-25, 25, 1_000_001), edges]).astype(np.float32)
    found = enclosure.sigmoid(given_to_all(logits[None]))
    missed = torch.from_numpy(function(logits)).double().sub(found.value[0]).abs()
    assert (missed <= found.error[0]).all()
    assert (missed <= found.noise_limit()[0] / 1.9).all()  # half of it is left for the logit


def within(x: float, error: float, at: float) -> float:
    """A float64 truth that ``x``, a float32, is not farther from than ``error``."""
    truth = x + at * error
    return truth if abs(Fraction(truth) - Fraction(x)) <= Fraction(error) else x


def exactly(name: str, a: Fraction, b: Fraction) -> Fraction:
    return {"add": a + b, "subtract": a - b, "multiply": a * b}[name]


BINARY: dict[str, Callable[[Enclosure, Enclosure], Enclosure]] = {
    "add": enclosure.add,
    "subtract": lambda a, b: enclosure.add(a, b, -1.0),
    "multiply": enclosure.multiply,
}


@pytest.mark.parametrize("name", BINARY)
@given(
    a=numbers, b=numbers, errors=st.tuples(shares, shares), at=st.tuples(*[st.floats(-1, 1)] * 2)
)
def test_a_sum_or_product_of_values_anywhere_in_their_enclosures_is_enclosed(
    name: str, a: float, b: float, errors: tuple[float, float], at: tuple[float, float]
) -> None:
    sizes = [float(np.float32(abs(x) * e + e)) for x, e in zip((a, b), errors, strict=True)]
    true = [within(x, size, t) for x, size, t in zip((a, b), sizes, at, strict=True)]
    left, right = (known([value], size) for value, size in zip(true, sizes, strict=True))
    found = BINARY[name](left, right)
    exact = exactly(name, *map(Fraction, true))
    computed = to_float32(exactly(name, Fraction(a), Fraction(b)))
    assert abs(Fraction(float(computed)) - exact) <= error_of(found)


@given(numbers, shares, st.floats(-1, 1), st.sampled_from([0.01, 0.3, -0.5, 2.0, 0.0]))
def test_a_leaky_relu_of_values_anywhere_in_their_enclosure_is_enclosed(
    x: float, size: float, at: float, number: float
) -> None:
    slope = float(np.float32(number))
    error = float(np.float32(abs(x) * size + size))
    true = within(x, error, at)
    found = enclosure.leaky_relu(known([true], error), slope)
    exact = Fraction(true) * (1 if true > 0 else Fraction(slope))
    computed = to_float32(Fraction(x) * (1 if x > 0 else Fraction(slope)))
    assert abs(Fraction(float(computed)) - exact) <= error_of(found)


@given(st.lists(numbers, min_size=1, max_size=30), shares, orders)
def test_a_mean_in_any_order_of_values_anywhere_in_their_enclosures_is_enclosed(
    values: list[float], size: float, order: random.Random
) -> None:
    errors = [float(np.float32(abs(x) * size)) for x in values]
    moved = [moved_within(x, e, order) for x, e in zip(values, errors, strict=True)]
    count = len(values)
    found = enclosure.mean_of_windows(known([values], [errors]), lambda v: v.mean(1), count)
    total = summed_in_random_order([(1.0, x) for x in moved], 0.0, order, fused=False)
    exact = sum(map(Fraction, values), Fraction()) / count
    inverse = np.float32(1) / np.float32(count)
    for computed in (np.float32(total) / np.float32(count), np.float32(total) * inverse):
        assert abs(Fraction(float(computed)) - exact) <= error_of(found)


def test_the_worst_mean_uses_nearly_all_of_the_bound() -> None:
    # 1 + 2⁻²⁴(1 + ε) rounds up to 1 + 2⁻²³, an error of almost 2⁻²⁴, again and again.
    values = np.full(512, np.float32(2.0**-24 * (1 + 2.0**-20)))
    values[0] = 1.0
    found = enclosure.mean_of_windows(given_to_all(values[None]), mean_of_all, 512)
    computed = float(np.cumsum(values, dtype=np.float32)[-1]) / 512
    assert 0.99 < (computed - found.value.item()) / found.error.item() <= 1.0


def test_a_value_that_may_be_on_either_side_of_zero_has_the_steeper_slope() -> None:
    for value, error, slope in ((-0.25, 0.75, 1.0), (0.25, 0.75, 1.0), (-4.0, 0.5, 0.125)):
        found = enclosure.leaky_relu(known([value], error), 0.125)
        assert found.error.item() == pytest.approx(error * slope, rel=2**-11)
    found = enclosure.leaky_relu(known([0.25], 0.75), -3.0)
    assert found.error.item() == pytest.approx(0.75 * 3, rel=2**-11)


def test_a_logit_of_which_nothing_is_known_has_any_sigmoid() -> None:
    rest = SIGMOID_UNITS * UNIT_ROUNDOFF
    assert enclosure.sigmoid(known([0.0], 1e30)).error.item() == pytest.approx(1 + rest, rel=2**-11)
    assert enclosure.tanh(known([0.0], 1e30)).error.item() == pytest.approx(2 + rest, rel=2**-11)


def batch_norm_in_float32(
    x: NDArray[np.float32], *, folded: bool, parameters: list[NDArray[np.float32]]
) -> NDArray[np.float32]:
    mean, variance, scale, shift = parameters
    a = scale / np.sqrt(variance + np.float32(1e-5))
    result: NDArray[np.float32] = x * a + (shift - mean * a) if folded else (x - mean) * a + shift
    return result


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("size", [0.0, 1e-3])
def test_batch_normalization_is_enclosed_however_it_is_evaluated(folded: bool, size: float) -> None:
    rng = np.random.default_rng(9)
    width = 20_000
    parameters = [
        v.astype(np.float32)
        for v in (rng.normal(0, 3, width), rng.gamma(1, 1, width), *rng.normal(size=(2, width)))
    ]
    x = rng.normal(0, 3, (3, width)).astype(np.float32)
    error = (np.abs(x) * size).astype(np.float32)
    true = x.astype(np.float64) + rng.uniform(-1, 1, x.shape) * error
    mean, variance, scale, shift = map(torch.from_numpy, parameters)
    found = enclosure.normalize(
        known(true, error), mean=mean, variance=variance, scale=scale, shift=shift, epsilon=1e-5
    )
    wide = (mean.double(), variance.double(), scale.double(), shift.double())
    expected = functional.batch_norm(
        torch.from_numpy(true), wide[0], wide[1], wide[2], wide[3], eps=1e-5
    )
    torch.testing.assert_close(found.value, expected, rtol=0, atol=1e-10)
    computed = batch_norm_in_float32(x, folded=folded, parameters=parameters)
    assert computed.dtype == np.float32
    missed = torch.from_numpy(computed).double().sub(found.value).abs()
    assert (missed <= found.error).all()
    assert (missed / found.error).max() > 0.1
    if not size:
        assert (missed <= found.noise_limit()).all()


def test_noise_of_sums_and_products_is_that_of_their_operands_and_one_rounding() -> None:
    a, b = known([3.0], 1e-6, 2.0), known([-4.0], 1e-6, 5.0)
    assert enclosure.add(a, b).variance.item() == 2 + 5 + 1
    assert enclosure.add(a, b, -1.0).variance.item() == 2 + 5 + 49
    assert enclosure.multiply(a, b).variance.item() == 9 * 5 + 16 * 2 + 144
    assert enclosure.leaky_relu(b, 0.5).variance.item() == 5 / 4 + 4


def test_noise_of_a_mean_is_a_share_of_that_of_a_sum() -> None:
    # (1 + 2 + 6)/3 = 3: a sum of three terms, and the division.
    found = enclosure.mean_of_windows(known([[1, 2, 6]], 0.0, [[1, 2, 3]]), mean_of_all, 3)
    through = (1 + 2 + 3) / 9
    walk = 3 * (9**2 / 3 + (1 + 4 + 36) / 6) / 9
    assert found.variance.item() == pytest.approx(through + walk + 2 * 3**2)


def mean_of_all(v: Tensor) -> Tensor:
    return v.mean(-1)


def test_noise_of_batch_normalization_is_eight_roundings_at_most() -> None:
    parameters = {"mean": 1.0, "variance": 4.0, "scale": 3.0, "shift": 0.5}
    channel = {name: torch.tensor([value]) for name, value in parameters.items()}
    found = enclosure.normalize(known([[5.0]], 1e-6, 2.0), epsilon=0.0, **channel)
    # a = 3/2: x·a = 7½, mean·a = 1½, y = 6½.
    assert found.value.item() == 6.5
    assert found.variance.item() == 2 * 1.5**2 + 4 * (7.5**2 + 1.5**2) + 0.5**2 + 6.5**2
    expected = 1.5e-6 + 8 * UNIT_ROUNDOFF * (7.5 + 1.5 + 0.5 + 1.5e-6)
    assert found.error.item() == pytest.approx(expected, rel=2**-11)


def pairs_of(reduce: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda v: reduce(v.reshape(-1, 2))


def test_the_largest_of_a_window_is_off_by_no_more_than_what_moves_most() -> None:
    x = known([[1.0, 2.0, -5.0, -3.0]], [[0.5, 0.25, 0.0, 1.0]], [[1, 2, 4, 3]])
    found = x.through(pairs_of(lambda v: v.amax(1)))
    assert found.value.tolist() == [2.0, -3.0]
    assert found.error.tolist() == [0.5, 1.0]
    assert found.variance.tolist() == [2.0, 4.0]
