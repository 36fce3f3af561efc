"""``digitvae interpolate``: the way from one digit to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from digitvae.cli import options
from digitvae.cli.images import ImageOutput, image_output

if TYPE_CHECKING:
    from digitvae.data.sets import Split
    from digitvae.engine.model import Model


@click.command(
    epilog="""\b
Examples:
  digitvae interpolate --from 3 --to 8 -o strip.png
  digitvae interpolate --from 3 --to 8 --method slerp --steps 9 --scale 4 --force
  digitvae interpolate --from 4 --to 9 --pick 7       not typical ones: the eighth of each digit
  digitvae interpolate --from-index 18 --to-index 61 -o way.npy
""",
)
@options.number("--from", "from_digit", low=0, high=9, metavar="DIGIT", help="Digit to start at.")
@options.number("--to", "to_digit", low=0, high=9, metavar="DIGIT", help="Digit to end at.")
@options.number(
    "--pick",
    low=0,
    high=9999,
    help="Which test image of the digits, from 0; by default a typical one.",
)
@options.number("--from-index", low=0, high=9999, help="Instead of --from: a test image.")
@options.number("--to-index", low=0, high=9999, help="Instead of --to: a test image.")
@options.number("--steps", low=2, high=1 << 20, default=16, help="Images, both ends included.")
@click.option(
    "--method",
    type=click.Choice(["lerp", "slerp"]),
    default="lerp",
    show_default=True,
    help="Straight line, or great circle.",
)
@image_output("strip.png")
@options.data
def interpolate(
    *,
    from_digit: int | None,
    to_digit: int | None,
    pick: int | None,
    from_index: int | None,
    to_index: int | None,
    steps: int,
    method: Literal["lerp", "slerp"],
    data: Path | None,
    to: ImageOutput,
) -> None:
    """Turn one digit into another, step by step.

    Two test images are encoded, and the way from the mean of the one to the mean of the other is
    decoded. Unless told otherwise, they are the most typical ones of their digits: those whose
    means are closest to the average of all.
    """
    _require_one("from", from_digit, from_index)
    _require_one("to", to_digit, to_index)

    model, test = to.model, to.test_set(data)
    start = _choose(model, test, from_digit, from_index, pick)
    end = _choose(model, test, to_digit, to_index, pick)
    mu = model.encode(test.images[[start, end]], threads=to.threads).mu
    images = model.interpolate(
        mu[0], mu[1], steps, method=method, dtype=to.dtype, threads=to.threads
    )
    columns = to.columns or (steps if to.is_sheet else None)
    with to.open("interpolating", steps, columns=columns) as (sink, _):
        sink.write(memoryview(images))
    details = {
        "method": method,
        "from": {"index": start, "label": int(test.labels[start])},
        "to": {"index": end, "label": int(test.labels[end])},
    }
    to.finish(f"images from {test.labels[start]} to {test.labels[end]}", steps, details)


def _require_one(end: str, digit: int | None, index: int | None) -> None:
    if (digit is None) == (index is None):
        raise click.BadParameter(f"give either --{end} DIGIT or --{end}-index N")


def _choose(
    model: Model, test: Split, digit: int | None, index: int | None, pick: int | None
) -> int:
    """Index of the test image that the options name."""
    if digit is None:
        assert index is not None
        if index >= len(test.labels):
            raise click.BadParameter(f"there are {len(test.labels)} test images, no index {index}")
        return index
    indices = (test.labels == digit).nonzero()[0]
    if not len(indices):
        raise click.BadParameter(f"there are no test images of {digit}")
    if pick is None:
        mu = model.encode(test.images[indices]).mu
        pick = int(((mu - mu.mean(axis=0)) ** 2).sum(axis=1).argmin())
    if pick >= len(indices):
        raise click.BadParameter(
            f"there are {len(indices)} test images of {digit}, no {pick}", param_hint="'--pick'"
        )
    return int(indices[pick])
