"""What got worse since a report that was kept fails, what got better or is noise does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from digitvae.base.errors import ParityError
from digitvae.cli.app import main
from digitvae.parity.report.baseline import compared_with, read_baseline
from digitvae.parity.report.report import (
    LOADED,
    Check,
    Comparison,
    Deviations,
    ParityReport,
    Peak,
    Spread,
    Status,
)

NOTHING = "nothing got worse"
EAGER, TORCHSCRIPT, NATIVE, DENSE = "PyTorch eager", "TorchScript", "native engine", "dense"


def spread(peak: float) -> Spread:
    return Spread(Peak(peak, "row 3", 5), peak / 8, peak / 4, peak / 2, {-20: 7}, 1)


def deviations(*, rms: float = 1e-6, peak: float = 1e-5) -> Deviations:
    return Deviations(spread(peak), rms, spread(0.5), spread(3.0))


def comparison(
    runtime: str,
    *,
    inputs: str = "prior draws",
    status: Status = "passed",
    same_bits_as: str | None = None,
    numbers: Deviations | None = None,
) -> Comparison:
    if same_bits_as is None and numbers is None:
        numbers = deviations()
    return Comparison(
        "decoder", "x", inputs, 100, 784, runtime, status, same_bits_as, deviations=numbers
    )


def make_report(*comparisons: Comparison, checks: tuple[Check, ...] = ()) -> ParityReport:
    return ParityReport(
        subject="bundle of mnist",
        mode="full",
        draws=100,
        versions={"torch": "2", "onnxruntime": "1"},
        machine={"architecture": "x86_64"},
        checks=checks,
        comparisons=comparisons,
    )


def kept(report: ParityReport) -> dict[str, Any]:
    """A report as it comes back from a file."""
    content: dict[str, Any] = json.loads(json.dumps(report.to_dict()))
    return content


def worse(before: ParityReport | dict[str, Any], now: ParityReport) -> dict[str, str]:
    """What got worse and how, by name; an empty table if nothing did."""
    baseline = kept(before) if isinstance(before, ParityReport) else before
    report = compared_with(now, baseline)
    assert report.checks[: len(now.checks)] == now.checks
    assert replace(report, checks=now.checks) == now
    added = report.checks[len(now.checks) :]
    assert {check.subject for check in added} == {"baseline"}
    if [check.status for check in added] == ["passed"]:
        assert added[0].statement == NOTHING
        return {}
    assert {check.status for check in added} == {"failed"}
    assert not report.passed
    assert len({check.statement for check in added}) == len(added)
    return {check.statement: check.detail for check in added}


GOOD = Check("decoder.onnx", "is valid ONNX", "passed", "2 Gemm")
BEFORE = make_report(
    comparison(EAGER),
    comparison(TORCHSCRIPT, same_bits_as=EAGER),
    comparison(NATIVE, numbers=deviations(rms=2e-6, peak=3e-5)),
    comparison(DENSE, same_bits_as=NATIVE),
    checks=(GOOD, Check("data set mnist", "test images are compared", "not run", "no file")),
)
ON_DRAWS = "{}, decoder x on prior draws"


def with_native(numbers: Deviations) -> ParityReport:
    """The report with other numbers of the engine, and of its twin with it."""
    return replace(
        BEFORE,
        comparisons=(
            *BEFORE.comparisons[:2],
            comparison(NATIVE, numbers=numbers),
            BEFORE.comparisons[3],
        ),
    )


def test_a_report_is_not_worse_than_itself() -> None:
    report = compared_with(BEFORE, kept(BEFORE))
    assert report.passed
    added = report.checks[-1]
    assert (added.statement, added.status) == (NOTHING, "passed")
    assert added.detail == "6 findings compared"


@pytest.mark.parametrize(("factor", "fails"), [(1.2, False), (1.3, True)])
def test_a_typical_deviation_may_grow_by_a_quarter(factor: float, fails: bool) -> None:
    found = worse(BEFORE, with_native(deviations(rms=factor * 2e-6, peak=3e-5)))
    # The twin has the same numbers, so that it got worse, too.
    assert set(found) == ({ON_DRAWS.format(NATIVE), ON_DRAWS.format(DENSE)} if fails else set())
    for detail in found.values():
        assert detail == (
            "its typical deviation from the truth was 2e-06, now 2.6e-06: over 1.25 times"
        )


@pytest.mark.parametrize(("factor", "fails"), [(1.9, False), (2.1, True)])
def test_a_largest_deviation_may_double(factor: float, fails: bool) -> None:
    found = worse(BEFORE, with_native(deviations(rms=2e-6, peak=factor * 3e-5)))
    assert set(found) == ({ON_DRAWS.format(NATIVE), ON_DRAWS.format(DENSE)} if fails else set())
    for detail in found.values():
        assert detail == (
            "its largest deviation from the truth was 3e-05, now 6.3e-05: over 2.0 times"
        )


@pytest.mark.parametrize(("now", "fails"), [(1.4e-8, False), (1.6e-8, True)])
def test_growth_below_a_quarter_of_a_unit_of_1_is_ignored(now: float, fails: bool) -> None:
    # 2⁻²⁶ is 1.49e-8.
    before = make_report(comparison(EAGER, numbers=deviations(rms=0.0, peak=0.0)))
    found = worse(before, make_report(comparison(EAGER, numbers=deviations(rms=now, peak=0.0))))
    assert bool(found) is fails
    found = worse(before, make_report(comparison(EAGER, numbers=deviations(rms=0.0, peak=now))))
    assert bool(found) is fails


def test_what_became_infinite_got_worse() -> None:
    found = worse(BEFORE, with_native(deviations(rms=2e-6, peak=float("inf"))))
    assert ON_DRAWS.format(NATIVE) in found
    assert "now inf" in found[ON_DRAWS.format(NATIVE)]


def test_what_was_infinite_cannot_get_worse() -> None:
    infinite = with_native(deviations(rms=float("inf"), peak=float("inf")))
    assert worse(infinite, infinite) == {}
    assert worse(infinite, BEFORE) == {}


def test_an_improvement_passes() -> None:
    assert worse(BEFORE, with_native(deviations(rms=1e-9, peak=1e-8))) == {}
    failing = replace(BEFORE, checks=(replace(GOOD, status="failed"),))
    assert worse(failing, BEFORE) == {}
    # What is new was not there to be better.
    more = replace(BEFORE, comparisons=(*BEFORE.comparisons, comparison("C API")))
    assert worse(BEFORE, more) == {}


@pytest.mark.parametrize("status", ["failed", "not run", "measured"])
def test_a_check_that_passed_must_pass(status: Status) -> None:
    now = replace(BEFORE, checks=(replace(GOOD, status=status),))
    assert worse(BEFORE, now) == {
        "decoder.onnx: is valid ONNX": f"passed before, now {status}",
    }


def test_a_check_that_passed_must_be_made() -> None:
    elsewhere = replace(GOOD, subject="encoder.onnx")
    assert worse(BEFORE, replace(BEFORE, checks=(elsewhere,))) == {
        "decoder.onnx: is valid ONNX": "passed before, and is not checked any more",
    }


def test_what_an_earlier_baseline_said_is_not_demanded_again() -> None:
    twice = compared_with(BEFORE, kept(BEFORE))
    assert worse(twice, BEFORE) == {}


def test_a_comparison_that_passed_must_pass_and_its_numbers_do_not_matter_then() -> None:
    failed = comparison(NATIVE, status="failed", numbers=deviations(rms=1.0, peak=1.0))
    now = replace(BEFORE, comparisons=(*BEFORE.comparisons[:2], failed, comparison(DENSE)))
    found = worse(BEFORE, now)
    assert found[ON_DRAWS.format(NATIVE)] == "passed before, now failed"


def test_a_runtime_that_raises_now_got_worse_and_does_not_end_the_comparing() -> None:
    raised = Comparison("decoder", "x", "prior draws", 100, 784, NATIVE, "failed", detail="lost")
    now = replace(BEFORE, comparisons=(*BEFORE.comparisons[:2], raised, comparison(DENSE)))
    assert worse(BEFORE, now)[ON_DRAWS.format(NATIVE)] == "passed before, now failed"


def test_what_raised_before_and_after_is_no_worse() -> None:
    raised = Comparison("decoder", "x", "prior draws", 100, 784, NATIVE, "failed", detail="lost")
    both = make_report(comparison(EAGER), raised)
    assert worse(both, both) == {}
    # And what computes again is better.
    again = make_report(comparison(EAGER), comparison(NATIVE))
    assert worse(both, again) == {}
    # What failed by its numbers and now computes none fails as before.
    wrong = make_report(comparison(EAGER), comparison(NATIVE, status="failed"))
    assert worse(wrong, both) == {}


def test_what_failed_before_may_fail_but_not_by_more() -> None:
    def failing(rms: float) -> ParityReport:
        return make_report(comparison(EAGER, status="failed", numbers=deviations(rms=rms)))

    assert worse(failing(1e-3), failing(1e-3)) == {}
    assert set(worse(failing(1e-3), failing(2e-3))) == {ON_DRAWS.format(EAGER)}


@pytest.mark.parametrize(
    "change",
    [{"inputs": "other draws"}, {"runtime": "other"}, {"output": "mu"}, {"network": "encoder"}],
)
def test_a_comparison_that_was_made_must_be_made(change: dict[str, Any]) -> None:
    moved = replace(BEFORE.comparisons[0], **change)
    now = make_report(moved)
    assert worse(make_report(comparison(EAGER)), now) == {
        ON_DRAWS.format(EAGER): "compared before, and not any more",
    }


def lost_bits() -> ParityReport:
    """The dense form has bits of its own now."""
    own = comparison(DENSE, numbers=deviations(rms=2e-6, peak=3e-5))
    return replace(BEFORE, comparisons=(*BEFORE.comparisons[:3], own))


def test_equal_bits_that_are_lost_are_a_loss() -> None:
    assert worse(BEFORE, lost_bits()) == {ON_DRAWS.format(DENSE): f"had {NATIVE}'s bits before"}


@pytest.mark.parametrize(
    "setting",
    [
        {"versions": {"torch": "3", "onnxruntime": "1"}},
        {"machine": {"architecture": "aarch64"}},
    ],
)
def test_but_not_with_another_version_or_on_another_machine(setting: dict[str, Any]) -> None:
    assert worse(BEFORE, replace(lost_bits(), **setting)) == {}


def test_another_version_of_this_package_excuses_nothing() -> None:
    before = replace(BEFORE, versions=BEFORE.versions | {"digitvae": "1.0.0"})
    after = replace(lost_bits(), versions=BEFORE.versions | {"digitvae": "1.0.0.post1.dev3"})
    assert worse(before, after) == {ON_DRAWS.format(DENSE): f"had {NATIVE}'s bits before"}


def test_bits_that_are_equal_under_another_name_are_not_lost() -> None:
    # TorchScript has eager's bits in both; now all four have them.
    now = replace(
        BEFORE,
        comparisons=(
            *BEFORE.comparisons[:2],
            comparison(NATIVE, same_bits_as=EAGER),
            comparison(DENSE, same_bits_as=EAGER),
        ),
    )
    assert worse(BEFORE, now) == {}


def elsewhere(report: ParityReport) -> ParityReport:
    return replace(report, machine={"architecture": "x86_64", "torch kernels": "other"})


@pytest.mark.parametrize(
    ("rms", "peak", "fails"), [(2.4, 3.9, False), (2.6, 1.0, True), (1.0, 4.1, True)]
)
def test_another_kind_of_processor_may_round_otherwise(
    rms: float, peak: float, fails: bool
) -> None:
    grown = with_native(deviations(rms=rms * 2e-6, peak=peak * 3e-5))
    assert compared_with(elsewhere(grown), kept(BEFORE)).passed is not fails
    assert not compared_with(grown, kept(BEFORE)).passed


def test_a_runtime_that_the_processor_lacks_is_not_missed() -> None:
    note = Check(DENSE, LOADED, "not run", "this processor has no kernel")
    without = replace(BEFORE, comparisons=BEFORE.comparisons[:3], checks=(*BEFORE.checks, note))
    assert worse(BEFORE, elsewhere(without)) == {}
    lost = {ON_DRAWS.format(DENSE): "compared before, and not any more"}
    assert worse(BEFORE, without) == lost
    assert worse(BEFORE, elsewhere(replace(without, checks=BEFORE.checks))) == lost
    failed = replace(without, checks=(*BEFORE.checks, replace(note, status="failed")))
    assert worse(BEFORE, elsewhere(failed)) == lost


def test_inputs_that_another_version_of_hypothesis_made_are_not_compared() -> None:
    made = comparison(NATIVE, inputs="generated")
    far = replace(made, deviations=deviations(rms=1.0))
    before, now = make_report(comparison(EAGER), made), make_report(comparison(EAGER), far)
    assert set(worse(before, now)) == {f"{NATIVE}, decoder x on generated"}
    assert worse(before, replace(now, versions=now.versions | {"hypothesis": "7"})) == {}


def test_where_a_search_ended_is_not_compared() -> None:
    found = comparison(NATIVE, inputs="searched for")
    far = replace(found, deviations=deviations(rms=1.0, peak=1.0))
    assert worse(make_report(comparison(EAGER), found), make_report(comparison(EAGER), far)) == {}
    assert worse(make_report(comparison(EAGER), found), make_report(comparison(EAGER))) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"draws": 99}, "draws = 99, this report with 100"),
        ({"mode": "quick"}, "mode = quick, this report with full"),
        ({"subject": "other"}, "subject = other, this report with bundle of mnist"),
    ],
)
def test_reports_of_other_inputs_cannot_be_compared(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ParityError, match=message):
        compared_with(BEFORE, kept(BEFORE) | change)


def put(*path: str | int, value: Any) -> Callable[[Any], None]:
    def damage(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = value

    return damage


def drop(*path: str | int) -> Callable[[Any], None]:
    def damage(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        del content[path[-1]]

    return damage


NUMBERS = ("comparisons", 0, "deviations")


@pytest.mark.parametrize(
    "damage",
    [
        put(*NUMBERS, value="large"),
        drop(*NUMBERS),
        drop("comparisons", 2, "deviations"),
        drop(*NUMBERS, "to_truth", "peak"),
        put(*NUMBERS, "to_truth", value=[1, 2]),
        put(*NUMBERS, "to_truth", "peak", "value", value="much"),
        put(*NUMBERS, "to_truth", "peak", "value", value=None),
        drop(*NUMBERS, "rms_to_truth"),
        put(*NUMBERS, "rms_to_truth", value={}),
        drop("comparisons", 0, "runtime"),
        drop("comparisons", 0, "status"),
        put("comparisons", 0, "inputs", value=["a", "list"]),
        put("comparisons", 1, "same_bits_as", value="nobody"),
        put("comparisons", 1, "same_bits_as", value=[]),
        put("comparisons", 0, value=None),
        put("comparisons", value=7),
        put("comparisons", value={"a": 1}),
        drop("checks", 0, "status"),
        drop("checks", 0, "subject"),
        put("checks", 0, "subject", value=[]),
        put("checks", value="text"),
        put("checks", value=None),
    ],
)
def test_a_damaged_baseline_is_called_damaged(damage: Callable[[Any], None]) -> None:
    baseline = kept(BEFORE)
    damage(baseline)
    with pytest.raises(ParityError, match=r"^the baseline is damaged: "):
        compared_with(BEFORE, baseline)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON: "),
        (b"\xff\xfe", "is not JSON: "),
        (b"[]", "has schema None, expected 'digitvae-parity/2'"),
        (b'{"schema": "digitvae-parity/1"}', "has schema 'digitvae-parity/1', expected"),
        (
            b'{"schema": "digitvae-parity/2", "mode": "full"}',
            "lacks .*, draws, subject$",
        ),
    ],
)
def test_a_file_that_is_no_report_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "before.json"
    file.write_bytes(content)
    with pytest.raises(ParityError, match=message) as caught:
        read_baseline(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("comparisons", [[], {}, {"a": 1}, None, "text"])
def test_a_report_without_comparisons_proves_nothing(comparisons: Any, tmp_path: Path) -> None:
    file = tmp_path / "before.json"
    file.write_text(json.dumps(kept(BEFORE) | {"comparisons": comparisons}), encoding="utf-8")
    with pytest.raises(ParityError, match="has no comparisons: nothing could get worse"):
        read_baseline(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.json", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ParityError, match=reason) as caught:
            read_baseline(path)
        assert str(path) in str(caught.value)


def test_what_json_deeper_than_python_follows_is_not_json(tmp_path: Path) -> None:
    file = tmp_path / "deep.json"
    file.write_bytes(b"[" * 100_000)
    with pytest.raises(ParityError, match="is not JSON"):
        read_baseline(file)


def test_a_report_that_was_written_is_read_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "before.json"
    file.write_text(json.dumps(BEFORE.to_dict()), encoding="utf-8")
    assert read_baseline(file) == kept(BEFORE)


def test_the_command_passes_against_its_own_report_and_fails_against_a_better_one(
    tiny_bundle: Path, nowhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["verify", str(tiny_bundle), "--quick", "--draws", "65", "--data", str(nowhere)]
    assert main([*command, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    file = tmp_path / "before.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    assert main([*command, "--baseline", str(file), "--details"]) == 0
    assert NOTHING in capsys.readouterr().out

    doctored = next(c for c in content["comparisons"] if c["runtime"] == "ONNX Runtime")
    assert (doctored["inputs"], doctored["network"]) == ("prior draws", "decoder")
    doctored["deviations"]["rms_to_truth"] /= 2
    file.write_text(json.dumps(content), encoding="utf-8")
    assert main([*command, "--baseline", str(file)]) == 1
    err = capsys.readouterr().err
    assert "baseline: ONNX Runtime, decoder x on prior draws" in err
    assert "its typical deviation from the truth was" in err


def test_a_baseline_that_is_not_there_ends_the_command_before_it_computes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "none.json"
    assert main(["verify", str(tmp_path / "no bundle"), "--baseline", str(file)]) == 1
    assert f"cannot read the baseline {file}: No such file" in capsys.readouterr().err
