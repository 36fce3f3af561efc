"""The commands of shell blocks: run, or held against what there is.

``digitvae`` and ``python`` run, in the folder of their page, by a shell. A ``digitvae`` of plain
words, after which variables it may be, runs in this process, which has imported torch already.
Where a command would take long, it runs with options that make it short (`SHORT`). Of ``make``,
``pip install`` and our benchmarks it is checked that the target, the extra and the module exist.
Anything else needs a mark.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import click

from digitvae.cli.app import main
from digitvae.cli.commands import app
from tests.docs.blocks import ROOT, Block

SHORT = {
    "train": ("--epochs", "1", "--limit", "512"),
    "export": ("--quick", "--no-prior"),
    "verify": ("--quick",),
    "evaluate": ("--quick", "--draws", "200"),
}
"""What is added to commands that would take minutes. Of an option given twice the last counts."""
SECONDS = 240
# What a shell does more with than to split it, and what imports a module of the page's folder.
NEEDS_SHELL = re.compile(r"[|&;<>()$`*?~]| --torch ")


def commands(block: Block) -> list[str]:
    """The commands of a block; of a console, what follows the prompt."""
    joined = block.replaced.replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines()]
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        assert lines, f"{block.place}: a console without a command; output alone is `text`"
    without_comments = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return [line for line in without_comments if line]


def run_command(command: str, block: Block, folder: Path) -> None:
    """Run a command, or check what it names."""
    _, words = split_variables(shlex.split(command))
    match words:
        case ["digitvae", name, *_] if name in app.list_commands(click.Context(app)):
            parse_command(command, block)
            if "parse because" not in block.marks:
                _run(_insert(command, SHORT.get(name, ())), block, folder)
        case ["digitvae", *_]:
            _run(command, block, folder)
        case ["python", "-m", module, *_] if module.startswith("benchmarks."):
            assert importlib.util.find_spec(module), f"{block.place}: there is no {module}"
        case ["python", *_]:
            _run(command, block, folder)
        case ["make", *targets]:
            _check_targets(targets, block)
        case ["pip", "install", *wanted]:
            _check_extras(wanted, block)
        case _:
            raise AssertionError(f"{block.place}: nobody knows how to test {command!r}: mark it")


def parse_command(command: str, block: Block) -> None:
    """Whether a command of ours exists and has these options."""
    first = re.split(r" [|&;<>]", command)[0]
    name, *rest = shlex.split(first[first.index("digitvae ") :])[1:]
    context = click.Context(app, info_name="digitvae", **app.context_settings)
    found = app.get_command(context, name)
    assert found is not None, f"{block.place}: there is no command {name}"
    try:
        found.make_context(name, list(rest), parent=context)
    except click.exceptions.Exit:  # --help, --version
        return
    except click.UsageError as error:
        raise AssertionError(f"{block.place}: {command}: {error.format_message()}") from error


def _insert(command: str, added: tuple[str, ...]) -> str:
    """A command with options at the end of its own words, in front of any pipe."""
    parts = re.split(r"( [|&;<>].*)", command, maxsplit=1)
    return " ".join((parts[0], *added)) + "".join(parts[1:])


def _run(command: str, block: Block, folder: Path) -> None:
    variables, words = split_variables(shlex.split(command))
    if words[0] == "digitvae" and not NEEDS_SHELL.search(command):
        with patch.dict(os.environ, variables):
            code, said = run_here(words[1:], folder)
    else:
        code, said = run_by_shell(command, folder)
    assert code == 0, f"{block.place}: {command}\n{said}"


def split_variables(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """What a command sets in its environment, and the command."""
    start = next(i for i, word in enumerate(words) if not re.match(r"[A-Z_]+=", word))
    return dict(word.split("=", 1) for word in words[:start]), words[start:]


def run_here(words: list[str], folder: Path) -> tuple[int, str]:
    """Run the command line in this process; its exit code, and what it printed."""
    said, before = io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return main(words), said.getvalue()
    finally:
        os.chdir(before)


def run_by_shell(command: str, folder: Path) -> tuple[int, str]:
    """Run a command as a user does; its exit code, and what it printed last."""
    scripts = folder / ".bin"
    _programs(scripts)
    paths = (str(scripts), os.environ.get("PATH", ""))
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    return done.returncode, done.stdout[-2000:] + done.stderr[-4000:]


def _programs(scripts: Path) -> None:
    """``digitvae`` and ``python`` of this environment, wherever they were started from."""
    scripts.mkdir(exist_ok=True)
    for name, module in (("digitvae", " -m digitvae"), ("python", "")):
        script = scripts / name
        if not script.exists():
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
            script.chmod(0o755)


def _check_targets(targets: list[str], block: Block) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in targets:
        if "=" not in target:
            there = re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE)
            assert there, f"{block.place}: there is no target {target}"


def _check_extras(wanted: list[str], block: Block) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for requirement in wanted:
        found = re.fullmatch(r"(?:\.|digitvae)(?:\[([\w,]+)\])?", requirement)
        assert found, f"{block.place}: pip install {requirement}: mark it"
        for extra in filter(None, (found[1] or "").split(",")):
            there = re.search(rf"^{extra} = \[", project, re.MULTILINE)
            assert there, f"{block.place}: there is no extra {extra}"
