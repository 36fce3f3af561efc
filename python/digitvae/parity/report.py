"""What a verification found: plain data, the same for the terminal and for ``parity.json``."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

SCHEMA = "digitvae-parity/1"

_LISTED = 12

Status = Literal["passed", "failed", "measured", "not run"]
"""``measured`` has no limit to pass; ``not run`` says why in its detail."""


@dataclass(frozen=True)
class Check:
    """One yes-or-no statement.

    Attributes:
        subject: What it is about: a file, a runtime, a data set.
        statement: What should hold.
        status: Whether it does.
        detail: What was found; on failure, where.
    """

    subject: str
    statement: str
    status: Status
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.statement}: {self.status}" + (
            f" ({self.detail})" if self.detail else ""
        )


@dataclass(frozen=True)
class Peak:
    """The largest of many values and the input it came from.

    Attributes:
        value: The value; infinite when an output was not a number.
        input: Which row of the inputs, in words.
        element: Column of the output.
    """

    value: float
    input: str
    element: int


@dataclass(frozen=True)
class Comparison:
    """One output of one runtime on one set of inputs.

    Attributes:
        network: ``decoder`` or ``encoder``.
        output: ``x``, ``mu`` or ``logvar``.
        inputs: Name of the set of inputs.
        count: Rows in it.
        runtime: Name of the runtime.
        status: ``failed`` if a limit below was left.
        to_eager: Largest |Δ| to PyTorch eager.
        to_eager_scaled: Largest |Δ|/max(1, |eager|).
        eager_limit_used: Largest |Δ| to eager as a share of its limit (see ``compare.py``); above 1
            is a failure; ``None`` where only the bound counts.
        to_truth: Largest |Δ| to float64 truth.
        bound_there: What rounding alone explains at that element.
        bound_used: Largest |Δ| to truth as a share of the element's own bound; above 1 is a defect.
        same_bits_as: The runtime whose bits this one must have, if any.
        bits_differ: How many values have other bits than that one's.
        pixels_differ: How many values differ from eager's after rounding to uint8 (decoder).
        detail: On failure, what failed and where.
    """

    network: str
    output: str
    inputs: str
    count: int
    runtime: str
    status: Status
    to_eager: Peak | None = None
    to_eager_scaled: Peak | None = None
    eager_limit_used: Peak | None = None
    to_truth: Peak | None = None
    bound_there: float | None = None
    bound_used: Peak | None = None
    same_bits_as: str | None = None
    bits_differ: int | None = None
    pixels_differ: int | None = None
    detail: str = ""

    def __str__(self) -> str:
        text = f"{self.runtime}, {self.network} {self.output} on {self.inputs}: {self.status}"
        return text + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class ParityReport:
    """Everything a verification found.

    Attributes:
        draws: How many prior draws were compared.
        versions: Versions of the libraries that took part.
        machine: What else the numbers depend on: architecture, vector instructions.
        checks: Structure and properties.
        comparisons: Numbers, by network, output, inputs and runtime.
    """

    draws: int
    versions: dict[str, str]
    machine: dict[str, str]
    checks: tuple[Check, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def failures(self) -> tuple[Check | Comparison, ...]:
        """Everything that failed, structure first."""
        everything: tuple[Check | Comparison, ...] = (*self.checks, *self.comparisons)
        return tuple(item for item in everything if item.status == "failed")

    @property
    def passed(self) -> bool:
        """Whether nothing failed; what was not run does not count as failed."""
        return not self.failures

    def summary(self) -> str:
        """One line on success; on failure also what failed, a line each, the first dozen."""
        number = len(self.checks) + len(self.comparisons)
        if not self.passed:
            failed = [f"  {item}" for item in self.failures]
            more = [f"  and {len(failed) - _LISTED} more"] if len(failed) > _LISTED else []
            head = f"parity: {len(failed)} of {number} checks failed:"
            return "\n".join([head, *failed[:_LISTED], *more])
        absent = sum(check.status == "not run" for check in self.checks)
        return f"parity: {number - absent} checks passed" + (
            f", {absent} not run" if absent else ""
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types: no times, no paths, nothing that differs between two runs.

        Numbers are rounded to four digits; those that are infinite or not a number are strings,
        which JSON can hold. What does not apply is left out.
        """
        content = {
            "schema": SCHEMA,
            "passed": self.passed,
            "draws": self.draws,
            "versions": self.versions,
            "machine": self.machine,
            "checks": [asdict(check) for check in self.checks],
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
        }
        simplified: dict[str, Any] = _json(content)
        return simplified


def first_line(error: Exception) -> str:
    """The first line of an exception's message, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items() if item is not None and item != ""}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else str(value)
    return value
