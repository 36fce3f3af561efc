"""The runtimes that are compared, each loaded from a bundle's files.

Loading goes through :meth:`digitvae.bundle.Bundle.read`, so that no file is parsed, and no
TorchScript unpickled, before its SHA-256 was found to be the manifest's.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import onnxruntime
import torch
from safetensors.torch import load as load_safetensors

from digitvae import _native, engine
from digitvae.errors import BundleError
from digitvae.model import VAE
from digitvae.parity.networks import DECODER, NETWORKS
from digitvae.parity.report import Check, first_line
from digitvae.parity.structure import check_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from digitvae.bundle import Bundle
    from digitvae.engine import Model
    from digitvae.parity.networks import Float32, Function, Network

T = TypeVar("T")

EAGER = "PyTorch eager"
TORCHSCRIPT = "TorchScript"
EXPORTED_PROGRAM = "ExportedProgram"
ONNX_RUNTIME = "ONNX Runtime"
ONNX_RUNTIME_TILES = f"ONNX Runtime, tiles of {_native.TILE_ROWS}"
NATIVE = "native engine"

RUNTIMES = (EAGER, TORCHSCRIPT, EXPORTED_PROGRAM, ONNX_RUNTIME, ONNX_RUNTIME_TILES, NATIVE)


def load_eager(bundle: Bundle) -> VAE:
    """The PyTorch model with the bundle's weights, in evaluation mode.

    Raises:
        BundleError: ``weights.safetensors`` does not fit the model.
    """
    content = bundle.read("weights.safetensors")
    model = VAE()
    try:
        model.load_state_dict(load_safetensors(content))
    except Exception as error:  # safetensors and torch have no common base
        raise BundleError(
            f"{bundle.path / 'weights.safetensors'} does not hold the parameters of the model: "
            f"{error}"
        ) from error
    return model.eval()


def load_torchscript(bundle: Bundle, network: Network) -> torch.jit.ScriptModule:
    """The bundle's TorchScript of a network, on the CPU."""
    content = bundle.read(f"{network.name}.torchscript")
    with warnings.catch_warnings():  # deprecated upstream, and shipped all the same
        warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated")
        module: torch.jit.ScriptModule = torch.jit.load(  # type: ignore[no-untyped-call]
            io.BytesIO(content), map_location="cpu"
        )
    return module.eval()


def load_exported_program(bundle: Bundle, network: Network) -> torch.export.ExportedProgram:
    """The bundle's ExportedProgram of a network."""
    return torch.export.load(io.BytesIO(bundle.read(f"{network.name}.pt2")))


def load_session(bundle: Bundle, network: Network, threads: int) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU with all graph optimizations.

    Args:
        bundle: The bundle.
        network: Which graph.
        threads: Intra-op threads.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Waiting threads would otherwise burn the cores that the next runtime computes on.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors: a warning says nothing about parity
    return onnxruntime.InferenceSession(
        bundle.read(f"{network.name}.onnx"), options, providers=["CPUExecutionProvider"]
    )


def torch_function(module: Callable[..., object]) -> Function:
    """Wrap a PyTorch module as a function of NumPy arrays."""

    def call(rows: Float32) -> tuple[Float32, ...]:
        with torch.inference_mode():
            result = module(torch.from_numpy(np.ascontiguousarray(rows)))
        outputs = result if isinstance(result, tuple) else (result,)
        return tuple(output.numpy() for output in outputs)

    return call


def session_function(session: onnxruntime.InferenceSession, network: Network) -> Function:
    """Wrap a session; outputs are asked for by name."""

    def call(rows: Float32) -> tuple[Float32, ...]:
        return tuple(session.run(list(network.outputs), {network.input: rows}))

    return call


def tiled(function: Function, tile_rows: int) -> Function:
    """Call a function on tiles of constant shape, the last one padded with zeros.

    This is what the native engine promises to compute, so it must give the same bits.
    """

    def call(rows: Float32) -> tuple[Float32, ...]:
        padded = np.zeros((-len(rows) % tile_rows + len(rows), rows.shape[1]), np.float32)
        padded[: len(rows)] = rows
        tiles = [function(tile) for tile in padded.reshape(-1, tile_rows, rows.shape[1])]
        return tuple(np.concatenate(output)[: len(rows)] for output in zip(*tiles, strict=True))

    return call


