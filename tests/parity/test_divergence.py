"""The node at which an export leaves the model is named; nodes that only look strange are not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from safetensors.numpy import load_file

from digitvae.parity.compare.divergence import (
    STATEMENT,
    Step,
    check_steps,
    onnx_steps,
    program_steps,
    torchscript_steps,
)
from digitvae.parity.networks import Float32
from digitvae.parity.report.report import Check
from digitvae.parity.runtimes.pytorch import load_exported_program, load_torchscript
from digitvae.parity.truth.captured import Truth
from digitvae.parity.truth.enclosure import Enclosure
from digitvae.vae.model import VAE
from tests.support.sizes import DIMS

WIDTHS = {"decoder": 40, "encoder": 784}
INPUTS = {"decoder": "z", "encoder": "x"}
OUTPUTS = {"decoder": ("x",), "encoder": ("mu", "logvar")}
OPERATORS = {
    "decoder": ["Gemm", "Relu", "Gemm", "Sigmoid"],
    "encoder": ["Gemm", "Relu", "Gemm", "Gemm"],
}


class Exported:
    """The tiny bundle's files, and the truth about them on one row."""

    def __init__(self, bundle: Path) -> None:
        self.bundle = bundle
        model = VAE(DIMS).requires_grad_(requires_grad=False).eval()
        weights = load_file(bundle / "weights.safetensors")
        model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        self.modules = {"decoder": model.decoder, "encoder": model.encoder}
        self.truths = {
            name: Truth(module, torch.zeros(2, WIDTHS[name]))
            for name, module in self.modules.items()
        }
        rng = np.random.default_rng(0)
        self.rows = {
            name: rng.random((1, width)).astype(np.float32) + np.float32(0.1)
            for name, width in WIDTHS.items()
        }

    def bytes(self, name: str, form: str) -> bytes:
        return (self.bundle / f"{name}.{form}").read_bytes()

    def check(self, name: str, run: Callable[[Float32], list[Step]]) -> Check:
        truth, row = self.truths[name], self.rows[name]
        expected = dict(zip(OUTPUTS[name], truth.outputs, strict=True))
        return check_steps(name, lambda: run(row), truth.trace(row), expected)

    def check_onnx(self, name: str, edit: Callable[[Any], object]) -> Check:
        model = onnx.load_model_from_string(self.bytes(name, "onnx"))
        edit(model.graph)
        content = model.SerializeToString()
        return self.check(name, lambda row: onnx_steps(content, INPUTS[name], row))

    def active_unit(self, name: str) -> int:
        """The hidden unit that is most active on the row."""
        steps = onnx_steps(self.bytes(name, "onnx"), INPUTS[name], self.rows[name])
        assert steps[1].value is not None
        return int(steps[1].value.argmax())


@pytest.fixture(scope="module")
def exported(tiny_bundle: Path) -> Exported:
    return Exported(tiny_bundle)


def operator_of(step: Step) -> str:
    return step.operator.replace("::", ".").split(".")[1].replace("linear", "gemm").title()


def demand_every_step(exported: Exported, name: str, steps: list[Step]) -> None:
    """The steps are those of the network, in order, with the values that eager has."""
    module: Any = exported.modules[name]
    hidden = module.hidden(torch.from_numpy(exported.rows[name]))
    expected = [hidden, hidden.relu()]
    if name == "decoder":
        logits = module.output(hidden.relu())
        expected += [logits, logits.sigmoid()]
    else:
        expected += [module.fc_mu(hidden.relu()), module.fc_logvar(hidden.relu())]
    assert len(steps) == len(expected)
    for step, value in zip(steps, expected, strict=True):
        assert step.value is not None
        np.testing.assert_allclose(step.value, value.numpy(), rtol=1e-5, atol=1e-5)
    # Each is computed from the one before; the heads of the encoder both from the ReLU.
    results = [step.result for step in steps]
    assert len(set(results)) == len(results)
    for index, before in ((1, 0), (2, 1), (3, 2 if name == "decoder" else 1)):
        assert results[before] in steps[index].inputs


@pytest.mark.parametrize("name", WIDTHS)
def test_every_node_of_an_onnx_file_is_shown(exported: Exported, name: str) -> None:
    steps = onnx_steps(exported.bytes(name, "onnx"), INPUTS[name], exported.rows[name])
    demand_every_step(exported, name, steps)
    assert [step.operator for step in steps] == OPERATORS[name]
    assert tuple(step.result for step in steps)[-len(OUTPUTS[name]) :] == OUTPUTS[name]


