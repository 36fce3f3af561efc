"""Options that several commands have in common, and the numbers that they accept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from digitvae.cli.numbers import MAX_SEED, parse_whole

if TYPE_CHECKING:
    from collections.abc import Callable


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers in [low, high] for typer, which names the option in errors."""

    def parse(text: str) -> int:
        try:
            # Typer parses defaults too, which are numbers already.
            return parse_whole(str(text), low, high)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return parse


def number_option(flag: str, low: int, high: int, help: str, metavar: str = "N") -> object:  # noqa: A002
    """A typer option that takes a whole number in [low, high]."""
    return typer.Option(flag, metavar=metavar, parser=whole_number(low, high), help=help)


Output = Annotated[
    str,
    typer.Option("--output", "-o", metavar="PATH", help="Where to write; '-': standard output."),
]
OutputFormat = Annotated[
    Literal["npy", "npz", "idx", "idx.gz", "png", "folder", "raw"] | None,
    typer.Option("--format", help="Kind of output; by default the extension of PATH decides."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists at PATH.")]
PixelType = Annotated[
    Literal["uint8", "float32"],
    typer.Option("--dtype", help="Pixels: uint8, or float32 from 0 to 1 (npy, npz, raw)."),
]
Columns = Annotated[
    int | None, number_option("--columns", 1, 1 << 20, "Contact sheet: images in a row.")
]
Scale = Annotated[
    int | None, number_option("--scale", 1, 64, "Contact sheet: enlargement. [default: 2]")
]
Seed = Annotated[int, number_option("--seed", 0, MAX_SEED, "Seed of the random numbers.")]
First = Annotated[int, number_option("--first", 0, MAX_SEED, "Index of the first image.")]
Threads = Annotated[
    int | None, number_option("--threads", 1, 1024, "Worker threads; by default all processors.")
]
BundleFolder = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="DIR", help="Bundle; by default the one that is shipped."),
]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder with the data set; by default the cache."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No result line, no progress.")]
