"""How far float32 rounding can take a value from the truth: a rule for each operation.

A value travels with two measures of what any float32 evaluation of it may be off by.

**A proven bound.** With u = 2⁻²⁴, the unit roundoff of float32, a sum of terms evaluated in any
order (any blocking, any vector width, fused multiply-add or not) errs by Σᵢ δᵢ·T̂ᵢ, |δᵢ| ≤ u, over
its computed partial sums T̂ᵢ (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed.,
SIAM 2002, section 4.2). For one output y = b + Σ wⱼxⱼ of a layer this module uses three facts:

* adding an exact zero rounds nothing, so only the k inputs that can be non-zero count: the ink
  of an image, the active units behind a ReLU;
* a partial sum lies between the sum of the negative terms and that of the positive ones, hence
  below M = (A + |y|)/2 with A = |b| + Σ|wⱼ||xⱼ|;
* the error collected so far adds at most γA to it, γ = γₖ₊₁ = (k+1)u/(1 − (k+1)u) (section 3.1).

With the k products rounded too, the error is below u·k·(M + γA) + u·A. Errors of the inputs go
through |W|; ReLU is 1-Lipschitz; the sigmoid multiplies by its largest slope on the interval
that the logit can lie in and adds ``SIGMOID_UNITS``·u for its own approximation.

**An expected noise.** If every rounding errs independently and uniformly within ±u relative, its
variance is u²/3 times the square of what is rounded (after Higham & Mary, *A New Approach to
Probabilistic Rounding Error Analysis*, SIAM J. Sci. Comput. 41(5), 2019, who show why errors then
grow with √k). Terms tⱼ added in random order have E ΣTᵢ² = k·(y²/3 + Σt²/6) over the partial sums
(those of a random walk that ends in y), products add Σt². Variances go through W². Nothing is
guaranteed by it, but ``NOISE_DEVIATIONS`` of its standard deviations are not seen on honest
exports, and are tens of times narrower than the bound of two layers.

Only values are float64. Bounds and variances are float32, which costs half: sums of non-negative
terms are accurate to k·u, and ``_SLACK`` covers that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

UNIT_ROUNDOFF = 2.0**-24
"""u of float32: rounding to nearest errs by at most u, relative to the result."""

SIGMOID_UNITS = 4.0
"""Absolute error of a float32 sigmoid, in u (so 2.4e-7), that counts as its approximation.

Measured (docs/parity.md): PyTorch 1.5, ONNX Runtime 3.0. It is absolute and not relative because
ONNX Runtime's rational approximation returns 0 below −18.
"""

SIGMOID_NOISE_UNITS = 0.375
"""Standard deviation of that error, in u. It is no noise but a function of the logit; ``16·0.375``
is twice the 3.0 that was measured at most: it alone uses at most half of the noise limit."""

NOISE_DEVIATIONS = 16.0
"""Standard deviations that make the noise limit.

