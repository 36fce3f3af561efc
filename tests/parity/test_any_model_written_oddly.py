"""Modules of other people that are written in unusual ways: verified, or refused in words."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from digitvae.base.errors import ParityError
from digitvae.cli.app import main
from digitvae.parity.module import Files, verify_model
from digitvae.parity.runtimes import RUNTIMES

HERE = __name__
IN_ONNX = {runtime.name for runtime in RUNTIMES if runtime.file == "onnx" and not runtime.ours}


class Base(nn.Module):
    """Parameters of y = σ(g)·(W·x + b), which the exported file computes."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        rng = np.random.default_rng(0)

        def parameter(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.from_numpy(rng.standard_normal(shape, np.float32) * scale))

        self.w, self.b, self.g = parameter(5, 3), parameter(3), parameter(3)
        self.float()


class Plain(Base):
    """Computes it from parameters of its own, the weight transposed, the gate outside a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.g) * nn.functional.linear(x, self.w.t(), self.b)


class Stateful(Base):
    """Keeps what it computes in itself, and is slow about it."""

    def forward(self, x: Tensor) -> Tensor:
        self.kept = nn.functional.linear(x, self.w.t(), self.b)
        time.sleep(0.002)
        return torch.sigmoid(self.g) * self.kept


class ComputedWeight(Base):
    """Scales its weight before it uses it."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.g) * nn.functional.linear(x, (self.w * 1.0).t(), self.b)


class TypedMean(Base):
    """Says of which type a mean should be."""

    dtype = torch.float32

    def forward(self, x: Tensor) -> Tensor:
        y = torch.sigmoid(self.g) * nn.functional.linear(x, self.w.t(), self.b)
        return y.unsqueeze(1).mean(1, dtype=self.dtype).float()


class WideMean(TypedMean):
    """Goes through float64 on the way."""

    dtype = torch.float64


class Frozen(Base):
    """Says how many rows it was captured with, so that its graph holds for that many."""

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.linear(x.reshape(len(x.numpy(force=True)), 5), self.w.t(), self.b)
        return torch.sigmoid(self.g) * y


class Dropping(Base):
    """Drops nothing today, but says that it is training."""

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.linear(nn.functional.dropout(x, 1e-9), self.w.t(), self.b)
        return torch.sigmoid(self.g) * y


