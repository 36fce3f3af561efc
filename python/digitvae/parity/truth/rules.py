"""A rule for each of PyTorch's operations: what ``enclosure.py`` makes of its arguments.

Rules are called with the arguments of the operation: values as
:class:`Enclosure`, sizes as numbers. To add one, write a function, and
name it in :data:`RULES` below.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from digitvae.parity.truth import enclosure
from digitvae.parity.truth.enclosure import Enclosure


class Truth(Protocol):
    """What a rule asks of the :class:`Truth` that it is called with."""

    def weights(self, name: str) -> enclosure.Weights:
        """A parameter as the rules for linear operations need it."""

    def tensor(self, node: Any) -> Tensor:
        """A parameter or a constant."""


aten = torch.ops.aten


class NoRuleError(Exception):
    """An operation that no rule describes."""


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


def _operand(value: Any) -> Enclosure:
    """A side of an addition: a value, or a number."""
    if isinstance(value, Enclosure):
        return value
    return Enclosure.exact(torch.tensor(_number(value), dtype=torch.float32))


def _number(value: float) -> float:
    """A number is rounded to float32 where it meets a tensor, in PyTorch and in exported files."""
    return torch.tensor(float(value), dtype=torch.float32).item()


def _add(a: Any, b: Any, alpha: float = 1.0) -> Enclosure:
    if abs(alpha) != 1:
        b = enclosure.multiply(_operand(b), _operand(abs(alpha)))
    sign = 1.0 if alpha > 0 else -1.0
    return enclosure.add(_operand(a), _operand(b), sign)


def _subtract(a: Any, b: Any, alpha: float = 1.0) -> Enclosure:
    return _add(a, b, -alpha)


def _subtract_from(a: Any, b: Any, alpha: float = 1.0) -> Enclosure:
    return _add(b, a, -alpha)


def _multiply(a: Any, b: Any) -> Enclosure:
    return enclosure.multiply(_operand(a), _operand(b))


def _silu(x: Enclosure) -> Enclosure:
    return enclosure.multiply(x, enclosure.sigmoid(x))


def _hard_sigmoid(x: Enclosure) -> Enclosure:
    sixth = Enclosure.exact(torch.tensor(1 / 6, dtype=torch.float32))
    three = Enclosure.exact(torch.tensor(3.0))
    y = enclosure.clamp(enclosure.multiply(enclosure.add(x, three), sixth), 0.0, 1.0)
    # Runtimes multiply by ⅙ or divide by 6, before or after they add: a rounding or two more.
    more = 4.0 * enclosure.UNIT_ROUNDOFF
    # ⅙·x + ½ rounds ⅙ and a product that is still near −½ where the result is near 0.
    inside = x.value.abs() <= 3.0 + 1e-6 + x.error
    own = torch.where(inside, 2.0 * (x.value / 6.0).square(), 0.0).float()
    return Enclosure(functional.hardsigmoid(x.value), y.error + more, y.variance + own)


def _hard_swish(x: Enclosure) -> Enclosure:
    return enclosure.multiply(x, _hard_sigmoid(x))


def _leaky_relu(x: Enclosure, slope: float = 0.01) -> Enclosure:
    return enclosure.leaky_relu(x, _number(slope))


def _hard_tanh(x: Enclosure, low: float = -1.0, high: float = 1.0) -> Enclosure:
    return enclosure.clamp(x, _number(low), _number(high))


def _clamp(x: Enclosure, low: float | None = None, high: float | None = None) -> Enclosure:
    low, high = (None if limit is None else _number(limit) for limit in (low, high))
    return enclosure.clamp(x, low, high)


def _max_pool(x: Enclosure, *options: Any) -> Enclosure:
    # The largest moves by no more than the one that moves most.
    return x.through(lambda v: functional.max_pool2d(v, *options))


def _average_pool(x: Enclosure, size: Any) -> Enclosure:
    height, width = x.value.shape[-2:]
    rows, columns = (size, size) if isinstance(size, int) else size
    # Windows overlap by one where the sizes do not divide.
    terms = (-(-height // rows) + 1) * (-(-width // columns) + 1)
    if height % rows == 0 and width % columns == 0:
        terms = (height // rows) * (width // columns)
    return enclosure.mean_of_windows(
        x, lambda v: functional.adaptive_avg_pool2d(v, (rows, columns)), terms
    )


def _windows(x: Enclosure, size: Any, *options: Any) -> Enclosure:
    rows, columns = (size * 2)[:2] if isinstance(size, list) else (size, size)
    return enclosure.mean_of_windows(
        x, lambda v: functional.avg_pool2d(v, size, *options), rows * columns
    )


def _mean(x: Enclosure, dim: Any, keepdim: bool = False, *, dtype: Any = None) -> Enclosure:
    if dtype not in (None, torch.float32):
        raise NoRuleError(f"no rule describes the rounding of a mean in {dtype}")
    axes = [dim] if isinstance(dim, int) else list(dim)
    terms = 1
    for axis in axes:
        terms *= x.value.shape[axis]
    return enclosure.mean_of_windows(x, lambda v: v.mean(axes, keepdim), terms)


def _concatenate(parts: list[Enclosure], dim: int = 0) -> Enclosure:
    pieces = [(part.value, part.error, part.variance) for part in parts]
    return Enclosure(*(torch.cat(piece, dim) for piece in zip(*pieces, strict=True)))


def _to_type(x: Enclosure, dtype: Any, *_: Any) -> Enclosure:
    if dtype != torch.float32:
        raise NoRuleError(f"no rule describes the rounding of what turns into {dtype}")
    return x


def _dropout(x: Enclosure, share: float, train: bool) -> Enclosure:
    if train and share > 0.0:
        raise NoRuleError("dropout is in training mode: no export computes the same")
    return x


def _unchanged(x: Enclosure, *_: Any, **__: Any) -> Enclosure:
    return x


def _moved(function: Callable[..., Tensor]) -> Callable[..., Enclosure]:
    """A rule for an operation that only moves values around."""

    def rule(x: Enclosure, *arguments: Any) -> Enclosure:
        return x.through(lambda tensor: function(tensor, *arguments))

    return rule


def _rows(x: Enclosure, dim: int) -> int:
    return x.value.shape[dim]


WEIGHTED: dict[Any, Callable[..., Any]] = {
    aten.linear.default: _linear,
    aten.conv2d.default: _convolution,
    aten.conv2d.padding: _convolution,
    aten._native_batch_norm_legit_no_training.default: _normalize,
    aten.batch_norm.default: _normalize_in_training_graph,
}
"""Rules for operations on a value and on parameters, which are prepared once: they are called with
the :class:`Truth` that has them, and with the parameters' nodes."""

