"""Faulty exports of other people's models that once passed, one of each kind, with its source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from digitvae.parity.module import Files, verify_model
from digitvae.parity.runtimes.onnx import ONNX_RUNTIME

HERE = __name__


class Columns(nn.Module):
    """Eight values as two rows of four: mmsegmentation 2574, triton-inference-server 5334."""

    def __init__(self, shape: Callable[[int], tuple[int, ...]] = lambda n: (n, 1, 2, 4)) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 8, bias=False)
        nn.init.constant_(self.layer.weight, 0.5)
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y.reshape(self.shape(x.shape[0]))


class Brightest(nn.Module):
    """Divides by the largest of all values, unless all are zero: ivadomed 749."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 4, bias=False)
        nn.init.constant_(self.layer.weight, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layer(x).relu()
        return h / h.max() if h.max() else h


def exported(module: nn.Module, path: Path, rows: int = 2) -> Files:
    """Trace a module with that many rows, which stay free."""
    torch.manual_seed(0)
    torch.onnx.export(
        module.eval(),
        (torch.rand(rows, 5),),
        str(path),
        dynamo=False,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
    )
    return Files(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(
    "shape", [lambda n: (n, 8), lambda n: (n, 1, 4, 2), lambda n: (1, n, 8), lambda n: (n, 2, 4)]
)
def test_an_output_of_another_shape_is_another_output(
    shape: Callable[[int], tuple[int, ...]], tmp_path: Path
) -> None:
    assert verify_model(f"{HERE}:Columns", exported(Columns(), tmp_path / "a.onnx")).passed
    files = exported(Columns(shape), tmp_path / "b.onnx")
    for tolerance in (None, 0.5):
        report = verify_model(f"{HERE}:Columns", files, tolerance=tolerance)
        failed = {c.inputs for c in report.comparisons if c.status == "failed"}
        assert failed == {c.inputs for c in report.comparisons}
        assert "expected float32 [128, 1, 2, 4]" in report.summary().splitlines()[1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_an_edge_does_not_hide_among_other_rows(tmp_path: Path) -> None:
    files = exported(Brightest(), tmp_path / "brightest.onnx")
    report = verify_model(f"{HERE}:Brightest", files, tolerance=1e-5)
    failed = {c.inputs: c.detail for c in report.comparisons if c.runtime == ONNX_RUNTIME}
    assert "not a number, or infinite, at row 0 (all 0)" in failed["extreme inputs, alone"]
    assert not failed["extreme inputs"]
