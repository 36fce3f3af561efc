"""The class-conditional latent mixture: what the codes of each class look like, as a model.

A VAE is trained so that N(0, I) and the codes of its training images agree, and they never quite
do: samples of N(0, I) fall between the classes. A density fitted to the codes afterwards closes
the gap (Ghosh et al., "From Variational to Deterministic Autoencoders" (2020), section 4, do so
with a Gaussian mixture); fitted per class, it knows what it draws.

Here each class is a mixture of Gaussians of low rank: z = mean[k] + ε[:RANK] · factor[k]. The
means and factors are those of the training images' codes (posteriors.py): clusters of them, and the
principal axes within each cluster (Tipping & Bishop, "Mixtures of Probabilistic Principal
Component Analysers" (1999), with the residual noise left out of the samples). What was tried, and
why this form, is in docs/prior.md.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits
from torch import Tensor

from digitvae.mixture.model import LatentMixture

Float64 = NDArray[np.float64]
Labels = NDArray[np.integer]

RANK = 10
"""Directions in which a component varies."""

CANDIDATES = (5, 10, 20, 40, 80)
"""Numbers of components per class to choose among."""

LEAST_IMAGES = 20
"""Images behind every component: none may stand for a few single ones."""

HELD_OUT = 0.1
"""Share of each class that chooses the number of components."""

SHRINKAGE = 20.0
"""A component's covariance counts as if so many more images had the class's average one."""

_LEAST_VARIANCE = 1e-6  # of the posterior noise, so that every likelihood is finite
_UNREACHABLE = 2.0  # a threshold that no u in [0, 1) reaches


class ClassMixture(NamedTuple):
    """The mixture of one class.

    Attributes:
        weights: float64 [components], sums to 1.
        means: float64 [components, latents].
        factors: float64 [components, rank, latents].
        noise: float64 [components, latents], the mean variance of the posteriors; part of the
            likelihood of codes, but not of what is drawn.
    """

    weights: Float64
    means: Float64
    factors: Float64
    noise: Float64


class MixtureFit(NamedTuple):
    """A fitted mixture and how well it describes images that it was not fitted to.

    Attributes:
        mixture: Fitted to all images.
        held_out_log_likelihood: Mean over held-out images, in nats, of the density of their
            codes, with the noise of their posteriors, under the mixture of their class, fitted to
            the other images.
    """

    mixture: LatentMixture
    held_out_log_likelihood: float

    def facts(self) -> dict[str, object]:
        """Its entry in a manifest."""
        return {
            "components": self.mixture.components,
            "covariance": f"rank {self.mixture.factors.shape[1]}",
            "held_out_log_likelihood": self.held_out_log_likelihood,
        }


def fit_mixture(
    codes: NDArray[np.floating],
    logvar: NDArray[np.floating],
    labels: Labels,
    *,
    seed: int = 0,
) -> MixtureFit:
    """Fit the mixture to encoded training images; the same bits for the same arguments.

    For each class the number of components is the one of ``CANDIDATES`` under which held-out
    images of it are the most likely; the mixture is then fitted to all of its images.

    Args:
        codes: Latents of the images, [n, latents] (posteriors.py).
        logvar: Natural logarithms of their posteriors' variances, [n, latents].
        labels: Whole numbers [n], 0 … labels − 1, each for at least 2 · ``LEAST_IMAGES`` rows.
        seed: Decides which images are held out and where clustering begins, 0 … 2³² − 1.

    Raises:
        ValueError: Shapes do not fit each other, a value is not finite, a class has too few
            images, or the seed is out of range.
    """
    _require_codes(codes, logvar, labels)
    codes, logvar = codes.astype(np.float64), logvar.astype(np.float64)
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed: {seed}; expected 0 to 2³² − 1")
    variances = np.maximum(np.exp(logvar), _LEAST_VARIANCE)
    counts = np.bincount(labels)
    mixtures, likelihoods = [], []
    # Sums depend on how many threads share them; one thread makes the result the same everywhere.
    with threadpool_limits(1):
        for label in range(len(counts)):
            rows = labels == label
            rng = np.random.default_rng((seed, label))
            components, likelihood = _choose(codes[rows], variances[rows], rng, seed)
            mixtures.append(fit_class(codes[rows], variances[rows], components, seed=seed))
            likelihoods.append(likelihood)
    frequencies = counts / counts.sum()
    return MixtureFit(assemble(mixtures, frequencies), float(frequencies @ np.array(likelihoods)))


def fit_class(codes: Float64, variances: Float64, components: int, *, seed: int) -> ClassMixture:
    """Fit the mixture of one class.

    Args:
        codes: float64 [n, latents].
        variances: float64 [n, latents].
        components: At most so many: clusters of fewer than ``LEAST_IMAGES`` are given up.
        seed: Where clustering begins.
    """
    members, means = cluster(codes, components, seed)
    rest = codes - means[members]
    shared = rest.T @ rest / len(codes)
    counts = np.bincount(members)
    factors, noise = [], []
    for k, count in enumerate(counts):
        own = rest[members == k]
        covariance = (own.T @ own + SHRINKAGE * shared) / (count + SHRINKAGE)
        factors.append(principal_factor(covariance, RANK))
        noise.append(variances[members == k].mean(axis=0))
    return ClassMixture(counts / len(codes), means, np.stack(factors), np.stack(noise))


def log_likelihood(mixture: ClassMixture, z: Float64) -> float:
    """Mean log-density in nats of codes float64 [n, latents] under a mixture and its noise."""
    logs = []
    for weight, mean, factor, noise in zip(*mixture, strict=True):
        covariance = factor.T @ factor + np.diag(noise)
        root = np.linalg.cholesky(covariance)
        distance = np.square(np.linalg.solve(root, (z - mean).T)).sum(axis=0)
        size = 2.0 * np.log(np.diag(root)).sum() + len(mean) * np.log(2.0 * np.pi)
        logs.append(np.log(weight) - 0.5 * (distance + size))
    return float(logsumexp(np.stack(logs), axis=0).mean())


def assemble(mixtures: list[ClassMixture], frequencies: Float64) -> LatentMixture:
    """The module of fitted classes, whose frequencies (float64 [labels]) sum to 1."""
    ends = np.cumsum(frequencies)
    starts = np.concatenate([[0.0], ends[:-1]])
    most = max(len(mixture.weights) for mixture in mixtures)
    thresholds = np.full((2 * len(mixtures), most - 1), _UNREACHABLE)
    for d, mixture in enumerate(mixtures):
        within = np.cumsum(mixture.weights)[:-1]
        thresholds[d, : len(within)] = within
        thresholds[len(mixtures) + d, : len(within)] = starts[d] + frequencies[d] * within
    counts = [len(mixture.weights) for mixture in mixtures]

    def float32(array: Float64) -> Tensor:
        # In PyTorch's own memory and order: torch.export cannot save an empty NumPy array.
        return torch.empty(array.shape).copy_(torch.from_numpy(array))

    return LatentMixture(
        float32(ends[:-1]),
        float32(thresholds),
        torch.from_numpy(np.cumsum([0, *counts[:-1]], dtype=np.int64)),
        float32(np.concatenate([mixture.means for mixture in mixtures])),
        float32(np.concatenate([mixture.factors for mixture in mixtures])),
    ).eval()


def _choose(
    codes: Float64, variances: Float64, rng: np.random.Generator, seed: int
) -> tuple[int, float]:
    """The number of components for one class, and the held-out log-likelihood with it."""
    order = rng.permutation(len(codes))
    held, kept = np.split(order, [max(1, round(HELD_OUT * len(codes)))])
    draws = codes[held] + np.sqrt(variances[held]) * rng.standard_normal(codes[held].shape)
    found: list[tuple[float, int]] = []
    for components in CANDIDATES:
        mixture = fit_class(codes[kept], variances[kept], components, seed=seed)
        found.append((log_likelihood(mixture, draws), components))
    best = max(found, key=lambda each: (each[0], -each[1]))
    return best[1], best[0]


def cluster(codes: Float64, components: int, seed: int) -> tuple[NDArray[np.int64], Float64]:
    """Clusters of at least ``LEAST_IMAGES`` rows (unless there are fewer in all).

    k-means; a cluster that is too small is given up, its rows go to the nearest of the others.

    Args:
        codes: float64 [n, latents].
        components: At most so many.
        seed: Where k-means begins.

    Returns:
        The cluster of each row, int64 [n], and the clusters' means, float64 [clusters, latents].
    """
    most = max(1, min(components, len(codes) // LEAST_IMAGES))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of a collapsed model: equal rows
        found = KMeans(most, n_init=1, random_state=seed).fit(codes)
    members, centres = found.labels_.astype(np.int64), found.cluster_centers_
    alive = np.ones(most, bool)
    while True:
        counts = np.bincount(members, minlength=most)
        counts[~alive] = len(codes) + 1
        smallest = int(counts.argmin())
        if counts[smallest] >= LEAST_IMAGES or alive.sum() == 1:
            break
        alive[smallest] = False
        rows = members == smallest
        distances = np.square(codes[rows][:, None] - centres[alive]).sum(axis=2)
        members[rows] = np.flatnonzero(alive)[distances.argmin(axis=1)]
    members = np.cumsum(alive)[members] - 1
    return members, np.stack([codes[members == k].mean(axis=0) for k in range(int(alive.sum()))])


def principal_factor(covariance: Float64, rank: int) -> Float64:
    """The first ``rank`` principal axes as rows, each as long as the deviation along it."""
    values, vectors = np.linalg.eigh(covariance)
    values, axes = values[::-1][:rank], vectors.T[::-1][:rank]
    # An axis has no sign of its own; the largest coordinate is made positive.
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    factor: Float64 = np.sqrt(np.maximum(values, 0.0))[:, None] * axes * np.sign(largest)
    return factor


def _require_codes(
    codes: NDArray[np.floating], logvar: NDArray[np.floating], labels: Labels
) -> None:
    if codes.ndim != 2 or codes.shape != logvar.shape or labels.shape != codes.shape[:1]:
        raise ValueError(
            f"codes {list(codes.shape)}, logvar {list(logvar.shape)}, labels {list(labels.shape)}; "
            "expected [n, latents], the same, and [n]"
        )
    if not (np.isfinite(codes).all() and np.isfinite(logvar).all()):
        raise ValueError("codes, logvar: not finite everywhere")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < 0:
        raise ValueError(f"labels: {labels.dtype}; expected whole numbers from 0")
    counts = np.bincount(labels, minlength=1)
    if counts.min() < 2 * LEAST_IMAGES:
        raise ValueError(
            f"labels: {counts.min()} images of class {counts.argmin()}; expected at least "
            f"{2 * LEAST_IMAGES}"
        )