@pytest.mark.parametrize("name", WIDTHS)
def test_every_node_of_an_exported_program_is_shown(exported: Exported, name: str) -> None:
    program = load_exported_program(exported.bytes(name, "pt2"))
    steps = program_steps(program, exported.rows[name])
    demand_every_step(exported, name, steps)
    assert [operator_of(step) for step in steps] == OPERATORS[name]


@pytest.mark.parametrize("name", WIDTHS)
def test_every_node_of_a_torchscript_is_shown(exported: Exported, name: str) -> None:
    script = load_torchscript(exported.bytes(name, "torchscript"))
    steps = torchscript_steps(script, exported.rows[name])
    demand_every_step(exported, name, steps)
    assert [operator_of(step) for step in steps] == OPERATORS[name]
    # Looking into it leaves it as it was.
    torch.testing.assert_close(
        torchscript_steps(script, exported.rows[name])[-1].value, steps[-1].value, rtol=0, atol=0
    )


def test_values_that_are_no_numbers_are_not_shown() -> None:
    shape = helper.make_node("Shape", ["x"], ["s"])
    double = helper.make_node("Cast", ["x"], ["d"], to=onnx.TensorProto.DOUBLE)
    twice = helper.make_node("Add", ["x", "x"], ["y"])
    values = [helper.make_tensor_value_info(name, 1, ["n", 2]) for name in "xy"]
    graph = helper.make_graph([shape, double, twice], "g", values[:1], values[1:])
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    steps = onnx_steps(model.SerializeToString(), "x", np.ones((1, 2), np.float32))
    assert [(step.name, step.value is None) for step in steps] == [
        ("s", True),
        ("d", True),
        ("y", False),
    ]


def test_what_agrees_at_every_node_is_only_measured(exported: Exported) -> None:
    for name in WIDTHS:
        script = load_torchscript(exported.bytes(name, "torchscript"))
        program = load_exported_program(exported.bytes(name, "pt2"))
        for found in (
            exported.check_onnx(name, lambda graph: None),
            exported.check(name, lambda row, s=script: torchscript_steps(s, row)),  # type: ignore[misc]
            exported.check(name, lambda row, p=program: program_steps(p, row)),  # type: ignore[misc]
        ):
            assert (found.subject, found.statement) == (name, STATEMENT)
            assert found.status == "measured"
            assert found.detail == "every node agrees on the input of the worst deviation"


def tensor_of(graph: Any, name: str) -> Any:
    return next(tensor for tensor in graph.initializer if tensor.name == name)


def replace_tensor(graph: Any, name: str, value: NDArray[np.float32]) -> None:
    tensor_of(graph, name).CopyFrom(numpy_helper.from_array(value, name))


def change(name: str, *at: int, by: float = 0.01) -> Callable[[Any], None]:
    """Adds a hundredth to one number."""

    def edit(graph: Any) -> None:
        value = numpy_helper.to_array(tensor_of(graph, name)).copy()
        value[at] += np.float32(by)
        replace_tensor(graph, name, value)

    return edit


def insert_product(factor: float) -> Callable[[Any], None]:
    def edit(graph: Any) -> None:
        graph.initializer.append(numpy_helper.from_array(np.array(factor, np.float32), "factor"))
        graph.node[2].input[0] = "scaled"
        graph.node.insert(2, helper.make_node("Mul", ["relu", "factor"], ["scaled"], name="extra"))

    return edit


def replace_operator(index: int, operator: str) -> Callable[[Any], None]:
    def edit(graph: Any) -> None:
        old = graph.node[index]
        new = helper.make_node(operator, old.input, old.output, name=old.name)
        graph.node[index].CopyFrom(new)

    return edit


def test_a_weight_of_the_first_layer_is_blamed_on_it(exported: Exported) -> None:
    unit = exported.active_unit("decoder")
    found = exported.check_onnx("decoder", change("hidden.weight", unit, 7))
    assert found.status == "failed"
    assert found.detail == "it leaves it at node_linear (Gemm)"


def test_a_weight_of_the_second_layer_is_blamed_on_it(exported: Exported) -> None:
    unit = exported.active_unit("decoder")
    found = exported.check_onnx("decoder", change("output.weight", 300, unit))
    assert found.status == "failed"
    assert found.detail == "it leaves it at node_linear_1 (Gemm); relu agrees"


