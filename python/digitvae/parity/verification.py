"""Verify a bundle: every exported form against float64 truth, PyTorch eager and each other."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from digitvae._native import available_threads
from digitvae.base.errors import DataError
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import PRIOR
from digitvae.data import sets as data
from digitvae.parity import (
    divergence,
    inputs,
    latent_statistics,
    prior,
    properties,
    structure,
)
from digitvae.parity.blocks import on_all_rows
from digitvae.parity.elbo import check_elbo
from digitvae.parity.generated import generated
from digitvae.parity.networks import DECODER, ENCODER, NETWORKS, RECONSTRUCTION
from digitvae.parity.report import Check, Status, first_line
from digitvae.parity.run import Reach, Run, Steps, require_positive, single_threaded
from digitvae.parity.runtimes import EAGER, load_all
from digitvae.parity.runtimes.names import EXPORTED_PROGRAM, TORCHSCRIPT
from digitvae.parity.runtimes.pytorch import load_exported_program, load_torchscript
from digitvae.parity.settings import FULL, QUICK
from digitvae.parity.truth import Composed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from digitvae.engine.model import Model
    from digitvae.parity.inputs import InputSet
    from digitvae.parity.networks import Float32, Function, Network
    from digitvae.parity.one_block import Reference
    from digitvae.parity.report import ParityReport
    from digitvae.parity.run import Progress
    from digitvae.parity.runtimes import Loaded
    from digitvae.parity.settings import Settings

_REACH = {
    # |z| of the prior's draws stays below 6.8 (docs/random-numbers.md): no need to look further.
    DECODER.name: Reach(-6.8, 6.8, 1.0),
    ENCODER.name: Reach(0.0, 1.0, 0.3),
}
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
    if draws is not None:
        settings = replace(settings, draws=draws)
    return verify_with(
        bundle_path,
        settings,
        data_root=data_root,
        threads=threads,
        require_data=require_data,
        pictures=pictures,
        trust=trust,
        on_progress=on_progress,
    )


def verify_with(
    bundle_path: str | Path,
    settings: Settings,
    *,
    data_root: str | Path | None = None,
    threads: int | None = None,
    require_data: bool = False,
    pictures: bool = False,
    trust: bool = False,
    disguise: Callable[[Model], Model] | None = None,
    on_progress: Progress | None = None,
) -> ParityReport:
    """What :func:`verify` does, with any numbers of inputs, and perhaps with a faulty engine.

    Args:
        bundle_path: The bundle's folder.
        settings: How much to look at.
        data_root: Where the data set is.
        threads: Blocks of inputs to compare at the same time.
        require_data: Whether a data set that cannot be had is a failure.
        pictures: Whether the report gets pictures of the worst.
        trust: Load TorchScript and ``.pt2`` files whatever they hold.
        disguise: Replaces the native engine, to find out whether that is noticed.
        on_progress: Called before each step.
    """
    bundle = Bundle.open(bundle_path)
    bundle.check_files()
    run = Run(settings, threads or available_threads(), Steps(on_progress))
    with single_threaded():
        verification = _Verification(bundle, run, disguise, pictures=pictures, trust=trust)
        return verification(data_root, require_data=require_data)


class _Verification:
    """Fills a run with what is to be known of a bundle."""

    def __init__(
        self,
        bundle: Bundle,
        run: Run,
        disguise: Callable[[Model], Model] | None,
        *,
        pictures: bool,
        trust: bool,
    ) -> None:
        self.bundle = bundle
        self.run = run
        run.steps.next("loading every runtime")
        self.loaded: Loaded = load_all(bundle, disguise, trust=trust)
        run.must_equal = self.loaded.must_equal()
        if pictures:
            dims = bundle.manifest["dims"]
            run.image_shape = (dims["height"], dims["width"])

    def __call__(self, data_root: str | Path | None, *, require_data: bool) -> ParityReport:
        with contextlib.ExitStack() as stack:
            elsewhere = None
            if self.loaded.model is not None and self.run.settings.elsewhere:
                # Begun now, and looked at in the end: it starts while this process computes.
                elsewhere = stack.enter_context(properties.Elsewhere(self.loaded.model))
            return self._compare(data_root, elsewhere, require_data=require_data)

    def _compare(
        self,
        data_root: str | Path | None,
        elsewhere: properties.Elsewhere | None,
        *,
        require_data: bool,
    ) -> ParityReport:
        run, loaded = self.run, self.loaded
        run.checks += structure.check_bundle(self.bundle, loaded.weights)
        run.checks += loaded.checks

        run.steps.next("reading the data set")
        z = inputs.prior_draws(run.settings.draws, self.bundle.latent_dim)
        images = None
        if run.settings.images:
            images = self._load_images(data_root, required=require_data)
        plan = self._plan(z, images)
        searched = NETWORKS if run.settings.generations else ()
        run.steps.total = 3 + sum(len(given.blocks) for _, given in plan)
        run.steps.total += 2 * len(searched) + (
            3 if images is not None and run.settings.elbo else 0
        )
        for network, given in plan:
            truth: Reference = (
                Composed(loaded.truths[ENCODER.name], loaded.truths[DECODER.name])
                if network is RECONSTRUCTION
                else loaded.truths[network.name]
            )
            run.compare(network, given, loaded.functions[network.name], truth)
        for network in searched:
            self._search(network)
        if images is not None and run.settings.elbo:
            run.checks += check_elbo(
                loaded, inputs.ink(images), run.leader, run.steps.next, threads=run.threads
            )
        if PRIOR in self.bundle.file_names:
            run.checks += prior.check_prior_runtimes(self.bundle)
            run.checks += prior.check_prior_files(self.bundle, loaded.torch_files)
        run.steps.next("properties of the native engine")
        run.checks += properties.check_all(loaded, z, images, run.settings.batches)
        if elsewhere is not None:
            run.checks.append(elsewhere.check())
        if loaded.model is not None:
            model = loaded.model
            run.checks += latent_statistics.check_latents(
                z, lambda count, seed, first: model.latents(count, seed=seed, first=first)
            )
        self._locate()
        return run.report(f"bundle of {self.bundle.manifest.get('dataset')}")

    def _plan(self, z: Float32, images: NDArray[np.uint8] | None) -> list[tuple[Network, InputSet]]:
        """Which network gets which inputs; those that a network has to make come from eager."""
        functions, settings = self.loaded.functions, self.run.settings
        (drawn,) = self._whole(functions[DECODER.name][EAGER], z[: settings.decoded])
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
            if PRIOR in self.bundle.file_names:
                mixture = prior.mixture_draws(self.bundle, settings.decoded)
                decoder.append(inputs.whole("mixture draws", mixture))
        reconstruction = inputs.whole("decoded prior draws", drawn[: settings.decoded // 2])
        if images is not None:
            ink = inputs.ink(images)
            mu, logvar = self._whole(functions[ENCODER.name][EAGER], ink)
            part = settings.images // 4
            others = slice(part, 2 * part)
            posterior = inputs.posterior_draws(mu[others], logvar[others])
            decoder[1:1] = [
                inputs.whole("means of test images", mu[:part]),
                inputs.whole("posterior draws", posterior),
            ]
            encoder[0:0] = [inputs.whole("test images", ink)]
            reconstruction = inputs.whole("test images", ink[:part])
        return [
            *((DECODER, given) for given in decoder if given.count),
            *((ENCODER, given) for given in encoder if given.count),
            (RECONSTRUCTION, reconstruction),
        ]

    def _whole(self, function: Function, rows: Float32) -> tuple[Float32, ...]:
        return on_all_rows(function, rows, self.run.threads)

    def _search(self, network: Network) -> None:
        functions = self.loaded.functions
        seeds = inputs.prior_draws(_SEARCH_SEEDS, self.bundle.latent_dim)
        if network is ENCODER:
            (seeds,) = functions[DECODER.name][EAGER](seeds)
        truth = self.loaded.truths[network.name]
        self.run.search(network, functions[network.name], truth, seeds, _REACH[network.name])

    def _locate(self) -> None:
        """For every file whose numbers failed, find the node where it leaves the truth."""
        for network in NETWORKS:
            others = set(self.loaded.functions[network.name])
            forms = (
                ("torchscript", {TORCHSCRIPT}, _torchscript_steps),
                ("pt2", {EXPORTED_PROGRAM}, _program_steps),
                ("onnx", others - {EAGER, TORCHSCRIPT, EXPORTED_PROGRAM}, _onnx_steps),
            )
            truth = self.loaded.truths[network.name]
            for form, runtimes, steps in forms:
                self.run.locate(
                    network,
                    f"{network.name}.{form}",
                    runtimes,
                    run=partial(steps, self.loaded, network),
                    trace=truth.trace,
                    outputs=truth.outputs,
                )

    def _load_images(self, root: str | Path | None, *, required: bool) -> NDArray[np.uint8] | None:
        """Test images of the bundle's data set as rows of pixels, or ``None`` and why not."""
        name = str(self.bundle.manifest.get("dataset"))
        statement = "test images are compared"
        try:
            images = data.load(name, root, splits=("test",))["test"].images
        except (DataError, ValueError) as error:
            status: Status = "failed" if required else "not run"
            self.run.checks.append(Check(f"data set {name}", statement, status, first_line(error)))
            return None
        images = images[: self.run.settings.images]
        found = f"{len(images)} images"
        self.run.checks.append(Check(f"data set {name}", statement, "passed", found))
        return images.reshape(len(images), -1)


def _torchscript_steps(loaded: Loaded, network: Network, row: Float32) -> list[divergence.Step]:
    module = load_torchscript(loaded.torch_files.read(f"{network.name}.torchscript"))
    return divergence.torchscript_steps(module, row)


def _program_steps(loaded: Loaded, network: Network, row: Float32) -> list[divergence.Step]:
    program = load_exported_program(loaded.torch_files.read(f"{network.name}.pt2"))
    return divergence.program_steps(program, row)


def _onnx_steps(loaded: Loaded, network: Network, row: Float32) -> list[divergence.Step]:
    return divergence.onnx_steps(loaded.bundle.read(f"{network.name}.onnx"), network.input, row)
