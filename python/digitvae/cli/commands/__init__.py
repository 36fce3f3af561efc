"""All commands, each imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from digitvae import __version__

# To add a command: a file NAME.py beside this one, with a click command NAME that has --json, and
# examples in its epilog; its name here; tests in tests/cli/. Help, completion and the reference on
# the site are made from this list.
NAMES = (
    "generate",
    "interpolate",
    "reconstruct",
    "encode",
    "decode",
    "check",
    "explore",
    "info",
    "data",
    "train",
    "export",
    "verify",
    "evaluate",
    "classifier",
    "completion",
)
"""The commands, in the order of their use."""


class _Commands(click.Group):
    """The group of commands, with Ctrl-C left to ``main``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in NAMES:
            return None
        # One command needs one module; all of them would slow every start.
        command: click.Command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # Click would print an empty line and turn it into its own Abort.
            raise SystemExit(130) from None


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  digitvae generate 10_000 --seed 7 -o digits.npy   new digits
  digitvae train --out RUN                          a model of one's own
  digitvae export RUN --out DIR                     as a bundle, for all other commands
  digitvae verify DIR                               does it compute what PyTorch does?
  digitvae generate --help                          all about one command

A bundle is data: no command runs code from it, unless told so by verify --trust.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
""",
)
@click.version_option(__version__, prog_name="digitvae", message="%(prog)s %(version)s")
def app() -> None:
    """Generate handwritten digits, and train, export and verify the network that does it."""
