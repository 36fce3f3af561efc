"""Sheets of images, for people: what the numbers are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from digitvae.evaluation.report import MIXTURE, RECONSTRUCTIONS, STANDARD, TEST, Picture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from digitvae.evaluation.neighbours import Nearest
    from digitvae.evaluation.report import Source
    from digitvae.evaluation.subject import Subject

    Images = NDArray[np.uint8]

STANDARD_SAMPLES = "Samples, z drawn from N(0, I)"
MIXTURE_SAMPLES = "Samples of each class, z drawn from the mixture"
"""Titles of the sheets of samples; the second exists only if the bundle has a mixture."""

COLUMNS = 20
_ROWS = 8
_GAP = 2
_PATHS = 10
_DIGITS = 10


def draw(
    subject: Subject,
    sources: Mapping[str, Source],
    paths: Images,
    neighbours: Mapping[str, Nearest],
    reference: Images,
) -> tuple[Picture, ...]:
    """All sheets of an evaluation.

    Args:
        subject: Makes samples of each digit, if it has a mixture.
        sources: Images that were measured.
        paths: Interpolations, uint8 [paths, steps, 28, 28].
        neighbours: Nearest reference images of the first images of some sources.
        reference: The training images.
    """
    count = COLUMNS * _ROWS
    pictures = [
        Picture(
            STANDARD_SAMPLES,
            "The first ones, not chosen.",
            grid(sources[STANDARD].images[:count], COLUMNS),
        )
    ]
    if subject.has_mixture:
        images, _ = subject.mixture(COLUMNS * _DIGITS, 0, list(range(_DIGITS)))
        # Image i is of digit i mod 10.
        by_digit = images.reshape(COLUMNS, _DIGITS, *images.shape[1:]).swapaxes(0, 1)
        pictures.append(
            Picture(
                MIXTURE_SAMPLES,
                "A row for each class, in order. The first ones, not chosen.",
                grid(by_digit.reshape(images.shape), COLUMNS),
                tuple(str(digit) for digit in range(_DIGITS)),
            )
        )
    pictures.append(
        Picture(
            "Reconstructions",
            "Test images, each above the decoded mean of its posterior.",
            pairs(sources[TEST].images[: 3 * COLUMNS], sources[RECONSTRUCTIONS].images),
        )
    )
    pictures.append(
        Picture(
            "Interpolations",
            "Straight lines between the posterior means of two test images.",
            grid(paths[:_PATHS].reshape(-1, *paths.shape[2:]), paths.shape[1]),
        )
    )
    for name in (STANDARD, MIXTURE):
        if name in neighbours:
            found = neighbours[name]
            closest = np.argsort(found.distance, kind="stable")[:COLUMNS]
            pictures.append(
                Picture(
                    f"Nearest training images, {name}",
                    f"The {len(closest)} samples of {len(found.distance):,} that are closest to a "
                    "training image, each above that image.",
                    pairs(sources[name].images[closest], reference[found.place[closest]]),
                )
            )
    return tuple(pictures)


def grid(images: Images, columns: int) -> Images:
    """Images in rows, with gaps between and around them.

    Args:
        images: uint8 [n, h, w], n ≥ 1; the last row may be shorter.
        columns: Images in a row.
    """
    n, height, width = images.shape
    rows = -(-n // columns)
    sheet = np.zeros(
        (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP), dtype=np.uint8
    )
    for i, image in enumerate(images):
        top = _GAP + i // columns * (height + _GAP)
        left = _GAP + i % columns * (width + _GAP)
        sheet[top : top + height, left : left + width] = image
    return sheet


def pairs(above: Images, below: Images) -> Images:
    """Rows of images, each above its counterpart.

    Args:
        above: uint8 [n, h, w].
        below: The first n of it belong to these.
    """
    rows = []
    for first in range(0, len(above), COLUMNS):
        part = slice(first, min(first + COLUMNS, len(above)))
        both = np.concatenate([above[part], below[part]])
        rows.append(grid(both, part.stop - part.start))
    width = rows[0].shape[1]
    return np.concatenate([np.pad(row, ((0, 0), (0, width - row.shape[1]))) for row in rows])
