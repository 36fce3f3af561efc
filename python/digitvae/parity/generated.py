"""Inputs that hypothesis makes: it likes the numbers that programs dislike."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning
from hypothesis.extra.numpy import arrays

from digitvae.parity.inputs import GENERATED, InputSet, in_blocks

if TYPE_CHECKING:
    from digitvae.parity.networks import Float32


def generated(shape: tuple[int, ...], count: int, low: float, high: float) -> InputSet:
    """Rows of float32 in [low, high]: the same ones each time, with one version of hypothesis.

    Args:
        shape: Of one row.
        count: Rows, about: hypothesis ends sooner when it has no more.
        low: Smallest value.
        high: Largest value.
    """
    elements = st.floats(low, high, width=32, allow_subnormal=True)
    rows: list[Float32] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    # Long rows are mostly one value, which is drawn too, so that they stay small to hypothesis.
    @given(arrays(np.float32, shape, elements=elements, fill=elements))
    def collect(row: Float32) -> None:
        rows.append(row.copy())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)
        collect()
    return InputSet(GENERATED, in_blocks(np.stack(rows)), typical=False)
