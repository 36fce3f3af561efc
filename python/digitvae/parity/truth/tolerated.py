"""Float64 truth of modules that no rules describe, with a tolerance in place of the limits."""

from __future__ import annotations

import copy
from threading import Lock

import torch

from digitvae.parity.networks import Float32
from digitvae.parity.runtimes.pytorch import as_tuple
from digitvae.parity.truth.enclosure import NOISE_DEVIATIONS, Enclosure


class Tolerated:
    """Float64 truth without bounds: a tolerance from outside takes the noise limit's place."""

    bounded = False

    def __init__(self, module: torch.nn.Module, tolerance: float) -> None:
        self._module = _in_float64(module)
        self._tolerance = tolerance
        self._one_at_a_time = Lock()

    def __call__(self, rows: Float32) -> tuple[Enclosure, ...]:
        """Evaluate the outputs in float64."""
        with self._one_at_a_time, torch.inference_mode():
            outputs = as_tuple(self._module(torch.from_numpy(rows).double()))
        enclosures = []
        for value in outputs:
            limit = self._tolerance * value.abs().clamp(min=1.0).float()
            exact = Enclosure.exact(value)
            one = Enclosure(value, exact.error, torch.ones_like(limit)).deviation()
            variance = (limit / NOISE_DEVIATIONS / one).square()
            enclosures.append(Enclosure(value, exact.error, variance))
        return tuple(enclosures)


def _in_float64(module: torch.nn.Module) -> torch.nn.Module:
    """A copy; ``double()`` converts parameters and buffers, and leaves other tensors alone."""
    wide = copy.deepcopy(module).double()
    for part in wide.modules():
        for name, value in vars(part).items():
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                setattr(part, name, value.double())
    return wide
