"""Models with an operation that no rule describes: a tolerance is demanded, and is the limit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from digitvae.base.errors import ParityError
from digitvae.parity import ParityReport
from digitvae.parity.module import Files, verify_model
from digitvae.parity.runtimes import RUNTIMES
from digitvae.parity.runtimes.onnx import REFERENCE

HERE = __name__
BY_ONNX = {runtime.name for runtime in RUNTIMES if runtime.file == "onnx" and not runtime.ours}


class Linear(nn.Module):
    """Four sums of six."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.w = nn.Parameter(torch.from_numpy(rng.standard_normal((4, 6), np.float32) * scale))
        self.b = nn.Parameter(torch.from_numpy(rng.standard_normal(4, np.float32) * scale))
        self.float()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.w, self.b)


class Wrapped(Linear):
    """And what a division by 10³⁰ leaves of them: themselves, but there is no rule for it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fmod(super().forward(x), 1e30)


def small() -> nn.Module:
    """All outputs of it stay below 1."""
    return Wrapped(1e-3)


def large() -> nn.Module:
    """Only few outputs of it do."""
    return Wrapped(1e6)


def write(
    path: Path, module: Linear, *, off: float = 0.0, factor: float = 1.0, width: int = 4
) -> Files:
    """The export of a module, its first bias ``off`` too large, weights ``factor`` as large."""
    w, b = (tensor.detach().numpy() * np.float32(factor) for tensor in (module.w, module.b))
    b[0] += off
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1)]
    if isinstance(module, Wrapped):
        nodes.append(helper.make_node("Mod", ["h", "large"], ["y"], fmod=1))
    else:
        nodes.append(helper.make_node("Identity", ["h"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "classes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", width])],
        [
            numpy_helper.from_array(np.ascontiguousarray(value), name)
            for name, value in {
                "w": w[:width],
                "b": b[:width],
                "large": np.full(1, 1e30, np.float32),
            }.items()
        ],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return Files(path)


def failures(report: ParityReport) -> set[str]:
    return {c.runtime for c in report.comparisons if c.status == "failed"}


def test_an_operation_without_a_rule_needs_a_tolerance(tmp_path: Path) -> None:
    files = write(tmp_path / "classes.onnx", Wrapped())
    with pytest.raises(ParityError, match=r"of aten\.fmod\.Scalar: say with --tolerance"):
        verify_model(f"{HERE}:Wrapped", files)
    report = verify_model(f"{HERE}:Wrapped", files, tolerance=1e-6)
    assert report.passed, report.summary()
    assert "searched for" in {c.inputs for c in report.comparisons}
    for comparison in report.comparisons:
        if comparison.deviations is not None:
            assert comparison.deviations.bound_used is None
            assert comparison.deviations.noise_used is not None


def test_what_cannot_be_captured_needs_a_tolerance(tmp_path: Path) -> None:
    files = write(tmp_path / "classes.onnx", Linear())
    for name, words in (("Branching", "branches on data"), ("Uncaptured", "torch.export cannot")):
        with pytest.raises(ParityError, match=rf"{words} .*--tolerance"):
            verify_model(f"{HERE}:{name}", files, quick=True)
    assert verify_model(f"{HERE}:Uncaptured", files, quick=True, tolerance=1e-6).passed


class Uncaptured(Linear):
    """Leaves PyTorch, where no graph can follow."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.from_numpy(x.numpy(force=True)))


class Branching(Linear):
    """Looks at its numbers, which no graph can."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        return y if float(y.abs().max()) >= 0.0 else -y


@pytest.mark.parametrize(("tolerance", "passes"), [(4.1e-3, True), (1e-3, False)])
def test_a_tolerance_holds_for_operations_without_a_rule(
    tolerance: float, passes: bool, tmp_path: Path
) -> None:
    files = write(tmp_path / "classes.onnx", Wrapped(), off=4e-3)
    report = verify_model(f"{HERE}:Wrapped", files, tolerance=tolerance)
    assert report.passed is passes
    assert failures(report) == (set() if passes else BY_ONNX)


@pytest.mark.parametrize(("tolerance", "passes"), [(1.01e-3, True), (0.99e-3, False)])
def test_a_tolerance_is_absolute_below_one_and_relative_above(
    tolerance: float, passes: bool, tmp_path: Path
) -> None:
    files = write(tmp_path / "small.onnx", Linear(1e-3), off=1e-3)
    report = verify_model(f"{HERE}:small", files, quick=True, tolerance=tolerance)
    assert report.passed is passes
    assert failures(report) == (set() if passes else BY_ONNX)

    files = write(tmp_path / "large.onnx", Linear(1e6), factor=1.001)
    report = verify_model(f"{HERE}:large", files, quick=True, tolerance=tolerance)
    assert report.passed is passes
    assert failures(report) == (set() if passes else BY_ONNX)


def test_a_tolerance_holds_on_extreme_inputs_too(tmp_path: Path) -> None:
    files = write(tmp_path / "classes.onnx", Wrapped())
    model = onnx.load(files.onnx)
    # No draw from N(0, 1) is cut off here.
    for name, limit in (("low", -6.0), ("high", 6.0)):
        tensor = numpy_helper.from_array(np.array(limit, np.float32), name)
        model.graph.initializer.append(tensor)
    model.graph.node[0].input[0] = "cut"
    model.graph.node.insert(0, helper.make_node("Clip", ["x", "low", "high"], ["cut"]))
    onnx.save(model, files.onnx)
    report = verify_model(f"{HERE}:Wrapped", files, tolerance=1e-3, quick=True)
    assert failures(report) == BY_ONNX - {REFERENCE}  # which gets typical inputs only
    assert {c.inputs for c in report.comparisons if c.status == "failed"} == {
        *("extreme inputs", "extreme inputs, alone", "generated")
    }


def test_outputs_of_another_shape_fail_whatever_the_tolerance(tmp_path: Path) -> None:
    files = write(tmp_path / "narrow.onnx", Wrapped(), width=3)
    report = verify_model(f"{HERE}:Wrapped", files, tolerance=0.5, quick=True)
    assert failures(report) == BY_ONNX
    assert "it computes float32 [16, 3]; expected float32 [16, 4]" in report.summary()
