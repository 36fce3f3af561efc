"""Put an evaluation into the bundle that it is of, and into its model card."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from digitvae.base.atomic import new_file, output_errors
from digitvae.base.errors import BundleError, OutputError
from digitvae.bundle.card import EVALUATION, SAMPLES, TEST_METRICS, evaluation_figures, model_card
from digitvae.bundle.folder import Bundle, describe_content, manifest_bytes
from digitvae.bundle.names import CARD, DECODER, ENCODER, MANIFEST, PRIOR, WEIGHTS
from digitvae.evaluation.measures import SIZES
from digitvae.evaluation.measures.images import MIXTURE_SAMPLES, STANDARD_SAMPLES
from digitvae.evaluation.options import command_options
from digitvae.evaluation.report import SCHEMA, EvaluationReport
from digitvae.evaluation.settings import Settings
from digitvae.evaluation.views.sheet import sheet


def write_evaluation(folder: str | Path, report: EvaluationReport, *, force: bool = False) -> None:
    """Write ``evaluation.json``, ``samples.png``, the metrics of the manifest, and the card.

    All are written under temporary names before the first gets its own; the manifest is the last.
    Nothing else in the folder changes. The same report gives the same bytes.

    Args:
        folder: The bundle.
        report: Of its evaluation, with pictures.
        force: Replace what :func:`refuse_loss` would keep.

    Raises:
        BundleError: The folder is not an intact bundle, or not the one that was measured, or its
            manifest says of its training what makes no sense.
        OutputError: It cannot be written, or :func:`refuse_loss` refuses.
    """
    bundle = Bundle.open(folder)
    bundle.check_files()
    if bundle.sha256 != report.bundle_sha256:
        raise BundleError(f"{bundle.path} changed while it was measured: evaluate it again")
    if not force:
        refuse_loss(bundle, report.settings)
    evaluation = kept(report, bundle)
    figures = {key: value for key, _, value in evaluation_figures(evaluation)}
    names = {*bundle.file_names, EVALUATION, SAMPLES}
    try:
        metrics = bundle.manifest.get("metrics", {})
        trained = {name: value for name, value in metrics.items() if name.startswith(TEST_METRICS)}
        manifest = bundle.manifest | {"metrics": trained | figures}
        text = model_card(manifest, evaluation, names)
    except (TypeError, ValueError, KeyError, AttributeError) as error:  # it may hold anything
        raise BundleError(
            f"{bundle.path / MANIFEST} makes no model card: {type(error).__name__}: {error}"
        ) from error
    contents = {
        EVALUATION: (json.dumps(evaluation, indent=2, allow_nan=False) + "\n").encode(),
        SAMPLES: _samples(report),
        CARD: text.encode(),
    }
    described = {name: describe_content(content) for name, content in contents.items()}
    manifest["files"] = bundle.manifest["files"] | described
    _write_together(bundle.path, {MANIFEST: manifest_bytes(manifest)} | contents)
    Bundle.open(bundle.path).check_files()


def refuse_loss(bundle: Bundle, settings: Settings) -> None:
    """Refuse to replace an evaluation that looked at more, or a file that is not the bundle's.

    Args:
        bundle: What is to be updated. An evaluation in it that is none of this schema may be
            replaced.
        settings: How much the new evaluation looks at.

    Raises:
        OutputError: Says what was looked at before, or which file is in the way.
        BundleError: The evaluation in the bundle is not what the manifest says.
    """
    for name in (CARD, EVALUATION, SAMPLES):
        if name not in bundle.file_names and (bundle.path / name).exists():
            raise OutputError(
                f"{bundle.path / name} is there, but not part of the bundle; --force replaces it"
            )
    if EVALUATION not in bundle.file_names:
        return
    try:
        before = json.loads(bundle.read(EVALUATION))
        if before["schema"] != SCHEMA:
            return
        known = before["settings"]
        lost = [
            words
            for size in SIZES
            if size.key in known  # the measure may be newer than that evaluation
            for words in size.lost(known[size.key], settings[size])
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    if lost:
        raise OutputError(
            f"the evaluation that the bundle holds looked at more: {'; '.join(lost)}. It was not "
            "replaced; --force does it all the same"
        )


def kept(report: EvaluationReport, bundle: Bundle) -> dict[str, Any]:
    """The content of ``evaluation.json``: a report, but for what another place or manifest changes.

    Args:
        report: Of the bundle.
        bundle: What was measured: ``files`` names it by the hashes of what took part.
    """
    options = command_options(report.settings)
    measured = (name for name in (DECODER, ENCODER, PRIOR, WEIGHTS) if name in bundle.file_names)
    content = report.to_dict()
    del content["bundle"], content["bundle_sha256"]
    return content | {
        "command": None if options is None else " ".join(["digitvae evaluate .", *options]),
        "files": {name: bundle.manifest["files"][name]["sha256"] for name in measured},
    }


def _samples(report: EvaluationReport) -> bytes:
    title = MIXTURE_SAMPLES if report.has_mixture else STANDARD_SAMPLES
    (samples,) = (picture for picture in report.pictures if picture.title == title)
    # To the eye 16 greys are as good as 256, and take half the bytes: 32 to 60 KB.
    greys = np.round(samples.pixels / 17).astype(np.uint8) * np.uint8(17)
    return sheet([samples._replace(pixels=greys)], scale=1)


def _write_together(folder: Path, contents: dict[str, bytes]) -> None:
    """Replace files of a folder, the last first: none gets its name before all are written."""
    with ExitStack() as stack:
        for name, content in contents.items():
            file = stack.enter_context(new_file(folder / name, force=True))
            with output_errors(folder / name):
                file.write(content)
                file.flush()
