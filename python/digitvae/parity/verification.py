"""The skeleton of every verification: load, compare, search, check, and locate what failed.

There are two subjects: a bundle (``bundle.py``), and any PyTorch module with the files that were
exported from it (``module.py``). Each loads its networks, chooses inputs, and says what else to
check. The rest is here.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import digitvae
from digitvae.base.threads import in_parallel
from digitvae.parity.compare import divergence
from digitvae.parity.compare.runtimes import compare_runtimes
from digitvae.parity.inputs import search
from digitvae.parity.inputs.sets import SEARCHED, InputSet
from digitvae.parity.networks import Float32, Network
from digitvae.parity.report.report import Check, Comparison, Pair, ParityReport, WorstCase
from digitvae.parity.runtimes import RUNTIMES
from digitvae.parity.runtimes.pytorch import load_exported_program, load_torchscript
from digitvae.parity.runtimes.runtime import Export
from digitvae.parity.settings import Settings
from digitvae.parity.truth.captured import Truth

Progress = Callable[[int, int, str], None]
"""Called before each step with (steps done, steps in all, what this one does)."""

_PACKAGES = ("torch", "onnx", "onnxruntime", "numpy", "safetensors", "hypothesis")
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
class Case:
    """A network, and all that is done with it.

    Attributes:
        export: The network, its truth, and the runtimes, the first of which the others are
            compared with. If the numbers of a file fail, it is looked into.
        inputs: Sets of inputs to compare them on.
        reach: Where to search for worse inputs, if anywhere.
    """

    export: Export
    inputs: Sequence[InputSet]
    reach: search.Reach | None = None


def require_positive(**numbers: int | None) -> None:
    """Refuse numbers below 1, by name; ``None`` stands for a default.

    Raises:
        ValueError: Names the first.
    """
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}, expected at least 1")


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Keep every library to one thread of its own, and give the setting back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # NumPy's, which the reference evaluator multiplies with, knows no setting but this.
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


@dataclass
class Run:
    """One verification, and what it has found so far.

    Attributes:
        settings: How much to look at.
        threads: Blocks of inputs to compare at the same time.
        on_progress: Called before each step.
        must_equal: Which runtime must have which other's bits.
        image_shape: Height and width of the network's images, for pictures of the worst.
        done: Steps done.
        total: Steps in all, as far as is known.
    """

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
    notes: list[str] = field(default_factory=list)
    worst_cases: list[WorstCase] = field(default_factory=list)
    worst_rows: dict[tuple[str, str], Float32] = field(default_factory=dict)
    failed_rows: dict[tuple[str, str], Float32] = field(default_factory=dict)

    def step(self, what: str) -> None:
        """Announce the next step."""
        if self.on_progress is not None:
            self.on_progress(self.done, max(self.total, self.done + 1), what)
        self.done += 1

    def verify(
        self, cases: Sequence[Case], more_checks: Iterable[Check] = (), steps: int = 0
    ) -> None:
        """Compare, search, check, and locate what failed.

        Args:
            cases: The networks.
            more_checks: What else should hold; looked at once everything is compared.
            steps: How many steps that announces.
        """
        searched = [case for case in cases if case.reach is not None]
        blocks = sum(len(given.blocks) for case in cases for given in case.inputs)
        self.total = self.done + blocks + 2 * len(searched) + steps
        for case in cases:
            for given in case.inputs:
                self.compare(case.export, given)
        for case in searched:
            self.search(case)
        self.checks += more_checks
        for export in {case.export.network: case.export for case in cases}.values():
            self.locate(export)

    def compare(self, export: Export, given: InputSet) -> None:
        """Compare all runtimes of a network on a set of inputs."""
        found = compare_runtimes(
            export.network,
            given,
            export.functions,
            export.truth,
            must_equal=self.must_equal,
            threads=self.threads,
            on_block=self.step,
            image_shape=self.image_shape,
        )
        self.comparisons += found.comparisons
        self.pairs += found.pairs
        self.worst_cases += found.worst_cases
        for comparison in found.comparisons:
            place = (export.network.name, comparison.runtime)
            row = found.worst_rows.get(comparison.runtime)
            if row is not None:
                self.worst_rows.setdefault(place, row)
                if comparison.status == "failed":
                    self.failed_rows.setdefault(place, row)

    def search(self, case: Case) -> None:
        """Search for the input on which the first and each other runtime disagree most."""
        network, functions, reach = case.export.network.name, case.export.functions, case.reach
        assert reach is not None
        self.step(f"{network}: searching for the worst input")
        eager = next(iter(functions))
        leaders = dict.fromkeys(self.leader(network, runtime) for runtime in functions)
        others = [r for r in leaders if r != eager and (network, r) in self.worst_rows]

        def look(runtime: str) -> Float32:
            return search.farthest(
                functions[eager],
                functions[runtime],
                self.worst_rows[network, runtime],
                reach,
                self.settings.generations,
            )

        found = list(in_parallel(look, others, self.threads))
        if found:
            rows = np.concatenate(found)
            self.compare(case.export, InputSet(SEARCHED, (rows,), typical=False))

    def leader(self, network: str, runtime: str) -> str:
        """The first runtime that had this one's bits on every set of inputs."""
        rows = [c for c in self.comparisons if c.network == network and c.runtime == runtime]
        twins = {c.same_bits_as or runtime for c in rows}
        return twins.pop() if len(twins) == 1 else runtime

    def locate(self, export: Export) -> None:
        """If the numbers of a file failed, find the node where it leaves the truth.

        A tolerance says nothing about nodes: without a graph of the truth nothing is looked into.
        """
        truth, network = export.truth, export.network
        if not isinstance(truth, Truth):
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
            versions={
                "digitvae": digitvae.__version__,
                "python": platform.python_version(),
                **{package: version(package) for package in _PACKAGES},
            },
            machine={
                "architecture": platform.machine(),
                "torch kernels": torch.backends.cpu.get_cpu_capability(),
            },
            checks=tuple(self.checks),
            comparisons=tuple(self.comparisons),
            pairs=tuple(self.pairs),
            notes=tuple(self.notes),
            worst_cases=tuple(self.worst_cases),
        )
