"""Models of other people: honest exports pass, and faulty ones fail at the node that is faulty."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from digitvae.base.errors import ParityError
from digitvae.parity import ParityReport
from digitvae.parity.compare.divergence import STATEMENT
from digitvae.parity.module import Files, verify_model
from digitvae.parity.runtimes.onnx import (
    ONNX_RUNTIME,
    ONNX_RUNTIME_BASIC,
    ONNX_RUNTIME_OFF,
    REFERENCE,
)
from digitvae.parity.runtimes.pytorch import EAGER, EXPORTED_PROGRAM, TORCHSCRIPT

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


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def residual() -> nn.Module:
    return seeded(Residual)


def perceptron() -> nn.Module:
    return seeded(lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)))


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


def failures(report: ParityReport) -> set[str]:
    """Runtimes whose numbers failed."""
    return {c.runtime for c in report.comparisons if c.status == "failed"}


def node_check(report: ParityReport) -> str:
    (check,) = (check for check in report.checks if check.statement == STATEMENT)
    assert check.status == "failed"
    return check.detail


def changed(path: Path, edit: Callable[[Any], object], target: Path) -> Path:
    """A copy of an ONNX file, edited."""
    model = onnx.load(path)
    edit(model)
    target.write_bytes(model.SerializeToString())
    return target


def weight(name: str, change: Callable[[Any], object]) -> Callable[[Any], object]:
    """Changes a weight in place."""

    def edit(model: Any) -> None:
        (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
        values = numpy_helper.to_array(tensor).copy()
        change(values)
        tensor.CopyFrom(numpy_helper.from_array(values, name))

    return edit


def nth(model: Any, kind: str, index: int) -> Any:
    """A node by what it does: exporters number the names."""
    return [node for node in model.graph.node if node.op_type == kind][index]


def operator(kind: str, index: int, other: str) -> Callable[[Any], object]:
    """Makes a node something else."""

    def edit(model: Any) -> None:
        nth(model, kind, index).op_type = other

    return edit


def batch_of(size: int) -> Callable[[Any], object]:
    def edit(model: Any) -> None:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = size

    return edit


def test_an_honest_export_with_batch_norm_and_a_residual_passes(residual_files: Files) -> None:
    report = verify_model(f"{HERE}:residual", residual_files)
    assert report.passed, report.summary()
    assert (report.subject, report.mode, report.draws) == (f"{HERE}:residual", "full", 128)
    runtimes = (EAGER, TORCHSCRIPT, EXPORTED_PROGRAM, *ONNX_RUNTIMES)
    sets = {
        "typical inputs": 128,
        "batches of 1 to 16": 1 + 2 + 3 + 7 + 16,
        "extreme inputs": 7 + 32,
        "extreme inputs, alone": 7 + 32,
        "first inputs": 2,
    }
    found = {(c.inputs, c.output, c.runtime): c.count for c in report.comparisons}
    outputs = {output for _, output, _ in found}
    assert len(outputs) == 2
    for output in outputs:
        for name, count in sets.items():
            also = (REFERENCE,) if name == "first inputs" else ()
            for runtime in (*runtimes, *also):
                assert found.pop((name, output, runtime)) == count
        for runtime in runtimes:
            assert found.pop(("generated", output, runtime)) > 10
    assert {inputs for inputs, _, _ in found} == {"searched for"}
    # Inputs that were chosen for their roundings: no noise limit gates them.
    assert not any(c.typical for c in report.comparisons if c.inputs == "searched for")
    (parameters,) = (c for c in report.checks if "bit for bit" in c.statement)
    # The exporter has folded the normalization into the convolution before it.
    assert parameters.status == "measured"
    assert parameters.detail.startswith("3 of 7; not first.weight, first.bias, norm.weight")


def test_quick_looks_at_less_and_does_not_search(residual_files: Files) -> None:
    report = verify_model(f"{HERE}:residual", residual_files, quick=True)
    assert report.passed, report.summary()
    assert (report.mode, report.draws) == ("quick", 16)
    assert "searched for" not in {c.inputs for c in report.comparisons}
    assert "generated" in {c.inputs for c in report.comparisons}


def test_the_number_of_draws_can_be_chosen(perceptron_file: Path) -> None:
    files = Files(perceptron_file)
    report = verify_model(f"{HERE}:perceptron", files, quick=True, draws=5)
    counts = {c.inputs: c.count for c in report.comparisons}
    assert (report.draws, counts["typical inputs"], counts["batches of 1 to 3"]) == (5, 5, 6)
    assert verify_model(f"{HERE}:perceptron", files, quick=True, draws=1).passed
    wrong: list[dict[str, Any]] = [{"draws": 0}, {"threads": 0}]
    wrong += [{"tolerance": value} for value in (0.0, 1.0, 1e9, float("inf"), float("nan"))]
    for asked in wrong:
        with pytest.raises(ValueError, match="expected"):
            verify_model(f"{HERE}:perceptron", files, **asked)


def test_the_report_does_not_depend_on_threads(perceptron_file: Path) -> None:
    one, three = (
        verify_model(f"{HERE}:perceptron", Files(perceptron_file), threads=threads)
        for threads in (1, 3)
    )
    assert one.to_dict() == three.to_dict()


def test_weights_in_a_file_beside_the_model_are_read(residual_files: Files, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(
        onnx.load(residual_files.onnx),
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=100,
    )
    report = verify_model(f"{HERE}:residual", Files(path), quick=True)
    assert report.passed, report.summary()
    assert set(ONNX_RUNTIMES) <= {c.runtime for c in report.comparisons}
    (path.parent / "weights.bin").unlink()
    report = verify_model(f"{HERE}:residual", Files(path), quick=True)
    assert [check.statement for check in report.checks if check.status == "failed"] == [
        "is valid ONNX"
    ]


@pytest.mark.parametrize("size", [1, 4, 40])
def test_a_batch_of_fixed_size_is_kept_to(size: int, perceptron_file: Path, tmp_path: Path) -> None:
    path = changed(perceptron_file, batch_of(size), tmp_path / "model.onnx")
    for quick in (True, False):
        report = verify_model(f"{HERE}:perceptron", Files(path), quick=quick)
        assert report.passed, report.summary()
        counts = {c.inputs: c.count for c in report.comparisons}
        assert all(count % size == 0 for count in counts.values())
        assert report.draws == counts["typical inputs"] >= 16 // size * size
        assert not {name for name in counts if name.startswith("batches")}
        assert report.notes == (f"batch is fixed at {size}",)
        assert report.summary().endswith(f"; batch is fixed at {size}")
        assert ONNX_RUNTIME in {c.runtime for c in report.comparisons}


def test_too_few_inputs_for_a_fixed_batch_are_an_error(
    perceptron_file: Path, tmp_path: Path
) -> None:
    path = changed(perceptron_file, batch_of(4), tmp_path / "model.onnx")
    with pytest.raises(ParityError, match=r"^3 inputs do not fill one of the batches of 4$"):
        verify_model(f"{HERE}:perceptron", Files(path), draws=3)


def scaled(values: Any) -> None:
    values *= 1 + 1e-4


@pytest.mark.parametrize(
    ("edit", "kind", "index"),
    [
        (weight("second.weight", scaled), "Conv", 1),
        (weight("first.bias", lambda b: b.__setitem__(5, b[5] + 1e-3)), "Conv", 0),
        (weight("head.weight", lambda w: w.__setitem__((4, 95), 0)), "Gemm", 0),
        (operator("Relu", 1, "Elu"), "Elu", 0),
        (operator("Sigmoid", 0, "HardSigmoid"), "HardSigmoid", 0),
    ],
)
def test_a_faulty_export_fails_and_the_node_is_named(
    edit: Callable[[Any], object], kind: str, index: int, residual_files: Files, tmp_path: Path
) -> None:
    path = changed(residual_files.onnx, edit, tmp_path / "model.onnx")
    report = verify_model(f"{HERE}:residual", replace(residual_files, onnx=path), quick=True)
    assert failures(report) == {*ONNX_RUNTIMES, REFERENCE}
    name = nth(onnx.load(path), kind, index).name
    assert f"leaves it at {name} ({kind})" in node_check(report)


def test_a_faulty_export_to_torch_fails_alone(residual_files: Files, tmp_path: Path) -> None:
    other = residual()
    with torch.no_grad():
        other.get_parameter("head.bias")[2] += 1e-4
    script, program = export_to_torch(other, torch.zeros(2, 2, 8, 8), tmp_path)
    faulty = replace(residual_files, torchscript=script, exported_program=program)
    report = verify_model(f"{HERE}:residual", faulty, quick=True)
    assert failures(report) == {TORCHSCRIPT, EXPORTED_PROGRAM}
    located = {c.subject: c.detail for c in report.checks if c.statement == STATEMENT}
    assert "aten::linear" in located.pop("model.torchscript")
    assert "aten.linear" in located.pop("model.pt2")
    assert not located


def test_torch_files_that_cannot_be_loaded_are_failed_checks(
    residual_files: Files, tmp_path: Path
) -> None:
    script, program = tmp_path / "broken.torchscript", tmp_path / "broken.pt2"
    for broken in (script, program):
        broken.write_bytes(b"PK no archive")
    files = replace(residual_files, torchscript=script, exported_program=program)
    report = verify_model(f"{HERE}:residual", files, quick=True)
    assert [(c.subject, c.statement) for c in report.checks if c.status == "failed"] == [
        ("broken.torchscript", "can be loaded"),
        ("broken.pt2", "can be loaded"),
    ]
    assert not failures(report)


def test_a_model_that_computes_another_number_of_outputs_fails(
    residual_files: Files, perceptron_file: Path, tmp_path: Path
) -> None:
    def one_output(model: Any) -> None:
        del model.graph.output[1:]

    path = changed(residual_files.onnx, one_output, tmp_path / "one.onnx")
    with pytest.raises(ParityError, match="the module computes 2 outputs, the ONNX model 1"):
        verify_model(f"{HERE}:residual", Files(path), quick=True)

    def two_outputs(model: Any) -> None:
        more = helper.make_tensor_value_info("more", TensorProto.FLOAT, ["batch", 3])
        model.graph.node.append(helper.make_node("Neg", [model.graph.output[0].name], ["more"]))
        model.graph.output.append(more)

    path = changed(perceptron_file, two_outputs, tmp_path / "two.onnx")
    with pytest.raises(ParityError, match="the module computes 1 outputs, the ONNX model 2"):
        verify_model(f"{HERE}:perceptron", Files(path), quick=True)


@pytest.mark.slow
def test_a_real_model_passes(tmp_path: Path) -> None:
    path = export(resnet(), torch.zeros(2, 3, 64, 64), tmp_path / "resnet18.onnx")
    report = verify_model(f"{HERE}:resnet", Files(path), quick=True)
    assert report.passed, report.summary()
    assert {c.count for c in report.comparisons if c.inputs == "typical inputs"} == {16}
    assert {c.values for c in report.comparisons} == {1000}
