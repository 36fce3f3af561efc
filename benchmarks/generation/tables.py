"""Results as tables of text, for terminals and for Markdown alike."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.generation.contenders import OURS
from benchmarks.generation.results import MEASURED, count, find
from digitvae.base.tables import Table

if TYPE_CHECKING:
    from benchmarks.generation.results import Outcome, Results, Series

_BYTES_A_DIGIT = 784
_LATENCY_PERCENT = 99
_BUSY = 0.15  # interquartile range beside the median; 0.01 to 0.05 on an idle machine


def tables(results: Results) -> list[Table]:
    """All tables that there are times for."""
    threads = sorted({one.threads for one in results.warm})
    found = [_limits(results)] if results.limits else []
    found += [_shares(results)] if results.warm and results.fma_limit(threads[0]) else []
    found += [_warm(results, number) for number in threads]
    found += [_latency(results)] if results.latency else []
    found += [_process(results)] if results.process else []
    return [*found, _contenders(results)]


def _limits(results: Results) -> Table:
    """What the machine could do at most."""
    rows = []
    for limit in sorted(results.limits, key=lambda one: (one.name != "fma", one.threads)):
        if limit.name == "fma":
            rate, name = max(limit.per_second), f"multiply-adds, {count(limit.threads)}"
            shown, digits = f"{rate / 1e9:,.0f} GFLOP/s", rate / results.operations_a_digit
        else:
            rate = statistics.median(limit.per_second)
            name = {"page cache": "write into the page cache", "disk": "write onto the disk"}[
                limit.name
            ]
            shown, digits = f"{rate / 1e6:,.0f} MB/s", rate / _BYTES_A_DIGIT
        rows.append((name, shown, f"{digits:,.0f}"))
    note = f"A dense network takes {results.operations_a_digit:,} operations for a digit."
    return Table("Limits of this machine", ("limit", "", "digits per second"), tuple(rows), 1, note)


def _shares(results: Results) -> Table:
    """The best request size of each contender beside the multiply-add limit."""
    rows = []
    for name, title in results.titles(results.warm).items():
        one_thread = None
        for threads in sorted({one.threads for one in results.warm if one.contender == name}):
            mine = [s for s in results.warm if (s.contender, s.threads) == (name, threads)]
            best = min(mine, key=lambda one: one.median / one.digits)
            rate = best.digits / best.median
            limit = results.fma_limit(threads)
            one_thread = rate if threads == 1 else one_thread
            per_limit = results.operations_a_digit / limit if limit else float("nan")
            rows.append(
                (
                    title,
                    f"{threads}",
                    f"{best.digits:,}",
                    f"{rate:,.0f}",
                    f"{rate * per_limit:.2f}",
                    f"{best.digits / min(best.seconds) * per_limit:.2f}",
                    f"{rate / one_thread:.2f}×" if one_thread else "",
                )
            )
    header = (
        "contender",
        "threads",
        "digits a request",
        "digits per second",
        "of the FMA limit",
        "in its best round",
        "beside 1 thread",
    )
    title = "Share of the multiply-add limit, each at its best request size"
    return Table(title, header, tuple(rows), note=_note(results.warm))


def _warm(results: Results, threads: int) -> Table:
    """Digits per second by request size and contender."""
    series = [one for one in results.warm if one.threads == threads]
    titles = results.titles(series)
    rows = []
    for digits in sorted({one.digits for one in series}):
        rates = {}
        for name in titles:
            one = find(series, name, digits, threads)
            if one is not None:
                rates[name] = digits / one.median
        cells = [f"{rates[name]:,.0f}" if name in rates else "" for name in titles]
        rows.append((f"{digits:,}", *cells, _beside_best(rates)))
    title = f"Warm requests, digits per second into uint8 memory, {count(threads)}"
    header = ("digits a request", *titles.values(), "digitvae beside the best other")
    return Table(title, header, tuple(rows), left=0, note=_note(series))


def _beside_best(rates: dict[str, float]) -> str:
    others = [rate for name, rate in rates.items() if name != OURS]
    return f"{rates[OURS] / max(others):.2f}×" if OURS in rates and others else ""


def _latency(results: Results) -> Table:
    """Median and tail of a single digit."""
    all_threads = sorted({one.threads for one in results.latency})
    rows = []
    for name, title in results.titles(results.latency).items():
        cells: list[str] = []
        for threads in all_threads:
            one = find(results.latency, name, 1, threads)
            ours = find(results.latency, OURS, 1, threads)
            if one is None:
                cells += ["", "", ""]
                continue
            cells += [
                f"{one.median * 1e6:.0f}",
                f"{_percentile(one.seconds, _LATENCY_PERCENT) * 1e6:.0f}",
                f"{one.median / ours.median:.1f}×" if ours else "",
            ]
        rows.append((title, *cells))
    header = ["contender"]
    for threads in all_threads:
        header += [f"median, {count(threads)}", "99 %", "beside digitvae"]
    title = "One digit into uint8 memory, warm, microseconds"
    return Table(title, tuple(header), tuple(rows))


def _percentile(values: list[float], percent: int) -> float:
    """The smallest value that so many percent are not above."""
    return sorted(values)[-(-len(values) * percent // 100) - 1]


def _process(results: Results) -> Table:
    """Whole processes by number of digits and contender."""
    titles = results.titles(results.process)
    rows = []
    for digits, threads in sorted({(one.digits, one.threads) for one in results.process}):
        ours = find(results.process, OURS, digits, threads)
        cells = []
        for name in titles:
            one = find(results.process, name, digits, threads)
            ratio = f" ({one.median / ours.median:.1f}×)" if one and ours and name != OURS else ""
            cells.append("" if one is None else _seconds(one.median) + ratio)
        rows.append((f"{digits:,}", *cells))
    title = "Whole process, from start to exit, into a .npy of uint8"
    header = ("digits", *titles.values())
    return Table(title, header, tuple(rows), left=0, note=_note(results.process))


def _seconds(value: float) -> str:
    return f"{value:.3f} s" if value < 1 else f"{value:.2f} s"


def _contenders(results: Results) -> Table:
    """Who took part, with what, and how exact."""
    rows = tuple((one.title, _what_became(one), _with_what(one)) for one in results.outcomes)
    machine = results.machine
    note = (
        f"{machine['processor']}, {count(int(machine['processors']), 'processor')}, "
        f"{machine['system']}, Python {machine['python']}; load before the run "
        f"{machine['load_before']}."
    )
    return Table("Contenders", ("contender", "", "with"), rows, left=3, note=note)


def _what_became(outcome: Outcome) -> str:
    if outcome.status != MEASURED:
        return f"{outcome.status}: {outcome.detail}"
    if not outcome.deviation:
        return "measured"
    return f"right within {max(outcome.deviation.values()):.1e}"


def _with_what(outcome: Outcome) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in outcome.versions.items())
    settings = [
        f"{count(int(threads))}: {setting}"
        for threads, setting in outcome.settings.items()
        if setting
    ]
    return "; ".join(part for part in (versions, *settings) if part)


def _note(series: list[Series]) -> str:
    """How much the rounds differ."""
    rounds = max(len(one.seconds) for one in series)
    spreads = [one.spread for one in series]
    middle = statistics.median(spreads)
    note = (
        f"Medians of {count(rounds, 'round')} in turns; their interquartile range is {middle:.0%} "
        f"of the median in the middle, {max(spreads):.0%} at most."
    )
    if middle > _BUSY:
        note += " Something else was busy on this machine: do not trust these numbers."
    return note
