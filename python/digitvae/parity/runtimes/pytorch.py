"""PyTorch eager, TorchScript and ExportedProgram."""

from __future__ import annotations

import functools
import io
import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from digitvae.parity.networks import Float32, Function
from digitvae.parity.runtimes.runtime import Export, Runtime
from digitvae.parity.runtimes.wrap import one_at_a_time

PLACE = 0
EAGER = "PyTorch eager"
TORCHSCRIPT = "TorchScript"
EXPORTED_PROGRAM = "ExportedProgram"


def load_torchscript(content: bytes) -> torch.jit.ScriptModule:
    """A TorchScript on the CPU, in evaluation mode. Loading it runs what its author wants."""
    with warnings.catch_warnings():  # deprecated upstream, and shipped all the same
        warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated")
        module: torch.jit.ScriptModule = torch.jit.load(  # type: ignore[no-untyped-call]
            io.BytesIO(content), map_location="cpu"
        )
    return module.eval()


def load_exported_program(content: bytes) -> torch.export.ExportedProgram:
    """An ExportedProgram. Loading it runs what its author wants."""
    logger = logging.getLogger("torch.export")
    before = logger.level
    logger.setLevel(logging.CRITICAL)  # what it would log is in the exception that it raises
    try:
        return torch.export.load(io.BytesIO(content))
    finally:
        logger.setLevel(before)


program_of_bundle = functools.lru_cache(maxsize=8)(load_exported_program)
"""The same, and the last few are kept: bundles of the gate hold the same ones many times."""


def as_tuple(result: Any) -> tuple[torch.Tensor, ...]:
    """What a module returned: one tensor or several."""
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, NDArray[Any]]:
    """Parameters by name, as NumPy has them."""
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def torch_function(module: Callable[..., object]) -> Function:
    """Wrap a PyTorch module as a function of NumPy arrays."""

    def call(rows: Float32) -> tuple[Float32, ...]:
        with torch.inference_mode():
            # A copy: a module may change its input in place, and others are given the same.
            outputs = as_tuple(module(torch.from_numpy(np.array(rows, order="C"))))
        return tuple(output.numpy() for output in outputs)

    return call


def _torchscript(export: Export) -> Function:
    module = load_torchscript(export.read("torchscript"))
    _keep(export, "torchscript", module.state_dict())
    return _function_of(export, module)


def _exported_program(export: Export) -> Function:
    load = program_of_bundle if export.ours else load_exported_program
    program = load(export.read("pt2"))
    _keep(export, "pt2", program.state_dict)
    return _function_of(export, program.module())


def _keep(export: Export, kind: str, tensors: Mapping[str, torch.Tensor]) -> None:
    if export.ours:
        export.parameters[kind] = arrays(tensors)


def _function_of(export: Export, module: Callable[..., object]) -> Function:
    """Somebody else's module may keep something while it computes, and is not made for two."""
    function = torch_function(module)
    return function if export.ours else one_at_a_time(function)


RUNTIMES = (
    Runtime(
        EAGER,
        "`weights.safetensors` in the modules of `digitvae.vae.model`",
        lambda export: _function_of(export, export.module),
    ),
    Runtime(TORCHSCRIPT, "`*.torchscript`", _torchscript, file="torchscript", must_equal=EAGER),
    Runtime(EXPORTED_PROGRAM, "`*.pt2`", _exported_program, file="pt2"),
)
