"""Float64 truth of any PyTorch module, with what rounding explains at every step of it.

The module is captured by :func:`torch.export.export`, and each of its operations evaluated in
float64 by a rule of ``enclosure.py``. The truth is therefore PyTorch's own definition of the model;
no exported file has a part in it.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from digitvae.parity import enclosure
from digitvae.parity.enclosure import Enclosure, Weights

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

aten = torch.ops.aten


class NoRuleError(Exception):
    """An operation that no rule describes."""


class Truth:
    """Float64 evaluation of a module of one input, with bounds.

    Attributes:
        outputs: Name of the operation that gives each output.
        bounded: True: every value comes with a proven bound.
    """

    bounded = True

    def __init__(self, module: torch.nn.Module, example: Tensor) -> None:
        """Capture the module.

        Args:
            module: In evaluation mode, on the CPU, with float32 parameters.
            example: An input of two or more rows; their number stays free if the module allows it.

        Raises:
            NoRuleError: Names the operations that no rule describes.
            Exception: What :func:`torch.export.export` raises for what it cannot capture.
        """
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
        self._weights: dict[str, Weights] = {}
        missing = sorted(
            {
                str(node.target)
                for node in self._nodes
                if node.op == "call_function" and node.target not in _RULES
            }
        )
        if missing:
            raise NoRuleError(f"no rule describes the rounding of {', '.join(missing)}")
        # The graph also returns inputs that the module changed in place: those are no outputs.
        self.outputs = tuple(signature.user_outputs)

    def __call__(self, rows: NDArray[np.float32]) -> tuple[Enclosure, ...]:
        """Evaluate the outputs, each of shape [n, …]."""
        return self.of(Enclosure.exact(torch.from_numpy(rows)))

    def trace(self, rows: NDArray[np.float32]) -> dict[str, Enclosure]:
        """Evaluate every operation, by name, in the order of evaluation."""
        steps: dict[str, Enclosure] = {}
        self.of(Enclosure.exact(torch.from_numpy(rows)), steps)
        return steps

    def weights(self, name: str) -> Weights:
        """A parameter as the rules for linear operations need it; made once."""
        if name not in self._weights:
            self._weights[name] = Weights(self._held[name])
        return self._weights[name]

    def tensor(self, node: Any) -> Tensor:
        """A parameter or a constant."""
        held: Tensor = self._held[node.name]
        return held

    def of(self, x: Enclosure, steps: dict[str, Enclosure] | None = None) -> tuple[Enclosure, ...]:
        """Evaluate the outputs for an input that itself may be known only up to rounding.

        Args:
            x: The input.
            steps: Gets the result of every operation, by name.
        """
        values: dict[str, Any] = {}

        def given(argument: Any) -> Any:
            """What a node's argument stands for; parameters stay nodes, which rules look up."""
            if isinstance(argument, torch.fx.Node):
                return values.get(argument.name, argument)
            if isinstance(argument, (list, tuple)):
                return [given(item) for item in argument]
            return argument

        with torch.inference_mode():
            for node in self._nodes:
                if node.op == "placeholder" and node.name in self._inputs:
                    values[node.name] = x
                elif node.op == "call_function":
                    arguments = [given(argument) for argument in node.args]
                    options = {key: given(value) for key, value in node.kwargs.items()}
                    result = _RULES[node.target](self, *arguments, **options)
                    values[node.name] = result
                    if steps is not None and isinstance(result, Enclosure):
                        steps[node.name] = result
                elif node.op == "output":
                    return tuple(values[name] for name in self.outputs)
        raise AssertionError("a captured graph ends with its outputs")


class Composed:
    """One truth after another: the second is given the first output of the first."""

    bounded = True

    def __init__(self, first: Truth, second: Truth) -> None:
        self._first = first
        self._second = second

    def __call__(self, rows: NDArray[np.float32]) -> tuple[Enclosure, ...]:
        """Evaluate the outputs, each of shape [n, …]."""
        return self._second.of(self._first(rows)[0])


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


def _linear(truth: Truth, x: Enclosure, weight: Any, bias: Any = None) -> Enclosure:
    return enclosure.linear(
        x, truth.weights(weight.name), None if bias is None else truth.tensor(bias)
    )


