"""The importance-weighted bound on −log p(x): tighter than the negative ELBO.

    −L_k = −E[ log (1/k) Σᵢ p(x|zᵢ) p(zᵢ) / q(zᵢ|x) ],   zᵢ ~ q(z|x)                     [nats]

(Burda, Grosse, Salakhutdinov 2016, "Importance Weighted Autoencoders", equation 8). It falls with
k: from the negative ELBO, which it is in expectation at k = 1, towards −log p(x).

p(x|z) is a Bernoulli likelihood. Of binary images that is a probability. Of grey ones it is the
cross-entropy of the intensities, which is what training minimizes: comparable between models of
this kind, but no likelihood of anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from digitvae.base.tables import Table
from digitvae.evaluation.measure import Inputs, Measure, likelihood, number
from digitvae.evaluation.report import EvaluationReport
from digitvae.evaluation.settings import Size
from digitvae.vae.heldout import as_tensor
from digitvae.vae.model import VAE

_ROWS = 4000
"""Latents to decode at once: 12 MB of logits."""

Pairs = tuple[tuple[int, int], ...]


class _Bounds(Size[Pairs]):
    def lost(self, before: Any, now: Pairs) -> list[str]:
        images = dict(now)
        return [
            f"the bound of k = {k} on {count} {self.counts}"
            for k, count in before
            if count > images.get(k, 0)
        ]


BOUNDS = _Bounds(
    "bounds", ((1, 10_000), (64, 10_000), (1000, 1000)), ((1, 2000), (64, 2000)), "images"
)
"""Pairs of k and a number of test images."""


@dataclass(frozen=True)
class Bound:
    """An importance-weighted bound.

    Attributes:
        k: Posterior samples an image.
        images: How many images it is the mean over.
        nats: −L_k, nats an image.
        standard_error: Of that mean, over images; ``None`` for one image.
    """

    k: int
    images: int
    nats: float
    standard_error: float | None


def importance_bound(model: VAE, x: Tensor, k: int, generator: torch.Generator) -> Bound:
    """Estimate the bound on images.

    Args:
        model: Any state.
        x: float32 [n, pixels] in [0, 1], n ≥ 1.
        k: Posterior samples an image, at least 1.
        generator: Of the noise, image by image.

    Raises:
        ValueError: k is below 1, or there are no images.
    """
    if k < 1:
        raise ValueError(f"k: {k}; expected at least 1")
    if len(x) == 0:
        raise ValueError("there are no images to evaluate on")
    step = max(1, _ROWS // k)
    bounds = []
    with torch.inference_mode():
        for first in range(0, len(x), step):
            rows = x[first : first + step]
            eps = torch.randn(len(rows), k, model.dims.latents, generator=generator)
            weights = log_weights(model, rows, eps)
            bounds.append(math.log(k) - torch.logsumexp(weights, dim=1))
    nats = torch.cat(bounds)
    error = float(nats.std()) / math.sqrt(len(x)) if len(x) > 1 else None
    return Bound(k, len(x), float(nats.mean()), error)


def log_weights(model: VAE, x: Tensor, eps: Tensor) -> Tensor:
    """The importance weights of z = μ + σ·ε: log p(x|z) + log p(z) − log q(z|x).

    The networks run in float32, as in use; sums and logarithms are float64.

    Args:
        model: Any state.
        x: float32 [n, pixels] in [0, 1].
        eps: float32 [n, k, latents], standard normal.

    Returns:
        float64 [n, k], nats.
    """
    mu, logvar = model.encoder(x)  # [n, latents]
    z = torch.addcmul(mu[:, None], torch.exp(0.5 * logvar)[:, None], eps)  # [n, k, latents]
    logits = model.decoder.logits(z)  # [n, k, pixels]
    # Σ x·log p + (1 − x)·log(1 − p) with p = sigmoid(logit), in whichever form is without overflow.
    ink = torch.matmul(logits, x[:, :, None]).squeeze(2)  # [n, k]
    likelihood = ink.double() - _softplus(logits).sum(dim=2, dtype=torch.float64)
    # Both normal densities have (2π)^(−latents/2), and (z − μ)/σ is ε.
    prior = -0.5 * z.double().square().sum(dim=2)
    posterior = -0.5 * (eps.double().square() + logvar.double()[:, None]).sum(dim=2)
    weights: Tensor = likelihood + prior - posterior
    return weights


def _softplus(logits: Tensor) -> Tensor:
    """−log(1 − sigmoid(l)) of log-odds, without overflow.

    PyTorch's own takes four times as long, for it calls log1p, which is not vectorized. The
    logarithm of 1 + e^(−|l|), rounded first, is off by 6e-8 at most, and a pixel costs 0.1.
    """
    return logits.abs().neg_().exp_().add_(1).log_().add_(logits.clamp(min=0))


def binarised(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each pixel 1 with the probability of its intensity (Salakhutdinov & Murray 2008), else 0.

    Args:
        x: float32 in [0, 1].
        generator: Of the choice.
    """
    return torch.bernoulli(x, generator=generator)


def _compute(inputs: Inputs) -> dict[str, tuple[Bound, ...]]:
    """By kind of images; empty for an autoencoder, which has no posterior."""
    if not inputs.has_posterior:
        return {}
    x = as_tensor(inputs.test.images)
    found: dict[str, tuple[Bound, ...]] = {}
    for kind, images in {
        "grey": x,
        "binarised": binarised(x, inputs.generator("binarised")),
    }.items():
        for k, count in inputs.settings[BOUNDS]:
            inputs.begin(f"importance-weighted bound, {kind}, k = {k}")
            generator = inputs.generator(f"{kind} {k}")
            bound = importance_bound(inputs.network, images[:count], k, generator)
            found[kind] = (*found.get(kind, ()), bound)
    return found


def _tables(report: EvaluationReport) -> list[Table]:
    bounds: dict[str, tuple[Bound, ...]] = report.bounds
    return [
        likelihood(
            [
                (
                    f"importance-weighted, k = {bound.k}, {kind}",
                    number(bound.nats),
                    number(bound.standard_error),
                    f"{bound.images:,}",
                )
                for kind, found in bounds.items()
                for bound in found
            ]
        )
    ]


MEASURE = Measure(
    "bounds",
    _compute,
    _tables,
    steps=lambda inputs: 2 * len(inputs.settings[BOUNDS]) * inputs.has_posterior,
    sizes=(BOUNDS,),
)
