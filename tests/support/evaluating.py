"""Evaluations that take little time, and bundles to evaluate."""

from __future__ import annotations

from pathlib import Path

from digitvae.bundle.names import PRIOR
from digitvae.evaluation.options import settings
from tests.support.bundles import altered

SMALL = settings(
    draws=300,
    bounds=((1, 200), (8, 40)),
    precision_recall=200,
    neighbours=50,
    latents=200,
    paths=12,
    steps=5,
)


def changed(bundle: Path, folder: Path, **entries: object) -> Path:
    """A copy of a bundle without a prior, whose manifest has other entries."""
    return altered(bundle, folder, {PRIOR: None}, **entries)
