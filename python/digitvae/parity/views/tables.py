"""A report as tables of text, for the terminal and for plain output alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digitvae.base.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from digitvae.parity.report import Check, Comparison, Deviations, ParityReport, Peak

_NUMBERS = (
    "to eager",
    "to truth",
    "rms",
    "ULP median",
    "99.9 %",
    "bytes/million",
    "noise limit used",
    "bound used",
)
_MARKS = {"passed": "ok", "failed": "FAILED", "measured": "info", "not run": "not run"}


@dataclass(frozen=True)
class Table:
    """A title, the names of the columns, and cells; the first ``left`` columns hold words."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int

    def style(self, row: Sequence[str]) -> str:
        """How rich shows a row: one that says that something failed stands out."""
        return "bold red" if _MARKS["failed"] in row else ""

    def __str__(self) -> str:
        """Align the columns with blanks."""
        lines = [tuple(map(printable, line)) for line in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = (
            "  ".join(
                cell.ljust(width) if i < self.left else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        )
        return "\n".join([printable(self.title), *(f"  {line}".rstrip() for line in aligned)])


@dataclass(frozen=True)
class Group:
    """Runtimes with the same bits on a set of inputs, or on all of a network.

    Attributes:
        runtimes: Their names, the first one leading.
        comparisons: The leader's.
    """

    runtimes: tuple[str, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def title(self) -> str:
        """The leader's name, and how many others have its bits."""
        others = len(self.runtimes) - 1
        return self.runtimes[0] + (f" +{others}" if others else "")


def groups(comparisons: Iterable[Comparison]) -> list[Group]:
    """Put runtimes together whose bits are the same in all of these comparisons of one output."""
    by_runtime: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        by_runtime.setdefault(comparison.runtime, []).append(comparison)
    found: dict[tuple[object, ...], list[str]] = {}
    for runtime, own in by_runtime.items():
        key = tuple(
            # What failed on its own stands alone.
            (c.inputs, c.same_bits_as or runtime, "" if c.deviations or c.same_bits_as else runtime)
            for c in own
        )
        found.setdefault(key, []).append(runtime)
    return [Group(tuple(names), tuple(by_runtime[names[0]])) for names in found.values()]


def tables(report: ParityReport, *, details: bool = False) -> list[Table]:
    """The numbers by output and runtime, and the checks.

    Args:
        report: The report.
        details: Every set of inputs on its own, every check, and runtimes against each other;
            otherwise the largest numbers over all inputs, and the checks that did not just pass.
    """
    shown = [_details(report), _pairs(report)] if details else [_summary(report)]
    shown = [_equals(report), *shown, _checks(report, details=details), _gate(report)]
    return [table for table in shown if table.rows]


def _grouped(
    comparisons: Iterable[Comparison], place: Callable[[Comparison], tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], str, Group]]:
    """Each group of each place, with the mark of its verdict."""
    by_place: dict[tuple[str, ...], list[Comparison]] = {}
    for comparison in comparisons:
        by_place.setdefault(place(comparison), []).append(comparison)
    for name, own in by_place.items():
        for group in groups(own):
            failed = any(c.status == "failed" for c in own if c.runtime in group.runtimes)
            yield name, _MARKS["failed" if failed else "passed"], group


def _output(comparison: Comparison) -> tuple[str, ...]:
    return comparison.network, comparison.output


def _equals(report: ParityReport) -> Table:
    """Who stands behind "+9": runtimes whose bits are the same on all inputs of an output."""
    members: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for place, _, group in _grouped(report.comparisons, _output):
        if len(group.runtimes) > 1:
            key = (group.title, group.runtimes[1:])
            members.setdefault(key, []).append(" ".join(place))
    rows = tuple(
        (", ".join(outputs), title, "; ".join(others))
        for (title, others), outputs in members.items()
    )
    header = ("outputs", "shown as", "with it, to the last bit of every value")
    return Table("Runtimes with the same bits", header, rows, left=3)


def _gate(report: ParityReport) -> Table:
    test = report.gate_test
    if test is None:
        return Table("", (), (), left=0)
    rows = (
        (
            _MARKS["passed" if test.caught == test.mutants else "failed"],
            "faulty copies caught, and the place named",
            f"{test.caught} of {test.mutants}",
            ", ".join(test.missed),
        ),
        (
            _MARKS["passed" if test.accepted == test.honest else "failed"],
            "honest copies accepted",
            f"{test.accepted} of {test.honest}",
            ", ".join(test.rejected),
        ),
    )
    header = ("", "what", "how many", "but not")
    return Table("The gate itself, on copies of this bundle", header, rows, left=4)


def _summary(report: ParityReport) -> Table:
    """One row for each output and each group of runtimes: the largest of all sets of inputs."""
    rows = []
    for place, mark, group in _grouped(report.comparisons, _output):
        known = [(c, found) for c in group.comparisons if (found := report.deviations(c))]
        cells = _cells(
            known[0][1] if known else None,
            noise=[found.noise_used for c, found in known if c.typical],
            bound=[found.bound_used for _, found in known],
        )
        first_inputs = known[0][0].inputs if known else ""
        rows.append((mark, " ".join(place), first_inputs, group.title, *cells))
    header = ("", "output", "inputs", "runtimes", *_NUMBERS)
    title = "Deviations on the first inputs of each output; shares of the limits on all inputs"
    return Table(title, header, tuple(rows), left=4)


def _cells(
    found: Deviations | None, *, noise: Sequence[Peak | None], bound: Sequence[Peak | None]
) -> tuple[str, ...]:
    """The columns of ``_NUMBERS``: deviations, and the largest of the shares."""
    shares = (_largest(noise), _largest(bound))
    if found is None:
        return (*[""] * (len(_NUMBERS) - len(shares)), *shares)
    return (
        "" if found.to_eager is None else f"{found.to_eager.peak.value:.2e}",
        f"{found.to_truth.peak.value:.2e}",
        f"{found.rms_to_truth:.1e}",
        f"{found.ulps.median:.3g}",
        f"{found.ulps.q999:.3g}",
        "" if found.bytes_per_million is None else f"{found.bytes_per_million:.2f}",
        *shares,
    )


def _largest(peaks: Sequence[Peak | None]) -> str:
    values = [peak.value for peak in peaks if peak is not None]
    return f"{max(values):.1%}" if values else ""


def _details(report: ParityReport) -> Table:
    """One row for each output, set of inputs and group of runtimes."""
    rows = []
    for place, mark, group in _grouped(report.comparisons, lambda c: (*_output(c), c.inputs)):
        leader = group.comparisons[0]
        found = report.deviations(leader)
        cells = _cells(
            found,
            noise=[] if found is None else [found.noise_used],
            bound=[] if found is None else [found.bound_used],
        )
        worst = "" if found is None else found.to_truth.peak.input
        output = " ".join(place[:2])
        rows.append((mark, output, leader.inputs, f"{leader.count}", group.title, *cells, worst))
    header = ("", "output", "inputs", "rows", "runtimes", *_NUMBERS, "farthest from the truth")
    return Table("Deviations by inputs", header, tuple(rows), left=5)


def _pairs(report: ParityReport) -> Table:
    rows = tuple(
        (f"{pair.network} {pair.output}", pair.inputs, pair.a, pair.b, f"{pair.peak.value:.2e}")
        for pair in report.pairs
    )
    header = ("output", "inputs", "runtime", "runtime", "largest difference")
    return Table("Runtimes against each other, where their bits differ", header, rows, left=4)


def _checks(report: ParityReport, *, details: bool) -> Table:
    counts = Counter(check.status for check in report.checks)
    # Who asks for a baseline, or for the gate, wants to read that it was looked at.
    shown: list[Check] = [
        c
        for c in report.checks
        if details or c.status != "passed" or c.subject in ("baseline", "gate")
    ]
    rows = [(_MARKS[c.status], c.subject, c.statement, c.detail) for c in shown]
    others = counts["passed"] - sum(c.status == "passed" for c in shown)
    if others and not details:
        rows.append((_MARKS["passed"], "", f"{others} other checks", ""))
    header = ("", "of", "what", "found")
    return Table("Structure and properties", header, tuple(rows), left=4)
