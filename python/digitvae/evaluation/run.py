"""All measures of a bundle, one after the other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from digitvae.data import sets as data
from digitvae.evaluation.aggregate import (
    aggregate_moments,
    neighbour_coincidence,
    posterior_divergence,
)
from digitvae.evaluation.frechet import frechet_distance
from digitvae.evaluation.importance import Bound, binarised, importance_bound
from digitvae.evaluation.neighbours import Nearest, describe_distances, nearest
from digitvae.evaluation.precision_recall import NEIGHBOURS, precision_recall
from digitvae.evaluation.recognition import Recognition, Recognizer, classifier_path
from digitvae.evaluation.report import (
    MIXTURE,
    RECONSTRUCTIONS,
    STANDARD,
    TEST,
    TRAIN,
    ClassifierFacts,
    EvaluationReport,
    LatentMeasures,
    Source,
    SourceMeasures,
)
from digitvae.evaluation.settings import Settings
from digitvae.evaluation.smoothness import Smoothness, smoothness
from digitvae.evaluation.subject import Subject
from digitvae.vae.heldout import as_tensor, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from digitvae.data.sets import Split
    from digitvae.evaluation.neighbours import Distances
    from digitvae.evaluation.report import Picture

    Images = NDArray[np.uint8]


def evaluate_bundle(
    bundle: str | Path | None = None,
    settings: Settings | None = None,
    *,
    data_root: str | Path | None = None,
    pictures: bool = False,
    say: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[int, int, str], None] = lambda _done, _total, _what: None,
) -> EvaluationReport:
    """Measure how good the model of a bundle is.

    The same bundle, settings and number of threads give the same numbers.

    Args:
        bundle: The folder; ``None`` for the shipped one.
        settings: How much to look at; ``None`` for the defaults.
        data_root: Where its data set is; ``None`` for the cache, which is filled if need be.
        pictures: Also make pictures.
        say: Called with one line when data are fetched.
        on_progress: Called before each step with the steps done, all steps, and the step's name.

    Raises:
        BundleError: It is no intact bundle, has no weights, or is of an unknown data set or
            objective.
        DataError: Its data set cannot be had.
        RuntimeLibraryError: ONNX Runtime is missing or too old.
    """
    settings = Settings() if settings is None else settings
    subject = Subject.open(bundle)
    recognizer = Recognizer.open(classifier_path(subject.dataset))
    splits = data.load(subject.dataset, data_root, say=say)
    run = _Run(subject, recognizer, splits["train"], splits["test"], settings, on_progress)
    return run.report(pictures=pictures)


@dataclass
class _Run:
    """An evaluation under way."""

    subject: Subject
    recognizer: Recognizer
    train: Split
    test: Split
    settings: Settings
    on_progress: Callable[[int, int, str], None]
    done: int = 0
    steps: int = 0

    def report(self, *, pictures: bool) -> EvaluationReport:
        subject, settings = self.subject, self.settings
        bounds = 2 * len(settings.bounds) if subject.has_posterior else 0
        self.steps = 10 + 2 * subject.has_mixture + bounds + pictures
        self._begin("−ELBO of the test images")
        heldout = evaluate(subject.network, as_tensor(self.test.images), subject.objective)
        # MNIST's first 5,000 test images are the easier ones: what looks at some, takes any.
        self.test = self._some(self.test, len(self.test.images))
        x = as_tensor(self.test.images)
        found_bounds = self._bounds(x) if subject.has_posterior else {}
        mu, logvar = subject.engine.encode(self.test.images)
        self._begin("aggregate posterior")
        latents = self._latents(mu, logvar) if subject.has_posterior else None
        self._begin("making digits")
        sources = self._sources(mu)
        measures = self._measures(sources)
        distances, found = self._neighbours(sources)
        self._begin("interpolations")
        paths = self._paths(mu)
        smooth = self._smoothness(paths)
        sheets: tuple[Picture, ...] = ()
        if pictures:
            from digitvae.evaluation.pictures import draw

            self._begin("pictures")
            sheets = draw(subject, sources, paths, found, self.train.images)
        bundle = subject.engine.bundle
        return EvaluationReport(
            bundle=str(bundle.path),
            bundle_sha256=bundle.sha256,
            dataset=subject.dataset,
            objective=subject.objective,
            settings=settings,
            classifier=ClassifierFacts(
                self.recognizer.dataset, self.recognizer.accuracy, self.recognizer.sha256
            ),
            heldout=heldout,
            bounds=found_bounds,
            latents=latents,
            sources=measures,
            neighbours=distances,
            smoothness=smooth,
            pictures=sheets,
        )

    def _begin(self, what: str) -> None:
        self.on_progress(self.done, self.steps, what)
        self.done += 1

    def _generator(self, purpose: str) -> torch.Generator:
        """A generator for one purpose: hashed, because neighbouring seeds are related."""
        digest = hashlib.sha256(f"digitvae {self.settings.seed} {purpose}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))

    def _bounds(self, x: torch.Tensor) -> dict[str, tuple[Bound, ...]]:
        kinds = {"grey": x, "binarised": binarised(x, self._generator("binarised"))}
        found: dict[str, tuple[Bound, ...]] = {}
        for kind, images in kinds.items():
            for k, count in self.settings.bounds:
                self._begin(f"importance-weighted bound, {kind}, k = {k}")
                bound = importance_bound(
                    self.subject.network, images[:count], k, self._generator(f"{kind} {k}")
                )
                found[kind] = (*found.get(kind, ()), bound)
        return found

    def _latents(self, mu: NDArray[np.float32], logvar: NDArray[np.float32]) -> LatentMeasures:
        """Posterior and aggregate posterior of the test images."""
        subject, n = self.subject, self.settings.latents
        moments = aggregate_moments(mu, logvar)
        draws = subject.posterior_draws(mu[:n], logvar[:n], self._generator("test latents"))
        train = subject.engine.encode(self._some(self.train, n).images)
        others = {
            TRAIN: subject.posterior_draws(*train, self._generator("training latents")),
            STANDARD: subject.engine.latents(n, seed=self.settings.seed),
        }
        if subject.has_mixture:
            others[MIXTURE] = subject.mixture_latents(n, self.settings.seed)
        return LatentMeasures(
            kl=tuple(posterior_divergence(mu, logvar).tolist()),
            aggregate_kl=tuple(moments.marginal_divergence().tolist()),
            gaussian_kl=moments.divergence(),
            coincidence={
                name: neighbour_coincidence(draws, other) for name, other in others.items()
            },
        )

    def _sources(self, mu: NDArray[np.float32]) -> dict[str, Source]:
        """Images to measure, by where they come from."""
        subject, n, seed = self.subject, self.settings.draws, self.settings.seed
        test = self.test.head(n)
        sources = {
            TEST: Source(*test),
            TRAIN: Source(*self._some(self.train, n)),
            RECONSTRUCTIONS: Source(subject.engine.decode(mu[:n]), test.labels),
            STANDARD: Source(subject.engine.sample(n, seed=seed), None),
        }
        if subject.has_mixture:
            sources[MIXTURE] = Source(*subject.mixture(n, seed))
        return sources

    def _some(self, split: Split, n: int) -> Split:
        """Images of a split at random, without repetition: all in another order, if n says so."""
        size = len(split.images)
        places = torch.randperm(size, generator=self._generator(f"{size} images"))[:n].numpy()
        return type(split)(split.images[places], split.labels[places])

    def _measures(self, sources: dict[str, Source]) -> dict[str, SourceMeasures]:
        """Measures in the classifier's eyes, the test images being what is real."""
        most = self.settings.precision_recall
        found: dict[str, SourceMeasures] = {}
        real: Recognition | None = None
        for name, source in sources.items():
            self._begin(f"looking at {name}")
            seen = self.recognizer(source.images)
            accuracy = None if source.labels is None else seen.agreement(source.labels)
            measures = SourceMeasures(
                len(source.images), None, None, None, seen.recognizable, accuracy
            )
            if real is None:
                real = seen
            else:
                precision, recall = precision_recall(
                    real.features[:most], seen.features[:most], NEIGHBOURS
                )
                measures = replace(
                    measures,
                    frechet=frechet_distance(real.features, seen.features),
                    precision=precision,
                    recall=recall,
                )
            found[name] = measures
        return found

    def _neighbours(
        self, sources: dict[str, Source]
    ) -> tuple[dict[str, Distances], dict[str, Nearest]]:
        """Nearest training images of what is new: test images, and samples."""
        reference = self.train.images
        found: dict[str, Nearest] = {}
        for name in (TEST, STANDARD, MIXTURE):
            if name in sources:
                self._begin(f"nearest training images of {name}")
                images = sources[name].images[: self.settings.neighbours]
                found[name] = nearest(images, reference)
        of_test = found[TEST].distance
        return {
            name: describe_distances(near.distance, of_test) for name, near in found.items()
        }, found

    def _paths(self, mu: NDArray[np.float32]) -> Images:
        """Straight paths between the means of test images of different classes.

        Returns:
            uint8 [paths, steps, 28, 28].
        """
        # Their order is random, so neighbours are strangers.
        different = np.flatnonzero(self.test.labels[0:-1:2] != self.test.labels[1::2])
        a = 2 * different[: self.settings.paths]
        return self.subject.engine.interpolate(mu[a], mu[a + 1], self.settings.steps)

    def _smoothness(self, paths: Images) -> Smoothness:
        seen = self.recognizer(paths.reshape(-1, *paths.shape[2:]))
        shape = paths.shape[:2]
        return smoothness(seen.features.reshape(*shape, -1), seen.confidence.reshape(shape))
