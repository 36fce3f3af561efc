"""The settings that the options of ``digitvae evaluate`` ask for, and the way back."""

from __future__ import annotations

from typing import Any

from digitvae.evaluation.measures import SIZES
from digitvae.evaluation.settings import DRAWS, Settings


def settings(*, seed: int = 0, quick: bool = False, **sizes: Any) -> Settings:
    """The sizes that the options of the command ask for.

    Args:
        seed: Of everything random.
        quick: Look at less, in about ten seconds instead of a minute on two cores.
        sizes: What is to differ from that, by key, as ``draws=500``; ``None`` does not.

    Raises:
        ValueError: ``seed`` or ``draws`` is out of its range, or there is no such size.
    """
    usual = {size.key: size.quick if quick else size.usual for size in SIZES}
    if unknown := sizes.keys() - usual.keys():
        raise ValueError(f"sizes: {', '.join(sorted(unknown))}; known are {', '.join(usual)}")
    return Settings(seed, usual | {k: value for k, value in sizes.items() if value is not None})


def command_options(asked: Settings) -> list[str] | None:
    """The options of the command that ask for these sizes; ``None`` if none do."""
    draws, seed = asked[DRAWS], asked.seed
    for quick in (False, True):
        if asked == settings(seed=seed, draws=draws, quick=quick):
            words = ["--quick"] if quick else []
            if draws != settings(quick=quick)[DRAWS]:
                words += ["--draws", str(draws)]
            return words + (["--seed", str(seed)] if seed else [])
    return None
