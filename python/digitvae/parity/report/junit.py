"""A report as JUnit XML, which continuous integration shows next to the results of tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from digitvae.base.markup import storable
from digitvae.parity.report.report import Check, Comparison, ParityReport

CHECKS = "structure and properties"
"""Name of the suite of everything that is not a comparison of numbers."""


def to_junit(report: ParityReport) -> str:
    """An XML document: a suite of all checks, then one of each network's comparisons.

    Args:
        report: What to show.
    """
    facts = {"subject": report.subject, "mode": report.mode, "draws": str(report.draws)}
    facts |= report.versions | report.machine
    gate = report.gate_test
    if gate is not None:
        facts["mutants caught"] = f"{gate.caught} of {gate.mutants}"
        facts["honest copies accepted"] = f"{gate.accepted} of {gate.honest}"
    document: Any = JUnitXml(storable(f"digitvae verify {report.subject}"))  # few type hints
    checks = (_case(check.statement, check.subject, check) for check in report.checks)
    document.append(_suite(CHECKS, checks, facts))
    for network in dict.fromkeys(c.network for c in report.comparisons):
        compared = (_comparison(c) for c in report.comparisons if c.network == network)
        document.append(_suite(network, compared, {}))
    document.update_statistics()
    content: bytes = document.tostring()
    return content.decode()


def _suite(name: str, cases: Iterable[TestCase], facts: Mapping[str, str]) -> TestSuite:
    suite = TestSuite(storable(name))
    for key, value in facts.items():  # the schema wants them before the cases
        suite.add_property(storable(key), storable(value))
    suite.add_testcases(list(cases))
    return suite


def _comparison(comparison: Comparison) -> TestCase:
    found = ""
    if comparison.same_bits_as is not None:
        found = f"same bits as {comparison.same_bits_as}"
    elif comparison.deviations is not None:
        peak = comparison.deviations.to_truth.peak
        place = f"{peak.input}, element {peak.element}"
        found = f"largest deviation from truth: {peak.value:.3g} at {place}"
    name = f"{comparison.output} on {comparison.inputs}"
    return _case(name, comparison.runtime, comparison, found)


def _case(name: str, of: str, item: Check | Comparison, found: str = "") -> TestCase:
    """A case and what became of it; a passed one has no element that says so."""
    case = TestCase(storable(name), storable(of))
    said, detail = [], storable(item.detail)
    if item.status == "failed":
        failure = Failure(detail.partition("\n")[0] or "failed", "failed")
        failure.text = storable(str(item))
        case.result = [failure]
    elif item.status == "not run":
        case.result = [Skipped(detail or "not run")]
    elif detail or item.status == "measured":
        said = [f"{item.status}: {detail}" if detail else item.status]
    if said or found:
        case.system_out = "\n".join([*said, *[storable(found)] * bool(found)])
    return case
