"""Fixtures for the tests of evaluations."""

from __future__ import annotations

from pathlib import Path

import pytest

from digitvae.evaluation.bundle import evaluate_bundle
from digitvae.evaluation.report import EvaluationReport
from tests.support.evaluating import SMALL


@pytest.fixture(scope="session")
def plain(unlabelled_bundle: Path) -> Path:
    """A bundle without a prior."""
    return unlabelled_bundle


@pytest.fixture(scope="session")
def report(tiny_bundle: Path) -> EvaluationReport:
    """Of a bundle with a prior."""
    return evaluate_bundle(tiny_bundle, SMALL, pictures=True)
