"""How much a verification looks at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from digitvae.parity.inputs.sets import AROUND_A_TILE, BATCHES


@dataclass(frozen=True)
class Settings:
    """Numbers of inputs, and what else to look at.

    Attributes:
        mode: ``full`` or ``quick``, as reports say.
        draws: Prior draws for the decoder: latents 0 … draws−1 of seed 0.
        decoded: How many of them the encoder gets, decoded.
        images: Test images, at most.
        generated: Inputs that hypothesis makes, for each network.
        generations: Rounds of the search for the worst input; 0: none.
        batches: Numbers of rows in one call.
        elbo: Whether −ELBO of the images is compared.
        extremes: Whether inputs that are no digits are compared, too.
        elsewhere: Whether another process is started, to compare with.
        data_root: Where the data set is; ``None`` for the cache.
        require_data: Whether a data set that cannot be had is a failure.
        pictures: Whether the report gets pictures of the worst.
    """

    mode: str
    draws: int
    decoded: int
    images: int
    generated: int
    generations: int
    batches: tuple[int, ...] = BATCHES
    elbo: bool = True
    extremes: bool = True
    elsewhere: bool = True
    data_root: str | Path | None = None
    require_data: bool = False
    pictures: bool = False


FULL = Settings("full", 100_000, 5_000, 10_000, 100, 100)
QUICK = Settings("quick", 1_024, 512, 512, 0, 0, AROUND_A_TILE, elbo=False)
GATE = Settings("gate", 150, 150, 0, 0, 0, AROUND_A_TILE, extremes=False, elsewhere=False)
"""For copies that are faulty on purpose: a fault shows on any draw."""
