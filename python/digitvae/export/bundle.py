"""Turn a finished run into a bundle: ONNX for native code, TorchScript and .pt2 for PyTorch.

Only what is deterministic is exported: encoder (x → μ, log σ²), decoder (z → x), and the latent
mixture that is fitted here (u, digit, ε → z, label). The noise lives outside, with a specified
generator. The same run gives the same bytes each time on one machine: no dates, no paths, no order
that depends on a hash seed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_safetensors

from digitvae.base import atomic
from digitvae.base.errors import DataError, OutputError, ParityError, TrainingError
from digitvae.base.files import open_regular
from digitvae.bundle.card import model_card
from digitvae.bundle.dims import Dims
from digitvae.bundle.folder import MAX_MANIFEST_BYTES, SCHEMA, describe_files, write_manifest
from digitvae.bundle.names import CARD, MANIFEST, PRIOR_PARAMETERS, WEIGHTS
from digitvae.data import sets as data
from digitvae.mixture.fit import MixtureFit, fit_mixture
from digitvae.mixture.model import LatentMixture
from digitvae.mixture.posteriors import encode, refine
from digitvae.parity import verify
from digitvae.parity.report.update import write_report
from digitvae.training import run_directory as run
from digitvae.training.loop import Summary, read_summary
from digitvae.vae import weights as vae
from digitvae.vae.model import VAE
from digitvae.vae.serialisation import write_forms, write_networks

LEAST_FITTED = 4096
"""Images that a prior is fitted to, even for a run of fewer: every class has enough among them."""


def export_run(
    run_dir: str | Path,
    bundle_dir: str | Path,
    *,
    force: bool = False,
    allow_collapsed: bool = False,
    prior: bool = True,
    data_root: str | Path | None = None,
    quick: bool = False,
    say: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> Path:
    """Export a finished run, verify the result, and only then give it its name.

    Args:
        run_dir: A finished run directory.
        bundle_dir: The bundle to make.
        force: Replace the bundle that is there, unless it holds files that its manifest does not
            list. Anything else that is there is never replaced.
        allow_collapsed: Export a model whose posterior has collapsed.
        prior: Fit a latent mixture to the images that the run was trained on, but to no fewer than
            ``LEAST_FITTED`` of the data set, and put it into the bundle. An autoencoder gets none:
            it has no posterior.
        data_root: Where the data set for the mixture and the verification is; ``None`` for the
            cache.
        quick: Verify with fewer inputs (``digitvae verify --quick``).
        say: Called with one line at each step.
        on_progress: Called with what is done, of how much, and what it is.

    Returns:
        The bundle's folder.

    Raises:
        ValueError: The environment variable SOURCE_DATE_EPOCH is no number of seconds.
        TrainingError: The run is missing, unfinished, damaged, or collapsed.
        DataError: The mixture is to be fitted, and the data set cannot be had.
        OutputError: ``bundle_dir`` is taken or cannot be written.
        ParityError: An exported form does not compute what PyTorch computes; nothing is left.
    """
    source, target = Path(run_dir), Path(bundle_dir).absolute()
    summary = read_summary(source)
    if summary.test.collapsed and not allow_collapsed:
        raise TrainingError(
            f"{source}: {summary.test.collapse_message()}. Train with --objective elbo, or export "
            "it nevertheless with --allow-collapsed"
        )
    weights, model = _load_weights(source, summary.config.dims)
    manifest = _manifest(summary)
    made = [parent for parent in target.parents if not parent.exists()]  # the innermost first
    try:
        # First of all, so that nobody waits for a prior to learn that its place cannot be written.
        with atomic.output_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        atomic.recover(target)
        _check_target(target, force=force)
        with (
            atomic.new_folder(target, force=True, ours=_bundle_lists) as folder,
            atomic.output_errors(target),
        ):
            fit = _fit(model, summary, data_root, say, on_progress) if prior else None
            if fit is not None:
                manifest["prior"] = fit.facts()
            write_networks(folder, model, weights, summary.config.dataset, say)
            if fit is not None:
                say("exporting the prior")
                _write_mixture(folder, fit.mixture, summary.config.dataset)
            say("verifying that every form computes what PyTorch computes")
            _verify(folder, manifest, data_root, quick=quick, on_progress=on_progress)
            _check_target(target, force=force)  # again: what is there may be another by now
    finally:
        for parent in made:
            with suppress(OSError):  # one that holds something, as after a success, stays
                parent.rmdir()
    return target


def _write_mixture(folder: Path, mixture: LatentMixture, dataset: str) -> None:
    """Write the mixture in every form, and its parameters."""
    parameters = {name: tensor.contiguous() for name, tensor in mixture.state_dict().items()}
    (folder / PRIOR_PARAMETERS).write_bytes(save_safetensors(parameters))
    facts = {
        "schema": SCHEMA,
        "latent_dim": mixture.means.shape[1],
        "dataset": dataset,
        "labels": mixture.labels,
        "noise_dim": mixture.noise_dim,
    }
    write_forms(folder, "prior", mixture, mixture.means.shape[1], facts)


def _fit(
    model: VAE,
    summary: Summary,
    data_root: str | Path | None,
    say: Callable[[str], None],
    on_progress: Callable[[int, int, str], None] | None,
) -> MixtureFit | None:
    """The mixture of the run's training images, or ``None`` for a model without a posterior."""
    config = summary.config
    if config.objective == "autoencoder":
        say("no prior: an autoencoder has no posterior to fit it to")
        return None
    say(f"fitting the prior to the training images of {config.dataset}")
    try:
        split = data.load(config.dataset, data_root, splits=("train",))["train"]
    except (DataError, ValueError) as error:
        raise DataError(
            f"the prior cannot be fitted without the training images: {error.args[0]}",
            *error.args[1:],
            "Or export without a prior: --no-prior",
        ) from error
    if config.limit is not None:
        split = split.head(max(config.limit, LEAST_FITTED))
    images, labels = split
    show = on_progress or (lambda _done, _total, _what: None)
    mu, logvar = encode(model, images)
    codes = refine(
        model, images, mu, lambda done, total: show(done, total, "finding the images' codes")
    )
    fit = fit_mixture(codes, logvar, labels, seed=config.seed % 2**32)
    say(f"fitted the prior: {sum(fit.mixture.components)} components")
    return fit


