"""Models of other people: what is wrong with what was given, and the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from digitvae.base.errors import ParityError
from digitvae.cli.app import main
from digitvae.parity.module import Files, load_module, verify_model

HERE = __name__


class Linear(nn.Module):
    """y = W·x + b, which is one node of ONNX."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.w = nn.Parameter(torch.from_numpy(rng.standard_normal((3, 5), np.float32)))
        self.b = nn.Parameter(torch.from_numpy(rng.standard_normal(3, np.float32)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.w, self.b)


MODULE = Linear()


def make() -> nn.Module:
    return nn.Sequential(nn.Dropout(), Linear())


def raising() -> nn.Module:
    raise FileNotFoundError("no weights here")


def of_float64() -> nn.Module:
    return Linear().double()


def text() -> str:
    return "a module"


def inputs_of(**values: Any) -> list[Any]:
    return [helper.make_tensor_value_info(name, *kind) for name, kind in values.items()]


ONE_INPUT = inputs_of(x=(TensorProto.FLOAT, ["batch", 5]))


def write(
    path: Path,
    inputs: list[Any],
    *,
    bias: float = 0.0,
    nodes: list[Any] | None = None,
    output: int = TensorProto.FLOAT,
) -> Path:
    """The export of ``Linear``, with something else about it."""
    weights = {"w": MODULE.w.detach().numpy(), "b": MODULE.b.detach().numpy() + np.float32(bias)}
    graph = helper.make_graph(
        nodes or [helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="only", transB=1)],
        "linear",
        inputs,
        [helper.make_tensor_value_info("y", output, ["batch", 3])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    return write(tmp_path / "linear.onnx", ONE_INPUT)


def test_a_module_or_what_makes_one_can_be_named(linear: Path) -> None:
    assert load_module(f"{HERE}:MODULE") is MODULE
    for name in ("MODULE", "Linear", "make"):
        made = load_module(f"{HERE}:{name}")
        assert not any(module.training for module in made.modules())
        assert not any(parameter.requires_grad for parameter in made.parameters())
        assert verify_model(f"{HERE}:{name}", Files(linear), quick=True).passed


def test_the_current_folder_is_searched_for_it(
    linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"from {HERE} import Linear as Other"
    (tmp_path / "module_of_the_current_folder.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    report = verify_model("module_of_the_current_folder:Other", Files(linear), quick=True)
    assert report.passed
    assert report.subject == "module_of_the_current_folder:Other"


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("package.module", "'package.module' does not name a module: expected package.module:"),
        (":make", "':make' does not name a module"),
        (f"{HERE}:", f"'{HERE}:' does not name a module"),
        ("no_such_package:make", "cannot be made: ModuleNotFoundError: No module named"),
        (f"{HERE}:nothing", "cannot be made: AttributeError: "),
        (f"{HERE}:raising", f"{HERE}:raising cannot be made: FileNotFoundError: no weights here"),
        (f"{HERE}:HERE", "cannot be made: TypeError: 'str' object is not callable"),
        (f"{HERE}:text", f"{HERE}:text made a str, expected a torch.nn.Module"),
        (f"{HERE}:of_float64", "has parameters of torch.float64, expected float32"),
    ],
)
def test_what_is_no_module_is_explained(factory: str, message: str, linear: Path) -> None:
    with pytest.raises(ParityError) as caught:
        verify_model(factory, Files(linear))
    assert message in str(caught.value)


def test_a_file_that_is_missing_is_named(linear: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    for files in (
        Files(missing),
        Files(linear, torchscript=missing),
        Files(linear, exported_program=missing),
    ):
        with pytest.raises(ParityError, match=r"cannot read .*missing: No such file"):
            verify_model(f"{HERE}:make", files)


@pytest.mark.parametrize("content", [b"text", b"\x08\x09"])
def test_what_is_no_onnx_fails(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_bytes(content)
    report = verify_model(f"{HERE}:make", Files(path))
    (check,) = report.checks
    assert (check.subject, check.statement, check.status) == (
        "text.onnx",
        "is valid ONNX",
        "failed",
    )
    assert check.detail


def test_a_random_operator_fails(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1),
        helper.make_node("RandomNormalLike", ["h"], ["noise"]),
        helper.make_node("Sub", ["noise", "noise"], ["nothing"]),
        helper.make_node("Add", ["h", "nothing"], ["y"]),
    ]
    path = write(tmp_path / "random.onnx", ONE_INPUT, nodes=nodes)
    report = verify_model(f"{HERE}:make", Files(path), quick=True)
    failed = [check for check in report.checks if check.status == "failed"]
    assert [(check.statement, check.detail) for check in failed] == [
        ("has no random operators", "RandomNormalLike")
    ]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            inputs_of(x=(TensorProto.FLOAT, ["batch", 5]), more=(TensorProto.FLOAT, ["batch"])),
            "the ONNX model has the inputs x, more; expected one",
        ),
        ([], "the ONNX model has the inputs none; expected one"),
        (
            inputs_of(x=(TensorProto.FLOAT, ["batch", "width"])),
            "the ONNX model leaves the shape of its input open, and the module takes none of 16, "
            "8, 32, 28, 64, 224 there: give it with --shape",
        ),
    ],
)
def test_an_interface_that_is_not_understood_is_explained(
    inputs: list[Any], message: str, tmp_path: Path
) -> None:
    nodes = None
    if not inputs:
        zeros = numpy_helper.from_array(np.zeros((1, 5), np.float32))
        nodes = [
            helper.make_node("Constant", [], ["x"], value=zeros),
            helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1),
        ]
    path = write(tmp_path / "other.onnx", inputs, nodes=nodes)
    with pytest.raises(ParityError) as caught:
        verify_model(f"{HERE}:make", Files(path))
    assert str(caught.value) == message


