"""Comparing what runtimes compute: with eager, with float64 truth, and bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from digitvae.parity.networks import DECODER
from digitvae.parity.report import Comparison, Peak

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from digitvae.parity.inputs import InputSet
    from digitvae.parity.networks import Float32, Function, Network
    from digitvae.parity.truth import Enclosure, Truth


EAGER_LIMIT = 2e-6
"""|Δ| to eager that is allowed on inputs from the prior and the data; pixels get no more."""

EAGER_UNITS = 4.0
"""|Δ| to eager allowed for means and log-variances, in ``Enclosure.unit``, if that is more.

Their size is up to the training: those of a plain autoencoder reach 14, and a difference of
5e-6 is as honest there as 1e-6 is in a VAE. Measured: 0.5 to 1.6 units between two orders of
summation, over five models, MNIST and Fashion-MNIST, ELBO and not.
"""


def to_pixels(x: Float32) -> NDArray[np.uint8]:
    """Round intensities to bytes as the native engine does: half to even of 255·x in float32."""
    pixels: NDArray[np.uint8] = np.rint(np.float32(255) * x).astype(np.uint8)
    return pixels


def bits_differ(a: Float32, b: Float32) -> int:
    """In how many values two float32 arrays of one shape differ, −0 and NaN by their bits."""
    differ = np.ascontiguousarray(a).view(np.uint32) != np.ascontiguousarray(b).view(np.uint32)
    return int(np.count_nonzero(differ))


@dataclass(frozen=True)
class _Extreme:
    """The largest value of an array and where it stands."""

    value: float
    row: int
    element: int


@dataclass(frozen=True)
class BlockResult:
    """How one block of one output compares; immutable, so equal outputs can share it."""

    to_eager: _Extreme
    to_eager_scaled: _Extreme
    eager_limit_used: _Extreme
    to_truth: _Extreme
    bound_there: float
    bound_used: _Extreme
    pixels_differ: int


def compare_block(got: Float32, eager: Float32, truth: Enclosure, *, pixels: bool) -> BlockResult:
    """Compare one output on one block.

    Args:
        got: What a runtime computed, float32 [n, m].
        eager: What PyTorch eager computed.
        truth: Float64 values and bounds, [n, m].
        pixels: Whether the output is an image, which is then also compared as bytes.
    """
    to_eager = _deviation(got, eager)
    scaled = to_eager / np.maximum(1.0, np.abs(eager, dtype=np.float64))
    limit = EAGER_LIMIT if pixels else np.maximum(EAGER_LIMIT, EAGER_UNITS * truth.unit)
    to_truth = _deviation(got, truth.value)
    farthest = _largest(to_truth)
    return BlockResult(
        to_eager=_largest(to_eager),
        to_eager_scaled=_largest(scaled),
        eager_limit_used=_largest(to_eager / limit),
        to_truth=farthest,
        bound_there=float(truth.error[farthest.row, farthest.element]),
        bound_used=_largest(to_truth / truth.error),
        pixels_differ=_pixels_differ(got, eager) if pixels else 0,
    )


@dataclass
class Tally:
    """Collects the blocks of one output of one runtime on one set of inputs.

    Attributes:
        network: Which network.
        output: Index of the output.
        inputs: Which inputs.
        runtime: Name of the runtime.
        is_eager: Whether it is the one that the others are compared with.
        same_bits_as: Name of the runtime whose bits it must have, if any.
    """

    network: Network
    output: int
    inputs: InputSet
    runtime: str
    is_eager: bool
    same_bits_as: str | None
    error: str = ""
    _blocks: list[BlockResult] = field(default_factory=list)
    _bits: int = 0
    _first_bits: str = ""

    def add(self, result: BlockResult) -> None:
        """Add the next block."""
        self._blocks.append(result)

    def add_bits(self, block: int, got: Float32, reference: Float32) -> None:
        """Count the values of a block whose bits are not the reference runtime's."""
        count = bits_differ(got, reference)
        if count and not self._bits:
            first = next(row for row in range(len(got)) if bits_differ(got[row], reference[row]))
            self._first_bits = self.inputs.where(block, first)
        self._bits += count

    def result(self) -> Comparison:
        """The comparison over all blocks, and its verdict."""
        output = self.network.outputs[self.output]
        head = (self.network.name, output, self.inputs.name, self.inputs.count, self.runtime)
        if self.error:
            return Comparison(*head, "failed", detail=self.error)
        to_eager, scaled = self._peak("to_eager"), self._peak("to_eager_scaled")
        to_truth, bound_used = self._peak("to_truth"), self._peak("bound_used")
        limit_used = (
            self._peak("eager_limit_used") if self.inputs.gated and not self.is_eager else None
        )
        reasons = []
        if limit_used is not None and limit_used.value > 1.0:
            reasons.append(
                f"{limit_used.value:.3g} times the limit from eager at {limit_used.input}, "
                f"output {limit_used.element}"
            )
        if bound_used.value > 1.0:
            reasons.append(
                f"{bound_used.value:.3g} times what rounding explains at {bound_used.input}, "
                f"output {bound_used.element}"
            )
        if self._bits:
            reasons.append(
                f"{self._bits} values are not {self.same_bits_as}'s bits, first at "
                f"{self._first_bits}"
            )
        is_image = output == "x" and not self.is_eager
        return Comparison(
            *head,
            "failed" if reasons else "passed",
            to_eager=None if self.is_eager else to_eager,
            to_eager_scaled=None if self.is_eager else scaled,
            eager_limit_used=limit_used,
            to_truth=to_truth,
            bound_there=max(self._blocks, key=lambda block: block.to_truth.value).bound_there,
            bound_used=bound_used,
            same_bits_as=self.same_bits_as,
            bits_differ=None if self.same_bits_as is None else self._bits,
            pixels_differ=sum(b.pixels_differ for b in self._blocks) if is_image else None,
            detail="; ".join(reasons),
        )

    def _peak(self, name: str) -> Peak:
        extremes: list[_Extreme] = [getattr(block, name) for block in self._blocks]
        block = max(range(len(extremes)), key=lambda i: extremes[i].value)
        worst = extremes[block]
        return Peak(worst.value, self.inputs.where(block, worst.row), worst.element)