class HoldsTensors(Base):
    """Its weights are neither parameters nor buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.transposed = self.w.detach().t().clone()
        self.shift = self.b.detach().clone()
        self.gate = torch.sigmoid(self.g).detach()

    def forward(self, x: Tensor) -> Tensor:
        return self.gate * nn.functional.linear(x, self.transposed, self.shift)


class MakesTensors(Base):
    """Makes float32 whatever it is given."""

    def forward(self, x: Tensor) -> Tensor:
        w = torch.from_numpy(self.w.detach().float().numpy())
        return torch.sigmoid(self.g) * nn.functional.linear(x, w.t(), self.b)


class Leaves(Base):
    """Ends the process."""

    def forward(self, _x: Tensor) -> Tensor:
        sys.exit("usage: something else")


def minute() -> nn.Module:
    """All outputs of it are near 10⁻²⁵, squares of which are no float32."""
    return Plain(1e-25)


def leaving() -> nn.Module:
    sys.exit(3)


def write(path: Path, *, scale: float = 1.0, shape: tuple[Any, ...] = ("batch", 5)) -> Files:
    held = {name: value.detach().numpy() for name, value in Base(scale).named_parameters()}
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "w", "b"], ["h"]),
            helper.make_node("Sigmoid", ["g"], ["s"]),
            helper.make_node("Mul", ["s", "h"], ["y"]),
        ],
        "gated",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return Files(path)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return write(tmp_path / "gated.onnx")


@pytest.mark.filterwarnings("ignore:The tensor attribute self.kept")
@pytest.mark.parametrize("name", ["Plain", "Stateful", "TypedMean"])
def test_what_the_graph_shows_is_verified(name: str, files: Files) -> None:
    report = verify_model(f"{HERE}:{name}", files, threads=3, draws=300_000)
    assert report.passed, report.summary()
    assert {c.runtime for c in report.comparisons} > IN_ONNX


def test_a_module_that_keeps_state_is_called_by_one_thread_with_a_tolerance_too(
    files: Files,
) -> None:
    report = verify_model(f"{HERE}:Stateful", files, threads=3, draws=300_000, tolerance=1e-5)
    assert report.passed, report.summary()


@pytest.mark.parametrize("name", ["w", "b", "g"])
def test_a_parameter_of_such_a_module_that_is_off_is_noticed(
    name: str, files: Files, tmp_path: Path
) -> None:
    model = onnx.load(files.onnx)
    (tensor,) = (t for t in model.graph.initializer if t.name == name)
    values = numpy_helper.to_array(tensor) * np.float32(1 + 1e-4)
    tensor.CopyFrom(numpy_helper.from_array(values, name))
    onnx.save(model, tmp_path / "off.onnx")
    report = verify_model(f"{HERE}:Plain", Files(tmp_path / "off.onnx"), quick=True)
    assert {c.runtime for c in report.comparisons if c.status == "failed"} == IN_ONNX


def test_outputs_whose_squares_are_no_float32_have_a_limit(tmp_path: Path) -> None:
    report = verify_model(f"{HERE}:minute", write(tmp_path / "tiny.onnx", scale=1e-25))
    assert report.passed, report.summary()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ComputedWeight", "computes a weight, for which there is no rule"),
        ("WideMean", "no rule describes the rounding of a mean in torch.float64"),
        ("Dropping", "dropout is in training mode"),
        ("Frozen", "torch.export"),
    ],
)
def test_what_the_rules_do_not_cover_needs_a_tolerance(name: str, words: str, files: Files) -> None:
    with pytest.raises(ParityError) as caught:
        verify_model(f"{HERE}:{name}", files, quick=True)
    assert words in str(caught.value)
    assert "say with --tolerance what may differ" in str(caught.value)
    report = verify_model(f"{HERE}:{name}", files, quick=True, tolerance=1e-5)
    assert report.passed, report.summary()


def test_a_graph_that_holds_for_one_number_of_rows_needs_a_tolerance(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    from digitvae.parity.truth import captured as truth

    monkeypatch.setattr(truth.Truth, "__call__", lambda *_: torch.zeros(2, 3).reshape(5))
    with pytest.raises(ParityError, match=r"cannot be evaluated for 3 inputs of .*--tolerance"):
        verify_model(f"{HERE}:Plain", files, quick=True)


def test_tensors_that_a_module_holds_are_converted_and_those_that_it_makes_are_explained(
    files: Files,
) -> None:
    assert verify_model(f"{HERE}:HoldsTensors", files, quick=True, tolerance=1e-5).passed
    with pytest.raises(ParityError, match=r"cannot be evaluated in float64: .*from its input"):
        verify_model(f"{HERE}:MakesTensors", files, quick=True, tolerance=1e-5)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("leaving", "leaving cannot be made: SystemExit: 3"),
        ("Leaves", "the module cannot compute inputs of shape [3, 5]: usage: something else"),
    ],
)
def test_a_module_that_ends_the_process_ends_in_an_error(
    name: str, words: str, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["verify", "--torch", f"{HERE}:{name}", "--onnx", str(files.onnx), "--quick"]
    assert main(command) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("axes", "asked"),
    [((5,), (6,)), ((5,), (5, 1)), (("n", 5), (2, 6)), (("n", 5), (5,))],
)
def test_a_shape_that_contradicts_the_file_is_refused(
    axes: tuple[Any, ...], asked: tuple[int, ...], tmp_path: Path
) -> None:
    path = tmp_path / "shaped.onnx"
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "same",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *axes])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", *axes])],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    shown = ", ".join("any" if axis == "n" else str(axis) for axis in axes)
    with pytest.raises(ParityError) as caught:
        verify_model("torch.nn:Identity", Files(path), shape=asked, quick=True)
    assert str(caught.value) == f"--shape is {list(asked)}, but the ONNX model's input is [{shown}]"
