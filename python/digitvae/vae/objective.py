"""The objectives that training minimizes, and the measure by which models are compared.

With x the pixels in [0, 1], p = decoder(z), and q(z|x) = N(μ, diag σ²), per image:

    BCE = −Σ_pixels  x·log p + (1 − x)·log(1 − p)                                      [nats]
    KL  = −½ Σ_latents  1 + log σ² − μ² − σ²                                           [nats]

(Kingma & Welling 2014, equation 10 and appendix B). The negative ELBO is BCE + KL. Three
objectives are built from the two, each the mean over the batch:

``elbo``
    BCE + β·KL: both sums, so the two are in the same unit. β rises from 0 to 1 in training.
``pixel-mean``
    BCE/pixels + β·KL: the pixels averaged, the latents summed. Each nat of the KL then weighs as
    much as one of every pixel (of MNIST 784), no latent pays for itself, and the posterior
    collapses to the prior. It is kept because it is the literal reading of many descriptions of
    this model.
``autoencoder``
    BCE alone, with z = μ and no noise: reconstructs well, but its latents follow no prior.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

OBJECTIVES = ("elbo", "pixel-mean", "autoencoder")


class Terms(NamedTuple):
    """The two parts of the negative ELBO, each a scalar: nats per image, mean over the batch."""

    bce: Tensor
    kl: Tensor
    pixels: int


_MOST_FACTORS = 49
"""Logarithms that become one of a product: each factor is in [½, 1], and 2⁻⁴⁹ no small float."""


class _CrossEntropy(torch.autograd.Function):
    """The cross-entropy of pixels, summed, and its gradient.

    Both are made of p = sigmoid(l): softplus(l) = max(l, 0) − log max(p, 1 − p).
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        p = torch.sigmoid(logits)
        ctx.save_for_backward(p, x)
        likelier = (p - 0.5).abs_().add_(0.5)
        factors = max(n for n in range(1, _MOST_FACTORS + 1) if p.shape[1] % n == 0)
        logs = likelier.view(-1, factors).prod(dim=1).log_()
        return logits.clamp(min=0).sum() - logs.sum() - torch.dot(x.flatten(), logits.flatten())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        p, x = ctx.saved_tensors
        return (p - x).mul_(gradients[0]), None


def reconstruction(logits: Tensor, x: Tensor) -> Tensor:
    """Bernoulli cross-entropy summed over everything, in nats; a scalar.

    Args:
        logits: [n, pixels], log-odds of the pixels; gradients flow to these only.
        x: [n, pixels], targets in [0, 1].
    """
    cost: Tensor = _CrossEntropy.apply(logits, x)
    return cost


def divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(μ, diag σ²) ‖ N(0, I)) of each image, in nats.

    Args:
        mu: [n, latents].
        logvar: [n, latents], natural logarithm of σ².

    Returns:
        [n], each ≥ 0 up to rounding.
    """
    # expm1 keeps the difference e^t − 1 − t exact where the posterior is close to the prior.
    return 0.5 * (mu.square() + torch.expm1(logvar) - logvar).sum(dim=1)


def terms(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> Terms:
    """Both parts of the negative ELBO for a batch; shapes as above."""
    n = x.shape[0]
    return Terms(reconstruction(logits, x) / n, divergence(mu, logvar).mean(), x.shape[1])


def loss(objective: str, parts: Terms, beta: float) -> Tensor:
    """The scalar that training minimizes.

    Args:
        objective: one of ``OBJECTIVES``.
        parts: from ``terms``.
        beta: weight of the KL, in [0, 1].

    Raises:
        ValueError: unknown objective.
    """
    if objective == "elbo":
        return parts.bce + beta * parts.kl
    if objective == "pixel-mean":
        return parts.bce / parts.pixels + beta * parts.kl
    if objective == "autoencoder":
        return parts.bce
    raise ValueError(f"objective: {objective!r}; expected one of {', '.join(OBJECTIVES)}")
