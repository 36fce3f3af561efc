"""All measures of a bundle, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

from digitvae.base.errors import BundleError
from digitvae.bundle.folder import Bundle
from digitvae.data import sets as data
from digitvae.engine.model import load
from digitvae.evaluation.measure import Inputs
from digitvae.evaluation.measures import MEASURES
from digitvae.evaluation.options import settings as usual_settings
from digitvae.evaluation.recognition import Recognizer, classifier_path
from digitvae.evaluation.report import ClassifierFacts, EvaluationReport, Picture
from digitvae.evaluation.settings import Settings
from digitvae.vae.objective import OBJECTIVES
from digitvae.vae.weights import load_bundle


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
    opened = Bundle.open(bundle)
    dataset = opened.manifest.get("dataset")
    objective = opened.manifest.get("objective", OBJECTIVES[0])
    for name, value, known in (
        ("data set", dataset, tuple(data.DATASETS)),
        ("objective", objective, OBJECTIVES),
    ):
        if value not in known:
            raise BundleError(
                f"{opened.path}: the {name} is {value!r}, expected one of {', '.join(known)}"
            )
    engine, network = load(opened), load_bundle(opened)
    recognizer = Recognizer.open(classifier_path(str(dataset)), opened.dims.pixels)
    splits = data.load(str(dataset), data_root, say=say)
    done = count()

    def begin(what: str) -> None:
        on_progress(next(done), steps, what)

    asked = settings or usual_settings()
    inputs = Inputs(engine, network, objective, recognizer, splits, asked, begin)
    steps = sum(measure.steps(inputs) for measure in MEASURES) + pictures
    parts = {measure.key: measure.compute(inputs) for measure in MEASURES}
    sheets: tuple[Picture, ...] = ()
    if pictures:
        begin("pictures")
        sheets = tuple(draw() for draw in inputs.sheets)
    return EvaluationReport(
        bundle=str(opened.path),
        bundle_sha256=opened.sha256,
        dataset=str(dataset),
        objective=objective,
        settings=asked,
        classifier=ClassifierFacts(recognizer.dataset, recognizer.accuracy, recognizer.sha256),
        parts=parts,
        pictures=sheets,
    )
