"""Verify a bundle: every exported form against float64 truth, PyTorch eager and each other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitvae.base.errors import DataError
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import PRIOR
from digitvae.data import sets as data
from digitvae.engine.model import Model
from digitvae.parity.checks import latent_statistics, prior, properties, structure
from digitvae.parity.checks.elbo import check_elbo
from digitvae.parity.inputs import sets as inputs
from digitvae.parity.inputs.generated import generated
from digitvae.parity.loaded import Loaded, load_all
from digitvae.parity.networks import DECODER, ENCODER, NETWORKS, RECONSTRUCTION, Float32, Function
from digitvae.parity.report.report import Check, ParityReport, Status, first_line
from digitvae.parity.runtimes.pytorch import EAGER
from digitvae.parity.settings import FULL, QUICK, Settings
from digitvae.parity.truth.captured import Composed
from digitvae.parity.verification import (
    Case,
    Plan,
    Progress,
    Reach,
    Run,
    require_positive,
    verify_subject,
)

_FARTHEST = 6.8
"""|z| of the prior's draws stays below it (docs/random-numbers.md): no need to look further."""

_GENERATED_REACH = 1e4
_SEARCH_SEEDS = 48


def verify(
    bundle_path: str | Path,
    *,
    quick: bool = False,
    draws: int | None = None,
    data_root: str | Path | None = None,
    threads: int | None = None,
    require_data: bool = False,
    pictures: bool = False,
    trust: bool = False,
    on_progress: Progress | None = None,
) -> ParityReport:
    """Verify that a bundle computes what its weights say, in every form it ships.

    The bundle may lack ``parity.json``: exporting calls this to write it.

    Args:
        bundle_path: The bundle's folder.
        quick: Fewer inputs (``settings.QUICK``), none of them generated or searched for.
        draws: Prior draws to compare, at least 1: latents 0 … draws−1 of seed 0; by default
            100,000, or 1,024 if ``quick``.
        data_root: Where the data set is; ``None`` for the cache, which is filled if need be.
        threads: Blocks of inputs to compare at the same time, at least 1; by default all
            processors. Each runtime computes on one thread all the same, unless its name says
            otherwise, so that the report does not depend on how many there are.
        require_data: Whether a data set that cannot be had is a failure; otherwise its
            comparisons are reported as not run.
        pictures: Whether the report gets pictures of the worst, for ``to_html``.
        trust: Load TorchScript and ``.pt2`` files also if their bytes are not those that this
            version writes from the bundle's parameters. Loading them can run code.
        on_progress: Called before each step.

    Returns:
        The report; its ``passed`` is the verdict.

    Raises:
        ValueError: ``draws`` or ``threads`` is below 1.
        BundleError: The folder is not an intact bundle (the message names the file), or its
            weights are not those of the model.
    """
    require_positive(draws=draws, threads=threads)
    settings = QUICK if quick else FULL
    settings = replace(
        settings,
        draws=draws or settings.draws,
        data_root=data_root,
        require_data=require_data,
        pictures=pictures,
    )
    return verify_with(bundle_path, settings, threads=threads, trust=trust, on_progress=on_progress)


def verify_with(
    bundle_path: str | Path,
    settings: Settings,
    *,
    threads: int | None = None,
    trust: bool = False,
    disguise: Callable[[Model], Model] | None = None,
    on_progress: Progress | None = None,
) -> ParityReport:
    """Do what :func:`verify` does, with any settings, and perhaps with a faulty engine.

    Args:
        bundle_path: The bundle's folder.
        settings: How much to look at.
        threads: Blocks of inputs to compare at the same time.
        trust: Load TorchScript and ``.pt2`` files whatever they hold.
        disguise: Replaces the native engine, to find out whether that is noticed.
        on_progress: Called before each step.
    """
    bundle = Bundle.open(bundle_path)
    bundle.check_files()
    with contextlib.ExitStack() as stack:

        def plan(run: Run) -> Plan:
            loaded = load_all(bundle, disguise, trust=trust)
            elsewhere = None
            if loaded.model is not None and settings.elsewhere:
                # Begun now, and looked at in the end: it starts while this process computes.
                elsewhere = stack.enter_context(properties.Elsewhere(loaded.model))
            return _plan(run, loaded, elsewhere)

        name = f"bundle of {bundle.manifest.get('dataset')}"
        return verify_subject(name, plan, settings, threads=threads, on_progress=on_progress)


