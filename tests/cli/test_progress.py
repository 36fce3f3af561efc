"""The progress bar: on terminals, on stderr, for runs that last, and nowhere else."""

from __future__ import annotations

import sys

import pytest

from digitvae.cli import progress as module
from tests.support.running import Runner


def be_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make stderr a terminal, on which a bar appears at once."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    monkeypatch.setenv("TERM", "xterm")


def test_a_bar_appears_on_a_terminal_s_stderr(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    be_on_a_terminal(monkeypatch)
    result = run("generate", 40_000, "-o", "a.raw")
    assert result.code == 0
    assert "generating" in result.err
    assert "/40000" in result.err
    assert result.out.startswith("a.raw: 40,000 digits")
    assert result.out.count("\n") == 1


def test_quiet_runs_and_short_runs_have_no_bar(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_on_a_terminal(monkeypatch)
    assert run("generate", 40_000, "-o", "a.raw", "-q").err == ""
    monkeypatch.setattr(module, "_PATIENCE", 3600.0)
    assert run("generate", 40_000, "-o", "b.raw").err == ""


def test_without_a_terminal_there_is_no_bar(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    assert run("generate", 40_000, "-o", "a.raw").err == ""


def test_a_bar_is_taken_away_when_the_run_fails(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_on_a_terminal(monkeypatch)

    def fail() -> None:
        with module.progress("working", 10) as advance:
            advance(1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert run("generate", 3, "-q") == (0, "", "")  # nothing is left that would draw
