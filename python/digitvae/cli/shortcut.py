"""The short way to ``digitvae generate``: its plain uses, parsed without typer.

Importing typer, building its commands and (from 0.29 on) importing pydantic takes 0.13 s, longer
than making ten thousand digits. So a command line that leaves nothing to explain is parsed here.
Whatever else it may be (help, a typing error, a number out of range) goes to typer.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitvae.cli.generating import Request
from digitvae.cli.numbers import MAX_COUNT, MAX_SEED, parse_whole
from digitvae.sinks import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def _whole(low: int, high: int) -> Callable[[str], int]:
    return lambda text: parse_whole(text, low, high)


def _one_of(known: Iterable[str]) -> Callable[[str], str]:
    choices = frozenset(known)

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return parse


VALUES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "-o": ("output", str),
    "--output": ("output", str),
    "--seed": ("seed", _whole(0, MAX_SEED)),
    "--first": ("first", _whole(0, MAX_SEED)),
    "--threads": ("threads", _whole(1, 1024)),
    "--dtype": ("dtype", _one_of(("uint8", "float32"))),
    "--format": ("output_format", _one_of(FORMATS)),
    "--columns": ("columns", _whole(1, 1 << 20)),
    "--scale": ("scale", _whole(1, 64)),
    "--bundle": ("bundle", Path),
}
"""Options with a value: the field of ``Request`` they set, and how to read the value."""

FLAGS = {"--force": "force", "--json": "as_json", "-q": "quiet", "--quiet": "quiet"}
"""Options without a value: the field of ``Request`` they set."""


def parse(words: Sequence[str]) -> Request | None:
    """The request that a command line makes, or ``None`` if typer has to look at it.

    Args:
        words: What follows the program's name.
    """
    if list(words[:1]) != ["generate"]:
        return None
    given: dict[str, Any] = {}
    counts = []
    rest = iter(words[1:])
    try:
        for word in rest:
            if word in FLAGS:
                given[FLAGS[word]] = True
            elif word in VALUES:
                value = next(rest)
                if value.startswith("-") and value != "-":
                    return None
                field, convert = VALUES[word]
                given[field] = convert(value)
            elif word.startswith("-"):
                return None
            else:
                counts.append(parse_whole(word, 1, MAX_COUNT))
        (count,) = counts
    except (StopIteration, ValueError):
        return None
    return Request(count=count, **given)
