"""Loading a bundle in every runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import onnxruntime
import torch

from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import WEIGHTS
from digitvae.engine import model as engine
from digitvae.engine.model import Model
from digitvae.parity.checks.structure import check_parameters
from digitvae.parity.networks import (
    DECODER,
    ENCODER,
    NETWORKS,
    RECONSTRUCTION,
    Float32,
    Function,
    Network,
)
from digitvae.parity.report.report import Check
from digitvae.parity.runtimes import RUNTIMES, attempt, load
from digitvae.parity.runtimes.native import NATIVE
from digitvae.parity.runtimes.runtime import Export
from digitvae.parity.runtimes.trusted import TorchFiles
from digitvae.parity.runtimes.wrap import composed
from digitvae.parity.truth.captured import Truth
from digitvae.vae.model import VAE
from digitvae.vae.weights import load_bundle


@dataclass
class Loaded:
    """What could be loaded of a bundle.

    Attributes:
        bundle: The bundle.
        functions: By network name, then runtime name, in the order of reports; eager first.
        truths: Float64 truth, by network name.
        exports: What runtimes loaded, by network name.
        torch_files: Gives the TorchScript and ``.pt2`` files that may be loaded.
        model: The native engine, if it loads.
        weights: ``weights.safetensors``, by name.
        checks: What loading found: failures, and whether parameters are the bundle's weights.
    """

    bundle: Bundle
    functions: dict[str, dict[str, Function]]
    truths: dict[str, Truth]
    exports: dict[str, Export]
    torch_files: TorchFiles
    model: Model | None
    weights: dict[str, Float32]
    checks: list[Check]

    def must_equal(self) -> dict[str, str]:
        """Which runtime must agree with which to the last bit.

        The native engine must agree with tiles run from Python only if both use one version of ONNX
        Runtime: another version may have other kernels.
        """
        pairs = {one.name: one.must_equal for one in RUNTIMES if one.must_equal is not None}
        if self.model is None or self.model.runtime_version != onnxruntime.__version__:
            del pairs[NATIVE]
        return pairs


def load_all(
    bundle: Bundle, disguise: Callable[[Model], Model] | None = None, *, trust: bool = False
) -> Loaded:
    """Load every runtime for every network; each computes on one thread unless its name says more.

    Args:
        bundle: The bundle.
        disguise: Replaces the native engine, to find out whether that is noticed.
        trust: Load TorchScript and ``.pt2`` files whatever they hold.

    Raises:
        BundleError: ``weights.safetensors`` does not fit the model: nothing can be compared.
    """
    eager, truths = _model_of(bundle)
    weights = {name: tensor.numpy() for name, tensor in eager.state_dict().items()}
    torch_files = TorchFiles(bundle, trust=trust)
    checks: list[Check] = []
    model = attempt(checks, NATIVE, lambda: engine.load(bundle))
    if model is not None and disguise is not None:
        model = disguise(model)
    exports = {}
    for network in NETWORKS:
        export = _export(network, getattr(eager, network.name), model, torch_files)
        exports[network.name] = export
        load(export, checks)
        checks += [
            check_parameters(export.files[kind], tensors, network, weights)
            for kind, tensors in export.parameters.items()
        ]
    functions = {name: export.functions for name, export in exports.items()}
    functions[RECONSTRUCTION.name] = {
        runtime: composed(encode, functions[DECODER.name][runtime])
        for runtime, encode in functions[ENCODER.name].items()
        if runtime in functions[DECODER.name]
    }
    return Loaded(bundle, functions, truths, exports, torch_files, model, weights, checks)


def _export(
    network: Network, module: torch.nn.Module, model: Model | None, torch_files: TorchFiles
) -> Export:
    files = {kind: f"{network.name}.{kind}" for kind in ("onnx", "torchscript", "pt2")}
    return Export(
        network,
        module,
        files,
        lambda kind: torch_files.read(files[kind]),
        ours=True,
        engine=model,
    )


def _model_of(bundle: Bundle) -> tuple[VAE, dict[str, Truth]]:
    """The PyTorch model and its truth; many bundles in a row may hold the same weights."""
    key = bundle.read(WEIGHTS)
    if _last_model.get("weights") != key:
        eager = load_bundle(bundle)
        truths = {
            DECODER.name: Truth(eager.decoder, torch.zeros(2, eager.dims.latents)),
            ENCODER.name: Truth(eager.encoder, torch.zeros(2, eager.dims.pixels)),
        }
        _last_model["weights"] = key
        _last_model["model"] = (eager, truths)
    found: tuple[VAE, dict[str, Truth]] = _last_model["model"]
    return found


_last_model: dict[str, Any] = {}
