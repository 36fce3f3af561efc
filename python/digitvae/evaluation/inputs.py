"""Images and latents of the bundle under evaluation, for all measures: made once, when needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch

from digitvae.data.sets import Split
from digitvae.engine.model import Posterior
from digitvae.evaluation.recognition import Recognizer
from digitvae.evaluation.report import (
    MIXTURE,
    RECONSTRUCTIONS,
    STANDARD,
    TEST,
    TRAIN,
    Picture,
    Source,
)
from digitvae.evaluation.settings import DRAWS, Settings
from digitvae.evaluation.subject import Subject


@dataclass
class Inputs:
    """All that measures look at.

    Attributes:
        subject: The model.
        recognizer: Looks at images.
        splits: The data set, "train" and "test", in its own order.
        settings: How much to look at.
        begin: A measure calls it before each of its steps, with the step's name.
        sheets: A measure adds functions that draw; they are called if pictures are wanted.
    """

    subject: Subject
    recognizer: Recognizer
    splits: dict[str, Split]
    settings: Settings
    begin: Callable[[str], None]
    sheets: list[Callable[[], Picture]] = field(default_factory=list)

    def generator(self, purpose: str) -> torch.Generator:
        """A generator for one purpose: hashed, because neighbouring seeds are related."""
        digest = hashlib.sha256(f"digitvae {self.settings.seed} {purpose}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))

    def some(self, name: str, n: int | None = None) -> Split:
        """N images of a split at random, without repetition; ``None``: all, in another order."""
        split = self.splits[name]
        size = len(split.images)
        places = torch.randperm(size, generator=self.generator(f"{size} images"))[:n].numpy()
        return type(split)(split.images[places], split.labels[places])

    @cached_property
    def test(self) -> Split:
        """All test images, in another order.

        MNIST's first 5,000 are the easier ones: a measure of some images takes any of them.
        """
        return self.some("test")

    @cached_property
    def posterior(self) -> Posterior:
        """Of ``test``."""
        return self.subject.engine.encode(self.test.images)

    @cached_property
    def sources(self) -> dict[str, Source]:
        """Images by where they come from; the mixture is left out if the bundle has none."""
        subject, n, seed = self.subject, self.settings[DRAWS], self.settings.seed
        test = self.test.head(n)
        sources = {
            TEST: Source(*test),
            TRAIN: Source(*self.some("train", n)),
            RECONSTRUCTIONS: Source(subject.engine.decode(self.posterior.mu[:n]), test.labels),
            STANDARD: Source(subject.engine.sample(n, seed=seed), None),
        }
        if subject.has_mixture:
            sources[MIXTURE] = Source(*subject.mixture(n, seed))
        return sources
