"""The findings of a verification: plain data, for the terminal, ``parity.json`` and the pages.

Everything here is small, quantiles and counts and no values: reports can be kept and compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass
from operator import attrgetter
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from digitvae.base.text import printable

_T = TypeVar("_T")

SCHEMA = "digitvae-parity/2"

LOADED = "can be loaded"
"""Statement of the check that a runtime failed to load; ``not run`` where the machine lacks it, or
where loading the file would trust whoever made it."""

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

    @classmethod
    def of(cls, subject: str, statement: str, holds: bool, detail: str = "") -> Check:
        """One that passes if the statement holds, and fails if not."""
        return cls(subject, statement, "passed" if holds else "failed", detail)

    @classmethod
    def none_differ(cls, subject: str, statement: str, wrong: int, compared: int) -> Check:
        """One that passes if none of what was compared is wrong."""
        return cls.of(subject, statement, not wrong, f"{wrong} of {compared} differ")

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
        place: Block of the inputs, and row of the block. Not part of ``parity.json``.
    """

    value: float
    input: str
    element: int
    place: tuple[int, int] = field(default=(0, 0), compare=False)

    def merge(self, later: Peak | None) -> Peak:
        """The larger of two, this if they are equal or there is no other."""
        return self if later is None or not later.value > self.value else later


@dataclass(frozen=True)
class Spread:
    """The distribution of a deviation over all values of an output.

    Attributes:
        peak: The largest, and where.
        median: Half of the values deviate less. Quantiles are upper edges of bins, eight to an
            octave.
        q99: 99 % deviate less.
        q999: 99.9 % deviate less.
        octaves: ``{e: count}``: how many deviations lie in [2ᵉ, 2ᵉ⁺¹), of a sample of the rows.
            Zeros are not counted.
        zeros: How many of the sample are exactly zero.
    """

    peak: Peak
    median: float
    q99: float
    q999: float
    octaves: dict[int, int]
    zeros: int

    @property
    def sampled(self) -> int:
        """How many values were counted."""
        return self.zeros + sum(self.octaves.values())


@dataclass(frozen=True)
class Deviations:
    """One output of one runtime on one set of inputs, in every measure.

    Attributes:
        to_truth: |Δ| to float64 truth.
        rms_to_truth: Root of the mean of its square: which runtime is closest to the mathematics.
        relative: |Δ|/|truth|; where the truth is 0, infinite unless Δ is 0.
        ulps: |Δ| in units in the last place of the float32 nearest to the truth.
        to_eager: |Δ| to the reference, PyTorch eager; ``None`` for eager itself.
        bound_there: What rounding can do at most (the proven bound) where |Δ| to truth peaks.
        bound_used: Largest |Δ| to truth as a share of the element's own proven bound; above 1 is a
            defect. ``None`` if no bound is known.
        noise_used: The same share of the noise limit: sixteen standard deviations of roundings that
            err independently. ``None`` if it is not known.
        noise_rms: Root of the mean square of Δ in those standard deviations.
        bytes_differ: Images: how many values differ from eager's after rounding to uint8.
        bytes_by: Images: by how many grey levels at most.
        bytes_per_million: Images: the same as a share of all values.
    """

    to_truth: Spread
    rms_to_truth: float
    relative: Spread
    ulps: Spread
    to_eager: Spread | None = None
    bound_there: float | None = None
    bound_used: Peak | None = None
    noise_used: Peak | None = None
    noise_rms: float | None = None
    bytes_differ: int | None = None
    bytes_by: int | None = None
    bytes_per_million: float | None = None


@dataclass(frozen=True)
class Comparison:
    """One output of one runtime on one set of inputs, and the verdict.

    Attributes:
        network: ``decoder``, ``encoder``, ``reconstruction``; of other models their graph's name.
        output: ``x``, ``mu`` or ``logvar``.
        inputs: Name of the set of inputs.
        count: Rows in it.
        values: Values in a row of the output.
        runtime: Name of the runtime.
        status: ``failed`` if a limit was left.
        same_bits_as: An earlier runtime with the same bits in every value: its deviations, which
            are not repeated here.
        deviations: The numbers; ``None`` if it computed nothing comparable, or for a twin.
        must_equal: The runtime whose bits it must have, if any.
        bits_differ: How many values have other bits than that one's.
        detail: On failure, what failed and where.
        typical: Whether the inputs are such that the noise limit must hold.
    """

    network: str
    output: str
    inputs: str
    count: int
    values: int
    runtime: str
    status: Status
    same_bits_as: str | None = None
    deviations: Deviations | None = None
    must_equal: str | None = None
    bits_differ: int | None = None
    detail: str = ""
    typical: bool = True

    def __str__(self) -> str:
        text = f"{self.runtime}, {self.network} {self.output} on {self.inputs}: {self.status}"
        return text + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class Pair:
    """The distance of two runtimes from each other.

    Attributes:
        network: Which network.
        output: Which output.
        inputs: Which inputs.
        a: One runtime.
        b: Another, whose bits differ somewhere.
        peak: The largest |Δ|.
    """

    network: str
    output: str
    inputs: str
    a: str
    b: str
    peak: Peak


