"""Models of other sizes than the default ones, and these.

    python -m tests.support.sizes OUT

makes the bundle of ``glyphs`` in OUT, for the tests of the browser.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from digitvae.cli.app import main
from digitvae.data import idx
from digitvae.training.loop import TrainConfig

DIMS = TrainConfig().dims
"""Where a test needs some sizes, and it does not matter which."""

SMALL = DIMS._replace(latents=16, hidden=256)
GLYPHS = SMALL._replace(height=20, width=24)


def make_bundle(folder: Path, *options: str, data: tuple[str, ...] = ()) -> None:
    """Train a model of 16 latents and 256 hidden units for moments, and export it to OUT."""
    run = str(folder.with_name(f"{folder.name}-run"))
    sizes = ("--latents", str(SMALL.latents), "--hidden", str(SMALL.hidden))
    recipe = ("--precision", "float32", "--epochs", "3", "--warmup", "0", *options)
    assert main(["train", "--out", run, *sizes, *recipe, *data]) == 0
    assert main(["export", run, "--out", str(folder), "--quick", *data[2:]]) == 0


def make_small(folder: Path) -> None:
    """A bundle of MNIST."""
    make_bundle(folder, "--limit", "4096")


def make_glyphs(folder: Path) -> None:
    """A bundle of ten kinds of images of 20 × 24 pixels, and ``glyphs``, where these are."""
    data = folder.with_name("glyphs")
    data.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    for split, count in (("train", 900), ("t10k", 90)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = rng.integers(0, 20, (count, GLYPHS.height, GLYPHS.width), dtype=np.uint8)
        for image, label, (down, right) in zip(
            images, labels, rng.integers(0, 3, (count, 2)), strict=True
        ):
            top, left = down + label // 5 * 9, right + label % 5 * 4
            image[top : top + 8, left : left + 4] += 200
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            (data / f"{split}-{kind}-ubyte").write_bytes(idx.header(array.shape) + array.tobytes())
    make_bundle(folder, "--batch-size", "20", data=("--dataset", "glyphs", "--data", str(data)))


if __name__ == "__main__":
    make_glyphs(Path(sys.argv[1]))
