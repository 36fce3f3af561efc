"""One run of everything that is asked for, all contenders in turns."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from benchmarks import machine
from benchmarks.generation.contenders import ALL, OURS, TORCHSCRIPT
from benchmarks.generation.correctness import read_weights, wrong_images, wrong_mean
from benchmarks.generation.results import (
    FAILED,
    MEASURED,
    NOT_INSTALLED,
    REFUSED,
    Outcome,
    Results,
    count,
    times,
)
from benchmarks.generation.worker import ContenderError, Worker
from digitvae._native import check_model
from digitvae.bundle.names import DECODER

if TYPE_CHECKING:
    from benchmarks.generation.contenders import Contender
    from digitvae.bundle.folder import Bundle

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all (of the present part) and what is done."""

_Any = TypeVar("_Any")

PARTS = ("warm", "latency", "process", "limits")
_WRITES = 3
_CHECKED_DIGITS = 2048
_SHOWN_OF_STDERR = 200  # characters


@dataclass(frozen=True)
class Settings:
    """What to measure, and how long.

    Attributes:
        parts: Some of ``PARTS``.
        threads: Numbers of threads for warm generation and latency.
        rounds: Turns of every contender in everything that is measured.
        sizes: Digits of a warm request.
        counts: Digits of a file that a whole process writes.
        turn_seconds: How long a turn lasts at least, in warm generation.
        latency_calls: Requests for one digit in a turn.
        fma_seconds: How long the multiply-add units are measured in a round.
        write_mib: Size of the file for the bandwidth of writing, in MiB.
    """

    parts: tuple[str, ...] = PARTS
    threads: tuple[int, ...] = (1,)
    rounds: int = 9
    sizes: tuple[int, ...] = (1, 2, 8, 64, 100, 256, 1000, 4096, 10_000, 40_000)
    counts: tuple[int, ...] = (1, 10_000, 200_000)
    turn_seconds: float = 0.1
    latency_calls: int = 100
    fma_seconds: float = 0.2
    write_mib: int = 512


QUICK = Settings(
    rounds=3,
    sizes=(1, 64, 1000, 10_000),
    counts=(1, 10_000),
    turn_seconds=0.05,
    latency_calls=50,
    fma_seconds=0.1,
    write_mib=128,
)
"""A look, in minutes."""


