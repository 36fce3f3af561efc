"""Whether a contender computes the bundle's decoder: otherwise its speed says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load

from digitvae.bundle.names import WEIGHTS

if TYPE_CHECKING:
    import numpy.typing as npt

    from benchmarks.generation.contenders import Prepared
    from digitvae.bundle.folder import Bundle

    Float64 = npt.NDArray[np.float64]

TOLERANCE = 1e-5
"""Largest deviation of a pixel in [0, 1] from the float64 truth: float32 rounding stays below it,
bfloat16 does not (docs/parity.md)."""

_LATENTS = 256
_DIGITS = 2048
_MEAN_TOLERANCE = 0.1
"""Of the mean image of that many digits. Two means of independent draws differ by less: at most
0.5 · √(2 / 2048) = 0.016 is their standard deviation."""


def read_weights(bundle: Bundle) -> dict[str, npt.NDArray[np.float32]]:
    """All tensors of ``weights.safetensors``, whose SHA-256 is checked first.

    Raises:
        BundleError: The bundle has no such file, or it is not what it should be.
    """
    tensors: dict[str, npt.NDArray[np.float32]] = load(bundle.read(WEIGHTS))
    return tensors


def truth(bundle: Bundle, z: npt.NDArray[np.float32]) -> Float64:
    """The decoder in float64: latents [n, 40] to pixels [n, 784] in [0, 1]."""
    weights = {name: value.astype(np.float64) for name, value in read_weights(bundle).items()}
    hidden = z @ weights["decoder.hidden.weight"].T + weights["decoder.hidden.bias"]
    logits = (
        np.maximum(hidden, 0) @ weights["decoder.output.weight"].T + weights["decoder.output.bias"]
    )
    shrunk = np.exp(-np.abs(logits))  # of −|logit|, so that nothing overflows
    result: Float64 = np.where(logits >= 0, 1, shrunk) / (1 + shrunk)
    return result


def latents(bundle: Bundle, n: int, seed: int) -> npt.NDArray[np.float32]:
    """Standard normal latents [n, 40] to compare on."""
    return np.random.default_rng(seed).standard_normal((n, bundle.latent_dim), np.float32)


def deviation(prepared: Prepared, bundle: Bundle) -> float:
    """Largest deviation of decoded pixels from the truth; infinite for what are no such pixels."""
    z = latents(bundle, _LATENTS, seed=0)
    expected = truth(bundle, z)
    x = np.asarray(prepared.decode(z))
    if x.shape != expected.shape:
        return float("inf")
    worst = float(np.max(np.abs(x - expected)))
    return worst if np.isfinite(worst) else float("inf")


def problem(prepared: Prepared, bundle: Bundle) -> str:
    """What is wrong with what a contender computes; empty if nothing is."""
    found = deviation(prepared, bundle)
    if found > TOLERANCE:
        return f"its pixels deviate from float64 by {found:.1e}, more than {TOLERANCE:.0e}"
    for n in (1, 65, _DIGITS):
        wrong = wrong_images(prepared.generate(n), n)
        if wrong:
            return wrong
    images = prepared.generate(_DIGITS)
    if np.array_equal(images, prepared.generate(_DIGITS)):
        return "it generates the same digits again and again"
    return wrong_mean(images, bundle)


def wrong_mean(images: npt.NDArray[np.uint8], bundle: Bundle) -> str:
    """What is wrong with the mean of some thousand digits; empty if nothing is."""
    expected = truth(bundle, latents(bundle, _DIGITS, seed=1)).mean(axis=0)
    mean = images.reshape(len(images), -1).mean(axis=0) / 255
    worst = float(np.max(np.abs(mean - expected)))
    if worst <= _MEAN_TOLERANCE:
        return ""
    return f"the mean of its digits deviates by {worst:.2f}: they are not drawn from N(0, I)"


def wrong_images(images: Any, n: int) -> str:
    """What is wrong with the type and shape of ``n`` digits; empty if nothing is."""
    found = f"{getattr(images, 'dtype', type(images))} {list(np.shape(images))}"
    return "" if found == f"uint8 [{n}, 28, 28]" else f"it returns {found} for {n} digits"
