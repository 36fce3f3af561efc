"""What a run has measured: every single time, and where and with what. JSON and back."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA = "digitvae-bench/1"

MEASURED = "measured"
NOT_INSTALLED = "not installed"
REFUSED = "refused"
FAILED = "failed"


@dataclass(frozen=True)
class Series:
    """Repeated times of one thing.

    Attributes:
        contender: Its name.
        digits: Digits of a request or a file.
        threads: Threads it could use.
        seconds: Of each request, in the order of measuring. For warm generation one value a round,
            the mean over the requests of a turn.
    """

    contender: str
    digits: int
    threads: int
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median of the seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Interquartile range as a share of the median; 0 for a single value."""
        if len(self.seconds) < 2:
            return 0.0
        first, _, third = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (third - first) / self.median


@dataclass(frozen=True)
class Limit:
    """Repeated measurements of a limit of the machine.

    Attributes:
        name: ``fma`` (float32 operations a second), or ``page cache`` or ``disk`` (bytes a second).
        threads: Threads that did it.
        per_second: Each measurement.
    """

    name: str
    threads: int
    per_second: list[float] = field(default_factory=list)


@dataclass
class Outcome:
    """What became of a contender.

    Attributes:
        name: On the command line.
        title: In tables.
        status: ``measured``, ``not installed``, ``failed``, or ``refused``: it computes something
            else.
        detail: Why, or the command that installs it.
        versions: Of the packages that do its work.
        settings: By number of threads, what was found to be fastest.
        deviation: By number of threads, the largest deviation of a pixel from float64.
    """

    name: str
    title: str
    status: str = MEASURED
    detail: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    deviation: dict[str, float] = field(default_factory=dict)


@dataclass
class Results:
    """One run.

    Attributes:
        machine: Processor, memory, system, versions, load before the run.
        settings: Rounds and lengths, as in :class:`benchmarks.generation.measure.Settings`.
        operations_a_digit: Float32 operations of the decoder for one digit.
        outcomes: One for each contender that was asked for.
        limits: Of the machine.
        warm: Requests to a process that is warmed up.
        latency: Single requests for one digit.
        process: Whole processes that write a file.
    """

    machine: dict[str, Any]
    settings: dict[str, Any]
    operations_a_digit: int
    outcomes: list[Outcome] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)
    warm: list[Series] = field(default_factory=list)
    latency: list[Series] = field(default_factory=list)
    process: list[Series] = field(default_factory=list)

    def to_json(self) -> str:
        """As JSON, on one line."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        """What :meth:`to_json` has written.

        Raises:
            ValueError: It is something else.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ValueError(f"this is not JSON: {error}") from error
        found = values.pop("schema", None) if isinstance(values, dict) else None
        if found != SCHEMA:
            raise ValueError(f"schema is {found!r}, expected {SCHEMA!r}")
        try:
            for name, kind in (
                ("outcomes", Outcome),
                ("limits", Limit),
                ("warm", Series),
                ("latency", Series),
                ("process", Series),
            ):
                values[name] = [kind(**entry) for entry in values[name]]
            return cls(**values)
        except (TypeError, KeyError) as error:
            raise ValueError(f"this is not of schema {SCHEMA!r}: {error}") from error

    def outcome(self, name: str) -> Outcome:
        """What became of a contender that was asked for."""
        return next(outcome for outcome in self.outcomes if outcome.name == name)

    def add_limit(self, name: str, threads: int, per_second: float) -> None:
        """Add a measurement of a limit."""
        for limit in self.limits:
            if (limit.name, limit.threads) == (name, threads):
                limit.per_second.append(per_second)
                return
        self.limits.append(Limit(name, threads, [per_second]))

    def drop_what_failed(self, *parts: list[Series]) -> None:
        """Remove the times of contenders that failed or were refused from these parts."""
        good = {outcome.name for outcome in self.outcomes if outcome.status == MEASURED}
        for series in parts:
            series[:] = [one for one in series if one.contender in good]

    def titles(self, series: list[Series]) -> dict[str, str]:
        """Title by name of the contenders that have times here, in the order of tables."""
        names = {one.contender for one in series}
        return {one.name: one.title for one in self.outcomes if one.name in names}

    def fma_limit(self, threads: int) -> float | None:
        """The highest of all measured rates of multiply-adds, in float32 operations a second."""
        found = [
            rate
            for limit in self.limits
            if (limit.name, limit.threads) == ("fma", threads)
            for rate in limit.per_second
        ]
        return max(found, default=None)


def count(number: int, what: str = "thread") -> str:
    """A number of things: ``1 thread``, ``2 threads``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def times(series: list[Series], contender: str, digits: int, threads: int) -> list[float]:
    """The list that the seconds of one thing are in, or will be."""
    found = find(series, contender, digits, threads)
    if found is None:
        found = Series(contender, digits, threads)
        series.append(found)
    return found.seconds


def find(series: list[Series], contender: str, digits: int, threads: int) -> Series | None:
    """The times of one thing, if it was measured."""
    for one in series:
        if (one.contender, one.digits, one.threads) == (contender, digits, threads):
            return one
    return None
