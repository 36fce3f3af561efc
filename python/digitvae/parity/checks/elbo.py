"""The evidence lower bound of the test images, as each runtime computes it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from digitvae.base.threads import in_parallel
from digitvae.parity.inputs.sets import in_blocks, on_all_rows, posterior_draws
from digitvae.parity.networks import DECODER, ENCODER, Float32, Function
from digitvae.parity.report.report import Check, first_line
from digitvae.parity.runtimes.runtime import Export
from digitvae.parity.truth.enclosure import UNIT_ROUNDOFF, Reference

_CLIP = 1e-6
"""Intensities are kept this far from 0 and 1 before a logarithm is taken: float32 has no digits
left of 1 − p there. It changes all runtimes alike."""

_RELATIVE = 4 * UNIT_ROUNDOFF
"""Roundings all but cancel in a mean over images: honest exports were off by 0.35 units of float32
at most, one epoch on 256 digits included. Each value was held to its own limits before."""


def check_elbo(
    encoder: Export,
    decoder: Export,
    images: Float32,
    leader: Callable[[str, str], str],
    on_step: Callable[[str], None],
    *,
    threads: int,
) -> list[Check]:
    """Check that −ELBO is the truth's in every runtime, up to four roundings to float32.

    The noise of the posterior is that of stream 2 of seed 0, and all decoders are given the latents
    of the first runtime, so that the reconstructions are of the same draws.

    Args:
        encoder: The runtimes of the encoder, and its truth.
        decoder: The same of the decoder.
        images: float32 [n, 784] in [0, 1].
        leader: ``leader(network, runtime)``: the first runtime that has its bits, so that what
            was computed once is not computed again.
        on_step: Called before each runtime.
        threads: Blocks of images to compute at the same time.
    """
    encoders, decoders = encoder.functions, decoder.functions
    eager = next(iter(encoders))
    z = posterior_draws(*on_all_rows(encoders[eager], images, threads))
    on_step("−ELBO: truth")
    encode, decode = (_exact(export.truth) for export in (encoder, decoder))
    expected = nelbo(encode, decode, images, z, threads)
    limit = _RELATIVE * expected
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
                known[twins] = nelbo(encoders[runtime], decoders[runtime], images, z, threads)
            except Exception as error:  # whatever a runtime raises, it did not compute
                checks.append(Check(runtime, statement, "failed", first_line(error)))
                continue
        off = abs(known[twins] - expected)
        detail = f"{known[twins]:.4f} nats, {off:.1e} from the truth, limit {limit:.1e}"
        checks.append(Check.of(runtime, statement, off <= limit, detail))
    return checks


def _exact(truth: Reference) -> Function:
    return lambda rows: tuple(one.value.numpy() for one in truth(rows))


def nelbo(encode: Function, decode: Function, images: Float32, z: Float32, threads: int) -> float:
    """−ELBO, the mean over images, in float64 (Kingma & Welling 2014, equations 7 and 10).

    Args:
        encode: One runtime's encoder.
        decode: Its decoder.
        images: float32 [n, 784] in [0, 1].
        z: float32 [n, 40], a draw from the posterior of each image.
        threads: Blocks of images to compute at the same time.
    """

    def total(block: tuple[Float32, Float32]) -> float:
        x, latents = block
        mu, logvar = (output.astype(np.float64) for output in encode(x))
        p = decode(latents)[0].astype(np.float64).clip(_CLIP, 1.0 - _CLIP)
        cross_entropy = -(x * np.log(p) + (1.0 - x.astype(np.float64)) * np.log1p(-p)).sum()
        divergence = 0.5 * (np.square(mu) + np.exp(logvar) - 1.0 - logvar).sum()
        return float(cross_entropy + divergence)

    blocks = zip(in_blocks(images), in_blocks(z), strict=True)
    return sum(in_parallel(total, blocks, threads)) / len(images)