def _plan(run: Run, loaded: Loaded, elsewhere: properties.Elsewhere | None) -> Plan:
    bundle, settings = loaded.bundle, run.settings
    run.must_equal = loaded.must_equal()
    if settings.pictures:
        dims = bundle.manifest["dims"]
        run.image_shape = (dims["height"], dims["width"])
    run.checks += structure.check_bundle(bundle, loaded.weights)
    run.checks += loaded.checks
    run.step("reading the data set")
    z = inputs.prior_draws(settings.draws, bundle.latent_dim)
    images = _load_images(run, bundle) if settings.images else None

    def more_checks() -> Iterator[Check]:
        if images is not None and settings.elbo:
            ink = inputs.ink(images)
            yield from check_elbo(loaded, ink, run.leader, run.step, threads=run.threads)
        if PRIOR in bundle.file_names:
            yield from prior.check_prior_runtimes(bundle)
            yield from prior.check_prior_files(bundle, loaded.torch_files)
        run.step("properties of the native engine")
        yield from properties.check_all(loaded, z, images, settings.batches)
        if elsewhere is not None:
            yield elsewhere.check()
        model = loaded.model
        if model is not None:
            yield from latent_statistics.check_latents(
                z, lambda count, seed, first: model.latents(count, seed=seed, first=first)
            )

    steps = 4 if images is not None and settings.elbo else 1
    return Plan(_cases(run, loaded, z, images), more_checks, steps)


def _cases(run: Run, loaded: Loaded, z: Float32, images: NDArray[np.uint8] | None) -> list[Case]:
    """Decoder, encoder, and one after the other; inputs that a network has to make are eager's."""
    settings, functions, truths = run.settings, loaded.functions, loaded.truths
    decode, encode = (functions[network.name][EAGER] for network in NETWORKS)
    (drawn,) = inputs.on_all_rows(decode, z[: settings.decoded], run.threads)
    pixels = drawn.shape[1]
    decoder = [
        inputs.whole("prior draws", z),
        inputs.batches(z, settings.batches),
    ]
    encoder = [
        inputs.whole("decoded prior draws", drawn),
        inputs.batches(drawn, settings.batches),
    ]
    if settings.extremes:
        decoder.append(inputs.extreme_latents(z))
        encoder.append(inputs.extreme_images(pixels))
    if settings.generated:
        count, reach = settings.generated, _GENERATED_REACH
        decoder.append(generated(z.shape[1:], count, -reach, reach))
        encoder.append(generated((pixels,), count, 0.0, 1.0))
    with contextlib.suppress(Exception):  # what the prior cannot do is found by its own checks
        if PRIOR in loaded.bundle.file_names:
            mixture = prior.mixture_draws(loaded.bundle, settings.decoded)
            decoder.append(inputs.whole("mixture draws", mixture))
    reconstruction = inputs.whole("decoded prior draws", drawn[: settings.decoded // 2])
    if images is not None:
        ink = inputs.ink(images)
        mu, logvar = inputs.on_all_rows(encode, ink, run.threads)
        part = settings.images // 4
        others = slice(part, 2 * part)
        posterior = inputs.posterior_draws(mu[others], logvar[others])
        decoder[1:1] = [
            inputs.whole("means of test images", mu[:part]),
            inputs.whole("posterior draws", posterior),
        ]
        encoder[0:0] = [inputs.whole("test images", ink)]
        reconstruction = inputs.whole("test images", ink[:part])
    composed = Composed(truths[ENCODER.name], truths[DECODER.name])
    sets = {DECODER.name: decoder, ENCODER.name: encoder}
    reaches = _reaches(loaded, decode) if settings.generations else {}
    return [
        *(
            Case(
                network,
                functions[network.name],
                truths[network.name],
                [given for given in sets[network.name] if given.count],
                reaches.get(network.name),
                loaded.exports[network.name],
            )
            for network in NETWORKS
        ),
        Case(RECONSTRUCTION, functions[RECONSTRUCTION.name], composed, [reconstruction]),
    ]


def _reaches(loaded: Loaded, decode: Function) -> dict[str, Reach]:
    """Where each network is searched for worse inputs."""
    seeds = inputs.prior_draws(_SEARCH_SEEDS, loaded.bundle.latent_dim)
    return {
        DECODER.name: Reach(seeds, -_FARTHEST, _FARTHEST, 1.0),
        ENCODER.name: Reach(decode(seeds)[0], 0.0, 1.0, 0.3),
    }


def _load_images(run: Run, bundle: Bundle) -> NDArray[np.uint8] | None:
    """Test images of the bundle's data set as rows of pixels, or ``None`` and why not."""
    name = str(bundle.manifest.get("dataset"))
    subject, statement = f"data set {name}", "test images are compared"
    try:
        images = data.load(name, run.settings.data_root, splits=("test",))["test"].images
    except (DataError, ValueError) as error:
        status: Status = "failed" if run.settings.require_data else "not run"
        run.checks.append(Check(subject, statement, status, first_line(error)))
        return None
    images = images[: run.settings.images]
    run.checks.append(Check(subject, statement, "passed", f"{len(images)} images"))
    return images.reshape(len(images), -1)
