"""Images of each source in the eyes of a classifier: like test images? recognizable?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from digitvae.base.tables import Table
from digitvae.evaluation.features import frechet_distance, precision_recall
from digitvae.evaluation.measure import Inputs, Measure, table
from digitvae.evaluation.pictures import COLUMNS, grid, pairs
from digitvae.evaluation.recognition import Recognition
from digitvae.evaluation.report import (
    KEYS,
    RECONSTRUCTIONS,
    STANDARD,
    TEST,
    EvaluationReport,
    Picture,
    Source,
)
from digitvae.evaluation.settings import Size

STANDARD_SAMPLES = "Samples, z drawn from N(0, I)"
MIXTURE_SAMPLES = "Samples of each class, z drawn from the mixture"
"""Titles of the sheets of samples; the second exists only if the bundle has a mixture."""

PRECISION_RECALL = Size("precision_recall", 5000, 2000, "images for precision and recall")
"""At most so many of each source."""

_ROWS = 8
_DIGITS = 10


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


def _compute(inputs: Inputs) -> dict[str, SourceMeasures]:
    inputs.begin("making digits")
    sources = inputs.sources
    most = inputs.settings[PRECISION_RECALL]
    seen: dict[str, Recognition] = {}
    found: dict[str, SourceMeasures] = {}
    for name, (images, labels) in sources.items():
        inputs.begin(f"looking at {name}")
        seen[name] = inputs.recognizer(images)
        real, features = seen[TEST].features, seen[name].features
        distance = precision = recall = None
        if name != TEST:
            distance = frechet_distance(real, features)
            precision, recall = precision_recall(real[:most], features[:most])
        found[name] = SourceMeasures(
            len(images),
            distance,
            precision,
            recall,
            seen[name].recognizable,
            None if labels is None else seen[name].agreement(labels),
        )
    inputs.sheets.append(partial(_samples, sources[STANDARD]))
    if inputs.has_mixture:
        inputs.sheets.append(partial(_samples_of_each_class, inputs))
    inputs.sheets.append(partial(_reconstructions, sources))
    return found


def _tables(report: EvaluationReport) -> list[Table]:
    classifier = report.classifier
    return [
        table(
            "Images in the eyes of the classifier",
            "source",
            {
                "images": ("images", ",d"),
                "Fréchet": ("frechet", ",.2f"),
                "precision": ("precision", ".3f"),
                "recall": ("recall", ".3f"),
                "confidence > 0.9": ("recognizable", ".3f"),
                "label accuracy": ("label_accuracy", ".4f"),
            },
            {name: report.sources.get(name) for name in KEYS},
            f"the classifier of {classifier.dataset} has {100 * classifier.accuracy:.2f} % test "
            "accuracy",
        )
    ]


def _samples(source: Source) -> Picture:
    sheet = grid(source.images[: COLUMNS * _ROWS], COLUMNS)
    return Picture(STANDARD_SAMPLES, "The first ones, not chosen.", sheet)


def _samples_of_each_class(inputs: Inputs) -> Picture:
    images, _ = inputs.mixture(COLUMNS * _DIGITS, 0, list(range(_DIGITS)))
    # Image i is of digit i mod 10.
    by_digit = images.reshape(COLUMNS, _DIGITS, *images.shape[1:]).swapaxes(0, 1)
    return Picture(
        MIXTURE_SAMPLES,
        "A row for each class, in order. The first ones, not chosen.",
        grid(by_digit.reshape(images.shape), COLUMNS),
        tuple(str(digit) for digit in range(_DIGITS)),
    )


def _reconstructions(sources: dict[str, Source]) -> Picture:
    return Picture(
        "Reconstructions",
        "Test images, each above the decoded mean of its posterior.",
        pairs(sources[TEST].images[: 3 * COLUMNS], sources[RECONSTRUCTIONS].images),
    )


MEASURE = Measure(
    "sources",
    _compute,
    _tables,
    steps=lambda inputs: 5 + inputs.has_mixture,
    sizes=(PRECISION_RECALL,),
)
