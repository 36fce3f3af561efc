"""Where latents come from: the arguments that say it, and their checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from digitvae.arguments import whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from digitvae.arguments import PixelType

    Array = npt.NDArray[Any]
    FloatArray = npt.NDArray[np.float32]
    Labels = npt.NDArray[np.int32]

PriorName = Literal["standard", "mixture"]
"""N(0, I), as the model defines it, or the class-conditional mixture of the bundle's prior.onnx."""

LATENT_STREAM = 0
POSTERIOR_STREAM = 2
"""Streams of random numbers (docs/random-numbers.md)."""


class LatentOptions(TypedDict, total=False):
    """What ``Model.latents`` takes beside the count, for type checkers."""

    seed: int
    first: int
    prior: PriorName
    digit: int | Sequence[int] | None
    truncation: float
    out: FloatArray | None


class SampleOptions(TypedDict, total=False):
    """What ``Model.sample`` and ``Model.stream`` take beside the count, for type checkers."""

    seed: int
    first: int
    prior: PriorName
    digit: int | Sequence[int] | None
    truncation: float
    dtype: PixelType
    threads: int | None
    out: Array | None


def check_prior(prior: object, digit: object) -> PriorName:
    """The prior that is meant: asking for a digit is asking for the mixture."""
    if prior not in ("standard", "mixture"):
        raise ValueError(f"prior is {prior!r}, expected 'standard' or 'mixture'")
    return "standard" if prior == "standard" and digit is None else "mixture"


def check_truncation(truncation: object) -> float:
    """What the noise is multiplied by, 0 to 1."""
    if isinstance(truncation, bool) or not hasattr(truncation, "__float__"):
        raise TypeError(f"truncation is {truncation!r}, expected a number from 0 to 1")
    number = float(truncation)
    if not 0 <= number <= 1:  # which NaN is not, either
        raise ValueError(f"truncation is {number}, expected 0 to 1")
    return number


def check_digits(digit: object, labels: int) -> tuple[int, ...]:
    """The classes that images take in turn, each 0 … labels−1; none for any class."""
    if digit is None:
        return ()
    if isinstance(digit, (str, bytes)) or not hasattr(digit, "__len__"):
        return (whole(digit, "digit", 0, labels - 1),)
    digits = tuple(whole(each, "digit", 0, labels - 1) for each in cast("Sequence[object]", digit))
    if not digits:
        raise ValueError("digit is an empty sequence, expected at least one; None means any digit")
    return digits
