"""``digitvae completion``: what a shell needs to complete our commands, options and values."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_DIGITVAE_COMPLETE"
"""Set by the scripts when they ask the program how a line goes on; the name is click's choice."""


@click.command(
    short_help="Print a script that completes commands in bash, zsh or fish.",
    epilog="""\b
Examples:
  digitvae completion bash > ~/.local/share/bash-completion/completions/digitvae
  digitvae completion zsh > ~/.zfunc/_digitvae
  digitvae completion fish > ~/.config/fish/completions/digitvae.fish
""",
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(*, shell: str) -> None:
    """Print a script that completes commands, options and values of digitvae in SHELL.

    To keep it, write it where the shell looks, as the examples do, and start another shell. bash
    looks there if the package bash-completion is installed; zsh if ~/.zshrc has fpath+=~/.zfunc
    before compinit. Or have it read by the file that starts the shell, or at the prompt:

    \b
      eval "$(digitvae completion bash)"      ~/.bashrc, bash 4.4 or newer
      eval "$(digitvae completion zsh)"       ~/.zshrc, after compinit
      digitvae completion fish | source       ~/.config/fish/config.fish
    """  # noqa: D301 (click's own mark: what follows is not to be wrapped)
    from click.shell_completion import get_completion_class

    from digitvae.cli.commands import app

    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(app, {}, "digitvae", VARIABLE).source())
