"""The evidence lower bound of the test images, as each runtime computes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from digitvae.base.threads import in_parallel
from digitvae.parity.blocks import on_all_rows
from digitvae.parity.enclosure import NOISE_DEVIATIONS, SIGMOID_BIAS_UNITS, UNIT_ROUNDOFF
from digitvae.parity.inputs import in_blocks, posterior_draws
from digitvae.parity.networks import DECODER, ENCODER
from digitvae.parity.report import Check, first_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from digitvae.parity.loaded import Loaded
    from digitvae.parity.networks import Float32, Function

    Float64 = NDArray[np.float64]

_CLIP = 1e-6
"""Intensities are kept this far from 0 and 1 before a logarithm is taken: float32 has no digits
left of 1 − p there. It changes all runtimes alike."""


class _Expected(NamedTuple):
    """−ELBO by the truth, in nats an image, and what rounding may do to it."""

    nats: float
    limit: float


def check_elbo(
    loaded: Loaded,
    images: Float32,
    leader: Callable[[str, str], str],
    on_step: Callable[[str], None],
    *,
    threads: int,
) -> list[Check]:
    """Check that −ELBO is the same in every runtime, within what rounding can do to it.

    The noise of the posterior is that of stream 2 of seed 0, and all decoders are given the latents
    of the first runtime, so that the reconstructions are of the same draws.

    Args:
        loaded: The runtimes.
        images: float32 [n, 784] in [0, 1].
        leader: ``leader(network, runtime)``: the first runtime that has its bits, so that what
            was computed once is not computed again.
        on_step: Called before each runtime.
        threads: Blocks of images to compute at the same time.
    """
    encoders, decoders = loaded.functions[ENCODER.name], loaded.functions[DECODER.name]
    eager = next(iter(encoders))
    z = posterior_draws(*on_all_rows(encoders[eager], images, threads))
    on_step("−ELBO: truth")
    expected = _truth(loaded, images, z, threads)
    known: dict[tuple[str, str], float] = {}
    checks = []
    for runtime in encoders:
        if runtime not in decoders:
            continue
        twins = (leader(ENCODER.name, runtime), leader(DECODER.name, runtime))
        statement = "computes the −ELBO of the test images"
        if twins not in known:
            on_step(f"−ELBO: {runtime}")
            try:
                known[twins] = _nats(encoders[runtime], decoders[runtime], images, z, threads)
            except Exception as error:  # whatever a runtime raises, it did not compute
                checks.append(Check(runtime, statement, "failed", first_line(error)))
                continue
        off = abs(known[twins] - expected.nats)
        checks.append(
            Check(
                runtime,
                statement,
                "passed" if off <= expected.limit else "failed",
                f"{known[twins]:.4f} nats, {off:.1e} from the truth, limit {expected.limit:.1e}",
            )
        )
    return checks


def _nats(encode: Function, decode: Function, images: Float32, z: Float32, threads: int) -> float:
    """−ELBO, the mean over images, in float64 (Kingma & Welling 2014, equations 7 and 10)."""

    def total(block: tuple[Float32, Float32]) -> float:
        x, latents = block
        mu, logvar = encode(x)
        return float(_cross_entropy(x, decode(latents)[0]).sum() + _divergence(mu, logvar).sum())

    blocks = zip(in_blocks(images), in_blocks(z), strict=True)
    return sum(in_parallel(total, blocks, threads)) / len(images)


def _cross_entropy(x: NDArray[np.floating], p: NDArray[np.floating]) -> Float64:
    clipped, ink = p.astype(np.float64).clip(_CLIP, 1.0 - _CLIP), x.astype(np.float64)
    result: Float64 = -(ink * np.log(clipped) + (1.0 - ink) * np.log1p(-clipped))
    return result


def _divergence(mu: NDArray[np.floating], logvar: NDArray[np.floating]) -> Float64:
    wide_mu, wide = mu.astype(np.float64), logvar.astype(np.float64)
    result: Float64 = 0.5 * (np.square(wide_mu) + np.exp(wide) - 1.0 - wide)
    return result


def _truth(loaded: Loaded, images: Float32, z: Float32, threads: int) -> _Expected:
    """The truth, and how far rounding can take the mean over all images from it.

    Deviations go through the derivatives: (p − x)/(p(1 − p)) of the cross-entropy, μ and
    (σ² − 1)/2 of the KL. Two kinds of them make the limit. Noise is independent from value to
    value: its variances add, and sixteen standard deviations count. The bias of the sigmoid is
    alike wherever logits are alike: it adds up over all pixels of all images, and more images do
    not make their mean any better. That matters for a network that has learned little, whose
    logits hardly depend on the image.
    """

    def total(block: tuple[Float32, Float32]) -> tuple[float, float, float]:
        x, latents = block
        (decoded,) = loaded.truths[DECODER.name](latents)
        mu, logvar = loaded.truths[ENCODER.name](x)
        p = decoded.value.numpy()
        clipped = p.clip(_CLIP, 1.0 - _CLIP)
        slope = (clipped - x) / (clipped * (1.0 - clipped))
        nats = (
            _cross_entropy(x, p).sum() + _divergence(mu.value.numpy(), logvar.value.numpy()).sum()
        )
        variance = float(np.square(slope * decoded.deviation().numpy()).sum())
        variance += float((mu.value * mu.deviation()).square().sum())
        by_logvar = 0.5 * (logvar.value.exp() - 1.0)
        variance += float((by_logvar * logvar.deviation()).square().sum())
        bias = SIGMOID_BIAS_UNITS * UNIT_ROUNDOFF * float(np.abs(slope).sum())
        return float(nats), variance, bias

    blocks = zip(in_blocks(images), in_blocks(z), strict=True)
    totals = in_parallel(total, blocks, threads)
    nats, variance, bias = (sum(parts) for parts in zip(*totals, strict=True))
    noise = NOISE_DEVIATIONS * float(np.sqrt(variance))
    return _Expected(nats / len(images), (noise + bias) / len(images))