def _verify(
    folder: Path,
    manifest: dict[str, Any],
    data_root: str | Path | None,
    *,
    quick: bool,
    on_progress: Callable[[int, int, str], None] | None,
) -> None:
    """Write card and manifest, verify, and add the report and the manifest that knows it too."""
    names = [file.name for file in folder.iterdir()]
    if manifest["dataset"] in data.DATASETS:  # of others nobody can say what they show
        (folder / CARD).write_text(model_card(manifest, None, names), encoding="utf-8")
        names.append(CARD)
    write_manifest(folder, manifest | {"files": describe_files(folder, names)})
    report = verify(folder, quick=quick, data_root=data_root, on_progress=on_progress)
    if not report.passed:
        raise ParityError(*f"nothing was exported: {report.summary()}".split("\n  "))
    write_report(folder, report)


def _manifest(summary: Summary) -> dict[str, Any]:
    """Everything but the files."""
    config = summary.config
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "dims": config.dims.for_manifest(),
        "dataset": config.dataset,
        "objective": config.objective,
        "seed": config.seed,
        "epochs": config.epochs,
        "training": {
            "batch_size": config.batch_size,
            "learning_rate": config.learning_rate,
            "warmup_epochs": config.warmup_epochs,
            "anneal_epochs": config.anneal_epochs,
            "precision": config.precision,
            "limit": config.limit,
        },
        "metrics": {f"test_{name}": value for name, value in summary.test.to_dict().items()},
        "versions": run.versions()
        | {name: version(name) for name in ("onnx", "onnxscript", "safetensors", "scikit-learn")},
    }
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        try:
            created = datetime.fromtimestamp(int(epoch), timezone.utc)
        except (ValueError, OverflowError, OSError) as error:
            raise ValueError(f"SOURCE_DATE_EPOCH: {epoch!r}; expected seconds: {error}") from error
        manifest["created"] = created.isoformat()
    return manifest


def _load_weights(source: Path, dims: Dims) -> tuple[bytes, VAE]:
    """The trained parameters, which must be those of the checkpoint: that knows its SHA-256."""
    path = source / WEIGHTS
    checkpoint = run.load_checkpoint(source)
    trained = {} if checkpoint is None else checkpoint.tensors
    try:
        with open_regular(path) as file:
            content = file.read()
        model = vae.load(content, dims)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: not the weights of this model: {error}") from error
    for name, tensor in model.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise TrainingError(f"{path}: {name} is not finite everywhere")
        kept = trained.get(f"model.{name}")
        if kept is None or not torch.equal(kept.view(torch.int32), tensor.view(torch.int32)):
            raise TrainingError(
                f"{path}: was changed: {name} is not what {run.CHECKPOINT} has; delete "
                f"{run.SUMMARY} and `digitvae train --out {source} --resume` writes both again"
            )
    return content, model


def _check_target(target: Path, *, force: bool) -> None:
    """Refuse a place that is taken, but for an empty folder, or a bundle that may be replaced."""
    if not os.path.lexists(target):
        return
    if target.is_dir() and not target.is_symlink():
        if not any(target.iterdir()):
            return
        if (target / MANIFEST).is_file():
            if not force:
                raise OutputError(f"{target}: there is a bundle already; --force replaces it")
            atomic.refuse_foreign(target, target, _bundle_lists)
            return
    raise OutputError(f"{target}: exists and is not a bundle, so it is not replaced")


def _bundle_lists(folder: Path, name: str) -> bool:
    """Say if a file of a bundle, which may be damaged, is its manifest, or is listed there."""
    try:
        with open_regular(folder / MANIFEST, follow=False) as file:
            manifest = json.loads(file.read(MAX_MANIFEST_BYTES))
        schema, listed = str(manifest["schema"]), dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return schema.startswith("digitvae-bundle/") and (name == MANIFEST or name in listed)
