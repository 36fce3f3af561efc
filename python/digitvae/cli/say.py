"""All that commands print passes here, or through tables.py and progress.py, which clean it too.

Whatever comes from a file can be part of it: a line of ours stays one line, and moves no cursor.
"""

from __future__ import annotations

import json
from typing import Any

import click

from digitvae.base.text import printable


def say(line: str, *, err: bool = False) -> None:
    """Print one line.

    Args:
        line: Without its end. A line end in it is shown as what it is, and not obeyed.
        err: To standard error, and not to standard output.
    """
    click.echo(printable(line), err=err)


def tell(line: str) -> None:
    """Print one line to standard error."""
    say(line, err=True)


def say_lines(text: str) -> None:
    """Print lines of our own, whose parts are clean: :class:`digitvae.base.tables.Table`."""
    for line in text.split("\n"):
        say(line)


def say_json(value: Any, *, indent: int | None = None) -> None:
    """Print an object as JSON.

    Args:
        value: Of JSON's types.
        indent: Blanks for each level; ``None``: all in one line, in ASCII.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=indent is None)
    lines = text.split("\n")  # none of which is within a string
    click.echo("\n".join(line if line.isprintable() else _json_escaped(line) for line in lines))


def _json_escaped(line: str) -> str:
    def escape(char: str) -> str:
        units = char.encode("utf-16-be", "surrogatepass").hex()
        return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))

    return "".join(char if char.isprintable() else escape(char) for char in line)
