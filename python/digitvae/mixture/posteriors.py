"""Codes of images: their posteriors, and the latents that reconstruct them best.

An encoder gives every image the posterior that one pass of one network can (Cremer, Li & Duvenaud,
"Inference Suboptimality in Variational Autoencoders" (2018), section 3, on what that costs), and
its means are drawn towards 0 by the KL of the ELBO: decoded, they are blurred. ``refine`` goes on
from there by gradient ascent, as Kim et al., "Semi-Amortized Variational Autoencoders" (2018), do
in training. The latent mixture is fitted to what it finds (fit.py); docs/prior.md has what that
gains.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.lr_scheduler import PolynomialLR

from digitvae.base.threads import in_parallel
from digitvae.vae.heldout import as_tensor
from digitvae.vae.model import VAE
from digitvae.vae.objective import reconstruction

Float64 = NDArray[np.float64]

STEPS = 20
"""Of Adam, for each image."""

RATE = 0.2
"""Adam's first step size, which falls to 0 in a straight line."""

LEAST_GRADIENT = 1.0
"""Nats per unit of a latent: Adam's ε. With its usual one, latents that the decoder does not use
would be shaken by what rounding leaves of their gradients."""

PRIOR_WEIGHT = 0.1
"""Weight of log N(z; 0, I) beside the likelihood: 1 would give the likeliest z, and its blur."""

Result = TypeVar("Result")

_BLOCK = 1000  # images at a time


def encode(model: VAE, images: NDArray[np.uint8]) -> tuple[Float64, Float64]:
    """Posteriors of images.

    Args:
        model: A trained network.
        images: uint8 [n, height, width].

    Returns:
        ``(mu, logvar)``, float64 [n, latents] each; the same bits whatever else the machine does.
    """

    def means_and_variances(start: int) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            mu, logvar = model.encoder(as_tensor(images[start : start + _BLOCK], model.dims))
        return mu, logvar

    mu, logvar = zip(*_blocks(means_and_variances, len(images)), strict=True)
    return torch.cat(mu).double().numpy(), torch.cat(logvar).double().numpy()


def refine(
    model: VAE,
    images: NDArray[np.uint8],
    mu: NDArray[np.floating],
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    *,
    prior_weight: float = PRIOR_WEIGHT,
) -> Float64:
    """Latents near ``mu`` that reconstruct each image better.

    ``STEPS`` steps of Adam up log p(x|z) + ``prior_weight`` · log N(z; 0, I), from mu on, each
    image for itself.

    Args:
        model: A trained network.
        images: uint8 [n, height, width].
        mu: The means of their posteriors, [n, latents].
        on_progress: Called with the images done, and those in all.
        prior_weight: At least 0.

    Returns:
        float64 [n, latents]; the same bits whatever else the machine does.
    """

    def ascend(start: int) -> Tensor:
        x = as_tensor(images[start : start + _BLOCK], model.dims)
        z = torch.tensor(mu[start : start + _BLOCK], dtype=torch.float32, requires_grad=True)
        optimizer = torch.optim.Adam([z], lr=RATE, eps=LEAST_GRADIENT)
        schedule = PolynomialLR(optimizer, total_iters=STEPS)
        for _ in range(STEPS):
            misfit = reconstruction(model.decoder.logits(z), x)
            cost = misfit + prior_weight * 0.5 * z.square().sum()
            (z.grad,) = torch.autograd.grad(cost, z)
            optimizer.step()
            schedule.step()
        return z.detach()

    return torch.cat(_blocks(ascend, len(images), on_progress)).double().numpy()


def _blocks(
    work: Callable[[int], Result],
    count: int,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Result]:
    """Do all blocks, each on one thread and of one size: no number of threads changes a bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = []
        with closing(in_parallel(work, range(0, count, _BLOCK), threads)) as results:
            for done in results:
                found.append(done)
                on_progress(min(len(found) * _BLOCK, count), count)
        return found
    finally:
        torch.set_num_threads(threads)
