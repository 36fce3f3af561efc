"""The bound holds for every order of summation and says something; so does the noise model."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from torch.nn import functional

from digitvae.parity.truth import enclosure
from digitvae.parity.truth.enclosure import NOISE_DEVIATIONS, UNIT_ROUNDOFF, Enclosure, Weights
from tests.support.roundings import (
    error_of,
    given_to_all,
    known,
    moved_within,
    numbers,
    orders,
    shares,
    summed_in_random_order,
)

terms = st.lists(st.tuples(numbers, numbers), min_size=0, max_size=30)


class Layer:
    """A linear layer, to be called."""

    def __init__(self, weight: ArrayLike, bias: ArrayLike | None) -> None:
        self.weights = Weights(torch.from_numpy(np.array(weight, np.float32)))
        self.bias = None if bias is None else torch.from_numpy(np.array(bias, np.float32))

    def __call__(self, x: Enclosure) -> Enclosure:
        return enclosure.linear(x, self.weights, self.bias)


def layer_of(weights: list[float], bias: float) -> Layer:
    return Layer(np.array([weights], np.float32).reshape(1, -1), [bias])


@given(terms, numbers, orders, st.booleans())
def test_float32_sums_in_any_order_stay_within_the_bound(
    products: list[tuple[float, float]], bias: float, order: random.Random, fused: bool
) -> None:
    layer = layer_of([w for w, _ in products], bias)
    found = layer(given_to_all(np.array([[x for _, x in products]]).reshape(1, -1)))
    exact = Fraction(bias) + sum(Fraction(w) * Fraction(v) for w, v in products)
    computed = summed_in_random_order(products, bias, order, fused=fused)
    assert abs(Fraction(computed) - exact) <= error_of(found)
    # The truth itself is at most a millionth of the bound away from the exact value.
    missed = abs(Fraction(found.value.item()) - exact)
    assert missed <= error_of(found) / 10**6


@given(terms, numbers, orders, shares)
def test_errors_of_the_inputs_are_part_of_the_bound(
    products: list[tuple[float, float]], bias: float, order: random.Random, size: float
) -> None:
    # What a previous layer computed lies anywhere within its error of the truth.
    layer = layer_of([w for w, _ in products], bias)
    true_x = np.array([[x for _, x in products]], np.float64).reshape(1, -1)
    error = (np.abs(true_x) * size + size).astype(np.float32)
    moved = [
        moved_within(x, e, order)
        for x, e in zip(true_x[0].tolist(), error[0].tolist(), strict=True)
    ]
    found = layer(known(true_x, error))
    exact = Fraction(bias) + sum(Fraction(w) * Fraction(x) for w, x in products)
    shifted = [(w, x) for (w, _), x in zip(products, moved, strict=True)]
    computed = summed_in_random_order(shifted, bias, order, fused=False)
    assert abs(Fraction(computed) - exact) <= error_of(found)


JUST_OVER_HALF_A_UNIT = float(np.float32(2.0**-24 * (1 + 2.0**-20)))


def added_one_after_another(start: float, term: float, count: int) -> float:
    total = np.float32(start)
    for _ in range(count):
        total = np.float32(total + np.float32(term))
    return float(total)


@pytest.mark.parametrize("count", [1, 2, 40, 512, 784])
def test_the_worst_sum_uses_nearly_all_of_the_bound(count: int) -> None:
    # 1 + 2⁻²⁴(1 + ε) rounds up to 1 + 2⁻²³, an error of almost 2⁻²⁴, again and again.
    found = layer_of([1.0] * count, 1.0)(given_to_all([[JUST_OVER_HALF_A_UNIT] * count]))
    computed = added_one_after_another(1.0, JUST_OVER_HALF_A_UNIT, count)
    used = abs(computed - found.value.item()) / found.error.item()
    assert 0.99 * count / (count + 1) < used <= 1.0


def test_the_worst_product_and_the_worst_addition_use_nearly_all_of_the_bound() -> None:
    # 4,194,305·2⁻²² times 16,777,213·2⁻²⁴ is 1 + 2⁻²⁴(1 − ε), which rounds to 1. So does the sum.
    w, x = 4_194_305 * 2.0**-22, 16_777_213 * 2.0**-24
    bias = float(np.float32(2.0**-24 * (1 - 2.0**-20)))
    found = layer_of([w], bias)(given_to_all([[x]]))
    computed = float(np.float32(np.float32(w) * np.float32(x)) + np.float32(bias))
    missed = abs(Fraction(computed) - (Fraction(w) * Fraction(x) + Fraction(bias)))
    assert 0.9 < missed / error_of(found) <= 1


def test_the_worst_sum_of_inputs_that_should_be_zero_uses_nearly_all_of_the_bound() -> None:
    # Units behind a ReLU whose truth is 0 and whose float32 value may be a little above.
    count = 512
    possible = known(np.zeros((1, count)), JUST_OVER_HALF_A_UNIT)
    found = layer_of([1.0] * count, 1.0)(possible)
    computed = added_one_after_another(1.0, JUST_OVER_HALF_A_UNIT, count)
    assert found.value.item() == 1.0
    assert 0.99 < (computed - 1.0) / found.error.item() <= 1.0


@pytest.mark.parametrize(
    ("w", "x"),
    [
        (1.0, 1e-39),
        (1e-39, 1.0),
        (2.0**-70, 2.0**-70),
        (1e-20, 1e-20),
        (1e30, 1e-39),
        (1e-39, 1e10),
        (1e-39, 1e30),
    ],
)
def test_what_underflows_may_become_zero(w: float, x: float) -> None:
    # Processors are often told to treat subnormal numbers as zero.
    found = layer_of([w], 0.0)(given_to_all([[x]]))
    assert 0.0 < found.value.item() <= found.error.item()


def test_the_bound_is_within_a_hundred_times_of_what_a_plain_loop_does() -> None:
    # Random weights, 4,000 outputs of 512 terms, added one after another.
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.05, (400, 512)).astype(np.float32)
    bias = rng.normal(0, 0.05, 400).astype(np.float32)
    x = rng.random((10, 512), np.float32)
    found = Layer(weight, bias)(given_to_all(x))
    products = x[:, None, :] * weight[None, :, :]  # [10, 400, 512], float32
    computed = np.cumsum(products, axis=2, dtype=np.float32)[:, :, -1] + bias
    used = np.abs(computed - found.value.numpy()) / found.error.numpy()
    assert 0.01 < used.max() <= 1.0


def test_inputs_that_are_zero_widen_neither_the_bound_nor_the_noise() -> None:
    rng = np.random.default_rng(1)
    weight, x = rng.normal(size=(3, 20)).astype(np.float32), rng.random((2, 20), np.float32)
    padded = np.zeros((2, 784), np.float32)
    padded[:, :20] = x
    wide = np.ones((3, 784), np.float32)
    wide[:, :20] = weight
    short, long = (Layer(w, np.zeros(3))(given_to_all(v)) for w, v in ((weight, x), (wide, padded)))
    torch.testing.assert_close(long.error, short.error, rtol=1e-6, atol=0)
    torch.testing.assert_close(long.variance, short.variance, rtol=1e-6, atol=0)


@pytest.mark.parametrize("size", [1e14, 1e15, 1.1e15, 1e20, 1e30])
def test_inputs_of_any_size_have_a_bound_in_proportion(size: float) -> None:
    # Beyond 10¹⁵ it is computed in float64; the bound must not notice.
    rng = np.random.default_rng(2)
    layer = Layer(rng.normal(size=(5, 9)), None)
    x = rng.normal(size=(4, 9)).astype(np.float32)
    scaled = (x * np.float32(size)).astype(np.float32)
    found = layer(given_to_all(scaled))
    plain = layer(given_to_all(x))
    torch.testing.assert_close(found.error / size, plain.error, rtol=1e-4, atol=0)
    computed = functional.linear(torch.from_numpy(scaled), layer.weights.value.float())
    assert ((computed.double() - found.value).abs() <= found.error).all()


def test_noise_of_inputs_whose_squares_float32_cannot_hold_is_finite() -> None:
    weight = np.array([[1e-3, 0.0, 2e-3]])
    x = np.array([[3.0, 2.0, -1.0]], np.float32)
    plain, large = (Layer(weight, None)(given_to_all(v)) for v in (x, x * np.float32(2.0**65)))
    assert large.variance.item() == pytest.approx(plain.variance.item() * 2.0**130)
    assert large.error.item() == pytest.approx(plain.error.item() * 2.0**65)


def test_noise_is_that_of_a_random_walk_that_ends_in_the_result() -> None:
    # Terms 2·3, −1·1 and ½ sum up to 5½: k = 2 inputs, variance k·(y²/3 + Σt²/6) + Σt².
    layer = Layer([[2, -1]], [0.5])
    found = layer(given_to_all([[3, 1]]))
    squares = 36 + 1 + 0.25
    assert found.variance.item() == pytest.approx(2 * (5.5**2 / 3 + squares / 6) + squares)
    deviation = math.sqrt(found.variance.item()) * UNIT_ROUNDOFF / math.sqrt(3)
    assert found.deviation().item() == pytest.approx(deviation)
    assert found.noise_limit().item() == pytest.approx(NOISE_DEVIATIONS * deviation)
    assert found.noise_limit().item() > found.error.item()  # two terms are too few for statistics
    # An input that is zero is no term.
    found = layer(given_to_all([[3, 0]]))
    assert found.variance.item() == pytest.approx(6.5**2 / 3 + 36.25 / 6 + 36.25)
    # Variances of inputs go through the squares of the weights.
    found = layer(known([[3, 1]], 1e-6, [[0.25, 4]]))
    alone = layer(given_to_all([[3, 1]])).variance.item()
    assert found.variance.item() == pytest.approx(alone + 4 * 0.25 + 1 * 4)


def test_noise_of_units_that_are_surely_inactive_goes_no_further() -> None:
    first = Layer([[2, -1], [-4, 0]], [0.5, 1])
    second = Layer([[-3, 8]], [-1])
    hidden = enclosure.relu(first(given_to_all([[1, 3]])))
    # Terms 2, −3, ½ cancel to −½: inactive, nothing left. Terms −4, 1: inactive as well.
    assert hidden.variance.tolist() == [[0.0, 0.0]]
    assert second(hidden).variance.item() == 1.0  # the bias as the only term
    before = first(given_to_all([[2, 3]]))
    hidden = enclosure.relu(before)
    assert hidden.value.tolist() == [[1.5, 0.0]]
    assert hidden.variance.tolist() == [[before.variance[0, 0].item(), 0.0]]
    # One active unit: its variance through −3, and this layer's terms −4½ and −1, k = 1.
    own = 5.5**2 / 3 + (4.5**2 + 1) / 6 + 4.5**2 + 1
    assert second(hidden).variance.item() == pytest.approx(9 * before.variance[0, 0].item() + own)


@pytest.mark.parametrize("mean", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("count", [10, 60, 300])
def test_random_orders_scatter_as_the_noise_model_says(count: int, mean: float) -> None:
    # From terms that cancel to terms that add up; each row is another sum in another order.
    rng = np.random.default_rng(count)
    weight = rng.normal(mean, 1.0, count).astype(np.float32)
    x = rng.normal(mean, 1.0, (4000, count)).astype(np.float32)
    found = layer_of(weight.tolist(), 0.25)(given_to_all(x))
    products = np.concatenate([x * weight, np.full((4000, 1), 0.25, np.float32)], axis=1)
    shuffled = rng.permuted(products, axis=1)
    computed = np.cumsum(shuffled, axis=1, dtype=np.float32)[:, -1]
    in_deviations = (computed - found.value[:, 0].numpy()) / found.deviation()[:, 0].numpy()
    assert 0.2 < float(np.sqrt(np.mean(in_deviations**2))) < 1.0
    assert float(np.abs(in_deviations).max()) < NOISE_DEVIATIONS / 1.5
    assert abs(float(np.mean(in_deviations))) < 0.1


def test_the_noise_limit_is_tens_of_times_narrower_than_the_bound() -> None:
    rng = np.random.default_rng(6)
    found = Layer(rng.normal(0, 0.05, (100, 512)), None)(given_to_all(rng.random((10, 512))))
    assert (found.error / found.noise_limit()).median() > 10


def test_a_convolution_in_any_order_stays_within_the_bound() -> None:
    rng = np.random.default_rng(7)
    weight = rng.normal(size=(3, 2, 2, 2)).astype(np.float32)
    bias = rng.normal(size=3).astype(np.float32)
    x = rng.normal(size=(2, 2, 3, 3)).astype(np.float32)
    found = enclosure.convolution(
        given_to_all(x),
        Weights(torch.from_numpy(weight)),
        torch.from_numpy(bias),
        lambda v, w: functional.conv2d(v, w, padding=1, stride=2),
    )
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    assert found.value.shape == (2, 3, 2, 2)
    order = random.Random(0)
    for image, channel, i, j in np.ndindex(2, 3, 2, 2):
        window = padded[image, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].ravel().tolist()
        products = list(zip(weight[channel].ravel().tolist(), window, strict=True))
        exact = Fraction(float(bias[channel])) + sum(Fraction(w) * Fraction(v) for w, v in products)
        at = (image, channel, i, j)
        error = Fraction(found.error[at].item())
        assert abs(Fraction(found.value[at].item()) - exact) <= error / 10**6
        for fused in (True, False, False, False):
            computed = summed_in_random_order(products, float(bias[channel]), order, fused=fused)
            assert abs(Fraction(computed) - exact) <= error


@pytest.mark.parametrize("with_bias", [True, False])
def test_a_convolution_is_a_linear_layer_of_windows(with_bias: bool) -> None:
    rng = np.random.default_rng(8)
    weight = torch.from_numpy(rng.normal(size=(4, 3, 2, 2)).astype(np.float32))
    bias = torch.from_numpy(rng.normal(size=4).astype(np.float32)) if with_bias else None
    value = torch.from_numpy(rng.normal(size=(2, 3, 5, 5)))
    x = Enclosure(value, torch.rand(value.shape) * 1e-6, torch.rand(value.shape))
    found = enclosure.convolution(x, Weights(weight), bias, functional.conv2d)
    windows = x.through(lambda v: functional.unfold(v, 2).transpose(1, 2))
    expected = enclosure.linear(windows, Weights(weight.flatten(1)), bias).through(
        lambda v: v.transpose(1, 2).reshape(2, 4, 4, 4)
    )
    torch.testing.assert_close(found.value, expected.value, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.error, expected.error, rtol=1e-5, atol=0)
    torch.testing.assert_close(found.variance, expected.variance, rtol=1e-5, atol=0)
