"""Images of no meaning, and outputs of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitvae.output import open_sink

Images = NDArray[Any]


def some_images(count: int, seed: int = 0) -> Images:
    """Random pixels with runs of black, so that nothing can be swapped without being seen."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 28, 28), np.uint8)
    return np.where(random.random(images.shape) < 0.5, 0, images).astype(np.uint8)


def write(path: Path, images: Images, chunk: int | None = None, **options: Any) -> None:
    """Write images in chunks, with labels where ``labels`` (int32) are given."""
    labels: Images | None = options.pop("labels", None)
    with open_sink(path, count=len(images), labels=labels is not None, **options) as sink:
        for start in range(0, len(images), chunk or len(images)):
            part = slice(start, start + (chunk or len(images)))
            marks = None if labels is None else memoryview(labels[part])
            sink.write(memoryview(images[part]), marks)
