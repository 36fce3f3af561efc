"""Faulty exports of other people's models that once passed, one of each kind, with its source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from digitvae.base.errors import ParityError
from digitvae.parity import Comparison
from digitvae.parity.checks.function import branches_of
from digitvae.parity.module import Files, verify_model
from digitvae.parity.runtimes.onnx import ONNX_RUNTIME
from digitvae.parity.runtimes.pytorch import torch_function

HERE = __name__

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning"
)


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


def test_an_edge_does_not_hide_among_other_rows_and_a_branch_is_no_pass(tmp_path: Path) -> None:
    files = exported(Brightest(), tmp_path / "brightest.onnx")
    report = verify_model(f"{HERE}:Brightest", files, tolerance=1e-5)
    failed = {c.inputs: c.detail for c in report.comparisons if c.runtime == ONNX_RUNTIME}
    assert "not a number, or infinite, at row 0 (all 0)" in failed["extreme inputs, alone"]
    assert not failed["extreme inputs"]
    cause = report.summary().splitlines()[1]
    assert "branches on data at test_false_passes.py:" in cause
    assert "return h / h.max() if h.max() else h: one path is in the file" in cause
    with pytest.raises(ParityError, match=r"branches on data at .*one path is in the file"):
        verify_model(f"{HERE}:Brightest", files)


def test_an_edge_is_alone_in_a_batch_of_a_fixed_size_too(tmp_path: Path) -> None:
    files = exported(Brightest(), tmp_path / "brightest.onnx")
    model = onnx.load(files.onnx)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 64
    onnx.save(model, files.onnx)
    report = verify_model(f"{HERE}:Brightest", files, tolerance=1e-5)
    failed = {c.inputs: c.detail for c in report.comparisons if c.runtime == ONNX_RUNTIME}
    assert "not a number, or infinite, at row 0 (all 0)" in failed["extreme inputs, alone"]


class Near(Columns):
    """Looks at all numbers at once."""

    def forward(self, x: Tensor) -> Tensor:
        return x if torch.allclose(x, torch.zeros_like(x)) else super().forward(x)


class Doubling(Columns):
    """Changes its input in place, which is no state."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mul_(2.0))


def test_a_look_at_all_numbers_is_a_branch_and_a_change_of_the_input_is_none() -> None:
    rows = np.ones((3, 5), np.float32)
    for module, branches in ((Near(), 1), (Doubling(), 0)):
        assert len(branches_of(module, torch_function(module), rows)) == branches
    assert (rows == 1.0).all()


class Signed(nn.Module):
    """Takes one of two paths by the sign of a sum, which draws from N(0, 1) seldom decide alike."""

    def __init__(self, *, path: str | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 4, bias=False)
        nn.init.constant_(self.layer.weight, 0.5)
        self.path = path

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layer(x)
        if self.path == "positive" or (self.path is None and bool((h.sum() > -1e9).all())):
            return h * 2
        return h * 3


def test_a_branch_that_no_input_takes_is_not_called_verified(tmp_path: Path) -> None:
    files = exported(Signed(path="positive"), tmp_path / "signed.onnx")
    report = verify_model(f"{HERE}:Signed", files, tolerance=1e-5)
    assert [c.statement for c in report.failures if not isinstance(c, Comparison)] == [
        "holds every path of the module"
    ]
    sets = {c.inputs for c in report.comparisons}
    assert {"typical inputs times 1000", "typical inputs, negative"} < sets


class Noisy(nn.Module):
    """Adds noise that it draws itself."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Counting(nn.Module):
    """Adds how often it was called."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + self.calls


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "Noisy",
            r"draws random numbers \(aten.randn_like.default at .*x \+ torch.randn_like\(x\)",
        ),
        ("Counting", "gives other outputs when it is called again"),
    ],
)
def test_what_is_no_function_of_its_inputs_is_explained(
    name: str, words: str, tmp_path: Path
) -> None:
    files = exported(Columns(), tmp_path / "a.onnx")
    for tolerance in (None, 0.5):
        with pytest.raises(ParityError, match=words):
            verify_model(f"{HERE}:{name}", files, tolerance=tolerance)


