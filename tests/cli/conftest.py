"""Fixtures for the tests of the command line."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs started by tests hold standard output back, as they do for everybody."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
