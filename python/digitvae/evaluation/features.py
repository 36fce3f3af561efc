"""Two sets of pictures compared by the feature vectors that a classifier gives them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NEIGHBOURS = 3
_ROWS = 1000


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


def precision_recall(
    real: NDArray[np.floating], generated: NDArray[np.floating], k: int = NEIGHBOURS
) -> tuple[float, float]:
    """Improved precision and recall: are samples realistic, and do they cover what is real?

    The manifold of a set is the union of balls around its points, each as large as the distance
    to the point's k-th nearest neighbour in the set, itself not counted (Kynkäänniemi et al. 2019,
    equations 1 and 2).

    Args:
        real: Features [n, d], n > k.
        generated: Features [m, d], m > k.
        k: At least 1.

    Returns:
        ``(precision, recall)``, shares in [0, 1]: of the generated, those that lie in the manifold
        of the real ones; of the real, those that lie in the manifold of the generated ones.

    Raises:
        ValueError: Too few vectors for k, or different dimensions.
    """
    if k < 1 or min(len(real), len(generated)) <= k or real.shape[1:] != generated.shape[1:]:
        raise ValueError(
            f"features: {list(real.shape)} and {list(generated.shape)} for k = {k}; expected more "
            "than k ≥ 1, of one dimension"
        )
    a, b = torch.tensor(real).double(), torch.tensor(generated).double()
    return _share_within(b, a, k), _share_within(a, b, k)


def _share_within(points: Tensor, manifold: Tensor, k: int) -> float:
    """Share of points in at least one ball of the manifold."""
    # The nearest to a point is itself, at distance zero.
    radii = torch.cat(
        [
            torch.cdist(rows, manifold).kthvalue(k + 1, dim=1).values
            for rows in torch.split(manifold, _ROWS)
        ]
    )
    inside = 0
    for rows in torch.split(points, _ROWS):
        inside += int((torch.cdist(rows, manifold) <= radii).any(dim=1).sum())
    return inside / len(points)