def at_most_one(function: Function) -> Function:
    """Take 1 + 2⁻²³ for 1, and leave everything else alone.

    ONNX Runtime's Sigmoid gives that value for 20 of the 314,573 float32 logits in [17.4, 18); an
    intensity is at most 1.
    """
    one, above_one = np.float32(1), np.nextafter(np.float32(1), np.float32(2))

    def call(rows: Float32) -> tuple[Float32, ...]:
        return tuple(np.where(x == above_one, one, x) for x in function(rows))

    return call


def native_function(model: Model, network: Network, threads: int) -> Function:
    """Wrap the native engine; images are flattened to rows of 784."""

    def decode(z: Float32) -> tuple[Float32, ...]:
        return (model.decode(z, dtype="float32", threads=threads).reshape(len(z), -1),)

    def encode(x: Float32) -> tuple[Float32, ...]:
        posterior = model.encode(x, threads=threads)
        return (posterior.mu, posterior.logvar)

    return decode if network is DECODER else encode


def same_bits(model: Model | None) -> dict[str, str]:
    """Which runtime must agree with which to the last bit.

    The native engine must agree with tiles run from Python only if both use one version of ONNX
    Runtime: another version may have other kernels.
    """
    pairs = {TORCHSCRIPT: EAGER}
    if model is not None and model.runtime_version == onnxruntime.__version__:
        pairs[NATIVE] = ONNX_RUNTIME_TILES
    return pairs


@dataclass
class Loaded:
    """What could be loaded of a bundle.

    Attributes:
        functions: By network name, then runtime name, in the order of reports; eager first.
        model: The native engine, if it loads.
        weights: ``weights.safetensors``, by name.
        checks: What loading found: failures, and whether parameters are the bundle's weights.
    """

    functions: dict[str, dict[str, Function]]
    model: Model | None
    weights: dict[str, Float32]
    checks: list[Check]


def load_all(bundle: Bundle, threads: int) -> Loaded:
    """Load every runtime for both networks; one that fails becomes a failed check.

    Raises:
        BundleError: ``weights.safetensors`` does not fit the model: nothing can be compared.
    """
    eager = load_eager(bundle)
    weights = {name: tensor.numpy() for name, tensor in eager.state_dict().items()}
    checks: list[Check] = []
    model = _attempt(checks, NATIVE, lambda: engine.load(bundle))
    functions: dict[str, dict[str, Function]] = {}
    for network in NETWORKS:
        found = {EAGER: torch_function(getattr(eager, network.name))}
        functions[network.name] = found
        _add_torch_exports(found, checks, bundle, network, weights)
        session = _attempt(
            checks, f"{network.name}.onnx", partial(load_session, bundle, network, threads)
        )
        if session is not None:
            found[ONNX_RUNTIME] = session_function(session, network)
            single = session_function(load_session(bundle, network, threads=1), network)
            tiles = tiled(single, _native.TILE_ROWS)
            found[ONNX_RUNTIME_TILES] = at_most_one(tiles) if network is DECODER else tiles
        if model is not None:
            found[NATIVE] = native_function(model, network, threads)
    return Loaded(functions, model, weights, checks)


def _add_torch_exports(
    found: dict[str, Function],
    checks: list[Check],
    bundle: Bundle,
    network: Network,
    weights: dict[str, Float32],
) -> None:
    name = f"{network.name}.torchscript"
    script = _attempt(checks, name, partial(load_torchscript, bundle, network))
    if script is not None:
        found[TORCHSCRIPT] = torch_function(script)
        checks.append(check_parameters(name, _arrays(script.state_dict()), network, weights))
    name = f"{network.name}.pt2"
    program = _attempt(checks, name, partial(load_exported_program, bundle, network))
    if program is not None:
        found[EXPORTED_PROGRAM] = torch_function(program.module())
        checks.append(check_parameters(name, _arrays(program.state_dict), network, weights))


def _arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def _attempt(checks: list[Check], subject: str, action: Callable[[], T]) -> T | None:
    """Run ``action``; whatever it raises becomes a failed check. KeyboardInterrupt passes."""
    try:
        return action()
    except Exception as error:  # each runtime has its own exceptions; all mean the same here
        checks.append(Check(subject, "can be loaded", "failed", first_line(error)))
        return None
