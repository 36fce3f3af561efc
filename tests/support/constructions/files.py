"""Honest ONNX files of the constructions."""

from __future__ import annotations

import functools
import inspect
import warnings
from pathlib import Path
from typing import Literal
from unittest import mock

import torch
from torch._export import utils
from torch.onnx._internal.exporter._registration import ONNXRegistry

from tests.support.constructions.zoo import Construction

Exporter = Literal["dynamo", "torchscript"]

CANNOT: dict[Exporter, dict[str, str]] = {
    "dynamo": {},
    "torchscript": {
        "transformer_encoder": "'aten::_transformer_encoder_layer_fwd' to ONNX",
        "spectral_norm": "'aten::vdot' to ONNX",
    },
}
"""Constructions that an exporter refuses at every opset, and why."""

# PyTorch lists all its operators at each export, 60 times, and parses the source of their
# translations, which takes longer than the rest of a small export.
_operators = functools.cache(utils._materialize_cpp_cia_ops)
_registry = staticmethod(functools.cache(ONNXRegistry.from_torchlib))


def exported(construction: Construction, path: Path, *, exporter: Exporter, opset: int) -> Path:
    """Write an ONNX file as PyTorch's documentation says, with free axes."""
    module, example = construction.make(), construction.example()
    axes = [{0: "batch"} for _ in example]
    for name, (which, axis) in construction.free.items():
        axes[which][axis] = name
    with (
        warnings.catch_warnings(),
        mock.patch.object(utils, "_materialize_cpp_cia_ops", _operators),
        mock.patch.object(ONNXRegistry, "from_torchlib", _registry),
    ):
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            torch.onnx.export(
                module,
                example,
                path,
                dynamo=True,
                external_data=False,
                verbose=False,
                opset_version=opset,
                dynamic_shapes=tuple(axes),
            )
        else:
            names = list(inspect.signature(module.forward).parameters)[: len(example)]
            torch.onnx.export(
                module,
                example,
                path,
                dynamo=False,
                opset_version=opset,
                input_names=names,
                dynamic_axes=dict(zip(names, axes, strict=True)),
            )
    return path
