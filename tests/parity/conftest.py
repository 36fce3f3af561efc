"""Copies of the tiny bundle, to damage."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Callable[[], Path]:
    """Makes a copy of the tiny bundle."""

    def make() -> Path:
        return shutil.copytree(tiny_bundle, tmp_path / "copy")

    return make


@pytest.fixture(scope="session")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without a data set."""
    return tmp_path_factory.mktemp("nowhere")
