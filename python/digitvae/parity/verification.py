"""The skeleton of every verification: load, compare, search, check, and locate what failed.

There are two subjects: a bundle (``bundle.py``), and any PyTorch module with the files that were
exported from it (``module.py``). Each makes a :class:`Plan`: networks, their runtimes, truth and
inputs, and what else to check. The rest is here.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import digitvae
from digitvae._native import available_threads
from digitvae.base.threads import in_parallel
from digitvae.parity.compare import divergence
from digitvae.parity.compare.one_block import Reference
from digitvae.parity.compare.runtimes import compare_runtimes
from digitvae.parity.inputs import search
from digitvae.parity.inputs.sets import InputSet
from digitvae.parity.networks import Float32, Function, Network
from digitvae.parity.report.report import Check, Comparison, Pair, ParityReport, WorstCase
from digitvae.parity.runtimes import RUNTIMES
from digitvae.parity.runtimes.pytorch import load_exported_program, load_torchscript
from digitvae.parity.runtimes.runtime import Export
from digitvae.parity.settings import Settings
from digitvae.parity.truth.captured import Truth

Progress = Callable[[int, int, str], None]
"""Called before each step with (steps done, steps in all, what this one does)."""

_FILE_OF = {runtime.name: runtime.file for runtime in RUNTIMES}
_NODES: dict[str, Callable[[bytes, Network, Float32], list[divergence.Step]]] = {
    "torchscript": lambda content, _, row: divergence.torchscript_steps(
        load_torchscript(content), row
    ),
    "pt2": lambda content, _, row: divergence.program_steps(load_exported_program(content), row),
    "onnx": lambda content, network, row: divergence.onnx_steps(content, network.input, row),
}
"""Runs a kind of file, and shows what every node computes."""


@dataclass(frozen=True)
class Reach:
    """Where a search for the worst input begins, and how far it may go.

    Attributes:
        seeds: float32 [n, …]: where it begins, beside the worst rows that are known.
        low: Smallest value.
        high: Largest value.
        spread: Standard deviation of one change.
    """

    seeds: Float32
    low: float
    high: float
    spread: float


@dataclass(frozen=True)
class Case:
    """A network, and all that is done with it.

    Attributes:
        network: Its inputs and outputs.
        functions: What is compared, by runtime; the first is what the others are compared with.
        truth: Float64 truth.
        inputs: Sets of inputs to compare them on.
        reach: Where to search for worse inputs, if anywhere.
        export: The files to look into if their numbers fail, if any.
    """

    network: Network
    functions: Mapping[str, Function]
    truth: Reference
    inputs: Sequence[InputSet]
    reach: Reach | None = None
    export: Export | None = None


@dataclass(frozen=True)
class Plan:
    """All that is to be done with a subject.

    Attributes:
        cases: Its networks; none if nothing of it can be computed.
        more_checks: Gives what else should hold, once everything is compared.
        steps: How many steps that announces.
    """

    cases: Sequence[Case] = ()
    more_checks: Callable[[], Iterable[Check]] = tuple
    steps: int = 0


def verify_subject(
    name: str,
    plan: Callable[[Run], Plan],
    settings: Settings,
    *,
    threads: int | None,
    on_progress: Progress | None,
) -> ParityReport:
    """Verify a bundle, a module, or whatever has a plan.

    Args:
        name: How the report calls it.
        plan: Loads every runtime, and says what to do; what it finds goes into the run's checks.
        settings: How much to look at.
        threads: Blocks of inputs to compare at the same time; by default all processors.
        on_progress: Called before each step.

    Returns:
        The report; its ``passed`` is the verdict.
    """
    run = Run(settings, threads or available_threads(), on_progress)
    with single_threaded():
        run.step("loading every runtime")
        made = plan(run)
        searched = [case for case in made.cases if case.reach is not None]
        blocks = sum(len(given.blocks) for case in made.cases for given in case.inputs)
        run.total = run.done + blocks + 2 * len(searched) + made.steps
        for case in made.cases:
            for given in case.inputs:
                run.compare(case, given)
        for case in searched:
            run.search(case)
        run.checks += made.more_checks()
        for case in made.cases:
            run.locate(case)
        return run.report(name)


def require_positive(**numbers: int | None) -> None:
    """Refuse numbers below 1, by name; ``None`` stands for a default.

    Raises:
        ValueError: Names the first.
    """
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}, expected at least 1")


class single_threaded:  # noqa: N801 (a context manager is called like a function)
    """Keep every library to one thread of its own, and give the setting back."""

    def __enter__(self) -> None:
        self._torch = torch.get_num_threads()
        torch.set_num_threads(1)
        # NumPy's, which the reference evaluator multiplies with, knows no setting but this.
        self._numpy = threadpool_limits(1, user_api="blas")

    def __exit__(self, *_: object) -> None:
        self._numpy.restore_original_limits()
        torch.set_num_threads(self._torch)


@dataclass
class Run:
    """One verification, and what it has found so far."""

    settings: Settings
    threads: int
    on_progress: Progress | None = None
    must_equal: Mapping[str, str] = field(default_factory=dict)
    image_shape: tuple[int, int] | None = None
    done: int = 0
    total: int = 1
    checks: list[Check] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    worst_cases: list[WorstCase] = field(default_factory=list)
    worst_rows: dict[tuple[str, str], Float32] = field(default_factory=dict)
    failed_rows: dict[tuple[str, str], Float32] = field(default_factory=dict)

    def step(self, what: str) -> None:
        """Announce the next step."""
        if self.on_progress is not None:
            self.on_progress(self.done, max(self.total, self.done + 1), what)
        self.done += 1

    def compare(self, case: Case, given: InputSet) -> None:
        """Compare all runtimes of a network on a set of inputs."""
        found = compare_runtimes(
            case.network,
            given,
            case.functions,
            case.truth,
            must_equal=self.must_equal,
            threads=self.threads,
            on_block=self.step,
            image_shape=self.image_shape,
        )
        self.comparisons += found.comparisons
        self.pairs += found.pairs
        self.worst_cases += found.worst_cases
        for comparison in found.comparisons:
            place = (case.network.name, comparison.runtime)
            row = found.worst_rows.get(comparison.runtime)
            if row is not None:
                self.worst_rows.setdefault(place, row)
                if comparison.status == "failed":
                    self.failed_rows.setdefault(place, row)

    def search(self, case: Case) -> None:
        """Search for the input on which the first and each other runtime disagree most."""
        network, functions, reach = case.network.name, case.functions, case.reach
        assert reach is not None
        self.step(f"{network}: searching for the worst input")
        eager = next(iter(functions))
        leaders = dict.fromkeys(self.leader(network, runtime) for runtime in functions)
        others = [r for r in leaders if r != eager and (network, r) in self.worst_rows]

        def look(runtime: str) -> Float32:
            return search.farthest(
                functions[eager],
                functions[runtime],
                np.concatenate([self.worst_rows[network, runtime], reach.seeds]),
                generations=self.settings.generations,
                low=reach.low,
                high=reach.high,
                spread=reach.spread,
            )

        found = list(in_parallel(look, others, self.threads))
        if found:
            self.compare(case, search.searched(found))

    def leader(self, network: str, runtime: str) -> str:
        """The first runtime that had this one's bits on every set of inputs."""
        rows = [c for c in self.comparisons if c.network == network and c.runtime == runtime]
        twins = {c.same_bits_as or runtime for c in rows}
        return twins.pop() if len(twins) == 1 else runtime

    def locate(self, case: Case) -> None:
        """If the numbers of a file failed, find the node where it leaves the truth.

        A tolerance says nothing about nodes: without a graph of the truth nothing is looked into.
        """
        export, truth, network = case.export, case.truth, case.network
        if export is None or not isinstance(truth, Truth):
            return
        for kind, nodes in _NODES.items():
            rows = [
                row
                for (of, runtime), row in self.failed_rows.items()
                if of == network.name and _FILE_OF[runtime] == kind
            ]
            if rows:
                look = partial(nodes, export.read(kind), network, rows[0])
                expected = dict(zip(network.outputs, truth.outputs, strict=True))
                self.checks.append(
                    divergence.check_steps(export.files[kind], look, truth.trace(rows[0]), expected)
                )

    def report(self, subject: str) -> ParityReport:
        """What was found, as a report."""
        return ParityReport(
            subject=subject,
            mode=self.settings.mode,
            draws=self.settings.draws,
            versions=_versions(),
            machine={
                "architecture": platform.machine(),
                "torch kernels": torch.backends.cpu.get_cpu_capability(),
            },
            checks=tuple(self.checks),
            comparisons=tuple(self.comparisons),
            pairs=tuple(self.pairs),
            worst_cases=tuple(self.worst_cases),
        )


def _versions() -> dict[str, str]:
    found = {"digitvae": digitvae.__version__, "python": platform.python_version()}
    for package in ("torch", "onnx", "onnxruntime", "numpy", "safetensors", "hypothesis"):
        found[package] = version(package)
    return found
