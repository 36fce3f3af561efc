"""How far the aggregate posterior q(z) = mean over images of q(z|x) is from the prior.

The decoder has learned to decode q(z); generating draws from the prior. Where the two differ, the
decoder is asked for what it has never seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]

NEIGHBOURS = 10
_ROWS = 1000


@dataclass(frozen=True)
class Moments:
    """Mean [40] and covariance [40, 40] of the aggregate posterior, in float64."""

    mean: Float64
    covariance: Float64

    def marginal_divergence(self) -> Float64:
        """KL(N(mⱼ, Sⱼⱼ) ‖ N(0, 1)) of each latent alone, nats [40]."""
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
    """Whether two sets of draws can be told apart: the share of neighbours of the own set.

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
