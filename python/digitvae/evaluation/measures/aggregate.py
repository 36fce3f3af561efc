"""Distances of the aggregate posterior, q(z) = mean over images of q(z|x), from the prior.

The decoder has learned to decode q(z); generating draws from the prior. Where the two differ, the
decoder is asked for what it has never seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from digitvae.base.tables import Table
from digitvae.evaluation.measure import ABSENT, NOTHING, Inputs, Measure, likelihood, number
from digitvae.evaluation.report import MIXTURE, STANDARD, TRAIN, EvaluationReport
from digitvae.evaluation.settings import Size

Float64 = NDArray[np.float64]

LATENTS = Size("latents", 5000, 2000, "latents")
"""Posterior draws, and as many of each prior, that are to be told apart; at most."""

NEIGHBOURS = 10
_ROWS = 1000


@dataclass(frozen=True)
class LatentMeasures:
    """Measures of the latents over the test images, nats.

    Attributes:
        kl: KL(q(z|x) ‖ N(0, 1)) of each latent, the mean over images [latents].
        aggregate_kl: KL(N(mⱼ, Sⱼⱼ) ‖ N(0, 1)) of each, moments of the aggregate posterior
            [latents].
        gaussian_kl: KL(N(m, S) ‖ N(0, I)) of all together.
        coincidence: By source, how well its draws can be told from posterior draws of the test
            images: share of nearest neighbours that are of the own set, ½ if not at all.
    """

    kl: tuple[float, ...]
    aggregate_kl: tuple[float, ...]
    gaussian_kl: float
    coincidence: dict[str, float]


@dataclass(frozen=True)
class Moments:
    """Mean [latents] and covariance [latents, latents] of the aggregate posterior, in float64."""

    mean: Float64
    covariance: Float64

    def marginal_divergence(self) -> Float64:
        """KL(N(mⱼ, Sⱼⱼ) ‖ N(0, 1)) of each latent alone, nats [latents]."""
        variance = np.diag(self.covariance)
        result: Float64 = 0.5 * (np.square(self.mean) + variance - 1 - np.log(variance))
        return result

    def divergence(self) -> float:
        """KL(N(m, S) ‖ N(0, I)) of all latents together, correlations included, nats."""
        _, logdet = np.linalg.slogdet(self.covariance)
        trace = np.trace(self.covariance)
        return 0.5 * float(np.square(self.mean).sum() + trace - len(self.mean) - logdet)


def aggregate_moments(mu: NDArray[np.floating], logvar: NDArray[np.floating]) -> Moments:
    """Exact moments of the mixture of all posteriors, by the law of total covariance.

    Args:
        mu: Posterior means [n, d].
        logvar: Natural logarithms of the posterior variances [n, d].
    """
    means = mu.astype(np.float64)
    within = np.exp(logvar.astype(np.float64)).mean(axis=0)
    centred = means - means.mean(axis=0)
    return Moments(means.mean(axis=0), centred.T @ centred / len(means) + np.diag(within))


def posterior_divergence(mu: NDArray[np.floating], logvar: NDArray[np.floating]) -> Float64:
    """KL(q(z|x) ‖ N(0, I)) by latent, the mean over images: nats [d]; their sum is the KL.

    Args:
        mu: Posterior means [n, d].
        logvar: Natural logarithms of the posterior variances [n, d].
    """
    wide_mu, wide = mu.astype(np.float64), logvar.astype(np.float64)
    result: Float64 = (0.5 * (np.square(wide_mu) + np.expm1(wide) - wide)).mean(axis=0)
    return result


def neighbour_coincidence(
    a: NDArray[np.floating], b: NDArray[np.floating], k: int = NEIGHBOURS
) -> float:
    """Tell two sets of draws apart: the share of neighbours of the own set.

    Each draw's k nearest neighbours are sought among all others of both sets (Schilling 1986,
    "Multivariate Two-Sample Tests Based on Nearest Neighbors"). Draws of one distribution, whatever
    that is, give (n − 1)/(2n − 1), about one half; sets that lie apart give 1. So this sees
    differences of shape, to which moments are blind.

    Args:
        a: Draws [n, d], n ≥ 1.
        b: As many.
        k: Neighbours of each, 1 … 2n−1; Euclidean distance.

    Raises:
        ValueError: The shapes differ, or k is out of its range.
    """
    n = len(a)
    if a.shape != b.shape or not 1 <= k < 2 * n:
        raise ValueError(
            f"draws: {list(a.shape)} and {list(b.shape)} for k = {k}; expected two sets of one "
            "shape, together of more than k ≥ 1"
        )
    both = torch.cat([torch.tensor(a), torch.tensor(b)]).double()  # [2n, d]
    own = 0
    for first in range(0, 2 * n, _ROWS):
        distances = torch.cdist(both[first : first + _ROWS], both)
        distances[:, first:].fill_diagonal_(torch.inf)  # nobody is a neighbour of oneself
        nearest = distances.topk(k, largest=False).indices
        mine = torch.arange(first, first + len(nearest)) < n
        own += int(((nearest < n) == mine[:, None]).sum())
    return own / (2 * n * k)


def _compute(inputs: Inputs) -> LatentMeasures | None:
    """``None`` for an autoencoder, which has no posterior."""
    inputs.begin("aggregate posterior")
    n, seed = inputs.settings[LATENTS], inputs.settings.seed
    if not inputs.has_posterior:
        return None
    mu, logvar = inputs.posterior
    moments = aggregate_moments(mu, logvar)
    draws = _posterior_draws(mu[:n], logvar[:n], inputs.generator("test latents"))
    train = inputs.engine.encode(inputs.some("train", n).images)
    others = {
        TRAIN: _posterior_draws(*train, inputs.generator("training latents")),
        STANDARD: inputs.engine.latents(n, seed=seed),
    }
    if inputs.has_mixture:
        others[MIXTURE] = inputs.engine.latents(n, seed=seed, prior="mixture")
    return LatentMeasures(
        kl=tuple(posterior_divergence(mu, logvar).tolist()),
        aggregate_kl=tuple(moments.marginal_divergence().tolist()),
        gaussian_kl=moments.divergence(),
        coincidence={name: neighbour_coincidence(draws, other) for name, other in others.items()},
    )


def _posterior_draws(
    mu: NDArray[np.float32], logvar: NDArray[np.float32], generator: torch.Generator
) -> NDArray[np.float32]:
    """One z ~ q(z|x) for each image."""
    noise = torch.randn(mu.shape, generator=generator)
    draws = torch.from_numpy(mu) + torch.exp(0.5 * torch.from_numpy(logvar)) * noise
    result: NDArray[np.float32] = draws.numpy()
    return result


def _tables(report: EvaluationReport) -> list[Table]:
    found: LatentMeasures | None = report.latents
    rows, kl = [("an autoencoder has no posterior", NOTHING)], []
    if found is not None:
        rows = [(name, number(value, ".3f")) for name, value in found.coincidence.items()]
        if not report.has_mixture:
            rows.append((MIXTURE, ABSENT))
        images = f"{report.heldout.images:,}"
        name = "KL of the aggregate posterior, as a Gaussian"
        kl = [(name, number(found.gaussian_kl), "", images)]
    return [
        likelihood(kl),
        Table(
            "Can latents of test images be told from other draws? Not at all at 0.5",
            ("draws", "neighbours of the own set"),
            tuple(rows),
        ),
    ]


MEASURE = Measure("latents", _compute, _tables, sizes=(LATENTS,))
