"""The Fréchet distance between two sets of feature vectors, taken for Gaussian."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def frechet_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """The squared 2-Wasserstein distance of the Gaussians with the moments of two sets.

        ‖m_a − m_b‖² + tr(C_a + C_b − 2·(C_a C_b)^½)

    Dowson & Landau 1982, equation 4; on features of a classifier as by Heusel et al. 2017
    (section 3, "FID"). Here the features are those of a classifier of digits, so the numbers cannot
    be compared with those of Inception networks.

    Args:
        a: Features [n, d], n ≥ 2.
        b: Features [m, d], m ≥ 2.

    Raises:
        ValueError: Fewer than two vectors, or different dimensions.
    """
    if min(len(a), len(b)) < 2 or a.shape[1:] != b.shape[1:]:
        raise ValueError(
            f"features: {list(a.shape)} and {list(b.shape)}; expected two or more, of one dimension"
        )
    a, b = a.astype(np.float64), b.astype(np.float64)
    covariance_a, covariance_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    covariance_a, covariance_b = np.atleast_2d(covariance_a), np.atleast_2d(covariance_b)
    # tr (AB)^½ = tr (A^½ B A^½)^½, of a symmetric matrix, which stays real when features that are
    # always zero make A or B singular.
    root = _root(covariance_a)
    eigenvalues = np.linalg.eigvalsh(root @ covariance_b @ root)
    overlap = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    shift = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    return float(shift + np.trace(covariance_a) + np.trace(covariance_b) - 2 * overlap)


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    result: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return result
