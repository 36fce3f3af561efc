"""Evaluations that take little time, and bundles to evaluate."""

from __future__ import annotations

import shutil
from pathlib import Path

from digitvae.bundle.folder import Bundle, write_manifest
from digitvae.bundle.names import PRIOR
from digitvae.evaluation.options import settings

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
    shutil.copytree(bundle, folder)
    manifest = Bundle.open(folder).manifest
    manifest["files"].pop(PRIOR, None)
    write_manifest(folder, manifest | entries)
    return folder
