"""Comparing what runtimes compute: with float64 truth, with eager, with each other, bit for bit."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from digitvae.base.threads import in_parallel
from digitvae.parity.one_block import Block, compute_block
from digitvae.parity.report import Comparison, Deviations, Pair, Peak, WorstCase
from digitvae.parity.statistics import Collected, Worst, worse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from digitvae.parity.inputs import InputSet
    from digitvae.parity.networks import Float32, Function, Network
    from digitvae.parity.one_block import BlockDeviations, BlockOutput, Reference, Unequal

NOISE_RMS_LIMIT = 4.0
"""Root mean square of all deviations, in standard deviations of independent roundings, that is
allowed. It is a mean of thousands of values, and 0.3 to 1.2 for honest exports."""


@dataclass
class _Tally:
    """Collects the blocks of one output of one runtime."""

    to_truth: Collected = field(default_factory=Collected)
    relative: Collected = field(default_factory=Collected)
    ulps: Collected = field(default_factory=Collected)
    to_eager: Collected = field(default_factory=Collected)
    bound_used: Worst | None = None
    bound_there: float | None = None
    noise_used: Worst | None = None
    square_sum: float = 0.0
    noise_square_sum: float = 0.0
    values: int = 0
    bytes_differ: int = 0
    bytes_by: int = 0
    representatives: list[str] = field(default_factory=list)
    unequal: int = 0
    first_unequal: tuple[int, int] | None = None

    def add(self, block: int, representative: str, found: BlockDeviations) -> None:
        before = self.to_truth.worst
        for name in ("to_truth", "relative", "ulps", "to_eager"):
            getattr(self, name).add(block, getattr(found, name))
        if self.to_truth.worst is not before:
            self.bound_there = found.bound_there
        if found.bound_used is not None:
            self.bound_used = worse(self.bound_used, block, found.bound_used)
        self.noise_used = worse(self.noise_used, block, found.noise_used)
        self.square_sum += found.square_sum
        self.noise_square_sum += found.noise_square_sum
        self.bytes_differ += found.bytes_differ
        self.bytes_by = max(self.bytes_by, found.bytes_by)
        self.values += found.values
        self.representatives.append(representative)

    def add_unequal(self, block: int, found: Unequal) -> None:
        self.unequal += found.count
        if self.first_unequal is None:
            self.first_unequal = (block, found.first_row)

    def deviations(self, inputs: InputSet, *, is_eager: bool, image: bool) -> Deviations:
        def peak(found: Worst | None) -> Peak | None:
            return None if found is None else found.peak(inputs.where)

        compares_bytes = image and not is_eager

        return Deviations(
            to_truth=self.to_truth.spread(inputs.where),
            rms_to_truth=float(np.sqrt(self.square_sum / self.values)),
            relative=self.relative.spread(inputs.where),
            ulps=self.ulps.spread(inputs.where),
            to_eager=None if is_eager else self.to_eager.spread(inputs.where),
            bound_there=self.bound_there,
            bound_used=peak(self.bound_used),
            noise_used=peak(self.noise_used),
            noise_rms=float(np.sqrt(self.noise_square_sum / self.values)),
            bytes_differ=self.bytes_differ if compares_bytes else None,
            bytes_by=self.bytes_by if compares_bytes else None,
            bytes_per_million=1e6 * self.bytes_differ / self.values if compares_bytes else None,
        )


@dataclass(frozen=True)
class Findings:
    """What was found on one set of inputs."""

    comparisons: tuple[Comparison, ...]
    pairs: tuple[Pair, ...]
    worst_cases: tuple[WorstCase, ...]
    worst_rows: dict[str, Float32]


def compare_runtimes(
    network: Network,
    inputs: InputSet,
    functions: Mapping[str, Function],
    truth: Reference,
    *,
    must_equal: Mapping[str, str],
    threads: int = 1,
    on_block: Callable[[str], None],
    image_shape: tuple[int, int] | None = None,
) -> Findings:
    """Compare all runtimes of one network on one set of inputs.

    Args:
        network: Which network.
        inputs: The inputs.
        functions: The runtimes by name; the first is eager, which the others are compared with.
        truth: Float64 truth.
        must_equal: Which runtime must have which other's bits.
        threads: Blocks to compare at the same time. Each runtime keeps to the threads that it was
            loaded with, so that the findings do not depend on this.
        on_block: Called as each block is done.
        image_shape: Height and width of the network's images, for pictures of the worst.

    Returns:
        Comparisons in the order of outputs and runtimes, pairs of those whose bits differ, and for
        each runtime but eager the input of the worst deviation from the truth.
    """

    def work(rows: Float32) -> Block:
        return compute_block(rows, network, functions, truth, must_equal)

    tallies = [{runtime: _Tally() for runtime in functions} for _ in network.outputs]
    pairs: list[dict[tuple[str, str], Worst]] = [{} for _ in network.outputs]
    errors: dict[str, str] = {}
    message = f"{network.name}: {inputs.name}"
    for index, block in enumerate(in_parallel(work, inputs.blocks, threads)):
        on_block(message)
        for runtime, error in block.errors.items():
            errors.setdefault(runtime, f"{inputs.where(index, 0)} and on: {error}")
        for i, output in enumerate(block.outputs):
            _collect(tallies[i], pairs[i], index, output)

    comparisons: list[Comparison] = []
    found_pairs: list[Pair] = []
    for i, name in enumerate(network.outputs):
        found = _comparisons(network, i, inputs, tallies[i], errors=errors, must_equal=must_equal)
        comparisons += found
        leaders = [c.runtime for c in found if c.deviations is not None]
        for (a, b), worst in pairs[i].items():
            if a in leaders and b in leaders:
                peak = worst.peak(inputs.where)
                found_pairs.append(Pair(network.name, name, inputs.name, a, b, peak))
    shown = _worst_cases(
        network, inputs, functions, comparisons, tallies=tallies[0], shape=image_shape
    )
    return Findings(
        tuple(comparisons), tuple(found_pairs), shown, _worst_rows(inputs, tallies, functions)
    )


def _collect(
    tallies: Mapping[str, _Tally],
    pairs: dict[tuple[str, str], Worst],
    index: int,
    output: BlockOutput,
) -> None:
    for runtime, representative in output.representative.items():
        tallies[runtime].add(index, representative, output.deviations[representative])
        if runtime in output.unequal:
            tallies[runtime].add_unequal(index, output.unequal[runtime])
    for a, b in combinations(output.representative, 2):
        ends = (output.representative[a], output.representative[b])
        found = output.pairs.get(ends) or output.pairs.get(ends[::-1])
        if found is not None:
            pairs[a, b] = worse(pairs.get((a, b)), index, found)


def _comparisons(
    network: Network,
    output: int,
    inputs: InputSet,
    tallies: Mapping[str, _Tally],
    *,
    errors: Mapping[str, str],
    must_equal: Mapping[str, str],
) -> list[Comparison]:
    eager = next(iter(tallies))
    image = network.images and output == 0
    results: list[Comparison] = []
    leaders: dict[tuple[str, ...], str] = {}
    reasons_of: dict[str, list[str]] = {}
    values = tallies[eager].values // max(1, inputs.count)
    for runtime, tally in tallies.items():
        head = (network.name, network.outputs[output], inputs.name, inputs.count, values, runtime)
        if runtime in errors:
            failed = Comparison(*head, "failed", detail=errors[runtime], typical=inputs.typical)
            results.append(failed)
            continue
        leader = leaders.setdefault(tuple(tally.representatives), runtime)
        deviations = None
        if leader == runtime:
            deviations = tally.deviations(inputs, is_eager=runtime == eager, image=image)
            reasons_of[runtime] = _reasons(deviations, typical=inputs.typical)
        reasons = list(reasons_of[leader])
        if tally.unequal and tally.first_unequal is not None:
            reasons.append(
                f"{tally.unequal} values are not {must_equal[runtime]}'s bits, first at "
                f"{inputs.where(*tally.first_unequal)}"
            )
        other = must_equal.get(runtime)
        results.append(
            Comparison(
                *head,
                "failed" if reasons else "passed",
                same_bits_as=None if leader == runtime else leader,
                deviations=deviations,
                must_equal=other if other in tallies else None,
                bits_differ=tally.unequal if other in tallies else None,
                detail="; ".join(reasons),
                typical=inputs.typical,
            )
        )
    return results


def _reasons(deviations: Deviations, *, typical: bool) -> list[str]:
    peak = deviations.to_truth.peak
    if not np.isfinite(peak.value):
        return [f"not a number, or infinite, at {peak.input}, output {peak.element}"]
    reasons = []
    noise, bound, rms = deviations.noise_used, deviations.bound_used, deviations.noise_rms
    # A tolerance, which stands in where no bound is known, holds for all inputs.
    if (typical or bound is None) and noise is not None and noise.value > 1.0:
        limit = "tolerance" if bound is None else "noise limit"
        reasons.append(
            f"{noise.value:.3g} times the {limit} at {noise.input}, output {noise.element}"
        )
    if bound is not None and bound.value > 1.0:
        reasons.append(
            f"{bound.value:.3g} times what rounding explains at {bound.input}, "
            f"output {bound.element}"
        )
    # Without a bound the limit is a tolerance, of which no typical share is known.
    if typical and bound is not None and rms is not None and rms > NOISE_RMS_LIMIT:
        reasons.append(
            f"{rms:.3g} times the standard deviation of roundings in the mean of all values"
        )
    return reasons


def _worst_rows(
    inputs: InputSet, tallies: Sequence[Mapping[str, _Tally]], functions: Mapping[str, Function]
) -> dict[str, Float32]:
    """For each runtime the input of its largest deviation from the noise limit, float32 [1, …]."""
    rows = {}
    for runtime in functions:
        worst = [tally[runtime].noise_used for tally in tallies]
        known = [found for found in worst if found is not None]
        if known:
            block, extreme = max(known, key=lambda found: found.extreme.value)
            rows[runtime] = inputs.blocks[block][extreme.row : extreme.row + 1]
    return rows


def _worst_cases(
    network: Network,
    inputs: InputSet,
    functions: Mapping[str, Function],
    comparisons: Sequence[Comparison],
    *,
    tallies: Mapping[str, _Tally],
    shape: tuple[int, int] | None,
) -> tuple[WorstCase, ...]:
    """Eager's and another runtime's image where they are farthest from each other."""
    if not network.images or shape is None:
        return ()
    eager = next(iter(functions))
    cases = []
    for comparison in comparisons:
        if comparison.runtime == eager or comparison.deviations is None:
            continue
        if inputs.separate and comparison.status != "failed":
            continue  # the same rows as elsewhere
        worst = tallies[comparison.runtime].to_eager.worst
        if worst is None:
            continue
        block, extreme = worst
        rows = inputs.blocks[block]
        with contextlib.suppress(Exception):  # it computed once; if not twice, there is no picture
            a, b = (
                functions[name](rows)[0][extreme.row].reshape(shape)
                for name in (eager, comparison.runtime)
            )
            where = inputs.where(block, extreme.row)
            case = WorstCase(network.name, inputs.name, eager, comparison.runtime, where, a, b)
            cases.append(case)
    return tuple(cases)
