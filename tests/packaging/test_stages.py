"""The table that `make test` and .ci/run end with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tools import stages

from tests.support.packages import ROOT
from tests.support.processes import started


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "build" / "stages.jsonl"
    monkeypatch.setattr(stages, "KEPT", file)
    return file


@pytest.mark.parametrize(
    ("said", "tests"),
    [
        ("==== 12 passed, 5 skipped in 3.25s ====", 12),
        ("3244 passed in 1037.13s (0:17:17)", 3244),
        ("\x1b[32m\x1b[1m7 passed\x1b[0m\x1b[32m in 0.10s\x1b[0m", 7),
        (
            "1: All tests passed (9 assertions in 137 test cases)\n2: (1 assertion in 1 test case)",
            138,
        ),
        (" Test Files  6 passed (6)\n      Tests  121 passed (121)", 121),
        ("343 checks passed", 343),
        ("it compiled", None),
    ],
)
def test_tests_are_counted_in_the_words_of_each_runner(said: str, tests: int | None) -> None:
    assert stages.count(stages.COLOURS.sub("", said)) == tests


def test_a_stage_is_shown_and_kept(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert stages.run("a", ["sh", "-c", "echo 5 passed in 1s; echo aside >&2"]) == 0
    assert stages.run("b", ["sh", "-c", "echo 'not tested: the moon (go there)'; exit 3"]) == 3
    shown = capfdbinary.readouterr().out
    assert shown == b"== a\n5 passed in 1s\naside\n== b\nnot tested: the moon (go there)\n"
    head, a, b, total, gaps = stages.table().splitlines()
    assert head.split() == ["stage", "seconds", "tests"]
    assert a.split()[::2] == ["a", "5"]
    assert b.split()[0] == "b"
    assert b.endswith("failed (3)")
    assert total.split()[-1] == "5"
    assert gaps == "Not tested on this machine: the moon (go there)"


def test_a_stage_that_runs_twice_has_the_time_of_both_and_the_end_of_the_last() -> None:
    stages.run("a", ["sh", "-c", "sleep 0.3; exit 1"])
    stages.run("b", ["true"])
    stages.run("a", ["sleep", "0.3"])
    assert "failed" not in stages.table()
    a, b = stages.table().splitlines()[1:3]
    assert a.split()[0] == "a"
    assert float(a.split()[1]) >= 0.6
    assert b.split()[0] == "b"


def test_older_stages_can_be_left_out() -> None:
    stages.run("a", ["true"])
    assert stages.table(time.time()) == "no stage was run"


def test_nothing_kept_is_said() -> None:
    assert stages.table() == "no stage was run"


def test_ctrl_c_is_the_command_s_affair(kept: Path) -> None:
    """Its last words are shown, and its exit status is that of the stage."""
    script = "trap 'echo last words; exit 130' INT; echo go; while :; do sleep 0.01; done"
    code = "import sys; from tools import stages; stages.KEPT = stages.Path(sys.argv[1]);"
    code += "sys.exit(stages.run('a', sys.argv[2:]))"
    command = [sys.executable, "-c", code, str(kept), "sh", "-c", script]
    with started(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() + process.stdout.readline() == "== a\ngo\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate(timeout=30)[0] == "last words\n"
    assert process.returncode == 130
    assert "failed (130)" in stages.table()


def test_wrong_usage_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert stages.main(["run", "a"]) == 2
    assert "run NAME COMMAND" in capsys.readouterr().err