def test_of_two_heads_the_faulty_one_is_blamed(exported: Exported) -> None:
    unit = exported.active_unit("encoder")
    found = exported.check_onnx("encoder", change("fc_logvar.weight", 0, unit))
    assert found.detail == "it leaves it at node_linear_2 (Gemm); relu agrees"


def test_the_first_of_two_faults_is_blamed(exported: Exported) -> None:
    def edit(graph: Any) -> None:
        change("hidden.bias", exported.active_unit("decoder"))(graph)
        change("output.bias", 0)(graph)

    found = exported.check_onnx("decoder", edit)
    assert found.detail == "it leaves it at node_linear (Gemm)"


def test_a_node_that_was_put_in_is_blamed(exported: Exported) -> None:
    found = exported.check_onnx("decoder", insert_product(1.001))
    assert found.status == "failed"
    assert found.detail == "it leaves it at extra (Mul); relu agrees"
    # One that changes nothing is not.
    assert exported.check_onnx("decoder", insert_product(1.0)).status == "measured"


@pytest.mark.parametrize(
    ("index", "operator", "detail"),
    [
        (1, "LeakyRelu", "it leaves it at node_relu (LeakyRelu); linear agrees"),
        (1, "Tanh", "it leaves it at node_relu (Tanh); linear agrees"),
        (3, "HardSigmoid", "it leaves it at node_sigmoid (HardSigmoid); linear_1 agrees"),
        (3, "Log", "it leaves it at node_sigmoid (Log); linear_1 agrees"),  # not a number
    ],
)
def test_another_activation_is_blamed(
    exported: Exported, index: int, operator: str, detail: str
) -> None:
    found = exported.check_onnx("decoder", replace_operator(index, operator))
    assert (found.status, found.detail) == ("failed", detail)


def test_a_step_that_is_left_out_is_noticed(exported: Exported) -> None:
    # Every value that remains is one of the model's, but the output is not its output.
    found = exported.check_onnx("decoder", replace_operator(3, "Identity"))
    assert found.status == "failed"
    assert found.detail == "output x holds what the model computes in linear_1, not in sigmoid"


def test_outputs_that_are_swapped_are_named(exported: Exported) -> None:
    def edit(graph: Any) -> None:
        one, other = graph.node[2], graph.node[3]
        one.output[0], other.output[0] = "logvar", "mu"

    found = exported.check_onnx("encoder", edit)
    assert found.status == "failed"
    assert found.detail == "output mu holds what the model computes in linear_2, not in linear_1"


def split(graph: Any, index: int, weight: str, bias: str) -> None:
    """A Gemm becomes MatMul and Add, as other exporters write it."""
    old = graph.node[index]
    given, result = old.input[0], old.output[0]
    transposed = numpy_helper.to_array(tensor_of(graph, weight)).T.copy()
    replace_tensor(graph, weight, transposed)
    product = helper.make_node("MatMul", [given, weight], ["product"], name="product")
    total = helper.make_node("Add", ["product", bias], [result], name="total")
    graph.node.remove(old)
    graph.node.insert(index, total)
    graph.node.insert(index, product)


@pytest.mark.parametrize(("index", "layer"), [(0, "hidden"), (2, "output")])
def test_an_honest_split_is_not_blamed(exported: Exported, index: int, layer: str) -> None:
    # No step of the model has the value of a product without its bias, but the sum agrees again.
    def edit(graph: Any) -> None:
        split(graph, index, f"{layer}.weight", f"{layer}.bias")

    assert exported.check_onnx("decoder", edit).status == "measured"


def test_a_split_does_not_hide_a_fault_elsewhere_or_in_it(exported: Exported) -> None:
    unit = exported.active_unit("decoder")

    def with_fault(name: str, *at: int) -> Check:
        def edit(graph: Any) -> None:
            split(graph, 0, "hidden.weight", "hidden.bias")
            change(name, *at)(graph)

        return exported.check_onnx("decoder", edit)

    found = with_fault("output.weight", 300, unit)
    assert found.detail == "it leaves it at node_linear_1 (Gemm); relu agrees"
    found = with_fault("hidden.weight", 7, unit)
    assert found.detail == "it leaves it at product (MatMul)"


