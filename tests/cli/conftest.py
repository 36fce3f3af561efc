"""Fixtures for the tests of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.running import Runner

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs started by tests hold standard output back, as they do for everybody."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Runner:
    """The command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Runner(capsys)
