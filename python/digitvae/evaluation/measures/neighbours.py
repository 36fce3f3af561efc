"""Nearest training images: does a model generate, or repeat what it has seen?

Were samples copies, they would be nearer to their nearest training image than images that nobody
has trained on are. So the distances of samples are compared with those of test images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from digitvae.base.tables import Table
from digitvae.evaluation.measure import Inputs, Measure, table
from digitvae.evaluation.pictures import COLUMNS, pairs
from digitvae.evaluation.report import MIXTURE, STANDARD, TEST, EvaluationReport, Picture
from digitvae.evaluation.settings import Size

Images = NDArray[np.uint8]

NEIGHBOURS = Size("neighbours", 2000, 500, "images for their nearest training images")
"""At most so many of each source."""

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


def nearest(images: Images, reference: Images) -> Nearest:
    """Find each image's nearest one in a reference, by Euclidean distance of pixels.

    Args:
        images: uint8 [n, height, width].
        reference: uint8 [m, height, width], m ≥ 1.

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


def _compute(inputs: Inputs) -> dict[str, Distances]:
    """Of what the model has not seen: test images, and samples."""
    reference = inputs.splits["train"].images
    found: dict[str, Distances] = {}
    of_test: NDArray[np.float64] | None = None
    for name in (TEST, STANDARD, MIXTURE):
        if name not in inputs.sources:
            continue
        inputs.begin(f"nearest training images of {name}")
        images = inputs.sources[name].images[: inputs.settings[NEIGHBOURS]]
        near = nearest(images, reference)
        of_test = near.distance if of_test is None else of_test
        found[name] = describe_distances(near.distance, of_test)
        if name != TEST:
            inputs.sheets.append(partial(_closest, name, images, reference, near))
    return found


def _closest(name: str, images: Images, reference: Images, near: Nearest) -> Picture:
    closest = np.argsort(near.distance, kind="stable")[:COLUMNS]
    return Picture(
        f"Nearest training images, {name}",
        f"The {len(closest)} samples of {len(images):,} that are closest to a training image, each "
        "above that image.",
        pairs(images[closest], reference[near.place[closest]]),
    )


def _tables(report: EvaluationReport) -> list[Table]:
    return [
        table(
            "Distance to the nearest training image",
            "source",
            {
                "images": ("images", ",d"),
                "median": ("median", ",.2f"),
                "1 % quantile": ("low", ",.2f"),
                "closer than 1 % of test": ("close", ".2%"),
                "copies": ("copies", "d"),
            },
            {name: report.neighbours.get(name) for name in (TEST, STANDARD, MIXTURE)},
        )
    ]


MEASURE = Measure(
    "neighbours",
    _compute,
    _tables,
    steps=lambda inputs: 2 + inputs.has_mixture,
    sizes=(NEIGHBOURS,),
)
