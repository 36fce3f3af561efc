"""Improved precision and recall: are samples realistic, and do they cover what is real?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NEIGHBOURS = 3
_ROWS = 1000


class PrecisionRecall(NamedTuple):
    """Two shares, each in [0, 1].

    Attributes:
        precision: Of the generated, those that lie in the manifold of the real ones.
        recall: Of the real, those that lie in the manifold of the generated ones.
    """

    precision: float
    recall: float


def precision_recall(
    real: NDArray[np.floating], generated: NDArray[np.floating], k: int = NEIGHBOURS
) -> PrecisionRecall:
    """Compare two sets of feature vectors.

    The manifold of a set is the union of balls around its points, each as large as the distance
    to the point's k-th nearest neighbour in the set, itself not counted (Kynkäänniemi et al. 2019,
    equations 1 and 2).

    Args:
        real: Features [n, d], n > k.
        generated: Features [m, d], m > k.
        k: At least 1.

    Raises:
        ValueError: Too few vectors for k, or different dimensions.
    """
    if k < 1 or min(len(real), len(generated)) <= k or real.shape[1:] != generated.shape[1:]:
        raise ValueError(
            f"features: {list(real.shape)} and {list(generated.shape)} for k = {k}; expected more "
            "than k ≥ 1, of one dimension"
        )
    a, b = torch.tensor(real).double(), torch.tensor(generated).double()
    return PrecisionRecall(_share_within(b, a, k), _share_within(a, b, k))


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
