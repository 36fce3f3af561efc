"""All commands, put together by typer."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from digitvae import __version__
from digitvae.cli import (
    data,
    decode,
    encode,
    export,
    generate,
    info,
    interpolate,
    reconstruct,
    train,
    verify,
)

_INTERRUPTED = 130


class _Commands(TyperGroup):
    """The group of commands, with Ctrl-C ending every one of them as the shell expects."""

    def invoke(self, ctx: Any) -> Any:  # typer's own context, or click's
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # Some versions of typer would print "Aborted!" and exit with 1.
            raise SystemExit(_INTERRUPTED) from None


app = typer.Typer(
    name="digitvae",
    cls=_Commands,
    help="Generate handwritten digits, and train, export and verify the network that does it.",
    no_args_is_help=True,
    # Plain text: rich would double the time of --help.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"digitvae {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


for _module in (
    generate,
    interpolate,
    reconstruct,
    encode,
    decode,
    info,
    data,
    train,
    export,
    verify,
):
    _module.register(app)
