"""A rule for each of PyTorch's operations: what ``enclosure.py`` makes of its arguments.

Rules are called with the arguments of the operation: values as
:class:`Enclosure`, sizes as numbers. To add one, write a function, and
name it in :data:`RULES` below.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from digitvae.parity.truth import enclosure
from digitvae.parity.truth.enclosure import Enclosure, Weights

aten = torch.ops.aten


class NoRuleError(Exception):
    """An operation that no rule describes."""


def _linear(x: Enclosure, weight: Weights, bias: Weights | None = None) -> Enclosure:
    return enclosure.linear(x, weight, bias.tensor if bias else None)


def _convolution(
    x: Enclosure,
    weight: Weights,
    bias: Weights | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Enclosure:
    def apply(inputs: Tensor, weights: Tensor) -> Tensor:
        return functional.conv2d(inputs, weights, None, stride, padding, dilation, groups)

    return enclosure.convolution(x, weight, bias.tensor if bias else None, apply)


def _normalize(
    x: Enclosure,
    scale: Weights | None,
    shift: Weights | None,
    mean: Weights,
    variance: Weights,
    _momentum: float,
    epsilon: float,
) -> tuple[Enclosure, ...]:
    normal = enclosure.normalize(
        x,
        mean=mean.tensor,
        variance=variance.tensor,
        scale=torch.ones_like(mean.tensor) if scale is None else scale.tensor,
        shift=torch.zeros_like(mean.tensor) if shift is None else shift.tensor,
        epsilon=epsilon,
    )
    return (normal,)


def _normalize_in_training_graph(
    x: Enclosure,
    scale: Weights | None,
    shift: Weights | None,
    mean: Weights,
    variance: Weights,
    training: bool,
    momentum: float,
    epsilon: float,
    _cudnn: bool,
) -> Enclosure:
    if training:
        raise NoRuleError("batch normalization is in training mode: call eval() on the module")
    return _normalize(x, scale, shift, mean, variance, momentum, epsilon)[0]


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


def _moved(function: Callable[..., Tensor]) -> Callable[..., Enclosure]:
    """A rule for an operation that only moves values around."""

    def rule(x: Enclosure, *arguments: Any) -> Enclosure:
        return x.through(lambda tensor: function(tensor, *arguments))

    return rule


WEIGHTED: dict[Any, Callable[..., Any]] = {
    aten.linear.default: _linear,
    aten.conv2d.default: _convolution,
    aten.conv2d.padding: _convolution,
    aten._native_batch_norm_legit_no_training.default: _normalize,
    aten.batch_norm.default: _normalize_in_training_graph,
}
"""Rules for operations on a value and on parameters, which are prepared once: they are called
with :class:`Weights` in the place of these."""

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
    **dict.fromkeys(COPIES, lambda x, *_, **__: x),
    **{operation: _moved(function) for operation, function in MOVES.items()},
    aten.add.Tensor: _add,
    aten.sub.Tensor: lambda a, b, alpha=1.0: _add(a, b, -alpha),
    aten.rsub.Scalar: lambda a, b, alpha=1.0: _add(b, a, -alpha),
    aten.mul.Tensor: lambda a, b: enclosure.multiply(_operand(a), _operand(b)),
    aten.relu.default: enclosure.relu,
    aten.leaky_relu.default: lambda x, slope=0.01: enclosure.leaky_relu(x, _number(slope)),
    aten.hardtanh.default: lambda x, low=-1.0, high=1.0: _clamp(x, low, high),
    aten.clamp.default: _clamp,
    aten.sigmoid.default: enclosure.sigmoid,
    aten.tanh.default: enclosure.tanh,
    aten.silu.default: lambda x: enclosure.multiply(x, enclosure.sigmoid(x)),
    aten.hardsigmoid.default: _hard_sigmoid,
    aten.hardswish.default: lambda x: enclosure.multiply(x, _hard_sigmoid(x)),
    aten.max_pool2d.default: _max_pool,
    aten.adaptive_avg_pool2d.default: _average_pool,
    aten.avg_pool2d.default: _windows,
    aten.mean.dim: _mean,
    aten.cat.default: _concatenate,
    aten.dropout.default: _dropout,
    aten.to.dtype: _to_type,
    aten._assert_tensor_metadata.default: lambda *_, **__: None,
    aten.sym_size.int: lambda x, dim: x.value.shape[dim],
    operator.getitem: operator.getitem,
    operator.mul: operator.mul,
    operator.floordiv: operator.floordiv,
}
"""By what PyTorch calls."""
