"""The results of an evaluation, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitvae.evaluation.settings import Settings

Images = NDArray[np.uint8]

SCHEMA = "digitvae-evaluation/1"

TRAIN, TEST = "training images", "test images"
RECONSTRUCTIONS, STANDARD, MIXTURE = "reconstructions", "z ~ N(0, I)", "z ~ mixture"
"""Names of the sources of images; their keys in JSON are those of ``KEYS``."""

KEYS = {
    TRAIN: "train",
    TEST: "test",
    RECONSTRUCTIONS: "reconstructions",
    STANDARD: "standard",
    MIXTURE: "mixture",
}


class Source(NamedTuple):
    """Images, and what they are of if that is known."""

    images: Images
    labels: NDArray[np.integer] | None


class Picture(NamedTuple):
    """One sheet.

    Attributes:
        title: What it shows.
        caption: How to read it.
        pixels: uint8 [height, width], 0 is black.
        rows: Labels of its rows, which are equally high; none if they need none.
    """

    title: str
    caption: str
    pixels: Images
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassifierFacts:
    """The classifier that looked at the images."""

    dataset: str
    accuracy: float
    sha256: str


@dataclass(frozen=True)
class EvaluationReport:
    """Everything that was measured of one bundle.

    Attributes:
        bundle: Its folder.
        bundle_sha256: Of its manifest.
        dataset: What it was trained on, and is measured with.
        objective: What it was trained for.
        settings: How much was looked at.
        classifier: What looked at images.
        parts: The result of each measure by its key, which names an attribute, too: ``heldout``,
            ``sources`` and the others that ``docs/evaluation.md`` lists.
        pictures: To look at; no part of the data.
    """

    bundle: str
    bundle_sha256: str
    dataset: str
    objective: str
    settings: Settings
    classifier: ClassifierFacts
    parts: Mapping[str, Any]
    pictures: tuple[Picture, ...] = field(default=(), repr=False)

    def __getattr__(self, name: str) -> Any:
        # Not self.parts, which a copy under construction does not have yet.
        parts = vars(self).get("parts", {})
        if name not in parts:
            raise AttributeError(f"an evaluation has no {name!r}")
        return parts[name]

    @property
    def has_mixture(self) -> bool:
        """The bundle has a mixture to sample from."""
        return MIXTURE in self.sources

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; ``docs/evaluation.md`` describes it. Absent measures are ``None``."""
        return {
            "schema": SCHEMA,
            "bundle": self.bundle,
            "bundle_sha256": self.bundle_sha256,
            "dataset": self.dataset,
            "objective": self.objective,
            "settings": {"seed": self.settings.seed} | _plain(self.settings.sizes),
            "classifier": asdict(self.classifier),
            **{key: _plain(part) for key, part in self.parts.items()},
        }


def _plain(value: Any) -> Any:
    """As JSON has it; by source, with keys for programs, and ``None`` for an absent mixture."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        value = vars(value)
    if isinstance(value, Mapping):
        by_source = value and value.keys() <= KEYS.keys()
        absent = {KEYS[MIXTURE]: None} if by_source and MIXTURE not in value else {}
        return {KEYS.get(key, key): _plain(item) for key, item in value.items()} | absent
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
