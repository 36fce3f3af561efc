"""Which latents images are made of, and the streams of random numbers they come from."""

from __future__ import annotations

from typing import NamedTuple

from digitvae.base.arguments import (
    MAX_INDEX,
    PriorName,
    check_digits,
    check_prior,
    check_truncation,
    whole,
)

LATENT_STREAM = 0
POSTERIOR_STREAM = 2
"""Streams of random numbers (docs/random-numbers.md)."""


class LatentSource(NamedTuple):
    """Which latents: the same source and index give the same latent, whatever is drawn with it.

    Attributes:
        seed: Seed of the random numbers, 0 … 2⁶⁴−1.
        prior: ``"standard"``, N(0, I), or ``"mixture"``, that of the bundle.
        digits: Classes of the mixture that images take in turn, by their index; empty: any.
        truncation: What the noise is multiplied by, 0 to 1.
    """

    seed: int = 0
    prior: PriorName = "standard"
    digits: tuple[int, ...] = ()
    truncation: float = 1.0

    @classmethod
    def asked(
        cls,
        seed: object = 0,
        prior: object = "standard",
        digit: object = None,
        truncation: object = 1.0,
    ) -> LatentSource:
        """The source that arguments such as those of :meth:`digitvae.Model.sample` ask for.

        A bundle has to be asked whether its mixture has such digits (:meth:`digitvae.Model.check`).

        Raises:
            ValueError: An argument is out of its range.
            TypeError: An argument is of another type.
        """
        return cls(
            whole(seed, "seed", 0, MAX_INDEX),
            check_prior(prior, digit),
            check_digits(digit),
            check_truncation(truncation),
        )
