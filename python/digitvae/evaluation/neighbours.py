"""Nearest training images: does a model generate, or repeat what it has seen?

Were samples copies, they would be nearer to their nearest training image than images that nobody
has trained on are. So the distances of samples are compared with those of test images.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Images = NDArray[np.uint8]

CLOSE = 0.01
"""Test images closer than this quantile of their own distances are called close."""

_ROWS = 500


class Nearest(NamedTuple):
    """For each of n images, which reference image is nearest, and how far that is.

    Attributes:
        place: int64 [n], in the reference.
        distance: float64 [n]: Euclidean, pixels in [0, 1].
    """

    place: NDArray[np.int64]
    distance: NDArray[np.float64]


@dataclass(frozen=True)
class Distances:
    """Distances to the nearest training image.

    Attributes:
        images: How many.
        median: Their median.
        low: Their 1 % quantile.
        close: Share of them that is below the 1 % quantile of the test images' distances.
        copies: How many are equal to a training image in every pixel.
    """

    images: int
    median: float
    low: float
    close: float
    copies: int

    def to_dict(self) -> dict[str, float | int]:
        """Ready for JSON."""
        return asdict(self)


def nearest(images: Images, reference: Images) -> Nearest:
    """Find each image's nearest one in a reference, by Euclidean distance of pixels.

    Args:
        images: uint8 [n, 28, 28].
        reference: uint8 [m, 28, 28], m ≥ 1.

    Raises:
        ValueError: The reference is empty.
    """
    if len(reference) == 0:
        raise ValueError("there is no reference image to be near to")
    known = torch.from_numpy(reference.reshape(len(reference), -1)).float()
    half = known.square().sum(dim=1).div_(2)
    found = []
    for first in range(0, len(images), _ROWS):
        rows = images[first : first + _ROWS]
        wanted = torch.from_numpy(rows.reshape(len(rows), -1)).float()
        # ‖a − b‖² is least where a·b − ‖b‖²/2 is greatest.
        found.append(torch.addmm(half, wanted, known.T, beta=-1).argmax(dim=1).numpy())
    place = np.concatenate(found)
    # What came out of a difference of large numbers in float32 chose; the distance is exact.
    difference = images.astype(np.float64) - reference[place]
    return Nearest(place, np.sqrt(np.square(difference / 255).sum(axis=(1, 2))))


def describe_distances(distance: NDArray[np.float64], of_test: NDArray[np.float64]) -> Distances:
    """Summarize distances next to those of test images.

    Args:
        distance: Of some images [n], n ≥ 1.
        of_test: Of test images [m], m ≥ 1.
    """
    return Distances(
        images=len(distance),
        median=float(np.median(distance)),
        low=float(np.quantile(distance, CLOSE)),
        close=float((distance < np.quantile(of_test, CLOSE)).mean()),
        copies=int((distance == 0).sum()),
    )
