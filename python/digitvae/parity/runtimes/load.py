"""Loading every runtime of a bundle; what cannot be loaded becomes a failed check."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import onnxruntime
import torch

from digitvae import _native
from digitvae.bundle.names import WEIGHTS
from digitvae.engine import model as engine
from digitvae.parity.networks import DECODER, ENCODER, NETWORKS, RECONSTRUCTION
from digitvae.parity.report import LOADED, Check, first_line
from digitvae.parity.runtimes import native, onnx
from digitvae.parity.runtimes.c_api import c_api_function
from digitvae.parity.runtimes.names import (
    C_API,
    EAGER,
    EXPORTED_PROGRAM,
    NATIVE,
    NATIVE_SPARSE,
    ONNX_RUNTIME,
    ONNX_RUNTIME_TILES,
    REFERENCE,
    SAME_BITS,
    TORCHSCRIPT,
)
from digitvae.parity.runtimes.pytorch import (
    load_eager,
    load_torchscript,
    program_of_bundle,
    torch_function,
)
from digitvae.parity.runtimes.trusted import NotLoadedError, TorchFiles
from digitvae.parity.runtimes.wrap import composed, in_unit_interval, tiled
from digitvae.parity.structure import check_parameters
from digitvae.parity.truth import Truth
from digitvae.vae.model import LATENTS, PIXELS, VAE

if TYPE_CHECKING:
    from collections.abc import Callable

    from digitvae.bundle.folder import Bundle
    from digitvae.engine.model import Model
    from digitvae.parity.networks import Float32, Function, Network

T = TypeVar("T")


@dataclass
class Loaded:
    """What could be loaded of a bundle.

    Attributes:
        bundle: The bundle.
        functions: By network name, then runtime name, in the order of reports; eager first.
        truths: Float64 truth, by network name.
        torch_files: Gives the TorchScript and ``.pt2`` files that may be loaded.
        model: The native engine, if it loads.
        weights: ``weights.safetensors``, by name.
        checks: What loading found: failures, and whether parameters are the bundle's weights.
    """

    bundle: Bundle
    functions: dict[str, dict[str, Function]]
    truths: dict[str, Truth]
    torch_files: TorchFiles
    model: Model | None
    weights: dict[str, Float32]
    checks: list[Check]

    def must_equal(self) -> dict[str, str]:
        """Which runtime must agree with which to the last bit.

        The native engine must agree with tiles run from Python only if both use one version of ONNX
        Runtime: another version may have other kernels.
        """
        pairs = dict(SAME_BITS)
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
    dims = bundle.manifest["dims"]
    functions: dict[str, dict[str, Function]] = {}
    for network in NETWORKS:
        module = getattr(eager, network.name)
        found = {EAGER: torch_function(module)}
        functions[network.name] = found
        _add_torch_exports(found, checks, torch_files, network, weights)
        content = bundle.read(f"{network.name}.onnx")
        _add_onnx(found, checks, content, network)
        if model is not None:
            more = partial(native.functions, content, model, network)
            found |= attempt(checks, NATIVE, more) or {}
            c_api = attempt(checks, C_API, partial(c_api_function, network, content, dims))
            if c_api is not None:
                found[C_API] = c_api
            if network is DECODER and NATIVE_SPARSE not in found:
                checks.append(
                    Check(NATIVE_SPARSE, LOADED, "not run", "this processor has no kernel")
                )
    functions[RECONSTRUCTION.name] = {
        runtime: composed(encode, functions[DECODER.name][runtime])
        for runtime, encode in functions[ENCODER.name].items()
        if runtime in functions[DECODER.name]
    }
    return Loaded(bundle, functions, truths, torch_files, model, weights, checks)


def _model_of(bundle: Bundle) -> tuple[VAE, dict[str, Truth]]:
    """The PyTorch model and its truth; many bundles in a row may hold the same weights."""
    key = bundle.read(WEIGHTS)
    if _last_model.get("weights") != key:
        eager = load_eager(bundle)
        truths = {
            DECODER.name: Truth(eager.decoder, torch.zeros(2, LATENTS)),
            ENCODER.name: Truth(eager.encoder, torch.zeros(2, PIXELS)),
        }
        _last_model["weights"] = key
        _last_model["model"] = (eager, truths)
    found: tuple[VAE, dict[str, Truth]] = _last_model["model"]
    return found


_last_model: dict[str, Any] = {}


def _add_torch_exports(
    found: dict[str, Function],
    checks: list[Check],
    torch_files: TorchFiles,
    network: Network,
    weights: dict[str, Float32],
) -> None:
    def add(runtime: str, file: str, load: Callable[[bytes], tuple[Any, Any]]) -> None:
        module, tensors = load(torch_files.read(file))
        found[runtime] = torch_function(module)
        arrays = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
        checks.append(check_parameters(file, arrays, network, weights))

    def script(content: bytes) -> tuple[Any, Any]:
        module = load_torchscript(content)
        return module, module.state_dict()

    def program(content: bytes) -> tuple[Any, Any]:
        exported = program_of_bundle(content)
        return exported.module(), exported.state_dict

    for runtime, kind, load in (
        (TORCHSCRIPT, "torchscript", script),
        (EXPORTED_PROGRAM, "pt2", program),
    ):
        file = f"{network.name}.{kind}"
        attempt(checks, file, partial(add, runtime, file, load))


def _add_onnx(
    found: dict[str, Function], checks: list[Check], content: bytes, network: Network
) -> None:
    name = f"{network.name}.onnx"
    signature = (network.input, network.outputs)
    for runtime, level in onnx.LEVELS:
        session = attempt(checks, name, partial(onnx.load_session, content, level=level))
        if session is None:
            return  # what one level cannot load, no other can, and once is enough to say so
        found[runtime] = onnx.session_function(session, *signature)
    tiles = tiled(found[ONNX_RUNTIME], _native.TILE_ROWS)
    found[ONNX_RUNTIME_TILES] = in_unit_interval(tiles) if network is DECODER else tiles
    reference = attempt(
        checks,
        f"{REFERENCE}, {name}",
        partial(onnx.reference_function, content, *signature),
    )
    if reference is not None:
        found[REFERENCE] = reference


def attempt(checks: list[Check], subject: str, action: Callable[[], T]) -> T | None:
    """Run ``action``; whatever it raises becomes a failed check. KeyboardInterrupt passes.

    Of a file that is not trusted the check is not run: nothing is known of it.
    """
    try:
        return action()
    except NotLoadedError as error:
        checks.append(Check(subject, LOADED, "not run", str(error)))
        return None
    except Exception as error:  # each runtime has its own exceptions; all mean the same here
        checks.append(Check(subject, LOADED, "failed", first_line(error)))
        return None
