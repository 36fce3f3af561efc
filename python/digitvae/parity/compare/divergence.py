"""Finds the node where a faulty export leaves the truth: no step of the model explains its value.

The exported graph is run with all its intermediate values shown, on the input of the worst
deviation. A node agrees if some operation of the PyTorch module has its value there, within the
noise limit; which one is found by value, not by name, so that exporters may rename, fuse and
split operations. The first node that disagrees, and after which nothing agrees any more, is it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from digitvae.parity.compare.statistics import deviation, share
from digitvae.parity.networks import Float32
from digitvae.parity.report.report import Check, first_line
from digitvae.parity.runtimes import onnx as onnx_runtimes
from digitvae.parity.truth.enclosure import Enclosure

STATEMENT = "agrees with the model at every node"


@dataclass(frozen=True)
class Step:
    """One node of an exported graph, and what it computed.

    Attributes:
        name: The node's name.
        operator: What it does.
        value: Its first output, or ``None`` if that is no float32 tensor.
        result: Name of that output.
        inputs: Names of its inputs.
    """

    name: str
    operator: str
    value: NDArray[Any] | None
    result: str
    inputs: tuple[str, ...]


def onnx_steps(model: bytes, input_name: str, rows: Float32) -> list[Step]:
    """Run an ONNX graph, not optimized, and show the value of every node."""
    graph = onnx_runtimes.load_model(model, "any")
    named = [node for node in graph.graph.node if node.output and node.output[0]]
    declared = {output.name for output in graph.graph.output}
    # Only names: ONNX Runtime infers types itself.
    graph.graph.output.extend(
        onnx.ValueInfoProto(name=node.output[0]) for node in named if node.output[0] not in declared
    )
    session = onnx_runtimes.load_session(graph.SerializeToString(), "any", level=onnx_runtimes.OFF)
    names = [node.output[0] for node in named]
    values = session.run(names, {input_name: rows})
    return [
        Step(node.name or result, node.op_type, _float(value), result, tuple(node.input))
        for node, result, value in zip(named, names, values, strict=True)
    ]


class _Recorder(torch.fx.Interpreter):
    """Runs a graph and keeps the value of every node."""

    def __init__(self, module: torch.fx.GraphModule) -> None:
        super().__init__(module)
        self.steps: list[Step] = []

    def run_node(self, n: torch.fx.Node) -> Any:
        """Run one node, and write down what it computed."""
        result = super().run_node(n)
        if n.op in ("call_function", "call_module", "call_method"):
            inputs = tuple(node.name for node in n.all_input_nodes)
            value = _float(result.numpy()) if isinstance(result, torch.Tensor) else None
            self.steps.append(Step(n.name, str(n.target), value, n.name, inputs))
        return result


def program_steps(program: torch.export.ExportedProgram, rows: Float32) -> list[Step]:
    """Run an ExportedProgram and show the value of every node."""
    recorder = _Recorder(program.module())
    with torch.inference_mode():
        recorder.run(torch.from_numpy(rows))
    return [step for step in recorder.steps if step.value is not None]


def torchscript_steps(module: torch.jit.ScriptModule, rows: Float32) -> list[Step]:
    """Run a TorchScript and show the value of every node that gives a tensor."""
    with warnings.catch_warnings():  # deprecated upstream, as all of TorchScript
        warnings.filterwarnings("ignore", "`torch.jit.freeze` is deprecated")
        frozen = torch.jit.freeze(module, optimize_numerics=False)
    graph = frozen.graph.copy()
    nodes = [
        node
        for node in graph.nodes()
        if node.kind().startswith("aten::")
        and node.outputsSize() == 1
        and node.output().type().kind() == "TensorType"
    ]
    while list(graph.outputs()):
        graph.eraseOutput(0)
    for node in nodes:
        graph.registerOutput(node.output())
    if len(nodes) > 1:
        graph.makeMultiOutputIntoTuple()
    graph.eraseInput(0)
    function = torch._C._create_function_from_graph("steps", graph)
    with torch.inference_mode():
        found = function(torch.from_numpy(rows))
    values = found if isinstance(found, tuple) else (found,)
    steps = []
    for node, value in zip(nodes, values, strict=True):
        name, inputs = node.output().debugName(), (given.debugName() for given in node.inputs())
        steps.append(Step(name, node.kind(), _float(value.numpy()), name, tuple(inputs)))
    return steps


def _float(value: NDArray[Any]) -> NDArray[Any] | None:
    return value if value.dtype == np.float32 else None


def check_steps(
    subject: str,
    run: Callable[[], Sequence[Step]],
    trace: Mapping[str, Enclosure],
    outputs: Mapping[str, str],
) -> Check:
    """Find the first node that leaves the truth.

    Args:
        subject: Name of the file or model.
        run: Runs the exported graph.
        trace: Every step of the model, by name (:meth:`Truth.trace`).
        outputs: Name of the step that each output of the network must be.
    """
    try:
        steps = run()
    except Exception as error:  # what does not run, or hides its values, cannot be looked into
        return Check(subject, STATEMENT, "not run", first_line(error))
    agreeing: dict[str, str] = {}
    for step in steps:
        if step.value is None:
            continue
        used = {name: _used(step.value, enclosure) for name, enclosure in trace.items()}
        best = min(used, key=lambda name: used[name])
        if used[best] <= 1.0:
            agreeing[step.result] = best
    recovered = _ancestors(steps, agreeing)
    for step in steps:
        known = step.value is None or step.result in agreeing or step.result in recovered
        if not known:
            before = [f"{name} agrees" for name in step.inputs if name in agreeing]
            detail = f"it leaves it at {step.name} ({step.operator})"
            return Check(subject, STATEMENT, "failed", "; ".join([detail, *before]))
    for output, expected in outputs.items():
        found = agreeing.get(output, expected)
        if found != expected and _used(trace[found].value.numpy(), trace[expected]) > 1.0:
            detail = f"output {output} holds what the model computes in {found}, not in {expected}"
            return Check(subject, STATEMENT, "failed", detail)
    detail = "every node agrees on the input of the worst deviation"
    return Check(subject, STATEMENT, "measured", detail)


def _used(value: NDArray[Any], enclosure: Enclosure) -> float:
    """Largest share of the noise limit, infinite if the sizes are not the same."""
    if value.size != enclosure.value.numel():
        return float("inf")
    expected = enclosure.value.reshape(1, -1).numpy()
    limit = enclosure.noise_limit().reshape(1, -1).numpy()
    # A step that only passes numbers on has no noise of its own.
    limit = np.maximum(limit, np.abs(expected).astype(np.float32) * np.float32(2.0**-20))
    return float(share(deviation(value.reshape(1, -1), expected), limit).max())


def _ancestors(steps: Sequence[Step], agreeing: Mapping[str, str]) -> set[str]:
    """Names of the values that something which agrees was computed from."""
    recovered: set[str] = set()
    for step in reversed(steps):
        if step.result in agreeing or step.result in recovered:
            recovered.update(step.inputs)
    return recovered