class Gelu(Columns):
    """A GELU, as it is or by tanh."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.gelu(self.layer(x), approximate=self.approximate)


def test_a_usual_tolerance_does_not_let_an_approximation_pass(tmp_path: Path) -> None:
    honest = exported(Gelu(), tmp_path / "honest.onnx")
    assert verify_model(f"{HERE}:Gelu", honest, tolerance=1e-2).passed
    by_tanh = exported(Gelu("tanh"), tmp_path / "tanh.onnx")
    report = verify_model(f"{HERE}:Gelu", by_tanh, tolerance=1e-2)
    assert not report.passed
    assert "so that the tolerance was not used" in report.summary().splitlines()[0]


class Tall(nn.Module):
    """The mean of a convolution's values, for images of any height."""

    def __init__(self, *, of_height: int | None = None) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 3, 3, padding=1, bias=False)
        nn.init.constant_(self.layer.weight, 0.1)
        self.of_height = of_height

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layer(x)
        if self.of_height is not None:
            return h.sum((2, 3)) / (4 * self.of_height)
        return h.mean((2, 3))


def of_any_height(module: nn.Module, path: Path) -> Files:
    torch.onnx.export(
        module.eval(),
        (torch.rand(2, 1, 16, 4),),
        str(path),
        dynamo=False,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": {0: "n", 2: "height"}, "y": {0: "n"}},
    )
    return Files(path)


def test_a_size_that_is_baked_in_is_found_at_another(tmp_path: Path) -> None:
    honest = of_any_height(Tall(), tmp_path / "honest.onnx")
    report = verify_model(f"{HERE}:Tall", honest)
    assert report.passed, report.summary()
    assert "height of 16, 17, 18" in {c.inputs for c in report.comparisons}
    # 16 is tried first, which is what it was traced with: pytorch 110347 and 149151.
    baked = of_any_height(Tall(of_height=16), tmp_path / "baked.onnx")
    report = verify_model(f"{HERE}:Tall", baked)
    failed = {c.inputs: c.detail for c in report.comparisons if c.status == "failed"}
    assert failed.keys() == {"height of 16, 17, 18"}
    assert " of height 18, output" in failed["height of 16, 17, 18"]
    chosen = {"shape": (1, 8, 4), "sizes": {"height": (8, 16)}}
    report = verify_model(f"{HERE}:Tall", baked, **chosen)  # type: ignore[arg-type]
    assert all(c.status == "failed" for c in report.comparisons if c.runtime == ONNX_RUNTIME)
    with pytest.raises(ParityError, match="leaves open no axis called width, but height"):
        verify_model(f"{HERE}:Tall", honest, sizes={"width": (5,)})


class Square(Tall):
    """The same, of images that are as wide as they are high."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[2] == x.shape[3]
        return super().forward(x)


def test_axes_of_one_name_change_together(tmp_path: Path) -> None:
    torch.onnx.export(
        Tall().eval(),
        (torch.rand(2, 1, 16, 16),),
        str(tmp_path / "square.onnx"),
        dynamo=False,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": {0: "n", 2: "side", 3: "side"}, "y": {0: "n"}},
    )
    report = verify_model(f"{HERE}:Square", Files(tmp_path / "square.onnx"), quick=True)
    assert report.passed, report.summary()
    assert "side of 16, 17, 18" in {c.inputs for c in report.comparisons}


def test_an_output_that_does_not_begin_with_the_batch_is_refused(tmp_path: Path) -> None:
    files = exported(Columns(), tmp_path / "a.onnx")
    with pytest.raises(ParityError, match=r"computes \[5, 3\] of 3 inputs: the first axis"):
        verify_model(f"{HERE}:Turned", files)


class Turned(nn.Module):
    """Its inputs, the batch last."""

    def forward(self, x: Tensor) -> Tensor:
        return x.T


def test_an_axis_takes_the_sizes_that_the_module_takes(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((4, 1, 6, 4), np.float32)
    np.save(tmp_path / "rows.npy", rows)
    honest = of_any_height(Tall(), tmp_path / "honest.onnx")
    report = verify_model(f"{HERE}:Tall", honest, inputs=tmp_path / "rows.npy", quick=True)
    assert report.passed, report.summary()
    assert "height of 6, 7, 8" in {c.inputs for c in report.comparisons}
    with pytest.raises(
        ParityError, match=r"the module takes none of 16, 8, .* give it with --shape"
    ):
        verify_model(f"{HERE}:Columns", honest)