def _convolution(
    truth: Truth,
    x: Enclosure,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Enclosure:
    def apply(inputs: Tensor, weights: Tensor) -> Tensor:
        return functional.conv2d(inputs, weights, None, stride, padding, dilation, groups)

    return enclosure.convolution(
        x, truth.weights(weight.name), None if bias is None else truth.tensor(bias), apply
    )


def _normalize(
    truth: Truth,
    x: Enclosure,
    scale: Any,
    shift: Any,
    mean: Any,
    variance: Any,
    _momentum: float,
    epsilon: float,
) -> tuple[Enclosure, ...]:
    mean, variance = truth.tensor(mean), truth.tensor(variance)
    normal = enclosure.normalize(
        x,
        mean=mean,
        variance=variance,
        scale=torch.ones_like(mean) if scale is None else truth.tensor(scale),
        shift=torch.zeros_like(mean) if shift is None else truth.tensor(shift),
        epsilon=epsilon,
    )
    return (normal,)


def _normalize_in_training_graph(
    truth: Truth,
    x: Enclosure,
    scale: Any,
    shift: Any,
    mean: Any,
    variance: Any,
    training: bool,
    momentum: float,
    epsilon: float,
    _cudnn: bool,
) -> Enclosure:
    if training:
        raise NoRuleError("batch normalization is in training mode: call eval() on the module")
    return _normalize(truth, x, scale, shift, mean, variance, momentum, epsilon)[0]


def _operand(truth: Truth, value: Any) -> Enclosure:
    """The other side of an addition: a value, a parameter, a number."""
    if isinstance(value, Enclosure):
        return value
    if isinstance(value, torch.fx.Node):
        return Enclosure.exact(truth.tensor(value))
    return Enclosure.exact(torch.tensor(_number(value), dtype=torch.float32))


def _number(value: float) -> float:
    """A number is rounded to float32 where it meets a tensor, in PyTorch and in exported files."""
    return torch.tensor(float(value), dtype=torch.float32).item()


def _add(truth: Truth, a: Any, b: Any, alpha: float = 1.0) -> Enclosure:
    if abs(alpha) != 1:
        b = enclosure.multiply(_operand(truth, b), _operand(truth, abs(alpha)))
    sign = 1.0 if alpha > 0 else -1.0
    return enclosure.add(_operand(truth, a), _operand(truth, b), sign)


def _subtract(truth: Truth, a: Any, b: Any, alpha: float = 1.0) -> Enclosure:
    return _add(truth, a, b, -alpha)


def _subtract_from(truth: Truth, a: Any, b: Any, alpha: float = 1.0) -> Enclosure:
    return _add(truth, b, a, -alpha)


def _multiply(truth: Truth, a: Any, b: Any) -> Enclosure:
    return enclosure.multiply(_operand(truth, a), _operand(truth, b))


def _silu(_truth: Truth, x: Enclosure) -> Enclosure:
    return enclosure.multiply(x, enclosure.sigmoid(x))


def _hard_sigmoid(_truth: Truth, x: Enclosure) -> Enclosure:
    sixth = Enclosure.exact(torch.tensor(1 / 6, dtype=torch.float32))
    three = Enclosure.exact(torch.tensor(3.0))
    y = enclosure.clamp(enclosure.multiply(enclosure.add(x, three), sixth), 0.0, 1.0)
    # Runtimes multiply by ⅙ or divide by 6, before or after they add: a rounding or two more.
    more = 4.0 * enclosure.UNIT_ROUNDOFF
    # ⅙·x + ½ rounds ⅙ and a product that is still near −½ where the result is near 0.
    inside = x.value.abs() <= 3.0 + 1e-6 + x.error
    own = torch.where(inside, 2.0 * (x.value / 6.0).square(), 0.0).float()
    return Enclosure(functional.hardsigmoid(x.value), y.error + more, y.variance + own)


def _hard_swish(truth: Truth, x: Enclosure) -> Enclosure:
    return enclosure.multiply(x, _hard_sigmoid(truth, x))


def _leaky_relu(_truth: Truth, x: Enclosure, slope: float = 0.01) -> Enclosure:
    return enclosure.leaky_relu(x, _number(slope))


def _hard_tanh(_truth: Truth, x: Enclosure, low: float = -1.0, high: float = 1.0) -> Enclosure:
    return enclosure.clamp(x, _number(low), _number(high))


def _clamp(
    _truth: Truth, x: Enclosure, low: float | None = None, high: float | None = None
) -> Enclosure:
    low, high = (None if limit is None else _number(limit) for limit in (low, high))
    return enclosure.clamp(x, low, high)


def _max_pool(_truth: Truth, x: Enclosure, *options: Any) -> Enclosure:
    return enclosure.largest_of_windows(x, lambda v: functional.max_pool2d(v, *options))


def _average_pool(_truth: Truth, x: Enclosure, size: Any) -> Enclosure:
    height, width = x.value.shape[-2:]
    rows, columns = (size, size) if isinstance(size, int) else size
    # Windows overlap by one where the sizes do not divide.
    terms = (-(-height // rows) + 1) * (-(-width // columns) + 1)
    if height % rows == 0 and width % columns == 0:
        terms = (height // rows) * (width // columns)
    return enclosure.mean_of_windows(
        x, lambda v: functional.adaptive_avg_pool2d(v, (rows, columns)), terms
    )


def _windows(_truth: Truth, x: Enclosure, size: Any, *options: Any) -> Enclosure:
    rows, columns = (size * 2)[:2] if isinstance(size, list) else (size, size)
    return enclosure.mean_of_windows(
        x, lambda v: functional.avg_pool2d(v, size, *options), rows * columns
    )


def _mean(_truth: Truth, x: Enclosure, dim: Any, keepdim: bool = False) -> Enclosure:
    axes = [dim] if isinstance(dim, int) else list(dim)
    terms = 1
    for axis in axes:
        terms *= x.value.shape[axis]
    return enclosure.mean_of_windows(x, lambda v: v.mean(axes, keepdim), terms)


def _concatenate(_truth: Truth, parts: list[Enclosure], dim: int = 0) -> Enclosure:
    pieces = [(part.value, part.error, part.variance) for part in parts]
    return Enclosure(*(torch.cat(piece, dim) for piece in zip(*pieces, strict=True)))


def _unchanged(_truth: Truth, x: Enclosure, *_: Any, **__: Any) -> Enclosure:
    return x


def _moved(function: Callable[..., Tensor]) -> Callable[..., Enclosure]:
    """A rule for an operation that only moves values around."""

    def rule(_truth: Truth, x: Enclosure, *arguments: Any) -> Enclosure:
        return x.through(lambda tensor: function(tensor, *arguments))

    return rule


def _rows(_truth: Truth, x: Enclosure, dim: int) -> int:
    return x.value.shape[dim]


def _arithmetic(function: Callable[..., Any]) -> Callable[..., Any]:
    """A rule for arithmetic on sizes."""
    return lambda _truth, *arguments: function(*arguments)


_RULES: dict[Any, Callable[..., Any]] = {
    aten.linear.default: _linear,
    aten.conv2d.default: _convolution,
    aten.conv2d.padding: _convolution,
    aten._native_batch_norm_legit_no_training.default: _normalize,
    aten.batch_norm.default: _normalize_in_training_graph,
    aten.add.Tensor: _add,
    aten.sub.Tensor: _subtract,
    aten.rsub.Scalar: _subtract_from,
    aten.mul.Tensor: _multiply,
    aten.relu.default: lambda _truth, x: enclosure.relu(x),
    aten.leaky_relu.default: _leaky_relu,
    aten.hardtanh.default: _hard_tanh,
    aten.clamp.default: _clamp,
    aten.sigmoid.default: lambda _truth, x: enclosure.sigmoid(x),
    aten.tanh.default: lambda _truth, x: enclosure.tanh(x),
    aten.silu.default: _silu,
    aten.hardsigmoid.default: _hard_sigmoid,
    aten.hardswish.default: _hard_swish,
    aten.max_pool2d.default: _max_pool,
    aten.adaptive_avg_pool2d.default: _average_pool,
    aten.avg_pool2d.default: _windows,
    aten.mean.dim: _mean,
    aten.cat.default: _concatenate,
    aten.dropout.default: _unchanged,
    aten.clone.default: _unchanged,
    aten.contiguous.default: _unchanged,
    aten.detach.default: _unchanged,
    aten.alias.default: _unchanged,
    aten.view.default: _moved(torch.reshape),
    aten.reshape.default: _moved(torch.reshape),
    aten.flatten.using_ints: _moved(torch.flatten),
    aten.unsqueeze.default: _moved(torch.unsqueeze),
    aten.squeeze.dim: _moved(torch.squeeze),
    aten.permute.default: _moved(torch.permute),
    aten.transpose.int: _moved(torch.transpose),
    aten.t.default: _moved(torch.t),
    aten.slice.Tensor: _moved(torch.ops.aten.slice.Tensor),
    aten.select.int: _moved(torch.select),
    aten.sym_size.int: _rows,
    operator.getitem: _arithmetic(operator.getitem),
    operator.mul: _arithmetic(operator.mul),
    operator.floordiv: _arithmetic(operator.floordiv),
}
"""By what PyTorch calls; sizes are numbers, everything else an :class:`Enclosure`."""