def test_numbers_other_than_float32_are_refused(tmp_path: Path) -> None:
    cast = helper.make_node("Cast", ["given"], ["x"], to=TensorProto.FLOAT)
    gemm = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
    given = inputs_of(given=(TensorProto.INT64, ["batch", 5]))
    path = write(tmp_path / "int.onnx", given, nodes=[cast, gemm])
    message = r"the ONNX model's given is int64 \[batch, 5\]; expected float32"
    with pytest.raises(ParityError, match=message):
        verify_model(f"{HERE}:make", Files(path))

    wide = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1),
        helper.make_node("Cast", ["h"], ["y"], to=TensorProto.DOUBLE),
    ]
    path = write(tmp_path / "wide.onnx", ONE_INPUT, nodes=wide, output=TensorProto.DOUBLE)
    with pytest.raises(ParityError, match=r"y is float64 \[batch, 3\]; expected float32"):
        verify_model(f"{HERE}:make", Files(path))


def test_a_shape_closes_an_open_one(tmp_path: Path) -> None:
    path = write(tmp_path / "open.onnx", inputs_of(x=(TensorProto.FLOAT, ["batch", "width"])))
    report = verify_model(f"{HERE}:make", Files(path), shape=(5,), quick=True)
    assert report.passed, report.summary()
    for tolerance in (None, 0.5):
        with pytest.raises(ParityError, match=r"cannot compute inputs of shape \[3, 6\]: "):
            verify_model(f"{HERE}:make", Files(path), shape=(6,), tolerance=tolerance)
    with pytest.raises(ParityError, match=r"cannot compute inputs of shape \[3, 6\]: "):
        verify_model(f"{HERE}:make", Files(path), shape=(5,), sizes={"width": (5, 6)})


def saved(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


def test_inputs_of_ones_own_are_what_is_compared(linear: Path, tmp_path: Path) -> None:
    rows = np.random.default_rng(1).standard_normal((30, 5), np.float32)
    rows[17] = 3e30  # such as no draw is
    inputs = saved(tmp_path / "rows.npy", rows)
    report = verify_model(f"{HERE}:make", Files(linear), inputs=inputs)
    assert report.passed, report.summary()
    typical = [c for c in report.comparisons if c.inputs == "typical inputs"]
    assert report.draws == 30
    assert {c.count for c in typical} == {30}
    eager = typical[0].deviations
    assert eager is not None
    assert eager.to_truth.peak.input == "row 17"
    # No more of them than were asked for, and no more than there are.
    for draws, count in ((17, 17), (99, 30)):
        report = verify_model(f"{HERE}:make", Files(linear), inputs=inputs, draws=draws)
        assert report.draws == count


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 5)), r"is float64 \[4, 5\], expected float32 \[n, 5\]$"),
        (np.zeros((4, 6), np.float32), r"is float32 \[4, 6\], expected float32 \[n, 5\]$"),
        (np.zeros(5, np.float32), r"is float32 \[5\], expected float32 \[n, 5\]$"),
        (np.zeros((), np.float32), r"is float32 \[\], expected float32 \[n, 5\]$"),
        (np.zeros((0, 5), np.float32), r"is float32 \[0, 5\], expected float32 \[n, 5\]$"),
        (np.full((4, 5), np.nan, np.float32), "has values that are not finite$"),
        (np.array([{}]), "cannot read .*Object arrays cannot be loaded"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    array: Any, message: str, linear: Path, tmp_path: Path
) -> None:
    with pytest.raises(ParityError, match=message):
        verify_model(f"{HERE}:make", Files(linear), inputs=saved(tmp_path / "rows.npy", array))


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\x01\x00", b"PK\x03\x04"])
def test_inputs_that_are_no_npy_file_are_refused(
    content: bytes, linear: Path, tmp_path: Path
) -> None:
    path = tmp_path / "rows.npy"
    path.write_bytes(content)
    with pytest.raises(ParityError, match=r"cannot read .*rows\.npy: "):
        verify_model(f"{HERE}:make", Files(linear), inputs=path)


