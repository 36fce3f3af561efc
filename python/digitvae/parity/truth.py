"""The networks in float64, and how far float32 rounding alone can take a runtime from them.

Every value comes with a bound that is derived, not guessed. With u = 2⁻²⁴, the unit roundoff of
float32, a sum of terms evaluated in any order (any blocking, any vector width, fused
multiply-add or not) errs by Σᵢ δᵢ·T̂ᵢ, |δᵢ| ≤ u, over its computed partial sums T̂ᵢ (Higham,
*Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, section 4.2). For one
output y = b + Σ wⱼxⱼ of a layer this module uses three facts about those partial sums:

* adding an exact zero rounds nothing, so only the k inputs that can be non-zero count: the ink
  of an image, the active units behind a ReLU;
* a partial sum lies between the sum of the negative terms and that of the positive ones, hence
  below M = (A + |y|)/2 with A = |b| + Σ|wⱼ||xⱼ|;
* the error collected so far adds at most γA to it, γ = γₖ₊₁ = (k+1)u/(1 − (k+1)u) (section 3.1).

With the k products rounded too, the error is below u·k·(M + γA) + u·A. Errors of the inputs go
through |W|; ReLU is 1-Lipschitz; the sigmoid multiplies by its largest slope on the interval
that the logit can lie in and adds ``SIGMOID_UNITS``·u for its own approximation. The bounds hold
for the worst case: see docs/parity.md for how much of them is ever used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]

UNIT_ROUNDOFF = 2.0**-24
"""u of float32: rounding to nearest errs by at most u, relative to the result."""

SIGMOID_UNITS = 4.0
"""Absolute error of a float32 sigmoid, in u (so 2.4e-7), that counts as its approximation.

Measured over six million logits in [−100, 100]: PyTorch 1.5, ONNX Runtime 2.8. It is absolute
and not relative because ONNX Runtime's rational approximation returns 0 below −18.
"""

SMALLEST_NORMAL = 2.0**-126
"""What an operation on float32 loses at most to underflow, even if subnormals become zero."""

_SLACK = 1.0 + 2.0**-20
"""Covers the rounding of truth and bound themselves: float64 errs 2⁻²⁹ times what float32 does."""


@dataclass(frozen=True)
class Enclosure:
    """Exact values and the largest distance at which rounding alone explains another value.

    Attributes:
        value: float64 [n, m].
        error: float64 [n, m], ≥ 0: a correct float32 evaluation lies in ``value ± error``.
        unit: float64 [n, m], ≥ 0: the error if each layer rounded only once, by u times the
            magnitude of the terms that it adds up. This is the scale on which honest evaluations
            differ from each other: sums that cancel have a large unit, however small they are.
    """

    value: Float64
    error: Float64
    unit: Float64


@dataclass(frozen=True)
class Layer:
    """A fully connected layer, kept with what its bound needs.

    Attributes:
        weight: float64 [m, k].
        bias: float64 [m].
        abs_weight: |weight|.
    """

    weight: Float64
    bias: Float64
    abs_weight: Float64

    @classmethod
    def of(cls, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> Layer:
        """Widen float32 parameters, which is exact."""
        wide = weight.astype(np.float64)
        return cls(wide, bias.astype(np.float64), np.abs(wide))

    def __call__(self, x: Enclosure) -> Enclosure:
        """Apply y = W·x + b to inputs [n, k] known up to ``x.error``."""
        u = UNIT_ROUNDOFF
        y = _multiply(x.value, self.weight) + self.bias
        largest = np.abs(x.value) + x.error  # [n, k], magnitude of what a runtime multiplies
        terms = np.count_nonzero(largest, axis=1)[:, None].astype(np.float64)  # [n, 1]
        gamma = (terms + 1.0) * u / (1.0 - (terms + 1.0) * u)
        # A = |b| + |W|·largest appears with this factor once M is written out, and
        # |exact value of what the runtime adds up| ≤ |y| + |W|·error.
        per_magnitude = u * (terms * (0.5 + gamma) + 1.0)
        per_value = u * 0.5 * terms
        spread = x.error * (1.0 + per_value) + per_magnitude * largest
        error = _multiply(spread, self.abs_weight)
        error += per_magnitude * np.abs(self.bias) + per_value * np.abs(y)
        # Underflow: inputs, weights, products and sums that are lost or flushed to zero.
        lost = self.abs_weight.sum(axis=1) + largest.sum(axis=1)[:, None] + 2.0 * terms + 1.0
        error += SMALLEST_NORMAL * lost
        unit = _multiply(x.unit + u * largest, self.abs_weight) + u * np.abs(self.bias)
        return Enclosure(y, error * _SLACK, unit)


def relu(x: Enclosure) -> Enclosure:
    """Apply max(x, 0): below zero only what can still rise above it is left of the error."""
    error = np.clip(x.value + x.error, 0.0, x.error)
    return Enclosure(np.maximum(x.value, 0.0), error, np.where(error > 0.0, x.unit, 0.0))


def sigmoid(x: Enclosure) -> Enclosure:
    """Apply 1/(1 + e⁻ˣ), written so that no exponential overflows."""
    e = np.exp(-np.abs(x.value))
    y = np.where(x.value >= 0.0, 1.0, e) / (1.0 + e)
    nearest_zero = np.exp(-np.maximum(np.abs(x.value) - x.error, 0.0))
    slope = nearest_zero / np.square(1.0 + nearest_zero)  # σ' = σ(1 − σ), largest on the interval
    error = np.minimum(x.error * slope, 1.0) + SIGMOID_UNITS * UNIT_ROUNDOFF
    return Enclosure(y, error * _SLACK, x.unit * slope + UNIT_ROUNDOFF)


class Truth:
    """Float64 evaluation of the encoder and the decoder from their parameters."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Take the parameters, under their names in ``weights.safetensors``."""

        def layer(name: str) -> Layer:
            return Layer.of(weights[f"{name}.weight"], weights[f"{name}.bias"])

        self._encoder_hidden = layer("encoder.hidden")
        self._heads = (layer("encoder.fc_mu"), layer("encoder.fc_logvar"))
        self._decoder_hidden = layer("decoder.hidden")
        self._decoder_output = layer("decoder.output")

    def encode(self, x: NDArray[np.float32]) -> tuple[Enclosure, ...]:
        """Images float32 [n, 784] to (μ, log σ²), each [n, 40]."""
        h = relu(self._encoder_hidden(_exact(x)))
        return tuple(head(h) for head in self._heads)

    def logits(self, z: NDArray[np.float32]) -> Enclosure:
        """Latents float32 [n, 40] to the log-odds of the pixels [n, 784]."""
        return self._decoder_output(relu(self._decoder_hidden(_exact(z))))

    def decode(self, z: NDArray[np.float32]) -> tuple[Enclosure, ...]:
        """Latents float32 [n, 40] to pixels [n, 784]; a tuple of one, as ``encode`` gives two."""
        return (sigmoid(self.logits(z)),)


def _multiply(x: Float64, weight: Float64) -> Float64:
    """x·Wᵀ in float64, through PyTorch because it keeps to the number of threads it is given.

    NumPy's does not, and on a machine that has something else to do its waiting threads cost more
    than all runtimes together.
    """
    product: Float64 = torch.matmul(torch.from_numpy(x), torch.from_numpy(weight).T).numpy()
    return product


def _exact(x: NDArray[np.float32]) -> Enclosure:
    value = x.astype(np.float64)
    return Enclosure(value, np.zeros_like(value), np.zeros_like(value))
