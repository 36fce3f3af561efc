"""README promises two commands on a fresh machine, and .ci/run begins with them as they are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.packages import ROOT

FIRST_SCREEN = 15
"""Lines of README."""
FAKE_MAKE = """#!/bin/sh
echo "make $*" >>"$0.calls"
env | sort >"$0.$1"
[ "$1" != "$FAILING" ]
"""


def promised() -> list[str]:
    """The commands of README's first block of code."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert text.count("\n", 0, block.end()) < FIRST_SCREEN
    return [line.split("#")[0].strip() for line in block[1].splitlines()]


class Calls:
    """.ci/run in a folder of its own, with a ``make`` that only writes down how it was called."""

    def __init__(self, folder: Path, failing: str = "") -> None:
        for name in (".ci/run", "tools/stages.py"):
            (folder / name).parent.mkdir()
            shutil.copy(ROOT / name, folder / name)
        self._make = folder / "bin" / "make"
        self._make.parent.mkdir()
        self._make.write_text(FAKE_MAKE)
        self._make.chmod(0o755)
        self.given = {
            "PATH": f"{self._make.parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "FAILING": failing,
        }
        self.done = subprocess.run(
            ["bash", ".ci/run"],
            cwd=folder,
            env=self.given | {"CI": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
        self.made = self._make.with_suffix(".calls").read_text().splitlines()

    def environment(self, target: str) -> dict[str, str]:
        """What was in the environment of ``make TARGET``."""
        lines = self._make.with_suffix(f".{target}").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


def test_readme_promises_the_two_commands() -> None:
    assert promised() == ["make demo", "make test"]


def test_ci_begins_with_what_readme_promises(tmp_path: Path) -> None:
    calls = Calls(tmp_path)
    assert calls.done.returncode == 0, calls.done.stderr
    assert calls.made[:2] == promised()
    assert calls.made[2:]


@pytest.mark.parametrize("target", ["demo", "test"])
def test_ci_gives_them_nothing_that_a_user_has_not(tmp_path: Path, target: str) -> None:
    calls = Calls(tmp_path)
    of_every_shell = {"PWD", "OLDPWD", "SHLVL", "_"}
    found = {k: v for k, v in calls.environment(target).items() if k not in of_every_shell}
    assert found == calls.given


@pytest.mark.parametrize("failing", ["demo", "test", "guard"])
def test_ci_fails_where_one_of_its_commands_does(tmp_path: Path, failing: str) -> None:
    calls = Calls(tmp_path, failing)
    assert calls.done.returncode != 0
    assert calls.made[-1].startswith(f"make {failing}")
