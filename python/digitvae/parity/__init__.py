"""Numerical parity: whether every exported form of a model computes what PyTorch computes.

>>> from digitvae.parity import verify
>>> report = verify("export/mnist")
>>> report.passed
True

Needs PyTorch (``pip install 'digitvae[train]'``). docs/parity.md says what is compared and how
the tolerances are derived.
"""

from __future__ import annotations

from digitvae.parity.bundle import verify
from digitvae.parity.report.report import (
    Check,
    Comparison,
    Deviations,
    GateTest,
    Pair,
    ParityReport,
    Peak,
    Spread,
)

__all__ = [
    "Check",
    "Comparison",
    "Deviations",
    "GateTest",
    "Pair",
    "ParityReport",
    "Peak",
    "Spread",
    "verify",
]
