"""``digitvae generate``: any number of new digits, as fast as the processors allow."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from digitvae.cli import options
from digitvae.cli.generating import Request
from digitvae.cli.numbers import MAX_COUNT


class _CountCommand(TyperCommand):
    """A command whose negative COUNT is told from an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # typer's own context, or click's
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
            parser=options.whole_number(1, MAX_COUNT),
            help="How many digits, such as 10_000.",
        ),
    ],
    output: options.Output = Request.output,
    seed: options.Seed = Request.seed,
    first: options.First = Request.first,
    threads: options.Threads = Request.threads,
    dtype: options.PixelType = Request.dtype,
    output_format: options.OutputFormat = None,
    columns: options.Columns = Request.columns,
    scale: options.Scale = Request.scale,
    bundle: options.BundleFolder = Request.bundle,
    force: options.Force = Request.force,
    as_json: options.AsJson = Request.as_json,
    quiet: options.Quiet = Request.quiet,
) -> None:
    """Generate new digits.

    The extension of PATH says what is written: .npy, .npz, .idx, .idx.gz, .raw, a contact sheet
    (.png), or, without extension, a folder of PNGs.

    Digit I of a seed is the same whatever COUNT, --first and --threads are: a large set can be
    made in parts, on several machines.
    """
    from digitvae.cli import generating

    generating.generate(
        Request(
            count=count,
            output=output,
            seed=seed,
            first=first,
            threads=threads,
            dtype=dtype,
            output_format=output_format,
            columns=columns,
            scale=scale,
            bundle=bundle,
            force=force,
            as_json=as_json,
            quiet=quiet,
        )
    )
