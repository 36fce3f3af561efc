"""The bound holds for every order of summation, and is not so wide that it says nothing."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from digitvae.model import VAE
from digitvae.parity.compare import EAGER_UNITS
from digitvae.parity.truth import (
    SIGMOID_UNITS,
    UNIT_ROUNDOFF,
    Enclosure,
    Layer,
    Truth,
    relu,
    sigmoid,
)

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from digitvae.data import Split

# Magnitudes whose products neither overflow nor stay subnormal only, zeros and subnormals too.
numbers = st.floats(-(2.0**50), 2.0**50, width=32)
terms = st.lists(st.tuples(numbers, numbers), min_size=0, max_size=30)


def known(value: ArrayLike, error: ArrayLike) -> Enclosure:
    """Values known up to an error; the unit is that error."""
    return Enclosure(np.asarray(value, np.float64), np.asarray(error), np.asarray(error))


def exact_input(x: NDArray[np.float32]) -> Enclosure:
    return known(x, np.zeros(x.shape))


def layer_of(weights: list[float], bias: float) -> Layer:
    row = np.array([weights], np.float32).reshape(1, -1)
    return Layer.of(row, np.array([bias], np.float32))


def summed_in_random_order(
    products: list[tuple[float, float]], bias: float, order: random.Random, *, fused: bool
) -> float:
    """Evaluate b + Σ w·x in float32 along a random binary tree, or as a random chain of FMAs."""
    if fused:
        chain = list(products)
        order.shuffle(chain)
        total = np.float32(bias)
        for w, x in chain:
            total = to_float32(Fraction(float(total)) + Fraction(w) * Fraction(x))
        return float(total)
    nodes = [np.float32(bias), *(np.float32(w) * np.float32(x) for w, x in products)]
    while len(nodes) > 1:
        order.shuffle(nodes)
        a, b = nodes.pop(), nodes.pop()
        nodes.append(np.float32(a + b))
    return float(nodes[0])


def to_float32(value: Fraction) -> np.float32:
    """Round a fraction to the nearest float32: a guess by float64, then the best neighbour."""
    guess = np.float32(float(value))
    candidates = [guess, np.nextafter(guess, np.float32(-np.inf)), np.nextafter(guess, np.inf)]
    return min(candidates, key=lambda c: abs(Fraction(float(c)) - value))


@given(terms, numbers, st.randoms(use_true_random=False), st.booleans())
def test_float32_sums_in_any_order_stay_within_the_bound(
    products: list[tuple[float, float]], bias: float, order: random.Random, fused: bool
) -> None:
    layer = layer_of([w for w, _ in products], bias)
    x = np.array([[x for _, x in products]], np.float32).reshape(1, -1)
    enclosure = layer(exact_input(x))
    exact = Fraction(bias) + sum(Fraction(w) * Fraction(v) for w, v in products)
    computed = summed_in_random_order(products, bias, order, fused=fused)
    assert abs(Fraction(computed) - exact) <= Fraction(float(enclosure.error[0, 0]))
    # The truth itself is at most a millionth of the bound away from the exact value.
    missed = abs(Fraction(float(enclosure.value[0, 0])) - exact)
    assert missed <= Fraction(float(enclosure.error[0, 0])) / 10**6


@given(terms, numbers, st.randoms(use_true_random=False), st.floats(0.0, 1.0, width=32))
def test_errors_of_the_inputs_are_part_of_the_bound(
    products: list[tuple[float, float]], bias: float, order: random.Random, size: float
) -> None:
    # What a previous layer computed lies anywhere within its error of the truth.
    layer = layer_of([w for w, _ in products], bias)
    true_x = np.array([[x for _, x in products]], np.float32).reshape(1, -1)
    error = np.abs(true_x.astype(np.float64)) * size + size
    moved = [
        float(np.float32(x + order.uniform(-0.99, 0.99) * e))
        for x, e in zip(true_x[0].tolist(), error[0].tolist(), strict=True)
    ]
    enclosure = layer(known(true_x, error))
    exact = Fraction(bias) + sum(Fraction(w) * Fraction(x) for w, x in products)
    shifted = [(w, x) for (w, _), x in zip(products, moved, strict=True)]
    computed = summed_in_random_order(shifted, bias, order, fused=False)
    assert abs(Fraction(computed) - exact) <= Fraction(float(enclosure.error[0, 0]))


JUST_OVER_HALF_A_UNIT = float(np.float32(2.0**-24 * (1 + 2.0**-20)))


def added_one_after_another(start: float, term: float, count: int) -> float:
    total = np.float32(start)
    for _ in range(count):
        total = np.float32(total + np.float32(term))
    return float(total)


@pytest.mark.parametrize("count", [1, 2, 40, 512, 784])
def test_the_worst_sum_uses_nearly_all_of_the_bound(count: int) -> None:
    # 1 + 2⁻²⁴(1 + ε) rounds up to 1 + 2⁻²³, an error of almost 2⁻²⁴, again and again.
    layer = layer_of([1.0] * count, 1.0)
    enclosure = layer(exact_input(np.full((1, count), JUST_OVER_HALF_A_UNIT, np.float32)))
    computed = added_one_after_another(1.0, JUST_OVER_HALF_A_UNIT, count)
    used = abs(computed - enclosure.value[0, 0]) / enclosure.error[0, 0]
    assert 0.99 * count / (count + 1) < used <= 1.0


def test_the_worst_product_and_the_worst_addition_use_nearly_all_of_the_bound() -> None:
    # 4,194,305·2⁻²² times 16,777,213·2⁻²⁴ is 1 + 2⁻²⁴(1 − ε), which rounds to 1. So does the sum.
    w, x = 4_194_305 * 2.0**-22, 16_777_213 * 2.0**-24
    bias = float(np.float32(2.0**-24 * (1 - 2.0**-20)))
    enclosure = layer_of([w], bias)(exact_input(np.array([[x]], np.float32)))
    computed = float(np.float32(np.float32(w) * np.float32(x)) + np.float32(bias))
    used = abs(Fraction(computed) - (Fraction(w) * Fraction(x) + Fraction(bias))) / Fraction(
        float(enclosure.error[0, 0])
    )
    assert 0.9 < used <= 1


def test_the_worst_sum_of_inputs_that_should_be_zero_uses_nearly_all_of_the_bound() -> None:
    # Units behind a ReLU whose truth is 0 and whose float32 value may be a little above.
    count = 512
    possible = known(np.zeros((1, count)), np.full((1, count), JUST_OVER_HALF_A_UNIT))
    enclosure = layer_of([1.0] * count, 1.0)(possible)
    computed = added_one_after_another(1.0, JUST_OVER_HALF_A_UNIT, count)
    assert enclosure.value[0, 0] == 1.0
    assert 0.99 < (computed - 1.0) / enclosure.error[0, 0] <= 1.0


@pytest.mark.parametrize(
    ("w", "x"), [(1.0, 1e-39), (1e-39, 1.0), (2.0**-70, 2.0**-70), (1e-20, 1e-20)]
)
def test_what_underflows_may_become_zero(w: float, x: float) -> None:
    # Processors are often told to treat subnormal numbers as zero.
    enclosure = layer_of([w], 0.0)(exact_input(np.array([[x]], np.float32)))
    assert 0.0 < enclosure.value[0, 0] <= enclosure.error[0, 0]


def test_the_bound_is_within_a_hundred_times_of_what_a_plain_loop_does() -> None:
    # Random weights, 4,000 outputs of 512 terms, added one after another.
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.05, (400, 512)).astype(np.float32)
    bias = rng.normal(0, 0.05, 400).astype(np.float32)
    x = rng.random((10, 512), np.float32)
    enclosure = Layer.of(weight, bias)(exact_input(x))
    products = x[:, None, :] * weight[None, :, :]  # [10, 400, 512], float32
    computed = np.cumsum(products, axis=2, dtype=np.float32)[:, :, -1] + bias
    used = np.abs(computed - enclosure.value) / enclosure.error
    assert 0.01 < used.max() <= 1.0


def test_the_unit_is_one_rounding_of_the_terms_of_each_layer() -> None:
    first = Layer.of(*(np.array(a, np.float32) for a in ([[2, -1], [-4, 0]], [0.5, 1])))
    second = Layer.of(*(np.array(a, np.float32) for a in ([[-3, 8]], [-1])))
    hidden = relu(first(exact_input(np.array([[1, 3]], np.float32))))
    # Terms 2, −3, ½ cancel to −½: inactive, nothing left. Terms −4, 1: inactive as well.
    assert hidden.unit.tolist() == [[0.0, 0.0]]
    hidden = relu(first(exact_input(np.array([[2, 3]], np.float32))))
    u = UNIT_ROUNDOFF
    assert hidden.value.tolist() == [[1.5, 0.0]]
    assert hidden.unit.tolist() == [[(4 + 3 + 0.5) * u, 0.0]]
    result = second(hidden)
    # The unit of the active input through its weight, and u·(|−3|·1.5 + |−1|) of this layer.
    assert result.unit[0, 0] == pytest.approx(3 * 7.5 * u + (4.5 + 1) * u, rel=1e-5)
    assert result.unit[0, 0] < result.error[0, 0]


def test_inputs_that_are_zero_do_not_widen_the_bound() -> None:
    rng = np.random.default_rng(1)
    weight, x = rng.normal(size=(3, 20)).astype(np.float32), rng.random((2, 20), np.float32)
    padded = np.zeros((2, 784), np.float32)
    padded[:, :20] = x
    wide = np.ones((3, 784), np.float32)
    wide[:, :20] = weight
    bias = np.zeros(3, np.float32)
    short, long = (
        Layer.of(w, bias)(exact_input(v)).error for w, v in ((weight, x), (wide, padded))
    )
    np.testing.assert_allclose(long, short, rtol=1e-12)


@given(st.floats(-50, 50), st.floats(0, 50), st.floats(-1, 1))
def test_relu_keeps_every_value_that_was_possible(value: float, error: float, at: float) -> None:
    enclosure = relu(known([[value]], [[error]]))
    reached = max(value + at * error, 0.0)
    assert abs(reached - enclosure.value[0, 0]) <= enclosure.error[0, 0] * (1 + 1e-15)


def test_a_unit_that_is_surely_inactive_has_no_error() -> None:
    enclosure = relu(known([[-2.0, -0.5]], [[1.0, 1.0]]))
    assert enclosure.value.tolist() == [[0.0, 0.0]]
    assert enclosure.error.tolist() == [[0.0, 0.5]]


def exact_sigmoid(x: float) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        return 1 / (1 + (-Decimal(x)).exp())


@given(st.floats(-800, 800), st.floats(0, 100), st.floats(-1, 1))
def test_the_sigmoid_of_every_possible_logit_is_enclosed(
    value: float, error: float, at: float
) -> None:
    enclosure = sigmoid(known([[value]], [[error]]))
    assert enclosure.value[0, 0] == pytest.approx(float(exact_sigmoid(value)), rel=1e-15, abs=0)
    # The part of the error that is not the approximation's must do for the slope alone.
    slope_part = float(enclosure.error[0, 0]) - SIGMOID_UNITS * UNIT_ROUNDOFF
    reached = exact_sigmoid(value + at * error)
    assert abs(float(reached - exact_sigmoid(value))) <= slope_part + 1e-16


def test_a_saturated_pixel_has_no_more_than_the_error_of_the_sigmoid() -> None:
    enclosure = sigmoid(known([[-90.0, 90.0]], [[1.0, 1.0]]))
    assert enclosure.error.max() <= SIGMOID_UNITS * UNIT_ROUNDOFF * (1 + 1e-5)


def onnx_runtime_sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    values = [onnx.helper.make_tensor_value_info(name, 1, ["n"]) for name in "xy"]
    node = onnx.helper.make_node("Sigmoid", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "sigmoid", values[:1], values[1:])
    opset = onnx.helper.make_opsetid("", 18)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    result: NDArray[np.float32] = session.run(["y"], {"x": x})[0]
    return result


@pytest.mark.parametrize(
    "function",
    [lambda x: torch.sigmoid(torch.from_numpy(x)).numpy(), onnx_runtime_sigmoid],
    ids=["PyTorch", "ONNX Runtime"],
)
def test_the_sigmoids_of_the_runtimes_are_as_good_as_the_bound_assumes(function) -> None:  # type: ignore[no-untyped-def]
    edges = [0.0, -0.0, 1e-45, 88.0, -88.0, 104.0, -104.0, 1e4, -1e4, 3e38, -3e38]
    logits = np.concatenate([np.linspace(-25, 25, 1_000_001), edges]).astype(np.float32)
    enclosure = sigmoid(exact_input(logits[None]))
    assert (np.abs(function(logits) - enclosure.value[0]) <= enclosure.error[0]).all()


@pytest.fixture(scope="module")
def weights(tiny_bundle: Path) -> dict[str, NDArray[np.float32]]:
    loaded: dict[str, NDArray[np.float32]] = load_file(tiny_bundle / "weights.safetensors")
    return loaded


def test_truth_is_the_model_of_pytorch_in_float64(weights: dict[str, NDArray[np.float32]]) -> None:
    double = eager(weights).double()
    rng = np.random.default_rng(2)
    z = rng.normal(size=(50, 40)).astype(np.float32)
    x = rng.random((50, 784), np.float32)
    truth = Truth(weights)
    with torch.inference_mode():
        pixels = double.decoder(torch.from_numpy(z).double())
        posterior = double.encoder(torch.from_numpy(x).double())
    (decoded,) = truth.decode(z)
    np.testing.assert_allclose(decoded.value, pixels.numpy(), rtol=0, atol=1e-13)
    for found, expected in zip(truth.encode(x), posterior, strict=True):
        np.testing.assert_allclose(found.value, expected.numpy(), rtol=0, atol=1e-12)


def eager(weights: dict[str, NDArray[np.float32]]) -> VAE:
    model = VAE().requires_grad_(requires_grad=False).eval()
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return model


def test_a_real_network_uses_a_noticeable_part_of_its_bound(
    weights: dict[str, NDArray[np.float32]],
) -> None:
    # Two layers compound two worst cases, so less of it is used than in one layer.
    z = np.random.default_rng(3).normal(size=(200, 40)).astype(np.float32)
    logits = Truth(weights).logits(z)
    computed = eager(weights).decoder.logits(torch.from_numpy(z)).numpy()
    used = float((np.abs(computed - logits.value) / logits.error).max())
    assert 0.001 < used <= 1.0
    assert not math.isnan(used)


def test_the_bound_of_a_real_network_is_much_narrower_than_the_textbook_one(
    weights: dict[str, NDArray[np.float32]],
) -> None:
    # γₙ for every dot product, all inputs counted, |W| on the errors, slope ¼ of the sigmoid.
    def gamma(n: int) -> float:
        return n * UNIT_ROUNDOFF / (1 - n * UNIT_ROUNDOFF)

    wide = {name: value.astype(np.float64) for name, value in weights.items()}
    z = np.random.default_rng(4).normal(size=(200, 40)).astype(np.float32)
    w, b = wide["decoder.hidden.weight"], wide["decoder.hidden.bias"]
    hidden = np.maximum(z @ w.T + b, 0)
    error = gamma(41) * (np.abs(z) @ np.abs(w).T + np.abs(b))
    w, b = wide["decoder.output.weight"], wide["decoder.output.bias"]
    logit_error = gamma(513) * ((hidden + error) @ np.abs(w).T + np.abs(b)) + error @ np.abs(w).T
    truth = Truth(weights)
    assert np.median(logit_error) > 2 * np.median(truth.logits(z).error)
    assert np.median(logit_error / 4) > 3 * np.median(truth.decode(z)[0].error)


def test_two_orders_of_summation_differ_by_a_few_units(
    weights: dict[str, NDArray[np.float32]], mnist: dict[str, Split]
) -> None:
    # Four units are what the gate allows between eager and another runtime.
    x = mnist["test"].images[:500].reshape(500, 784).astype(np.float32) / np.float32(255)
    rng = np.random.default_rng(5)
    pixels, units = rng.permutation(784), rng.permutation(512)
    shuffled = dict(weights)
    shuffled["encoder.hidden.weight"] = weights["encoder.hidden.weight"][units][:, pixels]
    shuffled["encoder.hidden.bias"] = weights["encoder.hidden.bias"][units]
    for head in ("fc_mu", "fc_logvar"):
        shuffled[f"encoder.{head}.weight"] = weights[f"encoder.{head}.weight"][:, units]
    one = eager(weights).encoder(torch.from_numpy(x))
    other = eager(shuffled).encoder(torch.from_numpy(np.ascontiguousarray(x[:, pixels])))
    for a, b, enclosure in zip(one, other, Truth(weights).encode(x), strict=True):
        difference = np.abs(a.numpy().astype(np.float64) - b.numpy())
        assert 0.1 < (difference / enclosure.unit).max() < EAGER_UNITS
