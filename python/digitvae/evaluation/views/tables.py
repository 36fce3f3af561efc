"""Reports as tables; of two models, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from digitvae.base.tables import Table
from digitvae.evaluation.measures import MEASURES
from digitvae.evaluation.report import EvaluationReport


def tables(reports: Sequence[EvaluationReport]) -> list[Table]:
    """All tables.

    Args:
        reports: Of one model, or of several: then each row says whose it is.
    """
    parts: dict[str, list[tuple[EvaluationReport, Table]]] = {}
    for report in reports:
        for measure in MEASURES:
            for table in measure.tables(report):
                parts.setdefault(table.title, []).append((report, table))
    several = len(reports) > 1
    return [
        Table(
            title,
            (*["model"] * several, *found[0][1].header),
            tuple(
                (*[report.bundle] * several, *row) for report, table in found for row in table.rows
            ),
            1 + several,
            "; ".join(sorted({table.note for _, table in found if table.note})),
        )
        for title, found in parts.items()
    ]