def test_faults_of_torchscript_and_exported_programs_are_found(exported: Exported) -> None:
    unit = exported.active_unit("encoder")
    script = load_torchscript(exported.bytes("encoder", "torchscript"))
    program = load_exported_program(exported.bytes("encoder", "pt2"))
    with torch.no_grad():
        dict(script.named_parameters())["fc_mu.weight"][0, unit] += 0.01
        program.state_dict["fc_mu.weight"][0, unit] += 0.01
    found = exported.check("encoder", lambda row: torchscript_steps(script, row))
    assert found.status == "failed"
    words = r"it leaves it at \S+ \(aten::linear\); \S+ agrees"  # PyTorch numbers what it likes
    assert re.fullmatch(words, found.detail)
    found = exported.check("encoder", lambda row: program_steps(program, row))
    assert found.status == "failed"
    assert found.detail == "it leaves it at linear_1 (aten.linear.default); relu agrees"


def test_what_does_not_run_cannot_be_looked_into(exported: Exported) -> None:
    found = exported.check_onnx("decoder", replace_operator(1, "NoSuchOperator"))
    assert found.status == "not run"
    assert "NoSuchOperator" in found.detail

    def run(_row: Float32) -> list[Step]:
        raise RuntimeError("out of order\nand more of it")

    found = exported.check("decoder", run)
    assert (found.status, found.detail) == ("not run", "out of order")


def step(result: str, value: list[float] | None, *inputs: str) -> Step:
    array = None if value is None else np.array([value], np.float32)
    return Step(f"node {result}", "Op", array, result, inputs)


def known(*values: float, variance: float = 0.0) -> Enclosure:
    exact = torch.tensor([values], dtype=torch.float64)
    noise = torch.full(exact.shape, variance)
    return Enclosure(exact, torch.zeros(exact.shape), noise)


def found_of(*steps: Step, outputs: dict[str, str] | None = None, **trace: Enclosure) -> Check:
    return check_steps("it", lambda: list(steps), trace, outputs or {})


def test_a_step_agrees_within_the_noise_limit_and_not_beyond() -> None:
    # σ of variance 3 is 2⁻²⁴, the limit 2⁻²⁰.
    model = known(0.5, 0.0, variance=3.0)
    assert found_of(step("a", [0.5 + 0.9 * 2.0**-20, 0.0]), a=model).status == "measured"
    assert found_of(step("a", [0.5 + 1.1 * 2.0**-20, 0.0]), a=model).status == "failed"
    assert found_of(step("a", [0.5, 1.1 * 2.0**-20]), a=model).status == "failed"


def test_steps_that_only_pass_numbers_on_may_be_a_millionth_off() -> None:
    assert found_of(step("a", [8.0 + 7 * 2.0**-20]), a=known(8.0)).status == "measured"
    assert found_of(step("a", [8.0 + 9 * 2.0**-20]), a=known(8.0)).status == "failed"
    assert found_of(step("a", [1e-24]), a=known(0.0)).status == "failed"


def test_the_step_of_the_model_is_found_by_value_whatever_its_name_or_shape() -> None:
    square = Step("node a", "Op", np.array([[[3.0], [4.0]]], np.float32), "a", ())
    assert found_of(square, b=known(1.0), c=known(3.0, 4.0)).status == "measured"
    assert found_of(square, b=known(3.0), c=known(3.0, 4.0, 5.0)).status == "failed"
    assert found_of(square, b=known(4.0, 3.0)).status == "failed"


def test_steps_before_one_that_agrees_are_not_blamed() -> None:
    a, b, c = step("a", [7.0]), step("b", [8.0], "a"), step("c", [1.0], "b")
    assert found_of(a, b, c, c=known(1.0)).status == "measured"
    # A branch of which nothing comes that agrees is; a value without a number never is.
    lost = step("d", [9.0], "a", "e")
    found = found_of(step("e", None), a, b, c, lost, c=known(1.0))
    assert (found.status, found.detail) == ("failed", "it leaves it at node d (Op)")


def test_inputs_that_agree_are_named() -> None:
    steps = (step("a", [1.0]), step("b", [2.0]), step("c", [5.0], "a", "b", "weight"))
    found = found_of(*steps, a=known(1.0), b=known(2.0), c=known(3.0))
    assert found.detail == "it leaves it at node c (Op); a agrees; b agrees"


def test_outputs_with_equal_values_are_not_taken_for_swapped() -> None:
    steps = (step("x", [1.0]), step("y", [1.0]))
    names = {"x": "first", "y": "second", "absent": "first"}
    same = {"first": known(1.0), "second": known(1.0)}
    assert found_of(*steps, outputs=names, **same).status == "measured"
