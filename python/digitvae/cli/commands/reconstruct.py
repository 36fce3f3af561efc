"""``digitvae reconstruct``: what is left of images after encoding and decoding."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from digitvae.cli import numbers, options
from digitvae.cli.images import ImageOutput, image_output

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from digitvae.data.rows import Rows

    Array = NDArray[Any]

_DEFAULT_COUNT = 16
_COLUMNS = 16


@click.command(
    short_help="Encode images, decode the means, and show both.",
    epilog="""\b
Examples:
  digitvae reconstruct --count 16 -o pairs.png               of the first test images
  digitvae reconstruct --count 64 --seed 3 --columns 16      of random ones
  digitvae reconstruct mine.png -o mine-again.png            of an image of one's own
  digitvae reconstruct digits.npy -o again.npy               without a picture
""",
)
@click.argument("images", type=options.PATH, required=False)
@options.number(
    "--count",
    low=1,
    high=numbers.MAX_COUNT,
    help="How many; by default 16 test images, or all of IMAGES.",
)
@options.first
@options.number("--seed", low=0, high=numbers.MAX_SEED, help="Take images at random instead.")
@image_output("pairs.png", dtype=False)
@options.data
def reconstruct(
    *,
    images: Path | None,
    count: int | None,
    first: int,
    seed: int | None,
    data: Path | None,
    to: ImageOutput,
) -> None:
    """Encode images, decode the means, and show both.

    IMAGES is an .npy, .npz, IDX or PNG file, or a folder of PNGs; by default test images are taken.

    A contact sheet (.png) has rows of images, each above a row of their reconstructions. Every
    other kind of output gets the reconstructions alone, in order.
    """
    if seed is not None and first:
        raise click.BadParameter("--first takes images in order, --seed at random: choose one")

    import numpy as np

    from digitvae.cli.inputs import CHUNK, chunks

    model, threads = to.model, to.threads
    origin, x = _select(to, images, data, count=count, first=first, seed=seed)
    total, across, step = len(x), None, CHUNK
    if to.is_sheet:
        across = to.columns or min(len(x), _COLUMNS)
        rows = -(-len(x) // across)
        total, step = 2 * rows * across, max(CHUNK // across, 1) * across
    columns, error = across or to.columns, 0.0
    with to.open("reconstructing", len(x), count=total, first=first, columns=columns) as (
        sink,
        advance,
    ):
        for _, chunk in chunks(origin, x, step):
            before = _as_uint8(chunk)
            after = model.decode(model.encode(chunk, threads=threads).mu, threads=threads)
            error += float(np.square((before - after.astype(np.float64)) / 255).sum())
            sink.write(memoryview(after if across is None else _pairs(before, after, across)))
            advance(len(chunk))
    details = {
        "input": str(origin),
        "seed": seed,
        "first": first if seed is None else None,
        "mean_squared_error": error / x.size,
    }
    to.finish(f"reconstructions, mean squared error {error / x.size:.4f},", len(x), details)


def _select(
    to: ImageOutput,
    images: Path | None,
    data: Path | None,
    *,
    count: int | None,
    first: int,
    seed: int | None,
) -> tuple[Path, Array | Rows]:
    """The images that the options name, and what errors call the place they are from."""
    from digitvae.cli.inputs import read_images

    model = to.model
    source: Array | Rows
    if images is None:
        origin, source = Path("test images"), to.test_set(data).images
        wanted = _DEFAULT_COUNT if count is None else count
    else:
        origin, source = images, read_images(images, model.height, model.width)
        wanted = len(source) - first if count is None else count
    if wanted < 1 or first + wanted > len(source):
        raise click.BadParameter(
            f"{origin}: {len(source):,} images, of which {max(wanted, 1):,} from index {first:,} "
            "on cannot be had; see --count and --first"
        )
    if seed is None:
        return origin, source[first : first + wanted]
    return origin, source[random.Random(seed).sample(range(len(source)), wanted)]


def _as_uint8(images: Array) -> Array:
    import numpy as np

    if images.dtype == np.uint8:
        return images
    return np.rint(images * np.float32(255)).astype(np.uint8)


def _pairs(before: Array, after: Array, columns: int) -> Array:
    """Rows of images, each above the row of their reconstructions; black where there is none."""
    import numpy as np

    count, height, width = before.shape
    rows = -(-count // columns)
    sheet = np.zeros((rows, 2, columns, height, width), np.uint8)
    for row in range(rows):
        part = slice(row * columns, min((row + 1) * columns, count))
        sheet[row, 0, : part.stop - part.start] = before[part]
        sheet[row, 1, : part.stop - part.start] = after[part]
    return sheet
