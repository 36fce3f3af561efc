"""Copies of the tiny bundle, to damage, and a count of what became of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


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


_COUNTED = {
    "faulty exports caught": ("test_gate.py::test_a_faulty_export_fails",),
    "honest exports accepted": (
        "test_gate.py::test_an_honest_copy_passes",
        "test_honest_exports.py::test_an_honest_export_passes",
    ),
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many mutants the gate caught, and how many honest exports it accepted."""
    for what, tests in _COUNTED.items():
        counts = {
            outcome: sum(
                report.when == "call" and any(test in report.nodeid for test in tests)
                for report in terminalreporter.getreports(outcome)
            )
            for outcome in ("passed", "failed")
        }
        total = counts["passed"] + counts["failed"]
        if total:
            terminalreporter.write_line(f"parity gate: {counts['passed']} of {total} {what}")