COPIES = {
    aten.clone.default,
    aten.contiguous.default,
    aten.detach.default,
    aten.alias.default,
}

MOVES: dict[Any, Callable[..., Tensor]] = {
    aten.view.default: torch.reshape,
    aten.reshape.default: torch.reshape,
    aten.flatten.using_ints: torch.flatten,
    aten.unsqueeze.default: torch.unsqueeze,
    aten.squeeze.dim: torch.squeeze,
    aten.permute.default: torch.permute,
    aten.transpose.int: torch.transpose,
    aten.t.default: torch.t,
    aten.slice.Tensor: torch.ops.aten.slice.Tensor,
    aten.select.int: torch.select,
}

RULES: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys(COPIES, _unchanged),
    **{operation: _moved(function) for operation, function in MOVES.items()},
    aten.add.Tensor: _add,
    aten.sub.Tensor: _subtract,
    aten.rsub.Scalar: _subtract_from,
    aten.mul.Tensor: _multiply,
    aten.relu.default: enclosure.relu,
    aten.leaky_relu.default: _leaky_relu,
    aten.hardtanh.default: _hard_tanh,
    aten.clamp.default: _clamp,
    aten.sigmoid.default: enclosure.sigmoid,
    aten.tanh.default: enclosure.tanh,
    aten.silu.default: _silu,
    aten.hardsigmoid.default: _hard_sigmoid,
    aten.hardswish.default: _hard_swish,
    aten.max_pool2d.default: _max_pool,
    aten.adaptive_avg_pool2d.default: _average_pool,
    aten.avg_pool2d.default: _windows,
    aten.mean.dim: _mean,
    aten.cat.default: _concatenate,
    aten.dropout.default: _dropout,
    aten.to.dtype: _to_type,
    aten._assert_tensor_metadata.default: lambda *_, **__: None,
    aten.sym_size.int: _rows,
    operator.getitem: operator.getitem,
    operator.mul: operator.mul,
    operator.floordiv: operator.floordiv,
}
"""By what PyTorch calls."""
