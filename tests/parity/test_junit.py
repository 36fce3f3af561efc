"""JUnit counts what the report counts, and any reader of XML can read it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from digitvae.parity.report.junit import CHECKS, to_junit
from digitvae.parity.report.report import (
    Check,
    Comparison,
    Deviations,
    GateTest,
    ParityReport,
    Peak,
    Spread,
)

SPREAD = Spread(Peak(8.059e-7, "row 7", 5), 3e-8, 1e-7, 2e-7, {-25: 3}, 1)
EAGER = Comparison(
    network="decoder",
    output="x",
    inputs="prior draws",
    count=2,
    values=2,
    runtime="eager",
    status="passed",
    deviations=Deviations(SPREAD, 4e-8, SPREAD, SPREAD),
)
REPORT = ParityReport(
    subject="mnist",
    mode="quick",
    draws=300,
    versions={"torch": "2.15.0"},
    machine={"architecture": "x86_64"},
    checks=(
        Check("decoder.onnx", "is valid ONNX", "passed", "Gemm, Relu"),
        Check("decoder.onnx", "has no external data", "passed"),
        Check("bundle", "no file holds a local path", "failed", "a.onnx: /home/me\nb.onnx: /tmp"),
        Check("jax", "decodes as eager does", "not run", "it is not installed"),
        Check("ort", "has the same bits in any batch", "measured", "0 of 2426 differ"),
    ),
    comparisons=(
        EAGER,
        replace(EAGER, runtime="script", same_bits_as="eager", deviations=None),
        replace(EAGER, runtime="broken", status="failed", deviations=None, detail="out of order"),
        replace(EAGER, network="encoder", output="mu", inputs="extremes", status="measured"),
    ),
    gate_test=GateTest(17, 16, 4, 4),
)


def read(report: ParityReport) -> ET.Element:
    root = ET.fromstring(to_junit(report).encode())
    assert root.tag == "testsuites"
    return root


def cases(root: ET.Element) -> dict[tuple[str | None, str | None], ET.Element]:
    """Every case by class and name, which must tell them apart within their suites."""
    return {(case.get("classname"), case.get("name")): case for case in root.iter("testcase")}


def results(case: ET.Element) -> list[tuple[str, str | None, str | None]]:
    return [(result.tag, result.get("message"), result.text) for result in case]


def test_there_is_a_suite_of_checks_and_one_of_each_network() -> None:
    suites = {suite.get("name"): suite for suite in read(REPORT)}
    assert list(suites) == [CHECKS, "decoder", "encoder"]
    assert [len(suite.findall("testcase")) for suite in suites.values()] == [5, 3, 1]


def test_the_counts_are_the_report_s() -> None:
    root = read(REPORT)
    everything: tuple[Check | Comparison, ...] = (*REPORT.checks, *REPORT.comparisons)
    counts = {key: int(root.get(key, "")) for key in ("tests", "failures", "skipped", "errors")}
    assert counts == {
        "tests": len(everything),
        "failures": len(REPORT.failures),
        "skipped": sum(item.status == "not run" for item in everything),
        "errors": 0,
    }
    for key, count in counts.items():
        assert sum(int(suite.get(key, "")) for suite in root) == count


def test_what_failed_says_what_and_where() -> None:
    found = cases(read(REPORT))
    (failure,) = results(found["bundle", "no file holds a local path"])
    assert failure == (
        "failure",
        "a.onnx: /home/me",
        "bundle: no file holds a local path: failed (a.onnx: /home/me\nb.onnx: /tmp)",
    )
    assert results(found["broken", "x on prior draws"]) == [
        ("failure", "out of order", "broken, decoder x on prior draws: failed (out of order)")
    ]


def test_what_was_not_run_is_skipped_for_its_reason() -> None:
    found = cases(read(REPORT))
    assert results(found["jax", "decodes as eager does"]) == [
        ("skipped", "it is not installed", None)
    ]


def test_what_passed_or_was_measured_says_what_was_found() -> None:
    found = cases(read(REPORT))
    assert results(found["decoder.onnx", "has no external data"]) == []
    assert results(found["decoder.onnx", "is valid ONNX"]) == [
        ("system-out", None, "passed: Gemm, Relu")
    ]
    assert results(found["ort", "has the same bits in any batch"]) == [
        ("system-out", None, "measured: 0 of 2426 differ")
    ]
    largest = "largest deviation from truth: 8.06e-07 at row 7, element 5"
    assert results(found["eager", "x on prior draws"]) == [("system-out", None, largest)]
    assert results(found["eager", "mu on extremes"]) == [
        ("system-out", None, f"measured\n{largest}")
    ]
    assert results(found["script", "x on prior draws"]) == [
        ("system-out", None, "same bits as eager")
    ]


def test_a_status_without_a_detail_has_its_element_all_the_same() -> None:
    checks = tuple(Check("a", status, status) for status in ("failed", "not run", "measured"))
    found = cases(read(replace(REPORT, checks=checks, comparisons=())))
    assert [results(case) for case in found.values()] == [
        [("failure", "failed", "a: failed: failed")],
        [("skipped", "not run", None)],
        [("system-out", None, "measured")],
    ]


def test_the_suite_of_checks_says_with_what_they_were_made() -> None:
    suite = read(REPORT)[0]
    assert suite[0].tag == "properties"  # before the cases, as the schema wants it
    assert {p.get("name"): p.get("value") for p in suite.iter("property")} == {
        "subject": "mnist",
        "mode": "quick",
        "draws": "300",
        "torch": "2.15.0",
        "architecture": "x86_64",
        "mutants caught": "16 of 17",
        "honest copies accepted": "4 of 4",
    }


def test_a_network_may_have_the_name_of_the_other_suite() -> None:
    odd = replace(REPORT, comparisons=(replace(EAGER, network=CHECKS),))
    assert [suite.get("tests") for suite in read(odd)] == ["5", "1"]


def test_an_empty_report_is_a_document() -> None:
    root = read(replace(REPORT, checks=(), comparisons=(), gate_test=None))
    assert root.get("tests") == "0"


def test_characters_that_xml_cannot_hold_are_spelled_out() -> None:
    text = "<a b=\"c\">&amp; 'd' ]]> \x00\x1b[31m\x85\r\ud800\ufffe é 😀"
    shown = "<a b=\"c\">&amp; 'd' ]]> \\x00\\x1b[31m\\x85\\x0d\\xd800\\xfffe é 😀"
    odd = replace(
        EAGER, network=text, runtime=text, output=text, inputs=text, status="failed", detail=text
    )
    root = read(replace(REPORT, subject=text, checks=(), comparisons=(odd,), machine={text: text}))
    ((place, case),) = cases(root).items()
    assert place == (shown, f"{shown} on {shown}")
    message = f"{shown}, {shown} {shown} on {shown}: failed ({shown})"
    # The deviations that the sample has are there too.
    assert results(case)[0] == ("failure", shown, message)
    assert root.get("name") == f"digitvae verify {shown}"
    assert root[1].get("name") == shown
    properties = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert properties[shown] == shown


@settings(max_examples=100)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"])), st.booleans())
def test_all_other_text_arrives_as_it_was(text: str, failed: bool) -> None:
    check = Check(text, text, "failed" if failed else "not run", text)
    ((place, case),) = cases(read(replace(REPORT, checks=(check,), comparisons=()))).items()
    assert place == (text, text)
    ((_, message, _),) = results(case)
    assert message == (text or check.status)
