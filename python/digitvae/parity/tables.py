"""A report as tables of text, for the terminal and for plain output alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digitvae.model import PIXELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from digitvae.parity.report import Comparison, ParityReport

_EXCEEDED = " !"
_MARKS = {"passed": "ok", "failed": "FAILED", "measured": "info", "not run": "not run"}


@dataclass(frozen=True)
class Table:
    """A title, the names of the columns, and cells; the first ``left`` columns hold words."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int

    def marks_failure(self, row: tuple[str, ...]) -> bool:
        """Whether a row says that something failed."""
        return any(cell == _MARKS["failed"] or cell.endswith(_EXCEEDED) for cell in row)

    def __str__(self) -> str:
        """Align the columns with blanks."""
        lines = (self.header, *self.rows)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = (
            "  ".join(
                cell.ljust(width) if i < self.left else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        )
        return "\n".join([self.title, *(f"  {line}".rstrip() for line in aligned)])


def tables(report: ParityReport) -> list[Table]:
    """The numbers by inputs and runtime, then every check with its verdict."""
    checks = tuple(
        (_MARKS[check.status], check.subject, check.statement, check.detail)
        for check in report.checks
    )
    return [
        _matrix(
            "Largest deviation from PyTorch eager",
            report,
            lambda c: "" if c.to_eager is None else f"{c.to_eager.value:.1e}",
        ),
        _matrix(
            "Share of the limit on that deviation that is used",
            report,
            lambda c: "" if c.eager_limit_used is None else f"{c.eager_limit_used.value:.0%}",
        ),
        _matrix(
            "Largest deviation from float64 truth",
            report,
            lambda c: "" if c.to_truth is None else f"{c.to_truth.value:.1e}",
        ),
        _matrix(
            "Share of the derived rounding bound that is used",
            report,
            lambda c: "" if c.bound_used is None else f"{c.bound_used.value:.1%}",
        ),
        _matrix(
            "Pixels that differ from eager's after rounding to uint8, per million",
            report,
            lambda c: "" if c.pixels_differ is None else f"{_per_million(c, c.pixels_differ):.2f}",
            output="x",
        ),
        Table("Structure and properties", ("", "of", "what", "found"), checks, left=4),
    ]


def _matrix(
    title: str, report: ParityReport, cell: Callable[[Comparison], str], output: str = ""
) -> Table:
    """One row for each output and set of inputs, one column for each runtime."""
    chosen = [c for c in report.comparisons if not output or c.output == output]
    # A runtime with nothing to say here (eager, compared with itself) gets no column.
    runtimes = tuple(dict.fromkeys(c.runtime for c in chosen if cell(c) or c.detail))
    by_place = {(c.network, c.output, c.inputs, c.runtime): c for c in chosen}
    rows: list[tuple[str, ...]] = []
    for place in dict.fromkeys((c.network, c.output, c.inputs) for c in chosen):
        found = [by_place.get((*place, runtime)) for runtime in runtimes]
        count = next(c.count for c in found if c is not None)
        cells = [
            "" if c is None else cell(c) + (_EXCEEDED if c.status == "failed" else "")
            for c in found
        ]
        if any(cells):  # edges have no limit to show
            rows.append((f"{place[0]} {place[1]}", place[2], f"{count}", *cells))
    return Table(title, ("output", "inputs", "rows", *runtimes), tuple(rows), left=2)


def _per_million(comparison: Comparison, count: int) -> float:
    return 1e6 * count / (comparison.count * PIXELS)
