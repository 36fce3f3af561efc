"""What an evaluation found, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from digitvae.evaluation.importance import Bound
    from digitvae.evaluation.neighbours import Distances
    from digitvae.evaluation.settings import Settings
    from digitvae.evaluation.smoothness import Smoothness
    from digitvae.vae.heldout import Evaluation

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
class LatentMeasures:
    """Measures of the 40 latents over the test images, nats.

    Attributes:
        kl: KL(q(z|x) ‖ N(0, 1)) of each latent, the mean over images [40].
        aggregate_kl: KL(N(mⱼ, Sⱼⱼ) ‖ N(0, 1)) of each, moments of the aggregate posterior [40].
        gaussian_kl: KL(N(m, S) ‖ N(0, I)) of all together.
        coincidence: By source, how well its draws can be told from posterior draws of the test
            images: share of nearest neighbours that are of the own set, ½ if not at all.
    """

    kl: tuple[float, ...]
    aggregate_kl: tuple[float, ...]
    gaussian_kl: float
    coincidence: dict[str, float]


@dataclass(frozen=True)
class SourceMeasures:
    """Measures of images of one source.

    Attributes:
        images: How many.
        frechet: Fréchet distance to the test images; ``None`` of these themselves.
        precision: Improved precision, the test images being real; ``None`` of these themselves.
        recall: Improved recall.
        recognizable: Share of images of whose class the classifier is confident.
        label_accuracy: Share that the classifier takes for what their labels say; ``None`` if
            they have none.
    """

    images: int
    frechet: float | None
    precision: float | None
    recall: float | None
    recognizable: float
    label_accuracy: float | None


@dataclass(frozen=True)
class ClassifierFacts:
    """Which classifier looked at the images."""

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
        heldout: −ELBO and its parts, on all test images.
        bounds: Importance-weighted bounds by kind of images, "grey" and "binarised"; none for an
            autoencoder.
        latents: Posterior and aggregate posterior; ``None`` for an autoencoder.
        sources: Measures of images by source. The mixture is left out if the bundle has none.
        neighbours: Distances to the nearest training image, by source.
        smoothness: Of interpolations.
        pictures: To look at; no part of the data.
    """

    bundle: str
    bundle_sha256: str
    dataset: str
    objective: str
    settings: Settings
    classifier: ClassifierFacts
    heldout: Evaluation
    bounds: dict[str, tuple[Bound, ...]]
    latents: LatentMeasures | None
    sources: dict[str, SourceMeasures]
    neighbours: dict[str, Distances]
    smoothness: Smoothness
    pictures: tuple[Picture, ...] = field(default=(), repr=False)

    @property
    def has_mixture(self) -> bool:
        """Whether the bundle has a mixture to sample from."""
        return MIXTURE in self.sources

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; ``docs/evaluation.md`` describes it. Absent measures are ``None``."""
        latents = None
        if self.latents is not None:
            latents = asdict(self.latents) | {"coincidence": _by_key(self.latents.coincidence)}
            latents["kl"], latents["aggregate_kl"] = (
                list(self.latents.kl),
                list(self.latents.aggregate_kl),
            )
        return {
            "schema": SCHEMA,
            "bundle": self.bundle,
            "bundle_sha256": self.bundle_sha256,
            "dataset": self.dataset,
            "objective": self.objective,
            "settings": self.settings.to_dict(),
            "classifier": asdict(self.classifier),
            "heldout": self.heldout.to_dict(),
            "bounds": {
                kind: [bound.to_dict() for bound in bounds] for kind, bounds in self.bounds.items()
            },
            "latents": latents,
            "sources": _by_key({name: asdict(found) for name, found in self.sources.items()}),
            "neighbours": _by_key(
                {name: found.to_dict() for name, found in self.neighbours.items()}
            ),
            "smoothness": self.smoothness.to_dict(),
        }


def _by_key(values: dict[str, Any]) -> dict[str, Any]:
    """With keys for programs, and ``None`` for a mixture that does not exist."""
    return {KEYS[name]: value for name, value in values.items()} | (
        {} if MIXTURE in values else {KEYS[MIXTURE]: None}
    )
