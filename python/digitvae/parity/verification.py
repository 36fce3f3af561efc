"""Verify a bundle: every exported form against PyTorch eager and against float64 truth."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch

import digitvae
from digitvae import _native, data, engine
from digitvae.bundle import Bundle
from digitvae.errors import DataError
from digitvae.parity import inputs, properties, runtimes, structure
from digitvae.parity.compare import compare_runtimes
from digitvae.parity.networks import DECODER, ENCODER, NETWORKS
from digitvae.parity.report import Check, Comparison, ParityReport, Status, first_line
from digitvae.parity.truth import Truth

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from digitvae.parity.inputs import InputSet
    from digitvae.parity.networks import Float32, Function, Network

Progress = Callable[[int, int, str], None]
"""Called before each step with (steps done, steps in all, what this one does)."""

_OTHER_STEPS = 3  # loading, reading the data, properties


class _Steps:
    """Counts steps for a progress callback."""

    def __init__(self, on_progress: Progress | None) -> None:
        self.total = _OTHER_STEPS
        self._done = 0
        self._on_progress = on_progress

    def next(self, what: str) -> None:
        """Announce the next step."""
        if self._on_progress is not None:
            self._on_progress(self._done, self.total, what)
        self._done += 1


def verify(
    bundle_path: str | Path,
    *,
    draws: int = 10_000,
    data_root: str | Path | None = None,
    threads: int = 1,
    require_data: bool = False,
    on_progress: Progress | None = None,
) -> ParityReport:
    """Verify that a bundle computes what its weights say, in every form it ships.

    The bundle may lack ``parity.json``: exporting calls this to write it.

    Args:
        bundle_path: The bundle's folder.
        draws: Prior draws to compare, at least 1: latents 0 … draws−1 of seed 0.
        data_root: Where the data set is; ``None`` for the cache, which is filled if need be.
        threads: Threads of PyTorch, ONNX Runtime and the native engine, at least 1. One is the
            default because kernels may split sums by the number of threads: with it the report
            does not depend on how many cores a machine has. PyTorch's setting is restored.
        require_data: Whether a data set that cannot be had is a failure; otherwise its
            comparisons are reported as not run.
        on_progress: Called before each step.

    Returns:
        The report; its ``passed`` is the verdict.

    Raises:
        ValueError: ``draws`` or ``threads`` is below 1.
        BundleError: The folder is not an intact bundle (the message names the file), or its
            weights are not those of the model.
    """
    for name, value in (("draws", draws), ("threads", threads)):
        if value < 1:
            raise ValueError(f"{name} is {value}, expected at least 1")
    bundle = Bundle.open(bundle_path)
    bundle.check_files()
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return _verify(
            bundle,
            draws,
            data_root,
            _Steps(on_progress),
            threads=threads,
            require_data=require_data,
        )
    finally:
        torch.set_num_threads(threads_before)


def _verify(
    bundle: Bundle,
    draws: int,
    data_root: str | Path | None,
    steps: _Steps,
    *,
    threads: int,
    require_data: bool,
) -> ParityReport:
    steps.next("loading every runtime")
    loaded = runtimes.load_all(bundle, threads)
    checks: list[Check] = []
    for network in NETWORKS:
        checks += structure.check_onnx(bundle, network, loaded.weights)
    checks += loaded.checks
    checks.append(structure.check_paths(bundle))

    steps.next("reading the data set")
    z = np.empty((draws, bundle.latent_dim), np.float32)
    _native.fill_standard_normal(z, dim=z.shape[1], seed=0, first=0, stream=engine.LATENT_STREAM)
    images, data_check = _load_images(bundle, data_root, require_data)
    checks.append(data_check)

    truth = Truth(loaded.weights)
    same_bits = runtimes.same_bits(loaded.model)
    plan = _plan(z, images, loaded)
    steps.total = _OTHER_STEPS + sum(len(given.blocks) for _, given in plan)
    comparisons: list[Comparison] = []
    for network, given in plan:
        functions = loaded.functions[network.name]
        comparisons += compare_runtimes(
            network, given, functions, truth, same_bits=same_bits, on_block=steps.next
        )

    steps.next("properties of the native engine")
    checks += properties.check_all(loaded, z, images)
    return ParityReport(
        draws=draws,
        versions=_versions(),
        machine={
            "architecture": platform.machine(),
            "torch kernels": torch.backends.cpu.get_cpu_capability(),
        },
        checks=tuple(checks),
        comparisons=tuple(comparisons),
    )


def _plan(
    z: Float32, images: NDArray[np.uint8] | None, loaded: runtimes.Loaded
) -> list[tuple[Network, InputSet]]:
    """Which network gets which inputs; those that a network has to make come from eager."""
    drawn = _first_output(loaded.functions[DECODER.name][runtimes.EAGER], z)
    decoder = [
        inputs.whole("prior draws", z),
        inputs.batches(z),
        inputs.extreme_latents(z),
    ]
    encoder = [
        inputs.whole("decoded prior draws", drawn),
        inputs.extreme_images(drawn.shape[1]),
    ]
    if images is None:
        encoder.append(inputs.batches(drawn))
    else:
        ink = images.astype(np.float32) / np.float32(255)
        means = _first_output(loaded.functions[ENCODER.name][runtimes.EAGER], ink)
        decoder.append(inputs.whole("means of test images", means))
        encoder += [
            inputs.whole("test images", ink),
            inputs.batches(ink),
        ]
    return [(DECODER, given) for given in decoder] + [(ENCODER, given) for given in encoder]


def _first_output(function: Function, rows: Float32) -> Float32:
    return np.concatenate([function(block)[0] for block in inputs.in_blocks(rows)])


def _load_images(
    bundle: Bundle, root: str | Path | None, required: bool
) -> tuple[NDArray[np.uint8] | None, Check]:
    """The test images of the bundle's data set as rows of pixels, or why there are none."""
    name = str(bundle.manifest.get("dataset"))
    statement = "all test images are compared"
    try:
        images = data.load(name, root, splits=("test",))["test"].images
    except (DataError, ValueError) as error:
        status: Status = "failed" if required else "not run"
        return None, Check(f"data set {name}", statement, status, first_line(error))
    return images.reshape(len(images), -1), Check(
        f"data set {name}", statement, "passed", f"{len(images)} images"
    )


def _versions() -> dict[str, str]:
    versions = {"digitvae": digitvae.__version__, "python": platform.python_version()}
    for package in ("torch", "onnx", "onnxruntime", "numpy", "safetensors"):
        versions[package] = version(package)
    return versions
