"""A report as one page."""

from __future__ import annotations

from collections.abc import Sequence

from digitvae.base.page import render
from digitvae.evaluation.report import EvaluationReport
from digitvae.evaluation.views.tables import tables
from digitvae.vae.heldout import ACTIVE_VARIANCE


def to_html(reports: Sequence[EvaluationReport]) -> str:
    """A whole page, in UTF-8 once it is encoded.

    Args:
        reports: Of one model or of several, with pictures.
    """
    return render(
        "evaluation/views/report.html.jinja",
        {"ordered": _ordered},
        reports=reports,
        tables=tables(reports),
        active_variance=ACTIVE_VARIANCE,
    )


def _ordered(values: Sequence[float]) -> list[tuple[int, float]]:
    """Numbers with their indexes, the largest first."""
    return sorted(enumerate(values), key=lambda pair: -pair[1])
