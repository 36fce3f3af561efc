"""Digits as a ``ray.data.Dataset``: made where and when they are used, and stored nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from digitvae.base.arguments import (
    PixelType,
    PriorName,
    check_count,
    check_first,
    pixel_type,
    whole,
)
from digitvae.bundle.folder import Bundle
from digitvae.engine.model import load
from digitvae.engine.sampling import LatentSource
from digitvae.generation.ray.cluster import ray_package
from digitvae.generation.ray.workers import DataWork, recipe_of, sample

_BLOCK_DIGITS = 16_384
"""13 MB of uint8 images: a block takes a hundred times as long to make as to hand over."""
_MOST_BLOCK_DIGITS = 1 << 20


def dataset(
    n: int,
    *,
    seed: int = 0,
    first: int = 0,
    prior: PriorName = "standard",
    digit: int | Sequence[int] | None = None,
    truncation: float = 1.0,
    dtype: PixelType = "uint8",
    bundle: str | Path | Bundle | None = None,
    block_size: int = _BLOCK_DIGITS,
    same_bits: bool = True,
) -> Any:
    """Digits ``first … first+n−1`` of a seed, for whoever trains on them directly.

    Call ``ray.init`` first, to say which cluster; otherwise Ray begins one on this machine.

    Args:
        n: Number of images, at least 1.
        seed: 0 … 2⁶⁴−1.
        first: Index of the first image, 0 … 2⁶⁴−n.
        prior: ``"standard"``, z ~ N(0, I), or ``"mixture"``, whose images have labels.
        digit: A class, or several that the images take in turn (and so the mixture).
        truncation: 0 … 1, what the noise is multiplied by.
        dtype: ``"uint8"``, or ``"float32"`` from 0 to 1.
        bundle: As for :func:`digitvae.load`; other machines get it through Ray.
        block_size: Images that are made at a time, by one processor, 1 … 2²⁰.
        same_bits: Whether to refuse machines whose processors round differently.

    Returns:
        A ``ray.data.Dataset`` with the columns ``image`` ([28, 28] of ``dtype``), ``index``
        (uint64) and, of a mixture, ``label`` (int64). Nothing is made before it is read.

    Raises:
        ClusterError: Ray is not installed.
        BundleError: The mixture is asked for, and the bundle has none.
        TypeError: An argument is of another type.
        ValueError: An argument is out of its range.
    """
    n = check_count(n)
    source = LatentSource.asked(seed, prior, digit, truncation)
    first = check_first(first, n)
    block_size = whole(block_size, "block_size", 1, _MOST_BLOCK_DIGITS)
    dtype = pixel_type(dtype)
    ray_package()
    import ray.data

    model = load(bundle)
    model.check(source)
    work = DataWork(recipe_of(model, same_bits=same_bits), source, first, dtype)
    blocks = -(-n // block_size)
    indices = ray.data.range(n, override_num_blocks=blocks)
    make = partial(sample, work=work)
    return indices.map_batches(make, batch_size=None, batch_format="numpy", num_cpus=1)