@dataclass(frozen=True)
class WorstCase:
    """Two images that should be one, for eyes. Not part of ``parity.json``.

    Attributes:
        network: Which network.
        inputs: Which inputs.
        reference: Runtime of ``a``.
        runtime: Runtime of ``b``.
        input: Which row, in words.
        a: Intensities, float32 [height, width].
        b: The same of the other runtime.
    """

    network: str
    inputs: str
    reference: str
    runtime: str
    input: str
    a: NDArray[np.float32]
    b: NDArray[np.float32]


@dataclass(frozen=True)
class GateTest:
    """Results of the gate's own test, on copies of the bundle, damaged or only rewritten.

    Attributes:
        mutants: Faulty copies that were made.
        caught: How many of them failed at the place where the fault is.
        honest: Rewritten copies that compute the same.
        accepted: How many of them passed.
        missed: Names of the mutants that passed, or were blamed on the wrong place.
        rejected: Names of the honest copies that failed.
    """

    mutants: int
    caught: int
    honest: int
    accepted: int
    missed: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True)
class ParityReport:
    """Everything a verification found.

    Attributes:
        subject: What was verified: a bundle's data set, or a model.
        mode: ``full`` or ``quick``.
        draws: How many prior draws were compared.
        versions: Versions of the libraries that took part.
        machine: What else the numbers depend on: architecture, vector instructions.
        checks: Structure, properties, and what else is true or not.
        comparisons: Numbers, by network, output, inputs and runtime.
        pairs: Runtimes against each other.
        notes: What a reader has to know before the numbers: an axis that is fixed, for one.
        gate_test: What became of the mutants, if they were made.
        worst_cases: Images for eyes.
    """

    subject: str
    mode: str
    draws: int
    versions: dict[str, str]
    machine: dict[str, str]
    checks: tuple[Check, ...]
    comparisons: tuple[Comparison, ...]
    pairs: tuple[Pair, ...] = ()
    notes: tuple[str, ...] = ()
    gate_test: GateTest | None = None
    worst_cases: tuple[WorstCase, ...] = field(default=(), compare=False)

    @property
    def failures(self) -> tuple[Check | Comparison, ...]:
        """Everything that failed, structure first."""
        everything: tuple[Check | Comparison, ...] = (*self.checks, *self.comparisons)
        return tuple(item for item in everything if item.status == "failed")

    @property
    def passed(self) -> bool:
        """Whether nothing failed; what was not run does not count as failed."""
        return not self.failures

    def deviations(self, comparison: Comparison) -> Deviations | None:
        """The numbers of a comparison, those of its twin if it has one."""
        if comparison.same_bits_as is None:
            return comparison.deviations
        place = (comparison.network, comparison.output, comparison.inputs)
        return next(
            c.deviations
            for c in self.comparisons
            if (c.network, c.output, c.inputs) == place and c.runtime == comparison.same_bits_as
        )

    def summary(self) -> str:
        """One line on success; on failure also what failed, a line each, the first dozen."""
        number = len(self.checks) + len(self.comparisons)
        if not self.passed:
            failed = [str(item) for item in self.failures]
            more = [f"and {len(failed) - _LISTED} more"] if len(failed) > _LISTED else []
            head = f"parity: {len(failed)} of {number} checks failed{self._noted}:"
            return "\n  ".join(map(printable, [head, *failed[:_LISTED], *more]))
        absent = sum(check.status == "not run" for check in self.checks)
        done = f"parity: {number - absent} checks passed"
        return printable((f"{done}, {absent} not run" if absent else done) + self._noted)

    @property
    def _noted(self) -> str:
        return "".join(f"; {note}" for note in self.notes)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types: no times, no paths, nothing that differs between two runs.

        Numbers are rounded to four digits; those that are infinite or not a number are strings,
        which JSON can hold. What does not apply is left out.
        """
        return {"schema": SCHEMA, "passed": self.passed, **_json(self)}


def by(items: Iterable[_T], *names: str) -> dict[Any, list[_T]]:
    """Items by an attribute or by several, in the order in which they come."""
    found: dict[Any, list[_T]] = {}
    for item in items:
        found.setdefault(attrgetter(*names)(item), []).append(item)
    return found


def classes(comparisons: Iterable[Comparison]) -> list[list[Comparison]]:
    """Put runtimes together whose bits are the same in all of these comparisons of one output.

    Returns:
        The comparisons of each class, those of the runtime that leads it first.
    """
    found: dict[object, list[Comparison]] = {}
    for runtime, own in by(comparisons, "runtime").items():
        bits = tuple((c.inputs, c.same_bits_as or runtime) for c in own)
        found.setdefault(bits, []).extend(own)
    return list(found.values())


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _json(value: Any) -> Any:
    if is_dataclass(value):  # what does not make two reports different is not written
        value = {f.name: getattr(value, f.name) for f in fields(value) if f.compare}
    if isinstance(value, dict):
        return {
            str(key): _json(item) for key, item in value.items() if item is not None and item != ""
        }
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else str(value)
    return value
