"""Comparing what runtimes compute: with float64 truth, with eager, with each other, bit for bit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from digitvae.base.threads import in_parallel
from digitvae.parity.compare.one_block import BlockDeviations, BlockOutput, compute_block
from digitvae.parity.inputs.sets import InputSet
from digitvae.parity.networks import Float32, Function, Network
from digitvae.parity.report.report import Comparison, Deviations, Pair, Peak, WorstCase
from digitvae.parity.truth.enclosure import Reference

NOISE_RMS_LIMIT = 4.0
"""Root mean square of all deviations, in standard deviations of independent roundings, that is
allowed. It is a mean of thousands of values, and 0.3 to 1.2 for honest exports."""


def _deviations(found: BlockDeviations, *, is_eager: bool, image: bool) -> Deviations:
    compares_bytes = image and not is_eager
    return Deviations(
        to_truth=found.to_truth.spread(),
        rms_to_truth=float(np.sqrt(found.square_sum / found.values)),
        relative=found.relative.spread(),
        ulps=found.ulps.spread(),
        to_eager=None if is_eager else found.to_eager.spread(),
        bound_there=found.bound_there,
        bound_used=found.bound_used,
        noise_used=found.noise_used,
        noise_rms=float(np.sqrt(found.noise_square_sum / found.values)),
        bytes_differ=found.bytes_differ if compares_bytes else None,
        bytes_by=found.bytes_by if compares_bytes else None,
        bytes_per_million=1e6 * found.bytes_differ / found.values if compares_bytes else None,
    )


@dataclass(frozen=True)
class Findings:
    """All findings on one set of inputs."""

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

    def work(block: tuple[int, Float32]) -> tuple[tuple[BlockOutput, ...], dict[str, str]]:
        index, rows = block

        def locate(value: float, row: int, element: int) -> Peak:
            return Peak(value, inputs.where(index, row), element, (index, row))

        return compute_block(rows, network, functions, truth, must_equal, locate=locate)

    outputs: tuple[BlockOutput, ...] = ()
    errors: dict[str, str] = {}
    message = f"{network.name}: {inputs.name}"
    work_done = in_parallel(work, enumerate(inputs.blocks), threads)
    for index, (found, raised) in enumerate(work_done):
        on_block(message)
        for runtime, error in raised.items():
            errors.setdefault(runtime, f"{inputs.where(index, 0)} and on: {error}")
        outputs = tuple(map(BlockOutput.merge, outputs, found)) or found

    comparisons: list[Comparison] = []
    pairs: list[Pair] = []
    for i, (name, output) in enumerate(zip(network.outputs, outputs, strict=True)):
        compared = _comparisons(
            network, i, inputs, output, runtimes=functions, errors=errors, must_equal=must_equal
        )
        comparisons += compared
        leaders = [c.runtime for c in compared if c.deviations is not None]
        pairs += [
            Pair(network.name, name, inputs.name, a, b, peak)
            for (a, b), peak in output.pairs.items()
            if a in leaders and b in leaders
        ]
    rows = {}
    for runtime in functions:
        if runtime in outputs[0].deviations:
            peaks = (output.deviations[runtime].noise_used for output in outputs)
            index, row = reduce(Peak.merge, peaks).place
            rows[runtime] = inputs.blocks[index][row : row + 1]
    shown = _worst_cases(network, inputs, functions, comparisons, image_shape)
    return Findings(tuple(comparisons), tuple(pairs), shown, rows)


def _comparisons(
    network: Network,
    output: int,
    inputs: InputSet,
    collected: BlockOutput,
    *,
    runtimes: Collection[str],
    errors: Mapping[str, str],
    must_equal: Mapping[str, str],
) -> list[Comparison]:
    eager, *_ = runtimes
    image = network.images and output == 0
    results: list[Comparison] = []
    leaders: dict[tuple[str, ...], str] = {}
    reasons_of: dict[str, list[str]] = {}
    values = collected.deviations[eager].values // inputs.count
    for runtime in runtimes:
        head = (network.name, network.outputs[output], inputs.name, inputs.count, values, runtime)
        if runtime in errors:
            failed = Comparison(*head, "failed", detail=errors[runtime], typical=inputs.typical)
            results.append(failed)
            continue
        leader = leaders.setdefault(tuple(collected.representatives[runtime]), runtime)
        deviations = None
        if leader == runtime:
            found = collected.deviations[runtime]
            deviations = _deviations(found, is_eager=runtime == eager, image=image)
            reasons_of[runtime] = _reasons(deviations, typical=inputs.typical)
        reasons = list(reasons_of[leader])
        other, unequal = must_equal.get(runtime), collected.unequal.get(runtime)
        if unequal is not None:
            reasons.append(
                f"{unequal.count} values are not {other}'s bits, first at {unequal.first}"
            )
        if other not in runtimes:
            other = None
        results.append(
            Comparison(
                *head,
                "failed" if reasons else "passed",
                same_bits_as=None if leader == runtime else leader,
                deviations=deviations,
                must_equal=other,
                bits_differ=None if other is None else unequal.count if unequal else 0,
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


def _worst_cases(
    network: Network,
    inputs: InputSet,
    functions: Mapping[str, Function],
    comparisons: Sequence[Comparison],
    shape: tuple[int, int] | None,
) -> tuple[WorstCase, ...]:
    """Eager's and another runtime's image where they are farthest from each other."""
    if not network.images or shape is None:
        return ()
    eager = next(iter(functions))
    cases = []
    for comparison in comparisons:
        if comparison.deviations is None or comparison.deviations.to_eager is None:
            continue
        if inputs.separate and comparison.status != "failed":
            continue  # the same rows as elsewhere
        peak = comparison.deviations.to_eager.peak
        block, row = peak.place
        rows = inputs.blocks[block]
        with contextlib.suppress(Exception):  # it computed once; if not twice, there is no picture
            a, b = (
                functions[name](rows)[0][row].reshape(shape) for name in (eager, comparison.runtime)
            )
            head = (network.name, inputs.name, eager, comparison.runtime)
            cases.append(WorstCase(*head, peak.input, a, b))
    return tuple(cases)
