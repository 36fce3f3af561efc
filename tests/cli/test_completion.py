"""Completion in the shells themselves, with the scripts that ``digitvae completion`` prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from digitvae.cli import commands
from digitvae.cli.commands.completion import SHELLS, VARIABLE
from digitvae.data.sets import DATASETS
from digitvae.vae.objective import OBJECTIVES
from tests.support.running import Runner, assert_explained, run_program

# What a shell does when Tab is pressed, and what it would offer. The last word is the one begun.
ASK_BASH = """
set -eu
eval "$(digitvae completion bash)"
spec=$(complete -p digitvae)
compopt() { COMPREPLY+=("$@"); }      # outside of completion there is nothing to set: show it
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
function=${spec##*-F } function=${function%% *}
"$function" "$1" "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which the program is ``digitvae``."""
    program = tmp_path / "bin" / "digitvae"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m digitvae.cli.app "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


def offered(path: str, *words: str) -> list[str]:
    """What bash offers at the end of a line."""
    done = subprocess.run(
        ["bash", "--norc", "-c", ASK_BASH, "bash", "digitvae", *words],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([""], list(commands.NAMES)),
        (["e"], ["encode", "explore", "export", "evaluate"]),
        (["--v"], ["--version"]),
        (["generate", "--se"], ["--seed"]),
        (["generate", "100", "--seed", "7", "--sh"], ["--shard-size"]),
        (["generate", "-5", "--dt"], ["--dtype"]),
        (["generate", "--prior", ""], ["standard", "mixture"]),
        (["generate", "--format", "i"], ["idx", "idx.gz"]),
        (["generate", "-o", ""], ["-o", "default"]),  # bash's own completion of paths
        (["generate", "--bundle", ""], ["-o", "default"]),
        (["decode", ""], ["-o", "default"]),
        (["interpolate", "--method", "s"], ["slerp"]),
        (["data", ""], list(DATASETS)),
        (["train", "--dataset", ""], list(DATASETS)),
        (["train", "--objective", ""], list(OBJECTIVES)),
        (["classifier", "--dataset", "f"], ["fashion-mnist"]),
        (["completion", ""], list(SHELLS)),
    ],
    ids=" ".join,
)
def test_bash_offers_what_can_follow(path: str, words: list[str], expected: list[str]) -> None:
    assert offered(path, *words) == expected


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_of_that_shell(path: str, run: Runner, shell: str) -> None:
    code, script, complaints = run("completion", shell)
    assert (code, complaints) == (0, "")
    assert f"{VARIABLE}={shell}_complete" in script
    if (program := shutil.which(shell)) is not None:
        subprocess.run([program, "-n"], input=script, text=True, check=True, env={"PATH": path})


@pytest.mark.parametrize(
    ("shell", "begun", "expected"),
    [("zsh", "3", "plain uint8 _ plain float32 _"), ("fish", "", "plain,uint8 plain,float32")],
)
def test_the_other_shells_get_their_answers(shell: str, begun: str, expected: str) -> None:
    line = {"COMP_WORDS": "digitvae generate --dtype ", "COMP_CWORD": begun}
    done = run_program(env={**line, VARIABLE: f"{shell}_complete"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().split() == expected.split()


def test_a_shell_that_is_not_known_is_wrong_usage(run: Runner) -> None:
    assert_explained(run("completion", "tcsh"), 2, "tcsh")
    assert_explained(run("completion"), 2, "bash")