def test_an_archive_of_arrays_is_no_npy_file(linear: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, rows=np.zeros((4, 5), np.float32))
    with pytest.raises(ParityError, match=r"cannot read .*rows\.npz: the magic string"):
        verify_model(f"{HERE}:make", Files(linear), inputs=path)


def command(path: Path, *more: str, factory: str = "make") -> int:
    return main(["verify", "--torch", f"{HERE}:{factory}", "--onnx", str(path), "--quick", *more])


def test_the_command_ends_with_0_for_an_honest_export(
    linear: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(linear) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[-1].startswith("parity: ")
    assert command(linear, "--json", "--draws", "3", "--shape", "5", "--tolerance", "1e-3") == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["subject"], content["draws"], content["passed"]) == (f"{HERE}:make", 3, True)


def test_the_command_ends_with_1_and_names_the_node_of_a_faulty_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "faulty.onnx", ONE_INPUT, bias=1e-3)
    assert command(path) == 1
    err = capsys.readouterr().err
    assert "faulty.onnx: agrees with the model at every node: failed" in err
    assert "it leaves it at only (Gemm)" in err
    # Where there are rules they decide: no tolerance lets a fault through that they find.
    assert command(path, "--tolerance", "1.1e-3") == 1
    assert "so that the tolerance was not used" in capsys.readouterr().err


def test_the_command_ends_with_1_for_what_cannot_be_verified(
    linear: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(linear, factory="raising") == 1
    err = capsys.readouterr().err
    assert err.startswith("digitvae: error: ")
    assert "no weights here" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--torch", "a:b"], "--torch needs --onnx"),
        (["--size", "w=5"], "--size is for other models"),
        (["--torch", "a:b", "--onnx", "m", "--size", "5"], "'5' is not NAME=N,…"),
        (["--torch", "a:b", "--onnx", "m", "--size", "w=0"], "--size"),
        (["--onnx", "m.onnx"], "--onnx is for other models, which --torch names"),
        (["--torchscript", "m.pt"], "--torchscript is for other models"),
        (["--exported-program", "m.pt2"], "--exported-program is for other models"),
        (["--inputs", "x.npy"], "--inputs is for other models"),
        (["--shape", "3"], "--shape is for other models"),
        (["--tolerance", "1"], "--tolerance is for other models"),
        (["--tolerance", "0"], "--tolerance is for other models"),
        (["--torch", "a:b", "--onnx", "m", "DIR"], "BUNDLE is for bundles"),
        (["--torch", "a:b", "--onnx", "m", "--data", "D"], "--data is for bundles"),
        (["--torch", "a:b", "--onnx", "m", "--require-data"], "--require-data is for bundles"),
        (["--torch", "a:b", "--onnx", "m", "--self-test"], "--self-test is for bundles"),
        (["--torch", "a:b", "--onnx", "m", "--shape", "3,x"], "--shape"),
        (["--torch", "a:b", "--onnx", "m", "--shape", ""], "--shape"),
        (["--torch", "a:b", "--onnx", "m", "--shape", "0"], "--shape"),
        (["--torch", f"{HERE}:make", "--onnx", "LINEAR", "--tolerance", "0"], "tolerance is 0"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(
    words: list[str], message: str, linear: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(linear) if word == "LINEAR" else word for word in words]
    assert main(["verify", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
