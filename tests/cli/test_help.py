"""What ``--help`` says: of every command and option, with examples that are taken as they stand."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from digitvae.cli import commands
from digitvae.cli.commands import app

GROUP = click.Context(app, info_name="digitvae", max_content_width=100)


def command(name: str) -> click.Command:
    found = app.get_command(GROUP, name)
    assert found is not None
    return found


def context(name: str) -> click.Context:
    return click.Context(command(name), info_name=name, parent=GROUP)


def examples(text: str | None) -> list[str]:
    """The command lines of an epilog, without pipes, redirections and remarks."""
    assert text is not None
    assert text.startswith("\b\nExamples:\n")
    lines = text.partition("\n\n")[0].splitlines()[2:]
    assert lines
    assert all(line.startswith("  digitvae ") for line in lines)
    return [re.split(r" {2,}| [|>] ", line.strip())[0] for line in lines]


def test_the_list_of_commands_fits_a_terminal_and_cuts_no_summary() -> None:
    text = app.get_help(click.Context(app, info_name="digitvae", terminal_width=80))
    listed = text.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == list(commands.NAMES)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


@pytest.mark.parametrize("name", commands.NAMES)
def test_shells_show_whole_summaries(name: str) -> None:
    summary = command(name).get_short_help_str()  # cut after 45 letters, unless it is given as such
    assert summary.endswith(".")
    assert not summary.endswith("...")


@pytest.mark.parametrize("name", commands.NAMES)
def test_a_command_says_what_it_and_each_of_its_options_does(name: str) -> None:
    assert (command(name).help or "").splitlines()[0].endswith(".")
    for parameter in command(name).get_params(context(name)):
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[-1]}"
            assert parameter.help.endswith((".", "]")), f"{name} {parameter.opts[-1]}"


@pytest.mark.parametrize("name", commands.NAMES)
def test_arguments_are_explained(name: str) -> None:
    for parameter in command(name).get_params(context(name)):
        if isinstance(parameter, click.Argument):
            word = (parameter.metavar or parameter.name or "").strip("[]").upper()
            assert word in (command(name).help or "")


@pytest.mark.parametrize("name", ["", *commands.NAMES])
def test_examples_are_command_lines_that_are_taken(name: str) -> None:
    for example in examples(command(name).epilog if name else app.epilog):
        words = shlex.split(example)
        if name:
            assert words[1] == name
        if "--help" in words:
            continue
        # As click does before it calls the command: names, values, and what is required.
        command(words[1]).make_context(words[1], words[2:], parent=GROUP)


@pytest.mark.parametrize("name", ["", *commands.NAMES])
def test_help_is_no_wider_than_is_asked_for(name: str) -> None:
    shown = command(name) if name else app
    text = shown.get_help(click.Context(shown, info_name=f"digitvae {name}", terminal_width=100))
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\b\nExamples:\n  digitvae a b   why\n  digitvae c | d\n", ["digitvae a b", "digitvae c"]),
        ("\b\nExamples:\n  digitvae a > b\n\nMore.\n", ["digitvae a"]),
    ],
)
def test_examples_are_found_in_an_epilog(text: str, found: list[str]) -> None:
    assert examples(text) == found
