"""Reports as tables; of two models, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digitvae.base.tables import Table
from digitvae.evaluation.report import KEYS, MIXTURE
from digitvae.vae.model import LATENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from digitvae.evaluation.report import EvaluationReport

_NOTHING = "–"
_ABSENT = "the bundle has no prior"

Line = tuple[tuple[str, ...], tuple[str, ...]]
"""The cells that name a row, and the cells that hold its numbers."""


def tables(reports: Sequence[EvaluationReport]) -> list[Table]:
    """All tables.

    Args:
        reports: Of one model, or of several: then each row says whose it is.
    """
    return [
        _table(
            reports,
            "Likelihood of the test images, nats an image",
            ("measure",),
            ("value", "± standard error", "images"),
            _likelihood,
        ),
        _table(
            reports,
            "Images in the eyes of the classifier",
            ("source",),
            ("images", "Fréchet", "precision", "recall", "confidence > 0.9", "label accuracy"),
            _sources,
            note=_classifier(reports),
        ),
        _table(
            reports,
            "Can latents of test images be told from other draws? Not at all at 0.5",
            ("draws",),
            ("neighbours of the own set",),
            _latents,
        ),
        _table(
            reports,
            "Distance to the nearest training image",
            ("source",),
            ("images", "median", "1 % quantile", "closer than 1 % of test", "copies"),
            _neighbours,
        ),
        _table(
            reports,
            "Interpolations between test images of different classes",
            ("paths",),
            (
                "steps",
                "squared step",
                "detour",
                "largest step",
                "confidence > 0.9 between",
            ),
            _smoothness,
        ),
    ]


def _table(
    reports: Sequence[EvaluationReport],
    title: str,
    names: tuple[str, ...],
    columns: tuple[str, ...],
    lines: Callable[[EvaluationReport], list[Line]],
    *,
    note: str = "",
) -> Table:
    several = len(reports) > 1
    rows = [
        ((report.bundle,) if several else ()) + words + numbers
        for report in reports
        for words, numbers in lines(report)
    ]
    left = len(names) + several
    return Table(title, (("model",) if several else ()) + names + columns, tuple(rows), left, note)


def _likelihood(report: EvaluationReport) -> list[Line]:
    test = report.heldout
    count = f"{test.images:,}"
    parts = {"−ELBO": test.nelbo, "BCE": test.bce, "KL": test.kl}
    lines: list[Line] = [((name,), (_number(value), "", count)) for name, value in parts.items()]
    active = f"{test.active_latents} of {LATENTS}"
    lines.append((("active latents",), (active, "", count)))
    for kind, bounds in report.bounds.items():
        for bound in bounds:
            numbers = (
                _number(bound.nats),
                _number(bound.standard_error),
                f"{bound.images:,}",
            )
            lines.append(((f"importance-weighted, k = {bound.k}, {kind}",), numbers))
    if report.latents is not None:
        gaussian = _number(report.latents.gaussian_kl)
        lines.append((("KL of the aggregate posterior, as a Gaussian",), (gaussian, "", count)))
    return lines


def _sources(report: EvaluationReport) -> list[Line]:
    lines: list[Line] = []
    for name in KEYS:
        if name not in report.sources:
            lines.append(((name,), (_ABSENT, *(_NOTHING for _ in range(5)))))
            continue
        found = report.sources[name]
        numbers = (
            f"{found.images:,}",
            _number(found.frechet),
            _number(found.precision, 3),
            _number(found.recall, 3),
            _number(found.recognizable, 3),
            _number(found.label_accuracy, 4),
        )
        lines.append(((name,), numbers))
    return lines


def _latents(report: EvaluationReport) -> list[Line]:
    if report.latents is None:
        return [(("an autoencoder has no posterior",), (_NOTHING,))]
    lines: list[Line] = [
        ((name,), (_number(value, 3),)) for name, value in report.latents.coincidence.items()
    ]
    if not report.has_mixture:
        lines.append(((MIXTURE,), (_ABSENT,)))
    return lines


def _neighbours(report: EvaluationReport) -> list[Line]:
    lines: list[Line] = [
        (
            (name,),
            (
                f"{found.images:,}",
                _number(found.median),
                _number(found.low),
                f"{100 * found.close:.2f} %",
                str(found.copies),
            ),
        )
        for name, found in report.neighbours.items()
    ]
    if not report.has_mixture:
        lines.append(((MIXTURE,), (_ABSENT, *(_NOTHING for _ in range(4)))))
    return lines


def _smoothness(report: EvaluationReport) -> list[Line]:
    found = report.smoothness
    numbers = (
        f"{found.steps:,}",
        _number(found.squared_step, 1),
        _number(found.detour),
        f"{100 * found.largest_step:.1f} %",
        _number(found.recognizable, 3),
    )
    return [((f"{found.paths:,}",), numbers)]


def _classifier(reports: Sequence[EvaluationReport]) -> str:
    facts = {report.classifier for report in reports}
    return "; ".join(
        f"the classifier of {one.dataset} has {100 * one.accuracy:.2f} % test accuracy"
        for one in sorted(facts, key=lambda one: one.dataset)
    )


def _number(value: float | None, digits: int = 2) -> str:
    return _NOTHING if value is None else f"{value:,.{digits}f}"
