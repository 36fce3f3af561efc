"""A report as tables of text, for the terminal and for plain output alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce

from digitvae.base.tables import ALARM, Table
from digitvae.parity.report.report import Comparison, Deviations, ParityReport, Peak, by, classes

_NUMBERS = ("to eager", "to truth", "rms", "ULP median", "99.9 %", "bytes/million")
_MARKS = {"passed": "ok", "failed": ALARM, "measured": "info", "not run": "not run"}


def tables(report: ParityReport, *, details: bool = False) -> list[Table]:
    """The numbers by output and runtime, and the checks.

    Args:
        report: The report.
        details: Every set of inputs on its own, every check, and runtimes against each other;
            otherwise the largest numbers over all inputs, and the checks that did not just pass.
    """
    shown = [_equals(report), _deviations(report, details=details)]
    shown += [_pairs(report)] if details else []
    shown += [_checks(report, details=details), _gate(report)]
    return [table for table in shown if table.rows]


def _places(report: ParityReport, *names: str) -> Iterator[tuple[str, list[Comparison]]]:
    """Each class of runtimes of each output, and perhaps of each set of inputs."""
    for place, compared in by(report.comparisons, *names).items():
        for members in classes(compared):
            yield " ".join(place[:2]), members


def _title(members: Sequence[Comparison]) -> str:
    """The leader's name, and how many others have its bits."""
    others = len({c.runtime for c in members}) - 1
    return members[0].runtime + (f" +{others}" if others else "")


def _equals(report: ParityReport) -> Table:
    """Who stands behind "+9": runtimes whose bits are the same on all inputs of an output."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for output, members in _places(report, "network", "output"):
        _, *others = dict.fromkeys(c.runtime for c in members)
        if others:
            found.setdefault((_title(members), tuple(others)), []).append(output)
    rows = tuple(
        (", ".join(outputs), title, "; ".join(others)) for (title, others), outputs in found.items()
    )
    header = ("outputs", "shown as", "with it, to the last bit of every value")
    return Table("Runtimes with the same bits", header, rows, left=3)


def _gate(report: ParityReport) -> Table:
    test = report.gate_test
    if test is None:
        return Table("", (), ())
    counted = (
        ("faulty copies caught, and the place named", test.caught, test.mutants, test.missed),
        ("honest copies accepted", test.accepted, test.honest, test.rejected),
    )
    rows = tuple(
        (_MARKS["passed" if n == of else "failed"], what, f"{n} of {of}", ", ".join(others))
        for what, n, of, others in counted
    )
    header = ("", "what", "how many", "but not")
    return Table("The gate itself, on copies of this bundle", header, rows, left=4)


def _deviations(report: ParityReport, *, details: bool) -> Table:
    """One row for each output and each class of runtimes, or for each set of inputs of it."""
    rows = []
    for output, members in _places(report, "network", "output", *["inputs"] * details):
        leading = [c for c in members if c.runtime == members[0].runtime]
        known = [(c, found) for c in leading if (found := report.deviations(c))]
        first, found = known[0] if known else (leading[0], None)
        shares = (
            _largest([found.noise_used for c, found in known if details or c.typical]),
            _largest([found.bound_used for _, found in known]),
        )
        status = "failed" if any(c.status == "failed" for c in members) else "passed"
        cells = [_MARKS[status], output, first.inputs, _title(members), *_cells(found), *shares]
        if details:
            cells.insert(3, f"{first.count}")
            cells.append("" if found is None else found.to_truth.peak.input)
        rows.append(tuple(cells))
    header = ["", "output", "inputs", "runtimes", *_NUMBERS, "noise limit used", "bound used"]
    title = "Deviations on the first inputs of each output; shares of the limits on all inputs"
    if details:
        header.insert(3, "rows")
        header.append("farthest from the truth")
        title = "Deviations by inputs"
    return Table(title, tuple(header), tuple(rows), left=header.index("to eager"))


def _cells(found: Deviations | None) -> Sequence[str]:
    """The columns of ``_NUMBERS``."""
    if found is None:
        return [""] * len(_NUMBERS)
    return (
        "" if found.to_eager is None else f"{found.to_eager.peak.value:.2e}",
        f"{found.to_truth.peak.value:.2e}",
        f"{found.rms_to_truth:.1e}",
        f"{found.ulps.median:.3g}",
        f"{found.ulps.q999:.3g}",
        "" if found.bytes_per_million is None else f"{found.bytes_per_million:.2f}",
    )


def _largest(peaks: Iterable[Peak | None]) -> str:
    return f"{reduce(Peak.merge, known).value:.1%}" if (known := [*filter(None, peaks)]) else ""


def _pairs(report: ParityReport) -> Table:
    rows = tuple(
        (f"{pair.network} {pair.output}", pair.inputs, pair.a, pair.b, f"{pair.peak.value:.2e}")
        for pair in report.pairs
    )
    header = ("output", "inputs", "runtime", "runtime", "largest difference")
    return Table("Runtimes against each other, where their bits differ", header, rows, left=4)


def _checks(report: ParityReport, *, details: bool) -> Table:
    # Who asks for a baseline, or for the gate, wants to read that it was looked at.
    shown = [
        c
        for c in report.checks
        if details or c.status != "passed" or c.subject in ("baseline", "gate")
    ]
    rows = [(_MARKS[c.status], c.subject, c.statement, c.detail) for c in shown]
    others = len(report.checks) - len(shown)
    if others:
        rows.append((_MARKS["passed"], "", f"{others} other checks", ""))
    header = ("", "of", "what", "found")
    return Table("Structure and properties", header, tuple(rows), left=4)
