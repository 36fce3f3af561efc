"""``digitvae generate``: any number of new digits, as fast as the processors allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from digitvae.cli import options
from digitvae.cli.numbers import MAX_COUNT, MAX_SEED

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK = 16_384
"""Images made at a time (12 MiB): enough for every thread, little enough for a moving bar."""


class _CountCommand(click.Command):
    """A command whose negative COUNT is told from an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for before, word in zip(["", *args], args, strict=False):
            if word[:1] == "-" and word[1:2].isdigit() and not before.startswith("-"):
                raise click.BadParameter(f"{word} is not 1 or more", ctx=ctx, param_hint="'COUNT'")
        return super().parse_args(ctx, args)


@click.command(cls=_CountCommand)
@click.argument("count", type=options.WholeNumber(1, MAX_COUNT))
@options.output("digits.npy")
@options.seed
@options.first
@options.threads
@options.dtype
@options.output_format
@options.columns
@options.scale
@options.bundle
@options.force
@options.as_json
@options.quiet
def generate(
    *,
    count: int,
    output: str,
    seed: int,
    first: int,
    threads: int | None,
    dtype: options.PixelType,
    output_format: str | None,
    columns: int | None,
    scale: int | None,
    bundle: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Generate COUNT new digits, such as 10_000.

    The extension of PATH says what is written: .npy, .npz, .idx, .idx.gz, .raw, a contact sheet
    (.png), or, without extension, a folder of PNGs.

    Digit I of a seed is the same whatever COUNT, --first and --threads are: a large set can be
    made in parts, on several machines.
    """
    from digitvae.cli.progress import progress
    from digitvae.cli.result import Report
    from digitvae.sinks import format_of, open_sink

    report = Report("generate", output, as_json=as_json, quiet=quiet)
    kind = format_of(output, output_format)
    if first + count - 1 > MAX_SEED:
        raise ValueError(f"the last index, {first + count - 1:,}, is more than {MAX_SEED:,}")

    from digitvae.engine import load

    model = load(bundle)
    with (
        open_sink(
            output,
            count=count,
            format=kind,
            dtype=dtype,
            first=first,
            height=model.height,
            width=model.width,
            columns=columns,
            scale=scale,
            force=force,
        ) as sink,
        progress("generating", count, quiet=quiet) as advance,
    ):
        size = model.pixels * (1 if dtype == "uint8" else 4)
        # A bytearray, not an array: importing NumPy takes longer than ten thousand digits.
        memory = memoryview(bytearray(min(count, _CHUNK) * size))
        for start in range(0, count, _CHUNK):
            number = min(_CHUNK, count - start)
            part = memory[: number * size]
            numbers = part if dtype == "uint8" else part.cast("f")
            model.sample_into(numbers, seed=seed, first=first + start, threads=threads)
            sink.write(part)
            advance(number)
    details = {"format": kind, "dtype": dtype, "seed": seed, "first": first}
    report.finish(model, "digits", count, details)