In random order 8 would do: one Gaussian value in 10¹⁵ leaves them. But terms stand in an order, and
neighbouring pixels are alike, so that partial sums can be larger than those of random order. Of 22
honest exports the farthest value is at 13.8 (an encoder of Fashion-MNIST that was trained with ten
times the learning rate, in OpenBLAS); the others stay below 7.6.
"""

SMALLEST_NORMAL = 2.0**-126
"""What an operation on float32 loses at most to underflow, even if subnormals become zero."""

_VARIANCE = UNIT_ROUNDOFF**2 / 3.0
"""Variance of one rounding, relative to the square of its result: the unit of variances."""

_SLACK = 1.0 + 2.0**-12
"""Covers the rounding of truth (2⁻²⁹ of float32's) and of the float32 sums of magnitudes."""

_LARGEST_IN_FLOAT32 = 1e15
"""Magnitudes beyond this are multiplied in float64: their squares would overflow."""


@dataclass(frozen=True)
class Enclosure:
    """Exact values, how far rounding can take another value from them, and how far it will.

    Attributes:
        value: float64 [n, …].
        error: float32 of that shape, ≥ 0: a correct float32 evaluation lies in ``value ± error``.
        variance: float32 of that shape, ≥ 0: expected square of its deviation, if roundings are
            independent, in units of u²/3 (so that small values do not underflow).
    """

    value: Tensor
    error: Tensor
    variance: Tensor

    @classmethod
    def exact(cls, value: Tensor) -> Enclosure:
        """A value that every runtime is given."""
        zero = torch.zeros(value.shape, dtype=torch.float32)
        return cls(value.double(), zero, zero)

    def deviation(self) -> Tensor:
        """Standard deviation of independent roundings, float32 of the value's shape."""
        # Squares of what is below 10⁻¹⁹ are no normal float32; honest sums have no such variance.
        return self.variance.clamp(min=SMALLEST_NORMAL).sqrt_().mul_(_VARIANCE**0.5)

    def noise_limit(self) -> Tensor:
        """Deviation that independent roundings do not reach, float32 of the value's shape."""
        return NOISE_DEVIATIONS * self.deviation()

    def through(self, function: Callable[[Tensor], Tensor]) -> Enclosure:
        """Apply what only moves values around: a view, a permutation, a slice."""
        return Enclosure(function(self.value), function(self.error), function(self.variance))


class Reference(Protocol):
    """Float64 truth with bounds: of a graph, of two, or with a tolerance in place of the bounds."""

    @property
    def bounded(self) -> bool:
        """Whether ``error`` is a proven bound; otherwise only the noise limit counts."""

    def __call__(self, rows: NDArray[np.float32]) -> tuple[Enclosure, ...]:
        """Evaluate the outputs, each [n, …]."""


class Weights:
    """Parameters of one linear operation, kept with what its rule needs.

    Attributes:
        tensor: The parameter itself.
        value: float64.
        magnitude: |value| in float32.
        square: value² in float32.
    """

    def __init__(self, weight: Tensor) -> None:
        self.tensor = weight
        self.value = weight.double()
        self.magnitude = weight.abs().float()
        self.square = self.value.square().float()

    def in_type_for(self, largest: float) -> tuple[Tensor, Tensor, torch.dtype]:
        """|value|, value² and their type, wide enough for inputs up to ``largest``."""
        if largest <= _LARGEST_IN_FLOAT32:
            return self.magnitude, self.square, torch.float32
        return self.value.abs(), self.value.square(), torch.float64


def linear(x: Enclosure, weight: Weights, bias: Tensor | None) -> Enclosure:
    """Y = W·x + b of inputs [n, k] that are known up to ``x.error``."""
    magnitude = _magnitude(x)
    terms = torch.count_nonzero(magnitude, dim=-1).float().unsqueeze(-1)
    return _weighted_sum(x, magnitude, weight, bias, apply=functional.linear, terms=terms)


def convolution(
    x: Enclosure, weight: Weights, bias: Tensor | None, apply: Callable[[Tensor, Tensor], Tensor]
) -> Enclosure:
    """A convolution; ``apply(x, weight)`` is it without its bias."""
    terms = torch.tensor(float(weight.value[0].numel()))
    shaped = None if bias is None else bias.reshape(-1, *[1] * (x.value.dim() - 2))
    return _weighted_sum(x, _magnitude(x), weight, shaped, apply=apply, terms=terms)


def _magnitude(x: Enclosure) -> Tensor:
    """What a runtime computes with at most, float32."""
    return x.value.float().abs_().add_(x.error)


def _weighted_sum(
    x: Enclosure,
    largest: Tensor,
    weight: Weights,
    bias: Tensor | None,
    *,
    apply: Callable[[Tensor, Tensor], Tensor],
    terms: Tensor,
) -> Enclosure:
    """B + Σ wⱼxⱼ for any pattern of weights; ``terms`` is k, broadcast over the outputs."""
    u = UNIT_ROUNDOFF
    b = torch.zeros(()) if bias is None else bias
    y = apply(x.value, weight.value).add_(b.double())
    size = y.float().abs_()
    reach = float(largest.max()) if largest.numel() else 0.0
    magnitude, square, dtype = weight.in_type_for(reach)

    gamma = (terms + 1.0) * u / (1.0 - (terms + 1.0) * u)
    # A = |b| + |W|·largest appears with this factor once M is written out, and
    # |exact value of what the runtime adds up| ≤ |y| + |W|·error.
    per_magnitude = u * (terms * (0.5 + gamma) + 1.0)
    per_value = u * 0.5 * terms
    spread = (x.error * (1.0 + per_value)).addcmul_(per_magnitude, largest)
    # Underflow: inputs, weights, products and sums that are lost or flushed to zero, here as there.
    spread += 2.0 * SMALLEST_NORMAL
    error = apply(spread.to(dtype), magnitude).float()
    error += per_magnitude * b.abs()
    error += per_value * size
    error += 2.0 * SMALLEST_NORMAL * (2.0 * terms + 1.0)
    lost = (2.0 * SMALLEST_NORMAL * largest).flatten(1).sum(1)  # weights, whatever their pattern
    error += lost.reshape(-1, *[1] * (y.dim() - 1))

    per_term = 1.0 + terms / 6.0
    incoming = (x.value.to(dtype).square() * per_term).add_(x.variance)
    variance = apply(incoming, square).float()
    variance += size.square_().mul_(terms / 3.0)
    variance += per_term * b.square()
    return Enclosure(y, error.mul_(_SLACK), variance)


def normalize(
    x: Enclosure,
    *,
    mean: Tensor,
    variance: Tensor,
    scale: Tensor,
    shift: Tensor,
    epsilon: float,
) -> Enclosure:
    """Batch normalization with statistics that are known: y = (x − mean)·a + shift.

    Runtimes evaluate it as x·a + (shift − mean·a), alone or within the convolution before it, with
    a = scale/√(variance + ε): not more than eight roundings touch any term. (Within the convolution
    its weights are rounded once more, which is the convolution's to bear: the noise limit has room
    for it, the bound contains it but for pathological cancellation.)
    """

    def channels(parameter: Tensor) -> Tensor:
        return parameter.double().reshape(1, -1, *[1] * (x.value.dim() - 2))

    a = channels(scale) / (channels(variance) + epsilon).sqrt()
    y = (x.value - channels(mean)) * a + channels(shift)
    scaled, moved, added, result = (
        term.float() for term in (x.value * a, channels(mean) * a, channels(shift), y)
    )
    factor = a.float().abs()
    size = scaled.abs() + moved.abs() + added.abs() + factor * x.error
    error = factor * x.error + 8.0 * UNIT_ROUNDOFF * size + 8.0 * SMALLEST_NORMAL
    own = 4.0 * (scaled.square() + moved.square()) + added.square() + result.square()
    return Enclosure(y, error * _SLACK, factor.square() * x.variance + own)


def add(a: Enclosure, b: Enclosure, sign: float = 1.0) -> Enclosure:
    """A + b, or a − b."""
    y = a.value + sign * b.value
    size = y.float().abs()
    error = a.error + b.error
    error = error + UNIT_ROUNDOFF * (size + error) + SMALLEST_NORMAL
    variance = a.variance + b.variance + size.square()
    return Enclosure(y, error * _SLACK, variance)


def multiply(a: Enclosure, b: Enclosure) -> Enclosure:
    """a·b, element by element."""
    y = a.value * b.value
    left, right, size = (value.float().abs() for value in (a.value, b.value, y))
    error = left * b.error + right * a.error + a.error * b.error
    error = error + UNIT_ROUNDOFF * (size + error) + SMALLEST_NORMAL
    variance = left.square() * b.variance + right.square() * a.variance
    return Enclosure(y, error * _SLACK, variance + size.square())


def relu(x: Enclosure) -> Enclosure:
    """max(x, 0): below zero only what can still rise above it is left of the error."""
    return clamp(x, 0.0, None)


def clamp(x: Enclosure, low: float | None, high: float | None) -> Enclosure:
    """X between two limits: errors beyond them are cut off."""
    y = x.value.clamp(low, high)
    # In float64, so that a value just beyond a limit keeps what can reach back over it.
    error = (x.value + x.error).clamp_(low, high).sub_(y)
    error = torch.maximum(error, y - (x.value - x.error).clamp_(low, high)).float()
    return Enclosure(y, error, torch.where(error > 0.0, x.variance, 0.0))


def leaky_relu(x: Enclosure, slope: float) -> Enclosure:
    """max(x, 0) + slope·min(x, 0)."""
    y = functional.leaky_relu(x.value, slope)
    size = y.float().abs()
    crosses = x.value.abs() <= x.error
    steepest = torch.where((x.value > 0.0) | crosses, max(1.0, abs(slope)), abs(slope))
    error = x.error * steepest + UNIT_ROUNDOFF * size + SMALLEST_NORMAL
    variance = x.variance * steepest.square() + size.square()
    return Enclosure(y, error * _SLACK, variance)


def sigmoid(x: Enclosure) -> Enclosure:
    """1/(1 + e⁻ˣ)."""
    y = torch.sigmoid(x.value)
    nearest_zero = x.value.float().abs_().sub_(x.error).clamp_(min=0.0).neg_().exp_()
    # σ' = σ(1 − σ), largest on the interval.
    slope = nearest_zero.div_((1.0 + nearest_zero).square_())
    error = (x.error * slope).clamp_(max=1.0).add_(SIGMOID_UNITS * UNIT_ROUNDOFF)
    variance = (x.variance * slope.square_()).add_(3.0 * SIGMOID_NOISE_UNITS**2)
    return Enclosure(y, error.mul_(_SLACK), variance)


def tanh(x: Enclosure) -> Enclosure:
    """Tanh x; its approximation is granted what the sigmoid's is."""
    y = torch.tanh(x.value)
    nearest_zero = (x.value.float().abs() - x.error).clamp(0.0, 40.0)
    slope = torch.cosh(nearest_zero).square().reciprocal()
    error = (x.error * slope).clamp(max=2.0) + SIGMOID_UNITS * UNIT_ROUNDOFF
    variance = x.variance * slope.square() + 3.0 * SIGMOID_NOISE_UNITS**2
    return Enclosure(y, error * _SLACK, variance)


@dataclass(frozen=True)
class Approximation:
    """How well runtimes evaluate a function of one number, and what its rule has to know of it.

    The error that counts as their approximation is u·(``of_result``·|y| + ``of_argument``·|x| +
    ``absolute``): more than PyTorch and ONNX Runtime err by on float32 arguments in [−90, 90]
    (``tests/parity/test_approximations.py`` measures both).

    Attributes:
        function: In float64.
        of_result: Units of u, relative to the result.
        of_argument: Units of u, relative to the argument: what is left of it where terms cancel.
        absolute: Units of u.
        turns: Arguments at which the function turns between rising and falling.
    """

    function: Callable[[Tensor], Tensor]
    of_result: float = 0.0
    of_argument: float = 0.0
    absolute: float = 0.0
    turns: tuple[float, ...] = ()


_NOISE_SHARE = SIGMOID_NOISE_UNITS / SIGMOID_UNITS
"""Of an approximation's error: the standard deviation that the sigmoid is granted, for all."""


def pointwise(x: Enclosure, known: Approximation) -> Enclosure:
    """A function of one number that is monotone but for its turns.

    Between turns it is farthest from f(x) at the ends of the interval, so that the error that is
    handed on is exact. The variance goes through the steepest secant of one standard deviation.
    """
    f, y = known.function, known.function(x.value)
    size, argument = y.float().abs(), x.value.float().abs()

    def farthest(reach: Tensor) -> Tensor:
        ends = (f(x.value - reach).sub_(y).abs_(), f(x.value + reach).sub_(y).abs_())
        found = torch.maximum(*ends)
        for turn in known.turns:
            at = f(torch.tensor(turn, dtype=torch.float64)) - y
            found = torch.where((x.value - turn).abs() <= reach, found.maximum(at.abs()), found)
        return found.float()

    own = known.of_result * size + known.of_argument * argument + known.absolute
    error = farthest(x.error) + UNIT_ROUNDOFF * own + SMALLEST_NORMAL
    # Wide enough that its difference keeps half of the digits of float64.
    step = x.deviation().maximum(2.0**-24 * argument).clamp_(min=2.0**-40)
    slope = farthest(step) / step
    handed = torch.where(x.variance > 0.0, x.variance * slope.square(), 0.0)
    variance = handed + 3.0 * (_NOISE_SHARE * own).square()
    return Enclosure(y, error * _SLACK, variance)


def softmax(x: Enclosure, dim: int) -> Enclosure:
    """e^x / Σ e^x along an axis; the same for the log of it: :func:`log_softmax`."""
    y = x.value.softmax(dim)
    size, error, variance = _of_shares(x, y.float(), dim)
    absolute = SMALLEST_NORMAL + size * torch.expm1(error.clamp(max=80.0))
    own = UNIT_ROUNDOFF * size
    return Enclosure(y, (absolute.clamp(max=1.0) + own) * _SLACK, size.square() * (variance + 1.0))


def log_softmax(x: Enclosure, dim: int) -> Enclosure:
    """Logarithm of :func:`softmax`: x − log Σ e^x along an axis."""
    y = x.value.log_softmax(dim)
    _, error, variance = _of_shares(x, y.exp().float(), dim)
    size = y.float().abs()
    error = error + UNIT_ROUNDOFF * (2.0 * size + 1.0)
    return Enclosure(y, error * _SLACK, variance + 2.0 * size.square() + 1.0)


def _of_shares(x: Enclosure, shares: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """The shares, and how far their logarithms are off: by a bound, and as a variance.

    Each exponent is off by the argument's error, the rounding of x − max x, and what exp itself
    is granted (4u of its result, of which 1.3 were measured); the sum of k terms by their mean,
    weighted by their shares, and k − 1 roundings.
    """
    terms = float(x.value.shape[dim])
    below = (x.value.amax(dim, keepdim=True) - x.value).float()
    size = below + x.value.float().abs()  # a runtime may subtract rounded numbers, or none
    exponent = x.error + UNIT_ROUNDOFF * (size + 4.0)
    # log Σ s·e^δ for |δ| up to the exponent's error.
    of_sum = (shares * torch.expm1(exponent.clamp(max=80.0))).sum(dim, keepdim=True).log1p()
    error = exponent + of_sum + UNIT_ROUNDOFF * terms
    spread = x.variance + below.square() + 1.0
    of_sum = (shares.square() * spread).sum(dim, keepdim=True) + terms / 3.0
    return shares, error, spread + of_sum


def divide(a: Enclosure, b: Enclosure) -> Enclosure:
    """a/b, element by element; no bound where b may be zero."""
    y = a.value / b.value
    size, below = y.float().abs(), b.value.float().abs() - b.error
    error = (a.error + size * b.error) / below.clamp(min=0.0)
    # Times the reciprocal, which is rounded too: two roundings instead of one.
    error = error + 2.0 * UNIT_ROUNDOFF * (size + error) + SMALLEST_NORMAL
    variance = (a.variance + size.square() * b.variance) / b.value.float().square()
    return Enclosure(y, error.nan_to_num(torch.inf) * _SLACK, variance + 2.0 * size.square())


def mean_of_windows(x: Enclosure, pool: Callable[[Tensor], Tensor], terms: int) -> Enclosure:
    """Average pooling over ``terms`` values."""
    y = pool(x.value)
    narrow = x.value.float()
    size = pool(narrow.abs() + x.error)
    error = pool(x.error) + (terms + 1.0) * UNIT_ROUNDOFF * size + SMALLEST_NORMAL
    own = (terms / 3.0 + 2.0) * y.float().square() + pool(narrow.square()) / 6.0
    return Enclosure(y, error * _SLACK, pool(x.variance) / terms + own)
