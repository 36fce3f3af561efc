"""Warm generation and latency: every contender in its own process, all in turns."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from digitvae.bench import limits
from digitvae.bench.results import FAILED, REFUSED
from digitvae.bench.words import count
from digitvae.bench.worker import ContenderError, Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digitvae.bench.contenders import Contender
    from digitvae.bench.job import Job


def measure(job: Job, contenders: Sequence[Contender]) -> None:
    """Add warm times, latencies and the multiply-add limit to the results.

    A contender that fails, or computes something else, is left out from then on, and its outcome
    says why.
    """
    with ExitStack() as stack:
        workers = _start(job, contenders, stack)
        rounds = job.settings.rounds
        for number in range(rounds):
            for i, threads in enumerate(job.settings.threads):
                done = number * len(job.settings.threads) + i
                job.on_progress(done, rounds * len(job.settings.threads), "warm, all in turns")
                measure_fma(job, threads)
                team = [worker for worker in workers if worker.threads == threads]
                first = number % max(len(team), 1)  # who comes first changes from round to round
                _round(job, team[first:] + team[:first], threads)
    job.results.drop_what_failed(job.results.warm, job.results.latency)


def measure_fma(job: Job, threads: int) -> None:
    """Add a measurement of the multiply-add limit, if this processor's can be measured."""
    with suppress(RuntimeError):
        rate = limits.fma_rate(job.settings.fma_seconds, threads)
        job.results.add_limit("fma", threads, rate)


def _start(job: Job, contenders: Sequence[Contender], stack: ExitStack) -> list[Worker]:
    """Workers that are loaded, checked and warmed up, for every number of threads."""
    workers = []
    everybody = [(one, threads) for threads in job.settings.threads for one in contenders]
    for done, (contender, threads) in enumerate(everybody):
        if not job.takes_part(contender):
            continue
        job.on_progress(done, len(everybody), f"preparing {contender.title}, {count(threads)}")
        worker = stack.enter_context(Worker(contender, job.bundle.path, threads))
        try:
            ready = worker.prepare()
            checked = worker.check()
            for digits in job.settings.sizes:  # some compile for every size
                worker.time(digits, 0.0)
        except ContenderError as error:
            job.exclude(contender, FAILED, str(error))
            continue
        outcome = job.results.outcome(contender.name)
        outcome.versions.update(ready["versions"])
        outcome.settings[str(threads)] = ready["settings"]
        outcome.deviation[str(threads)] = checked["deviation"]
        if checked["problem"]:
            job.exclude(contender, REFUSED, checked["problem"])
        workers.append(worker)
    return workers


def _round(job: Job, workers: list[Worker], threads: int) -> None:
    """One turn of every worker at every request size, and at single digits."""
    settings, results = job.settings, job.results
    if "warm" in settings.parts:
        for digits in settings.sizes:
            for worker in workers:
                times = _turn(job, worker, digits, settings.turn_seconds)
                if times:
                    mean = sum(times) / len(times)
                    results.times(results.warm, worker.contender.name, digits, threads).append(mean)
    if "latency" in settings.parts:
        for worker in workers:
            times = _turn(job, worker, 1, settings.turn_seconds, settings.latency_calls)
            if times:
                rounded = [round(time, 8) for time in times]  # more digits would be noise
                results.times(results.latency, worker.contender.name, 1, threads).extend(rounded)


def _turn(
    job: Job, worker: Worker, digits: int, seconds: float, most: int | None = None
) -> list[float]:
    """The times of one turn; none for who does not take part any more."""
    if not job.takes_part(worker.contender):
        return []
    try:
        return worker.time(digits, seconds, most)
    except ContenderError as error:
        job.exclude(worker.contender, FAILED, str(error))
        return []
