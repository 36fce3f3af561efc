"""Sheets of images, for people: they show what the numbers are about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]

COLUMNS = 20
_GAP = 2


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
