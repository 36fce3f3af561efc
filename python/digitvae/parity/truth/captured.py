"""Float64 truth of any PyTorch module, with what rounding explains at every step of it.

The module is captured by :func:`torch.export.export`, and each of its operations evaluated in
float64 by a rule of ``rules.py``. The truth is therefore PyTorch's own definition of the model;
no exported file has a part in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from digitvae.parity.truth.enclosure import Enclosure, Weights
from digitvae.parity.truth.rules import COPIES, MOVES, RULES, WEIGHTED, NoRuleError


class Truth:
    """Float64 evaluation of a module of one input, with bounds.

    Attributes:
        outputs: Name of the operation that gives each output.
        bounded: True: every value comes with a proven bound.
    """

    bounded = True

    def __init__(self, module: torch.nn.Module, example: Tensor) -> None:
        """Capture the module for rows of one shape; for others it is captured when they come.

        While PyTorch captures, no other thread may compute.

        Args:
            module: In evaluation mode, on the CPU, with float32 parameters.
            example: An input of two or more rows; their number stays free if the module allows it.

        Raises:
            NoRuleError: Names the operations that no rule describes.
            Exception: What :func:`torch.export.export` raises for what it cannot capture.
        """
        self._module = module
        self._shape = tuple(example.shape[1:])
        self._others: dict[tuple[int, ...], Truth] = {}
        program = capture(module, example)
        signature = program.graph_signature
        held = {**program.state_dict, **program.constants}
        sources = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        self._nodes = list(program.graph.nodes)
        self._inputs = set(signature.user_inputs)
        self._held = {
            name: held[target].detach() for name, target in sources.items() if target in held
        }
        self._parameters: dict[str, Weights] = {}
        missing = sorted(
            {
                str(node.target)
                for node in self._nodes
                if node.op == "call_function"
                and node.target not in (RULES.keys() | WEIGHTED.keys())
            }
        )
        if missing:
            raise NoRuleError(f"no rule describes the rounding of {', '.join(missing)}")
        # The graph also returns inputs that the module changed in place: those are no outputs.
        self.outputs = tuple(signature.user_outputs)
        self._move_parameters()

    def _move_parameters(self) -> None:
        """Make constants of parameters that are only moved: a transposed weight is one, too."""
        for node in self._nodes:
            sources = node.all_input_nodes
            moves = node.target in MOVES or node.target in COPIES
            if moves and sources and all(source.name in self._held for source in sources):
                arguments = torch.fx.map_arg(node.args, lambda source: self._held[source.name])
                self._held[node.name] = node.target(*arguments, **node.kwargs)

    def __call__(self, rows: NDArray[np.float32]) -> tuple[Enclosure, ...]:
        """Evaluate the outputs, each of shape [n, …]."""
        return self._for(rows).of(Enclosure.exact(torch.from_numpy(rows)))

    def _for(self, rows: NDArray[np.float32]) -> Truth:
        """The graph for rows of that shape: one that was captured may hold its own sizes."""
        shape = rows.shape[1:]
        if shape == self._shape:
            return self
        if shape not in self._others:
            self._others[shape] = Truth(self._module, torch.zeros(2, *shape))
        return self._others[shape]

    def trace(self, rows: NDArray[np.float32]) -> dict[str, Enclosure]:
        """Evaluate every operation, by name, in the order of evaluation."""
        steps: dict[str, Enclosure] = {}
        self._for(rows).of(Enclosure.exact(torch.from_numpy(rows)), steps)
        return steps

    def of(self, x: Enclosure, steps: dict[str, Enclosure] | None = None) -> tuple[Enclosure, ...]:
        """Evaluate the outputs for an input that itself may be known only up to rounding.

        Args:
            x: The input.
            steps: Gets the result of every operation, by name.
        """
        values: dict[str, Any] = {}

        def given(argument: Any) -> Any:
            """What a node's argument stands for."""
            if isinstance(argument, torch.fx.Node):
                if argument.name in self._held:
                    return Enclosure.exact(self._held[argument.name])
                return values[argument.name]
            if isinstance(argument, (list, tuple)):
                return [given(item) for item in argument]
            return argument

        def parameter(argument: Any) -> Any:
            """What a node's argument stands for that has to be a parameter; prepared once."""
            if not isinstance(argument, torch.fx.Node):
                return argument
            if argument.name not in self._held:
                raise NoRuleError(f"{argument.name} computes a weight, for which there is no rule")
            if argument.name not in self._parameters:
                self._parameters[argument.name] = Weights(self._held[argument.name])
            return self._parameters[argument.name]

        with torch.inference_mode():
            for node in self._nodes:
                if node.op == "placeholder" and node.name in self._inputs:
                    values[node.name] = x
                elif node.op == "call_function" and node.name not in self._held:
                    first, *others = node.args
                    what, rule = given, RULES.get(node.target)
                    if rule is None:
                        what, rule = parameter, WEIGHTED[node.target]
                    arguments = [given(first), *map(what, others)]
                    options = {key: what(value) for key, value in node.kwargs.items()}
                    result = rule(*arguments, **options)
                    values[node.name] = result
                    if steps is not None and isinstance(result, Enclosure):
                        steps[node.name] = result
                elif node.op == "output":
                    return tuple(values[name] for name in self.outputs)
        raise AssertionError("a captured graph ends with its outputs")


@dataclass(frozen=True)
class Composed:
    """One truth after another: the second is given the first output of the first."""

    first: Truth
    second: Truth
    bounded: ClassVar[bool] = True

    def __call__(self, rows: NDArray[np.float32]) -> tuple[Enclosure, ...]:
        """Evaluate the outputs, each of shape [n, …]."""
        return self.second.of(self.first(rows)[0])


def capture(module: torch.nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """A module's graph without operations in place, its number of rows free if that can be."""
    batch = ({0: torch.export.Dim.AUTO},)
    program = torch.export.export(module, (example,), dynamic_shapes=batch)
    in_place = any(
        node.op == "call_function"
        and isinstance(node.target, torch._ops.OpOverload)
        and node.target._schema.is_mutable
        for node in program.graph.nodes
    )
    # Most models have none, and to look for them this way takes half a second.
    return program.run_decompositions({}) if in_place else program
