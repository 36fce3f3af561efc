"""Models of other people: honest exports pass, faulty ones fail at the node, misuse is explained."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from digitvae.cli.app import main
from digitvae.errors import ParityError
from digitvae.parity.any_model import Files, load_module, verify_model
from digitvae.parity.divergence import STATEMENT
from digitvae.parity.runtimes.names import (
    EAGER,
    EXPORTED_PROGRAM,
    ONNX_RUNTIME,
    ONNX_RUNTIME_BASIC,
    ONNX_RUNTIME_OFF,
    REFERENCE,
    TORCHSCRIPT,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from digitvae.parity import ParityReport

HERE = __name__
ONNX_RUNTIMES = (ONNX_RUNTIME, ONNX_RUNTIME_BASIC, ONNX_RUNTIME_OFF)


class Residual(nn.Module):
    """A bit of everything that image models are made of, with two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.head = nn.Linear(6 * 4 * 4, 5)
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        self.norm.running_mean.uniform_(-0.5, 0.5)
        self.norm.running_var.uniform_(0.5, 2.0)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.relu(self.norm(self.first(image)))
        x = torch.relu(x + self.second(x))
        x = torch.nn.functional.max_pool2d(x, 2)
        y = self.head(x.flatten(1))
        return y, torch.sigmoid(y)


class Classes(nn.Module):
    """Ends with an operation that no rule describes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.linear(x), dim=1)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def residual() -> nn.Module:
    return seeded(Residual)


def perceptron() -> nn.Module:
    return seeded(lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)))


def classes() -> nn.Module:
    return seeded(Classes)


def resnet() -> nn.Module:
    from torchvision.models import resnet18

    return seeded(resnet18)


def export(module: nn.Module, example: torch.Tensor, path: Path) -> Path:
    """As PyTorch's documentation says, with a batch of any size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (example,),
            path,
            dynamo=True,
            external_data=False,
            verbose=False,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    return path


def export_to_torch(module: nn.Module, example: torch.Tensor, folder: Path) -> tuple[Path, Path]:
    script, program = folder / "model.torchscript", folder / "model.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module.eval(), example).save(script)  # type: ignore[no-untyped-call]
        batch = ({0: torch.export.Dim("batch")},)
        exported = torch.export.export(module, (example,), dynamic_shapes=batch)
        torch.export.save(exported, program)
    return script, program


@pytest.fixture(scope="module")
def residual_files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("residual")
    module, example = residual(), torch.zeros(2, 2, 8, 8)
    path = export(module, example, folder / "model.onnx")
    return Files(path, *export_to_torch(module, example, folder))


@pytest.fixture(scope="module")
def perceptron_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("perceptron")
    return export(perceptron(), torch.zeros(2, 6), folder / "model.onnx")

def test_x(residual_files: Files, perceptron_file: Path) -> None:
    import time
    for q in (True, False):
        t=time.time()
        r = verify_model(f"{HERE}:residual", residual_files, quick=q)
        print(q, time.time()-t, r.summary())
        t=time.time()
        r = verify_model(f"{HERE}:perceptron", Files(perceptron_file), quick=q)
        print(q, time.time()-t, r.summary())
    print(*[f"{n.name} {n.op_type} {n.input}" for n in onnx.load(residual_files.onnx).graph.node], sep="\n")
    print(*map(str, r.checks), sep="\n")