def measure(
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
        on_progress: Is told how far it is.

    Returns:
        All times, and what became of every contender. One that fails, or computes something else,
        is left out from then on, and its outcome says why.

    Raises:
        BundleError: The bundle lacks the weights that all are checked against, or its decoder is no
            plain network.
        OSError: The folder cannot be written to.
    """
    check_model(bundle.read(DECODER), "network")  # before any contender's runtime sees it
    dims = bundle.manifest["dims"]
    results = Results(
        machine=machine.describe(),
        settings=asdict(settings),
        # A multiply-add is two operations.
        operations_a_digit=2 * dims["hidden"] * (dims["latent"] + dims["height"] * dims["width"]),
        outcomes=[Outcome(one.name, one.title) for one in contenders],
    )
    run = _Run(settings, bundle, folder, results, on_progress)
    for contender in contenders:
        if contender.missing():
            run.exclude(contender, NOT_INSTALLED, contender.install)
    if settings.parts != ("limits",):
        read_weights(bundle)
    if "limits" in settings.parts:
        run.writing()
    if {"warm", "latency"} & {*settings.parts}:
        run.warm(contenders)
    elif "limits" in settings.parts:
        run.multiply_adds()
    if "process" in settings.parts:
        run.processes([one for one in contenders if one.name == OURS or one.program])
    return results


@dataclass(frozen=True)
class _Run:
    settings: Settings
    bundle: Bundle
    folder: Path
    results: Results
    on_progress: Progress

    def takes_part(self, contender: Contender) -> bool:
        """It is installed and has neither failed nor been refused so far."""
        return self.results.outcome(contender.name).status == MEASURED

    def exclude(self, contender: Contender, status: str, detail: str) -> None:
        """Leave a contender out from now on, and say why."""
        outcome = self.results.outcome(contender.name)
        outcome.status, outcome.detail = status, detail

    def writing(self) -> None:
        """The limits of the disk."""
        self.on_progress(0, 1, "writing to the disk")
        for _ in range(min(self.settings.rounds, _WRITES)):
            for name, sync in (("page cache", False), ("disk", True)):
                rate = machine.write_rate(self.folder, self.settings.write_mib, sync=sync)
                self.results.add_limit(name, 1, rate)

    def multiply_adds(self) -> None:
        """The limit of dense networks, by itself."""
        for number in range(self.settings.rounds):
            self.on_progress(number, self.settings.rounds, "multiply-add units")
            for threads in self.settings.threads:
                self._multiply_adds(threads)

    def _multiply_adds(self, threads: int) -> None:
        rate = machine.fma_rate(self.settings.fma_seconds, threads)
        if rate is not None:
            self.results.add_limit("fma", threads, rate)

    def warm(self, contenders: Sequence[Contender]) -> None:
        """Warm times and latencies, and the limit of dense networks between them."""
        settings = self.settings
        with ExitStack() as stack:
            workers = self._started(contenders, stack)
            for number in range(settings.rounds):
                for i, threads in enumerate(settings.threads):
                    done = number * len(settings.threads) + i
                    total = settings.rounds * len(settings.threads)
                    self.on_progress(done, total, "warm, all in turns")
                    self._multiply_adds(threads)
                    team = [worker for worker in workers if worker.threads == threads]
                    self._round(_from(number, team), threads)
        self.results.drop_what_failed(self.results.warm, self.results.latency)

    def _started(self, contenders: Sequence[Contender], stack: ExitStack) -> list[Worker]:
        """Workers that are loaded, checked and warmed up, for every number of threads."""
        workers = []
        everybody = [(one, threads) for threads in self.settings.threads for one in contenders]
        for done, (contender, threads) in enumerate(everybody):
            if not self.takes_part(contender):
                continue
            what = f"preparing {contender.title}, {count(threads)}"
            self.on_progress(done, len(everybody), what)
            worker = stack.enter_context(Worker(contender, self.bundle.path, threads))
            try:
                ready = worker.prepare()
                checked = worker.check()
                for digits in self.settings.sizes:  # some compile for every size
                    worker.time(digits, 0.0)
            except ContenderError as error:
                self.exclude(contender, FAILED, str(error))
                continue
            outcome = self.results.outcome(contender.name)
            outcome.versions.update(ready["versions"])
            outcome.settings[str(threads)] = ready["settings"]
            outcome.deviation[str(threads)] = checked["deviation"]
            if checked["problem"]:
                self.exclude(contender, REFUSED, checked["problem"])
            workers.append(worker)
        return workers

    def _round(self, workers: list[Worker], threads: int) -> None:
        """One turn of every worker at every request size, and at single digits."""
        settings, results = self.settings, self.results
        if "warm" in settings.parts:
            for digits in settings.sizes:
                for worker in workers:
                    if spent := self._turn(worker, digits):
                        known = times(results.warm, worker.contender.name, digits, threads)
                        known.append(sum(spent) / len(spent))
        if "latency" in settings.parts:
            for worker in workers:
                if spent := self._turn(worker, 1, settings.latency_calls):
                    known = times(results.latency, worker.contender.name, 1, threads)
                    known.extend(round(one, 8) for one in spent)  # more digits would be noise

    def _turn(self, worker: Worker, digits: int, most: int | None = None) -> list[float]:
        """The times of one turn; none for who does not take part any more."""
        if not self.takes_part(worker.contender):
            return []
        try:
            return worker.time(digits, self.settings.turn_seconds, most)
        except ContenderError as error:
            self.exclude(worker.contender, FAILED, str(error))
            return []

    def processes(self, contenders: Sequence[Contender]) -> None:
        """The times of whole processes, in turns after one run of each that is checked."""
        counts, turns = self.settings.counts, self.settings.rounds + 1
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".digitvae-") as name:
            sources = {one.name: self._source(one, Path(name)) for one in contenders}
            for turn in range(turns):
                for i, digits in enumerate(counts):
                    done = turn * len(counts) + i
                    self.on_progress(done, turns * len(counts), "whole processes, in turns")
                    for contender in _from(turn, contenders):
                        if self.takes_part(contender):
                            out = Path(name) / f"{contender.name}.npy"
                            words = command(contender, sources[contender.name], digits, out)
                            self._process(contender, digits, words, out, check=turn == 0)
        self.results.drop_what_failed(self.results.process)

    def _source(self, contender: Contender, scratch: Path) -> Path:
        """The folder that a contender's program gets its decoder from."""
        if contender.name != TORCHSCRIPT or not self.takes_part(contender):
            return self.bundle.path
        from benchmarks.generation.torch_contenders import torchscript_bytes

        (scratch / "decoder.torchscript").write_bytes(torchscript_bytes(self.bundle))
        return scratch

    def _process(
        self, contender: Contender, digits: int, words: list[str], out: Path, *, check: bool
    ) -> None:
        """One run, which is either checked or timed; its file does not outlive it."""
        try:
            seconds = seconds_of(words)
            if not check:
                name, threads = contender.name, machine.available()
                times(self.results.process, name, digits, threads).append(seconds)
            elif problem := problem_of(out, digits, self.bundle):
                self.exclude(contender, REFUSED, problem)
        except (ContenderError, OSError, ValueError) as error:
            self.exclude(contender, FAILED, str(error))
        finally:
            out.unlink(missing_ok=True)


def _from(turn: int, everybody: Sequence[_Any]) -> list[_Any]:
    """In turns: who comes first changes from turn to turn."""
    first = turn % max(len(everybody), 1)
    return [*everybody[first:], *everybody[:first]]


def command(contender: Contender, bundle: Path, digits: int, out: Path) -> list[str]:
    """The command line of a contender's program, which writes so many digits into a .npy."""
    if contender.name != OURS:
        return [sys.executable, *contender.program, str(bundle), str(digits), str(out)]
    installed = Path(sys.executable).with_name("digitvae")
    program = [str(installed)] if installed.exists() else [sys.executable, "-m", "digitvae"]
    options = ["--bundle", str(bundle), "-o", str(out), "--force", "--quiet"]
    return [*program, "generate", str(digits), *options]


def seconds_of(words: list[str]) -> float:
    """Seconds of a process from start to exit.

    Raises:
        ContenderError: It fails.
    """
    start = time.perf_counter()
    done = subprocess.run(
        words, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        code = done.returncode
        raise ContenderError(f"its program ended with {code}: {last[:_SHOWN_OF_STDERR]}")
    return seconds


def problem_of(file: Path, digits: int, bundle: Bundle) -> str:
    """Say what is wrong with a file of digits; empty if nothing is."""
    images = np.load(file)
    problem = wrong_images(images, digits)
    if not problem and digits >= _CHECKED_DIGITS:
        problem = wrong_mean(images[:_CHECKED_DIGITS], bundle)
    return problem
