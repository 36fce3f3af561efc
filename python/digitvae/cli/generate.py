"""``digitvae generate``: any number of new digits, as fast as the processors allow."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from digitvae.cli import options

_CHUNK = 16_384
"""Images made at a time (12 MiB): enough for every thread, little enough for a moving bar."""


class _CountCommand(TyperCommand):
    """A command whose negative COUNT is told from an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for before, word in zip(["", *args], args, strict=False):
            if word[:1] == "-" and word[1:2].isdigit() and not before.startswith("-"):
                raise typer.BadParameter(f"{word} is not 1 or more", param_hint="COUNT")
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="generate", cls=_CountCommand)(generate)


def generate(
    *,
    count: Annotated[
        int,
        typer.Argument(
            metavar="COUNT",
            parser=options.whole_number(1, options.MAX_COUNT),
            help="How many digits, such as 10_000.",
        ),
    ],
    output: options.Output = "digits.npy",
    seed: options.Seed = 0,
    first: options.First = 0,
    threads: options.Threads = None,
    dtype: options.PixelType = "uint8",
    output_format: options.OutputFormat = None,
    columns: options.Columns = None,
    scale: options.Scale = None,
    bundle: options.BundleFolder = None,
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Generate new digits.

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
    if first + count - 1 > options.MAX_SEED:
        raise typer.BadParameter(f"the last index, {first + count - 1:,}, does not fit 64 bits")

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
    report.finish(
        model, "digits", count, {"format": kind, "dtype": dtype, "seed": seed, "first": first}
    )
