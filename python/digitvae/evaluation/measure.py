"""The interface of a measure, and what their tables have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from digitvae.base.tables import Table
from digitvae.evaluation.inputs import Inputs
from digitvae.evaluation.report import EvaluationReport
from digitvae.evaluation.settings import Size

NOTHING = "–"
ABSENT = "the bundle has no prior"


@dataclass(frozen=True)
class Measure:
    """One part of an evaluation.

    Attributes:
        key: The part's name, in the report and in JSON.
        compute: Measures, and returns the part: numbers, ``None``, dataclasses, and dictionaries
            and sequences of them. A dictionary by source leaves out a mixture that does not exist.
        tables: The part's rows, from a whole report. Rows under one title become one table.
        steps: How often ``compute`` calls ``begin`` of its inputs.
        sizes: Settings that only this measure has.
    """

    key: str
    compute: Callable[[Inputs], object]
    tables: Callable[[EvaluationReport], list[Table]]
    steps: Callable[[Inputs], int] = lambda _: 1
    sizes: tuple[Size[Any], ...] = ()


def number(value: float | None, digits: int = 2) -> str:
    """A cell."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def likelihood(rows: Sequence[tuple[str, str, str, str]]) -> Table:
    """Rows of the table of likelihoods, to which several measures contribute."""
    return Table(
        "Likelihood of the test images, nats an image",
        ("measure", "value", "± standard error", "images"),
        tuple(rows),
    )
