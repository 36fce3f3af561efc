"""One run of everything that is asked for."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from digitvae._native import check_model
from digitvae.bench import limits, machine, process, warm
from digitvae.bench.contenders import ALL
from digitvae.bench.job import Job
from digitvae.bench.results import NOT_INSTALLED, Outcome, Results
from digitvae.bench.weights import read_weights
from digitvae.bundle.names import DECODER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from digitvae.bench.contenders import Contender
    from digitvae.bench.job import Progress
    from digitvae.bench.settings import Settings
    from digitvae.bundle.folder import Bundle

_WRITES = 3


def run(
    settings: Settings,
    bundle: Bundle,
    folder: Path,
    *,
    contenders: Sequence[Contender] = ALL,
    on_progress: Progress = lambda _done, _total, _what: None,
) -> Results:
    """Measure.

    Args:
        settings: What, and how long.
        bundle: The decoder that all use.
        folder: Where files are written that are removed again; on the disk to measure.
        contenders: Who takes part. Those that are not installed are listed and skipped.
        on_progress: Called with steps done, steps in all (of the present part) and what is done.

    Returns:
        All times, and what became of every contender.

    Raises:
        BundleError: The bundle lacks the weights that all are checked against, or its decoder is no
            plain network.
        OSError: The folder cannot be written to.
    """
    results = Results(
        machine=machine.describe(),
        settings=asdict(settings),
        operations_a_digit=limits.operations_a_digit(bundle),
        outcomes=[_outcome(contender) for contender in contenders],
    )
    job = Job(settings, bundle, folder, results, on_progress)
    check_model(bundle.read(DECODER), "network")  # before any contender's runtime sees it
    present = [contender for contender in contenders if job.takes_part(contender)]
    parts = set(settings.parts)
    if parts != {"limits"}:
        read_weights(bundle)
    if "limits" in parts:
        _measure_writing(job)
    if {"warm", "latency"} & parts:
        warm.measure(job, present)
    elif "limits" in parts:
        _measure_fma(job)
    if "process" in parts:
        process.measure(job, [contender for contender in present if contender.has_program])
    return results


def _outcome(contender: Contender) -> Outcome:
    outcome = Outcome(contender.name, contender.title)
    if contender.missing():
        outcome.status, outcome.detail = NOT_INSTALLED, contender.install
    return outcome


def _measure_writing(job: Job) -> None:
    job.on_progress(0, 1, "writing to the disk")
    for _ in range(min(job.settings.rounds, _WRITES)):
        for name, sync in (("page cache", False), ("disk", True)):
            rate = limits.write_rate(job.folder, job.settings.write_mib, sync=sync)
            job.results.add_limit(name, 1, rate)


def _measure_fma(job: Job) -> None:
    for number in range(job.settings.rounds):
        job.on_progress(number, job.settings.rounds, "multiply-add units")
        for threads in job.settings.threads:
            warm.measure_fma(job, threads)
