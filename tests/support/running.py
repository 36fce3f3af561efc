"""Run the command line, in this process or as a program; an ONNX Runtime that cannot run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from digitvae.cli.app import main

_TOO_OLD = """
struct base { const void *(*get_api)(unsigned); const char *(*version)(void); };
static const void *get_api(unsigned version) { (void)version; return 0; }
static const char *version(void) { return "1.4.0"; }
static const struct base api = { get_api, version };
const struct base *OrtGetApiBase(void) { return &api; }
"""

PROGRAM = [sys.executable, "-m", "digitvae.cli.app"]


class Result(NamedTuple):
    """Exit code and text of a run in this process."""

    code: int
    out: str
    err: str


class Runner:
    """Runs the command line in this process, and captures what it prints."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def __call__(self, *words: object) -> Result:
        self._captured.readouterr()
        code = main([str(word) for word in words])
        return Result(code, *self._captured.readouterr())


def run_program(
    *words: object, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line as a program of its own."""
    return subprocess.run(
        [*PROGRAM, *map(str, words)],
        capture_output=True,
        check=False,
        env={**os.environ, **(env or {})},
        timeout=60,
    )


def assert_explained(result: Result, code: int, message: str) -> None:
    """A failure has its exit code and one message, nothing on stdout, and never a traceback."""
    assert result.code == code, result
    assert message in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def too_old_runtime(library: Path) -> Path:
    """Make a library that says that it is ONNX Runtime 1.4.0, and holds nothing else."""
    named = f"-Wl,-soname,{library.name}"
    command = ["cc", "-shared", "-fPIC", named, "-x", "c", "-o", str(library), "-"]
    subprocess.run(command, input=_TOO_OLD.encode(), check=True)
    return library
