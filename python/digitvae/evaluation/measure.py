"""The interface of a measure: the inputs that it looks at, and the tables that it fills."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from digitvae.base.tables import Table
from digitvae.bundle.names import PRIOR
from digitvae.data.sets import Split
from digitvae.engine.model import Model, Posterior
from digitvae.evaluation.recognition import Recognizer
from digitvae.evaluation.report import (
    MIXTURE,
    RECONSTRUCTIONS,
    STANDARD,
    TEST,
    TRAIN,
    EvaluationReport,
    Picture,
    Source,
)
from digitvae.evaluation.settings import DRAWS, Settings, Size
from digitvae.vae.model import VAE

NOTHING = "–"
ABSENT = "the bundle has no prior"


@dataclass
class Inputs:
    """The model under evaluation, and its images and latents, made when a measure needs them.

    Attributes:
        engine: Makes its pictures, as in use.
        network: Its likelihood is computed with it: logits, which the exported decoder has not.
        objective: What it was trained for.
        recognizer: Looks at images.
        splits: The data set, "train" and "test", in its own order.
        settings: How much to look at.
        begin: A measure calls it before each of its steps, with the step's name.
        sheets: A measure adds functions that draw; they are called if pictures are wanted.
    """

    engine: Model
    network: VAE
    objective: str
    recognizer: Recognizer
    splits: dict[str, Split]
    settings: Settings
    begin: Callable[[str], None]
    sheets: list[Callable[[], Picture]] = field(default_factory=list)

    @property
    def has_mixture(self) -> bool:
        """The bundle has a latent mixture."""
        return PRIOR in self.engine.bundle.file_names

    @property
    def has_posterior(self) -> bool:
        """The encoder's variances mean something: those of an autoencoder were never trained."""
        return self.objective != "autoencoder"

    def mixture(
        self, n: int, seed: int, digit: list[int] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """Samples of the bundle's mixture, uint8 [n, height, width], with their labels [n].

        Args:
            n: How many.
            seed: Of the specified random numbers.
            digit: Classes that take turns; ``None``: any.
        """
        return self.engine.sample(n, seed=seed, prior="mixture", digit=digit, return_labels=True)

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
        return self.engine.encode(self.test.images)

    @cached_property
    def sources(self) -> dict[str, Source]:
        """Images by where they come from; the mixture is left out if the bundle has none."""
        n, seed = self.settings[DRAWS], self.settings.seed
        test = self.test.head(n)
        sources = {
            TEST: Source(*test),
            TRAIN: Source(*self.some("train", n)),
            RECONSTRUCTIONS: Source(self.engine.decode(self.posterior.mu[:n]), test.labels),
            STANDARD: Source(self.engine.sample(n, seed=seed), None),
        }
        if self.has_mixture:
            sources[MIXTURE] = Source(*self.mixture(n, seed))
        return sources


@dataclass(frozen=True)
class Measure:
    """One part of an evaluation.

    Attributes:
        key: The part's name, in the report and in JSON.
        compute: Measures, and returns the part: numbers, ``None``, dataclasses, and dictionaries
            and sequences of them. A dictionary by source leaves out a mixture that does not exist.
        tables: The part's rows, from a whole report. Rows under one title become one table.
        steps: How often ``compute`` calls ``begin`` of its inputs.
        sizes: Settings that only this measure has.
    """

    key: str
    compute: Callable[[Inputs], object]
    tables: Callable[[EvaluationReport], list[Table]]
    steps: Callable[[Inputs], int] = lambda _: 1
    sizes: tuple[Size[Any], ...] = ()


def number(value: float | None, form: str = ",.2f") -> str:
    """A cell: a number in a form of :func:`format`; percent signs stand apart."""
    return NOTHING if value is None else format(value, form).replace("%", " %")


def table(
    title: str,
    names: str,
    columns: Mapping[str, tuple[str, str]],
    found: Mapping[str, object | None],
    note: str = "",
) -> Table:
    """A table with a row for each of some dataclasses.

    Args:
        title: What the numbers are.
        names: Header of the column of the rows' names.
        columns: By header, the attribute and the form of its numbers.
        found: The dataclasses by name; ``None`` for a mixture that does not exist.
        note: A line below.
    """
    rows = [
        (name, ABSENT, *[NOTHING] * (len(columns) - 1))
        if one is None
        else (name, *(number(getattr(one, key), form) for key, form in columns.values()))
        for name, one in found.items()
    ]
    return Table(title, (names, *columns), tuple(rows), note=note)


def likelihood(rows: Sequence[tuple[str, str, str, str]]) -> Table:
    """Rows of the table of likelihoods, to which several measures contribute."""
    return Table(
        "Likelihood of the test images, nats an image",
        ("measure", "value", "± standard error", "images"),
        tuple(rows),
    )