def compare_runtimes(
    network: Network,
    inputs: InputSet,
    functions: Mapping[str, Function],
    truth: Truth,
    *,
    same_bits: Mapping[str, str],
    on_block: Callable[[str], None],
) -> list[Comparison]:
    """Compare all runtimes of one network on one set of inputs.

    Args:
        network: Which network.
        inputs: The inputs.
        functions: The runtimes by name; the first is eager, which the others are compared with.
        truth: Float64 truth.
        same_bits: Which runtime must have which other's bits; that other one comes before it.
        on_block: Called before each block with the name of the inputs.

    Returns:
        One comparison for each output and runtime, in that order.
    """
    eager = next(iter(functions))
    tallies = {
        (output, runtime): Tally(
            network, output, inputs, runtime, runtime == eager, same_bits.get(runtime)
        )
        for output in range(len(network.outputs))
        for runtime in functions
    }
    for block, rows in enumerate(inputs.blocks):
        on_block(f"{network.name}: {inputs.name}")
        exact = truth.decode(rows) if network is DECODER else truth.encode(rows)
        computed: dict[str, tuple[Float32, ...]] = {}
        for runtime, function in functions.items():
            try:
                computed[runtime] = _call(function, rows, exact)
            except Exception as error:  # whatever a runtime raises, it did not compute
                for output in range(len(exact)):
                    tally = tallies[output, runtime]
                    tally.error = tally.error or f"{inputs.where(block, 0)} and on: {error}"
        for output, enclosure in enumerate(exact):
            values = {runtime: outputs[output] for runtime, outputs in computed.items()}
            results = _compare_values(values, values[eager], enclosure, network.outputs[output])
            for runtime, result in results.items():
                tally = tallies[output, runtime]
                tally.add(result)
                if tally.same_bits_as is not None and tally.same_bits_as in values:
                    tally.add_bits(block, values[runtime], values[tally.same_bits_as])
    return [tally.result() for tally in tallies.values()]


def _call(function: Function, rows: Float32, exact: Sequence[Enclosure]) -> tuple[Float32, ...]:
    """Call a runtime and check that its outputs have the number, shapes and type they must."""
    outputs = function(rows)
    expected = [(enclosure.value.shape, np.dtype(np.float32)) for enclosure in exact]
    found = [(output.shape, output.dtype) for output in outputs]
    if found != expected:
        listed = ", ".join(f"{dtype} {list(shape)}" for shape, dtype in found)
        wanted = ", ".join(f"{dtype} {list(shape)}" for shape, dtype in expected)
        raise ValueError(f"it computes {listed or 'nothing'}; expected {wanted}")
    return outputs


def _compare_values(
    values: Mapping[str, Float32], eager: Float32, truth: Enclosure, output: str
) -> dict[str, BlockResult]:
    """Compare each runtime's values of one output; equal ones are looked at only once."""
    results: dict[str, BlockResult] = {}
    for runtime, got in values.items():
        twin = next((name for name in results if not bits_differ(values[name], got)), None)
        results[runtime] = (
            compare_block(got, eager, truth, pixels=output == "x")
            if twin is None
            else results[twin]
        )
    return results


def _deviation(got: Float32, expected: NDArray[np.floating]) -> NDArray[np.float64]:
    """|Δ| in float64; infinite where a value is not a number, so that no limit lets it pass."""
    difference: NDArray[np.float64] = np.subtract(got, expected, dtype=np.float64)
    np.abs(difference, out=difference)
    difference[np.isnan(difference)] = np.inf
    return difference


def _largest(values: NDArray[np.float64]) -> _Extreme:
    index = int(values.argmax())
    row, element = divmod(index, values.shape[1])
    return _Extreme(float(values.flat[index]), row, element)


def _pixels_differ(got: Float32, eager: Float32) -> int:
    with np.errstate(invalid="ignore"):  # not a number has no byte; the deviation reports it
        return int(np.count_nonzero(to_pixels(got) != to_pixels(eager)))
