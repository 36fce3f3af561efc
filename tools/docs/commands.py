"""Every command and option as Markdown, from what click knows of them."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import click

from digitvae.cli.commands import app

if TYPE_CHECKING:
    from collections.abc import Iterator


def reference() -> str:
    """All commands, in the order of ``digitvae --help``, each with a heading and its options."""
    context = click.Context(app, info_name="digitvae", **app.context_settings)
    names = app.list_commands(context)
    commands = [app.get_command(context, name) for name in names]
    return "\n".join(
        "\n".join(_command(name, command, context))
        for name, command in zip(names, commands, strict=True)
        if command is not None
    )


def _command(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    yield f"## {name}\n"
    usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    yield f"```text\n{usage}\n```\n"
    yield from _prose(command.help or "")
    parameters = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    for option in parameters:
        yield from _entry(option, context)
    if command.epilog:
        yield from _prose(command.epilog)


def _entry(option: click.Option, context: click.Context) -> Iterator[str]:
    """An option as an item of a list of definitions."""
    record = option.get_help_record(context)
    choices = option.type.choices if isinstance(option.type, click.Choice) else ()
    metavar = "" if option.is_flag or choices else option.make_metavar(context)
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    text, _, default = (record[1] if record else option.help or "").partition("[default: ")
    what = [_escaped(text)]
    if choices:
        what.append(f"One of {', '.join(f'`{choice}`' for choice in choices)}.")
    if default:
        what.append(f"Default: {_escaped(default.removesuffix(']'))}.")
    yield f"{names} *{metavar}*" if metavar else names
    yield f":   {' '.join(what)}\n"


def _escaped(text: str) -> str:
    escaped = " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*")
    return re.sub(r"(?<![\w-])--[a-z][a-z-]*", lambda option: f"`{option[0]}`", escaped)


def _prose(text: str) -> Iterator[str]:
    r"""The paragraphs of a help text; those that begin with ``\b`` keep their lines."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        lines = [line.rstrip() for line in paragraph.strip("\n").splitlines()]
        if lines and lines[0].strip() == "\b":
            lines = lines[1:]
            if lines and lines[0].endswith(":") and not lines[0].startswith(" "):
                yield f"{_escaped(lines[0])}\n"
                lines = lines[1:]
            body = inspect.cleandoc("\n" + "\n".join(lines))
            yield f"```text\n{body}\n```\n"
        elif lines:
            yield f"{_escaped(paragraph)}\n"
