"""Whether parity got worse since a report that was kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from digitvae.base.errors import ParityError
from digitvae.parity.inputs.sets import GENERATED, SEARCHED
from digitvae.parity.report.report import LOADED, SCHEMA, Check, ParityReport, first_line

SUBJECT = "baseline"

_ROOT_MEAN_SQUARE = 1.25
"""Growth of the typical deviation that counts as worse: it is a mean of thousands of values."""

_PEAK = 2.0
"""Growth of the largest deviation that counts as worse: it is one value of millions."""

_ON_ANOTHER_MACHINE = 2.0
"""Times as much may both grow on another kind of processor, whose kernels add in another order:
from AVX2 to AVX-512 the shipped bundle's grow by up to 1.23 and 1.62 times."""

_NEGLIGIBLE = 2.0**-26
"""Deviations below a quarter of a unit in the last place of 1 are not compared."""


def read_baseline(path: Path) -> dict[str, Any]:
    """Read a report that ``verify --json`` or an export has written.

    Raises:
        ParityError: It is not there, or is no such report.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParityError(f"cannot read the baseline {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ParityError(f"the baseline {path} is not JSON: {first_line(error)}") from error
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise ParityError(
            f"the baseline {path} has schema {found!r}, expected {SCHEMA!r}: make it with "
            "`digitvae verify --json`"
        )
    required = {"subject", "mode", "draws", "checks", "comparisons"}
    missing = sorted(required - content.keys())
    if missing:
        raise ParityError(f"the baseline {path} lacks {', '.join(missing)}")
    if not (isinstance(content["comparisons"], list) and content["comparisons"]):
        raise ParityError(f"the baseline {path} has no comparisons: nothing could get worse")
    return dict(content)


def refuse_less(report: ParityReport, kept: bytes) -> None:
    """Refuse to replace a report by one that looked at less.

    Args:
        report: The new report.
        kept: The content of ``parity.json``. What is no report of this schema may be replaced.

    Raises:
        ParityError: Says what was looked at before.
    """
    try:
        before, now = json.loads(kept), report.to_dict()
        if before["schema"] != SCHEMA:
            return
        lost = sorted(_names(before, "passed") & _names(now, "not run"))
        looked_at = {c["subject"] for c in before["checks"] if c["status"] == "passed"}
        lost += sorted(
            c["subject"] for c in now["checks"] if _is_absent(c) and c["subject"] in looked_at
        )
        if before["draws"] > now["draws"] or (before["mode"], now["mode"]) == ("full", "quick"):
            lost.append(f"{before['draws']} draws in {before['mode']} mode")
        if before.get("gate_test") and not now.get("gate_test"):
            lost.append("the gate itself, with --self-test")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    if lost:
        raise ParityError(
            f"the report that the bundle holds looked at more: {'; '.join(lost)}. It was not "
            "replaced; --force does it all the same"
        )


def _names(content: dict[str, Any], status: str) -> set[str]:
    """The checks of a report that have a status."""
    checks = content["checks"]
    return {f"{c['subject']}: {c['statement']}" for c in checks if c["status"] == status}


def compared_with(report: ParityReport, baseline: dict[str, Any]) -> ParityReport:
    """The report, with a check for each thing that got worse, or one that nothing did.

    Worse is: a check that passed and does not any more, or is not made any more; the same of a
    comparison; a typical deviation from the truth 1.25 times as large, a largest one twice as
    large, or twice these factors on another kind of processor; a runtime that had another's bits on
    this kind of processor with these versions, and has not any more.

    Not compared is what cannot be the same: inputs that a search ended with, inputs that another
    version of hypothesis made, and a runtime that needs another kind of processor.

    Args:
        report: The new report.
        baseline: From :func:`read_baseline`.

    Raises:
        ParityError: The baseline is of something else, was made with another number of inputs, or
            is damaged.
    """
    now: dict[str, Any] = report.to_dict()
    for key in ("subject", "mode", "draws"):
        if baseline[key] != now[key]:
            raise ParityError(
                f"the baseline was made with {key} = {baseline[key]}, this report with {now[key]}: "
                "deviations on different inputs cannot be compared"
            )
    try:
        worse = [*_checks(baseline, now), *_comparisons(baseline, now)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ParityError(f"the baseline is damaged: {type(error).__name__} {error}") from error
    if not worse:
        compared = len(baseline["checks"]) + len(baseline["comparisons"])
        detail = f"{compared} findings compared"
        worse = [Check(SUBJECT, "nothing got worse", "passed", detail)]
    return replace(report, checks=(*report.checks, *worse))


def _checks(before: dict[str, Any], now: dict[str, Any]) -> Iterator[Check]:
    found = {(c["subject"], c["statement"]): c for c in now["checks"]}
    for check in before["checks"]:
        # Neither baseline nor gate are part of every verification.
        if check["status"] != "passed" or check["subject"] in (SUBJECT, "gate"):
            continue
        name = f"{check['subject']}: {check['statement']}"
        after = found.get((check["subject"], check["statement"]))
        if after is None:
            yield Check(SUBJECT, name, "failed", "passed before, and is not checked any more")
        elif after["status"] != "passed":
            yield Check(SUBJECT, name, "failed", f"passed before, now {after['status']}")


def _comparisons(before: dict[str, Any], now: dict[str, Any]) -> Iterator[Check]:
    old, new = _by_place(before), _by_place(now)
    same_machine = before.get("machine") == now["machine"]
    absent = set() if same_machine else {c["subject"] for c in now["checks"] if _is_absent(c)}
    others, others_now = (
        # All but this package, whose own changes are what a baseline guards against.
        {name: it for name, it in content.get("versions", {}).items() if name != "digitvae"}
        for content in (before, now)
    )
    same_generated = others.get("hypothesis") == others_now.get("hypothesis")
    same_setting = same_machine and others == others_now
    factor = 1.0 if same_machine else _ON_ANOTHER_MACHINE
    for place, comparison in old.items():
        name = "{3}, {0} {1} on {2}".format(*place)
        if place[3] in absent or (place[2] == GENERATED and not same_generated):
            continue
        if place not in new:
            yield Check(SUBJECT, name, "failed", "compared before, and not any more")
            continue
        after = new[place]
        if comparison["status"] == "passed" != after["status"]:
            yield Check(SUBJECT, name, "failed", f"passed before, now {after['status']}")
            continue
        twin = comparison.get("same_bits_as")
        if same_setting and twin and _leader(new, (*place[:3], twin)) != _leader(new, place):
            yield Check(SUBJECT, name, "failed", f"had {twin}'s bits before")
        numbers = _numbers(old, place), _numbers(new, place)
        if numbers[0] is not None and numbers[1] is not None:
            yield from _growth(name, numbers[0], numbers[1], factor)


def _is_absent(check: dict[str, Any]) -> bool:
    return bool(check["statement"] == LOADED and check["status"] == "not run")


def _growth(
    name: str, before: dict[str, Any], after: dict[str, Any], more: float
) -> Iterator[Check]:
    peak, peak_now = (found["to_truth"]["peak"]["value"] for found in (before, after))
    for kind, factor, old, new in (
        ("typical", more * _ROOT_MEAN_SQUARE, before["rms_to_truth"], after["rms_to_truth"]),
        ("largest", more * _PEAK, peak, peak_now),
    ):
        if float(new) > max(factor * float(old), _NEGLIGIBLE):
            detail = (
                f"its {kind} deviation from the truth was {old}, now {new}: over {factor} times"
            )
            yield Check(SUBJECT, name, "failed", detail)


def _by_place(report: dict[str, Any]) -> dict[tuple[str, ...], dict[str, Any]]:
    keys = ("network", "output", "inputs", "runtime")
    # Which inputs a search ends with depends on the last bit of everything.
    return {
        tuple(c[key] for key in keys): c for c in report["comparisons"] if c["inputs"] != SEARCHED
    }


def _leader(by_place: dict[tuple[str, ...], dict[str, Any]], place: tuple[str, ...]) -> str:
    comparison = by_place.get(place, {})
    return str(comparison.get("same_bits_as", place[3]))


def _numbers(
    by_place: dict[tuple[str, ...], dict[str, Any]], place: tuple[str, ...]
) -> dict[str, Any] | None:
    """The deviations of a comparison; ``None`` if it failed because nothing was computed."""
    leader = by_place[(*place[:3], _leader(by_place, place))]
    if leader["status"] == "failed" and "deviations" not in leader:
        return None
    deviations = leader["deviations"]
    if not isinstance(deviations, dict):
        raise TypeError("deviations are no table")
    return deviations
