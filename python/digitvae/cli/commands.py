"""All commands, put together."""

from __future__ import annotations

from typing import Any

import click

from digitvae import __version__
from digitvae.cli.data import data
from digitvae.cli.decode import decode
from digitvae.cli.encode import encode
from digitvae.cli.export import export
from digitvae.cli.generate import generate
from digitvae.cli.info import info
from digitvae.cli.interpolate import interpolate
from digitvae.cli.reconstruct import reconstruct
from digitvae.cli.train import train
from digitvae.cli.verify import verify


class _Commands(click.Group):
    """The group of commands, in the order of their use, with Ctrl-C left to ``main``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # Click would print an empty line and turn it into its own Abort.
            raise SystemExit(130) from None


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="digitvae", message="%(prog)s %(version)s")
def app() -> None:
    """Generate handwritten digits, and train, export and verify the network that does it."""


for _command in (
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
    app.add_command(_command)
