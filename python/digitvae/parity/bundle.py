"""Verify a bundle: every exported form against float64 truth, PyTorch eager and each other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from digitvae._native import available_threads
from digitvae.base.errors import DataError
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import PRIOR, WEIGHTS
from digitvae.data import sets as data
from digitvae.engine import model as engine
from digitvae.engine.model import Model
from digitvae.parity.checks import latent_statistics, mixture, properties, structure
from digitvae.parity.checks.elbo import check_elbo
from digitvae.parity.inputs import sets as inputs
from digitvae.parity.inputs.generated import generated
from digitvae.parity.inputs.search import Reach
from digitvae.parity.networks import NETWORKS, RECONSTRUCTION, Float32, Network
from digitvae.parity.report.report import Check, ParityReport, Status, first_line
from digitvae.parity.runtimes import RUNTIMES, attempt, load
from digitvae.parity.runtimes.native import NATIVE
from digitvae.parity.runtimes.pytorch import EAGER
from digitvae.parity.runtimes.runtime import Export
from digitvae.parity.runtimes.trusted import TorchFiles
from digitvae.parity.runtimes.wrap import composed
from digitvae.parity.settings import FULL, QUICK, Settings
from digitvae.parity.truth.captured import Composed, Truth
from digitvae.parity.verification import Case, Progress, Run, require_positive, single_threaded
from digitvae.vae.model import VAE
from digitvae.vae.weights import load_bundle

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


@single_threaded()
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
    run = Run(settings, threads or available_threads(), on_progress)
    run.step("loading every runtime")
    torch_files = TorchFiles(bundle, trust=trust)
    decoder, encoder, _ = exports = load_all(bundle, torch_files, run.checks, disguise)
    model = decoder.engine
    run.must_equal = _must_equal(model)
    if settings.pictures:
        dims = bundle.manifest["dims"]
        run.image_shape = (dims["height"], dims["width"])
    with contextlib.ExitStack() as stack:
        elsewhere = None
        if model is not None and settings.elsewhere:
            # Begun now, and looked at in the end: it starts while this process computes.
            elsewhere = stack.enter_context(properties.Elsewhere(model))
        run.step("reading the data set")
        z = inputs.prior_draws(settings.draws, bundle.latent_dim)
        images = _load_images(run, bundle) if settings.images else None

        def more_checks() -> Iterator[Check]:
            if images is not None and settings.elbo:
                ink = inputs.ink(images)
                yield from check_elbo(
                    encoder, decoder, ink, run.leader, run.step, threads=run.threads
                )
            if PRIOR in bundle.file_names:
                yield from mixture.check_mixture_runtimes(bundle)
                yield from mixture.check_mixture_files(bundle, torch_files)
            run.step("properties of the native engine")
            yield from properties.check_all(decoder, encoder, z, images, settings.batches)
            if elsewhere is not None:
                yield elsewhere.check()
            if model is not None:
                yield from latent_statistics.check_latents(
                    z, lambda count, seed, first: model.latents(count, seed=seed, first=first)
                )

        steps = 4 if images is not None and settings.elbo else 1
        run.verify(_cases(run, bundle, exports, z, images), more_checks(), steps)
    return run.report(f"bundle of {bundle.manifest.get('dataset')}")


def load_all(
    bundle: Bundle,
    torch_files: TorchFiles,
    checks: list[Check],
    disguise: Callable[[Model], Model] | None = None,
) -> tuple[Export, Export, Export]:
    """Load every runtime for every network; each computes on one thread unless its name says more.

    Args:
        bundle: The bundle.
        torch_files: Gives those of its files that may be loaded.
        checks: Gets what the files are, and which cannot be loaded.
        disguise: Replaces the native engine, to find out whether that is noticed.

    Returns:
        Decoder, encoder, and the one after the other.

    Raises:
        BundleError: ``weights.safetensors`` does not fit the model: nothing can be compared.
    """
    vae, *truths = _model_of(bundle)
    weights = {name: tensor.numpy() for name, tensor in vae.state_dict().items()}
    checks += structure.check_bundle(bundle, weights)
    model = attempt(checks, NATIVE, lambda: engine.load(bundle))
    if model is not None and disguise is not None:
        model = disguise(model)

    def load_network(network: Network, truth: Truth) -> Export:
        files = {kind: f"{network.name}.{kind}" for kind in ("onnx", "torchscript", "pt2")}
        export = Export(
            network,
            getattr(vae, network.name),
            truth,
            files,
            lambda kind: torch_files.read(files[kind]),
            ours=True,
            engine=model,
        )
        load(export, checks)
        for kind, tensors in export.parameters.items():
            checks.append(structure.check_parameters(files[kind], tensors, network, weights))
        return export

    decoder, encoder = map(load_network, NETWORKS, truths)
    truth = Composed(*reversed(truths))
    reconstruction = Export(RECONSTRUCTION, vae, truth, {}, torch_files.read, ours=True)
    for runtime, encode in encoder.functions.items():
        if runtime in decoder.functions:
            decode = decoder.functions[runtime]
            reconstruction.functions[runtime] = composed(encode, decode)
    return decoder, encoder, reconstruction


def _model_of(bundle: Bundle) -> tuple[VAE, Truth, Truth]:
    """The PyTorch model and the truths of its networks; bundles in a row may hold the same."""
    key = bundle.read(WEIGHTS)
    if key not in _last_model:
        vae = load_bundle(bundle)
        decoder = Truth(vae.decoder, torch.zeros(2, vae.dims.latents))
        encoder = Truth(vae.encoder, torch.zeros(2, vae.dims.pixels))
        _last_model.clear()
        _last_model[key] = (vae, decoder, encoder)
    return _last_model[key]


_last_model: dict[bytes, tuple[VAE, Truth, Truth]] = {}


def _must_equal(model: Model | None) -> dict[str, str]:
    """Which runtime must agree with which to the last bit.

    The native engine must agree with tiles run from Python only if both use one version of ONNX
    Runtime: another version may have other kernels.
    """
    pairs = {one.name: one.must_equal for one in RUNTIMES if one.must_equal is not None}
    if model is None or model.runtime_version != onnxruntime.__version__:
        del pairs[NATIVE]
    return pairs


def _cases(
    run: Run,
    bundle: Bundle,
    exports: tuple[Export, Export, Export],
    z: Float32,
    images: NDArray[np.uint8] | None,
) -> list[Case]:
    """Decoder, encoder, and one after the other; inputs that a network has to make are eager's."""
    settings, (decoder, encoder, reconstruction) = run.settings, exports
    decode = decoder.functions[EAGER]
    (drawn,) = inputs.on_all_rows(decode, z[: settings.decoded], run.threads)
    pixels = drawn.shape[1]
    latent_sets = [inputs.whole("prior draws", z), inputs.batches(z, settings.batches)]
    image_sets = [
        inputs.whole("decoded prior draws", drawn),
        inputs.batches(drawn, settings.batches),
    ]
    if settings.extremes:
        latent_sets.append(inputs.extreme_latents(z))
        image_sets.append(inputs.extreme_images(pixels))
    if settings.generated:
        count, reach = settings.generated, _GENERATED_REACH
        latent_sets.append(generated(z.shape[1:], count, -reach, reach))
        image_sets.append(generated((pixels,), count, 0.0, 1.0))
    with contextlib.suppress(Exception):  # what the prior cannot do is found by its own checks
        if PRIOR in bundle.file_names:
            draws = mixture.mixture_draws(bundle, settings.decoded)
            latent_sets.append(inputs.whole("mixture draws", draws))
    both = inputs.whole("decoded prior draws", drawn[: settings.decoded // 2])
    if images is not None:
        ink = inputs.ink(images)
        mu, logvar = inputs.on_all_rows(encoder.functions[EAGER], ink, run.threads)
        part = settings.images // 4
        others = slice(part, 2 * part)
        posterior = inputs.posterior_draws(mu[others], logvar[others])
        latent_sets[1:1] = [
            inputs.whole("means of test images", mu[:part]),
            inputs.whole("posterior draws", posterior),
        ]
        image_sets.insert(0, inputs.whole("test images", ink))
        both = inputs.whole("test images", ink[:part])
    decoder_reach = encoder_reach = None
    if settings.generations:
        seeds = inputs.prior_draws(_SEARCH_SEEDS, bundle.latent_dim)
        decoder_reach = Reach(seeds, -_FARTHEST, _FARTHEST, 1.0)
        encoder_reach = Reach(decode(seeds)[0], 0.0, 1.0, 0.3)
    return [
        Case(decoder, [given for given in latent_sets if given.count], decoder_reach),
        Case(encoder, [given for given in image_sets if given.count], encoder_reach),
        Case(reconstruction, [both]),
    ]


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
