"""Options that several commands have in common, and the types of value that they accept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from digitvae.cli.numbers import MAX_COUNT, MAX_SEED, parse_digits, parse_whole
from digitvae.output.formats import FORMATS, able

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # generic for type checkers only

Command = TypeVar("Command", bound="Callable[..., Any]")

PATH = click.Path(path_type=Path)
"""A path that the command itself looks at, so that its errors are the library's own."""


class Parsed(ParamType):
    """Values that a function makes of text.

    Args:
        name: What they are.
        parse: Its ValueError becomes click's usage error, which names the option.
    """

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value; click converts defaults too, which need not be text."""
        try:
            return self._parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def whole_number(low: int, high: int) -> Parsed:
    """Whole numbers in [low, high], as 10000, 10_000 or 10,000."""
    return Parsed("integer", partial(parse_whole, low=low, high=high))


def number(
    *flags: str,
    low: int,
    high: int,
    help: str,  # noqa: A002 (click's own name for it)
    default: int | None = None,
    metavar: str = "N",
) -> Callable[[Command], Command]:
    """An option that takes a whole number in [low, high]."""
    return click.option(
        *flags,
        type=whole_number(low, high),
        default=default,
        show_default=default is not None,
        metavar=metavar,
        help=help,
    )


def complete_words(*words: str) -> Callable[..., list[str]]:
    """Has a shell complete values that the command itself checks, alone or in a list."""

    def complete(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        before, comma, begun = incomplete.rpartition(",")
        return [f"{before}{comma}{word}" for word in words if word.startswith(begun)]

    return complete


complete_dataset = complete_words("mnist", "fashion-mnist")


def output(default: str) -> Callable[[Command], Command]:
    """The option for where to write."""
    return click.option(
        "--output",
        "-o",
        metavar="PATH",
        default=default,
        show_default=True,
        shell_complete=PATH.shell_complete,
        help="Where to write; '-': standard output.",
    )


def kind_option(*kinds: str) -> Callable[[Command], Command]:
    """The option for what to write, one of ``kinds``."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(kinds),
        help="Kind of output; by default the extension of PATH decides.",
    )


output_format = kind_option(*FORMATS)
force = click.option("--force", is_flag=True, help="Replace what exists.")
dtype = click.option(
    "--dtype",
    type=click.Choice(["uint8", "float32"]),
    default="uint8",
    show_default=True,
    help=f"Pixels: uint8, or float32 from 0 to 1 ({able(lambda kind: 'float32' in kind.pixels)}).",
)
columns = number("--columns", low=1, high=1 << 20, help="Contact sheet: images in a row.")
scale = number("--scale", low=1, high=64, help="Contact sheet: enlargement. [default: 2]")
padding = number(
    "--padding", low=0, high=1 << 10, help="Contact sheet: pixels around images. [default: 2]"
)
invert = click.option("--invert", is_flag=True, help="Contact sheet: black on white.")
shard_size = number(
    "--shard-size", low=1, high=MAX_COUNT, help="Write a folder of files of N images each."
)
engine = click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Who works: this machine, or a Ray cluster, on shards.",
)
address = click.option(
    "--address",
    metavar="HOST:PORT",
    help="Ray cluster: where it is. [default: RAY_ADDRESS, or on this machine]",
)
mixed_processors = click.option(
    "--mixed-processors",
    is_flag=True,
    help="Ray cluster: accept processors that round differently.",
)
again = number(
    "--again", low=0, high=1 << 20, help="Make N of the shards twice, by chance, and compare."
)
resume = click.option("--resume", is_flag=True, help="Make what is missing of a folder of shards.")
seed = number("--seed", low=0, high=MAX_SEED, default=0, help="Seed of the random numbers.")
first = number("--first", low=0, high=MAX_SEED, default=0, help="Index of the first image.")
prior = click.option(
    "--prior",
    type=click.Choice(["standard", "mixture"]),
    help="Where latents are drawn: N(0, I), or the bundle's mixture, which knows classes. "
    "[default: standard; mixture with --digit]",
)
digit = click.option(
    "--digit",
    type=Parsed("digits", parse_digits),
    metavar="SPEC",
    help="Classes, which the images take in turn: 7, 0-9, 1,3,5-7.",
)
per_digit = number(
    "--per-digit", low=1, high=MAX_COUNT, help="Images for each of SPEC, instead of COUNT."
)
test = number(
    "--test",
    low=1,
    high=MAX_COUNT,
    help="--format mnist: images of the test set. [default: a seventh of COUNT]",
)
truncation = click.option(
    "--truncation",
    type=float,
    default=1.0,
    show_default=True,
    metavar="T",
    help="Noise is multiplied by it, 0 to 1: less is plainer.",
)
threads = number("--threads", low=1, high=1024, help="Worker threads. [default: all processors]")
bundle = click.option(
    "--bundle", type=PATH, metavar="DIR", help="Bundle; by default the one that is shipped."
)
cluster_threads = number(
    "--threads",
    low=1,
    high=1024,
    help="Worker threads. [default: all processors; one for each worker of a cluster]",
)
data = click.option(
    "--data",
    type=PATH,
    metavar="DIR",
    help="Folder that holds the data set; by default the cache, filled when needed.",
)


def cluster(engine: str, address: str | None, *, mixed_processors: bool = False) -> str | None:
    """Address of the cluster that the options ask for; ``None``: none.

    Raises:
        UsageError: Some of them ask for a cluster, and ``--engine`` for none.
    """
    if engine == "ray":
        return address or "auto"
    for given, name in (
        (address is not None, "--address"),
        (mixed_processors, "--mixed-processors"),
    ):
        if given:
            raise click.UsageError(f"{name} is for --engine ray")
    return None


as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
quiet = click.option("--quiet", "-q", is_flag=True, help="No result line, no progress.")
