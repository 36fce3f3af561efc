"""Sizes of an evaluation: it looks at so many images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Size(Generic[T]):
    """One setting: how much a measure looks at.

    Attributes:
        key: Its name among the settings.
        usual: Its value, unless another is asked for.
        quick: Its value with ``--quick``.
        counts: Plural words for people, which follow the number.
    """

    key: str
    usual: T
    quick: T
    counts: str

    def lost(self, before: Any, now: T) -> list[str]:
        """Say how much was looked at before, if ``now`` looks at less; else an empty list."""
        return [f"{before} {self.counts}"] if before > now else []


DRAWS = Size("draws", 10_000, 2000, "images from each source")
"""For everything that needs many images. Of real ones, at most as many as there are."""

LEAST_DRAWS = 200
"""So many draws give 128 features a covariance that has something in it."""


@dataclass(frozen=True)
class Settings:
    """Sizes of all measures; :func:`digitvae.evaluation.options.settings` makes them.

    Attributes:
        seed: Of everything random, 0 … 2⁶⁴−1.
        sizes: The value of every :class:`Size`, by its key.
    """

    seed: int
    sizes: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 1 << 64:
            raise ValueError(f"seed: {self.seed}; expected 0 … 2⁶⁴−1")
        if self[DRAWS] < LEAST_DRAWS:
            raise ValueError(f"draws: {self[DRAWS]}; expected at least {LEAST_DRAWS}")

    def __getitem__(self, size: Size[T]) -> T:
        value: T = self.sizes[size.key]
        return value
