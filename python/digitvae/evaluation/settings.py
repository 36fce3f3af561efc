"""How much an evaluation looks at."""

from __future__ import annotations

from dataclasses import asdict, dataclass

LEAST_DRAWS = 200
"""So many draws give 128 features a covariance that has something in it."""


@dataclass(frozen=True)
class Settings:
    """Sizes; the defaults take about a minute on two cores.

    Attributes:
        seed: Of everything random, 0 … 2⁶⁴−1.
        draws: Images from each source, for everything that needs many; of the real ones, at most
            as many as there are.
        bounds: Pairs (k, images) of the importance-weighted bound; the images are some of
            the test set.
        precision_recall: Images of each source for precision and recall, at most.
        neighbours: Images of each source whose nearest training images are sought, at most.
        latents: Posterior draws, and as many of each prior, that are to be told apart; at most.
        paths: Interpolations, each between test images of different classes.
        steps: Images on each, both ends included.
    """

    seed: int = 0
    draws: int = 10_000
    bounds: tuple[tuple[int, int], ...] = ((1, 10_000), (64, 10_000), (1000, 1000))
    precision_recall: int = 5000
    neighbours: int = 2000
    latents: int = 5000
    paths: int = 500
    steps: int = 16

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 1 << 64:
            raise ValueError(f"seed: {self.seed}; expected 0 … 2⁶⁴−1")
        if self.draws < LEAST_DRAWS:
            raise ValueError(f"draws: {self.draws}; expected at least {LEAST_DRAWS}")

    def to_dict(self) -> dict[str, object]:
        """Ready for JSON."""
        return asdict(self) | {"bounds": [list(pair) for pair in self.bounds]}


def command_options(sizes: Settings) -> list[str] | None:
    """The options of the command that ask for these sizes; ``None`` if none do."""
    for quick in (False, True):
        if sizes == settings(seed=sizes.seed, draws=sizes.draws, quick=quick):
            words = ["--quick"] if quick else []
            if sizes.draws != settings(quick=quick).draws:
                words += ["--draws", str(sizes.draws)]
            if sizes.seed:
                words += ["--seed", str(sizes.seed)]
            return words
    return None


def settings(*, seed: int = 0, draws: int | None = None, quick: bool = False) -> Settings:
    """The sizes that the options of the command ask for.

    Args:
        seed: Of everything random.
        draws: Images from each source; ``None``: 10,000, or 2,000 when quick.
        quick: Look at less, in about ten seconds.

    Raises:
        ValueError: ``seed`` or ``draws`` is out of its range.
    """
    if not quick:
        return Settings(seed, 10_000 if draws is None else draws)
    return Settings(
        seed,
        2000 if draws is None else draws,
        bounds=((1, 2000), (64, 2000)),
        precision_recall=2000,
        neighbours=500,
        latents=2000,
        paths=100,
    )
