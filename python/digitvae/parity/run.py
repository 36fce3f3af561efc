"""One run and its findings: what verifying a bundle and any other model have in common."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import digitvae
from digitvae.base.threads import in_parallel
from digitvae.parity import divergence, search
from digitvae.parity.compare import compare_runtimes
from digitvae.parity.report import Check, Comparison, Pair, ParityReport, WorstCase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from digitvae.parity.enclosure import Enclosure
    from digitvae.parity.inputs import InputSet
    from digitvae.parity.networks import Float32, Function, Network
    from digitvae.parity.one_block import Reference
    from digitvae.parity.settings import Settings

Progress = Callable[[int, int, str], None]
"""Called before each step with (steps done, steps in all, what this one does)."""


class Steps:
    """Counts steps for a progress callback."""

    def __init__(self, on_progress: Progress | None) -> None:
        self.total = 1
        self._done = 0
        self._on_progress = on_progress

    def next(self, what: str) -> None:
        """Announce the next step."""
        if self._on_progress is not None:
            self._on_progress(self._done, max(self.total, self._done + 1), what)
        self._done += 1


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


@dataclass(frozen=True)
class Reach:
    """Where a search for the worst input may go.

    Attributes:
        low: Smallest value.
        high: Largest value.
        spread: Standard deviation of one change.
    """

    low: float
    high: float
    spread: float


@dataclass
class Run:
    """One run, and what it has found so far."""

    settings: Settings
    threads: int
    steps: Steps
    must_equal: Mapping[str, str] = field(default_factory=dict)
    image_shape: tuple[int, int] | None = None
    checks: list[Check] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    worst_cases: list[WorstCase] = field(default_factory=list)
    worst_rows: dict[tuple[str, str], Float32] = field(default_factory=dict)
    failed_rows: dict[tuple[str, str], Float32] = field(default_factory=dict)

    def compare(
        self,
        network: Network,
        given: InputSet,
        functions: Mapping[str, Function],
        truth: Reference,
    ) -> None:
        """Compare all runtimes of a network on a set of inputs."""
        found = compare_runtimes(
            network,
            given,
            functions,
            truth,
            must_equal=self.must_equal,
            threads=self.threads,
            on_block=self.steps.next,
            image_shape=self.image_shape,
        )
        self.comparisons += found.comparisons
        self.pairs += found.pairs
        self.worst_cases += found.worst_cases
        for comparison in found.comparisons:
            place = (network.name, comparison.runtime)
            row = found.worst_rows.get(comparison.runtime)
            if row is not None:
                self.worst_rows.setdefault(place, row)
                if comparison.status == "failed":
                    self.failed_rows.setdefault(place, row)

    def search(
        self,
        network: Network,
        functions: Mapping[str, Function],
        truth: Reference,
        seeds: Float32,
        reach: Reach,
    ) -> None:
        """Search for the input on which eager and each other runtime disagree most."""
        self.steps.next(f"{network.name}: searching for the worst input")
        eager = next(iter(functions))
        leaders = dict.fromkeys(self.leader(network.name, runtime) for runtime in functions)
        others = [r for r in leaders if r != eager and (network.name, r) in self.worst_rows]

        def look(runtime: str) -> Float32:
            return search.farthest(
                functions[eager],
                functions[runtime],
                np.concatenate([self.worst_rows[network.name, runtime], seeds]),
                generations=self.settings.generations,
                low=reach.low,
                high=reach.high,
                spread=reach.spread,
            )

        found = list(in_parallel(look, others, self.threads))
        if found:
            self.compare(network, search.searched(found), functions, truth)

    def leader(self, network: str, runtime: str) -> str:
        """The first runtime that had this one's bits on every set of inputs."""
        rows = [c for c in self.comparisons if c.network == network and c.runtime == runtime]
        twins = {c.same_bits_as or runtime for c in rows}
        return twins.pop() if len(twins) == 1 else runtime

    def locate(
        self,
        network: Network,
        file: str,
        runtimes: set[str],
        *,
        run: Callable[[Float32], list[divergence.Step]],
        trace: Callable[[Float32], Mapping[str, Enclosure]],
        outputs: tuple[str, ...],
    ) -> None:
        """If the numbers of a file's runtimes failed, find the node where it leaves the truth.

        Args:
            network: Which network.
            file: Its file.
            runtimes: The runtimes that compute it.
            run: Runs the exported graph and shows every node.
            trace: Every step of the model.
            outputs: Name of the step that gives each output of the model.
        """
        rows = [
            row
            for (of, name), row in self.failed_rows.items()
            if of == network.name and name in runtimes
        ]
        if rows:
            row = rows[0]
            expected = dict(zip(network.outputs, outputs, strict=True))
            self.checks.append(divergence.check_steps(file, lambda: run(row), trace(row), expected))

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
