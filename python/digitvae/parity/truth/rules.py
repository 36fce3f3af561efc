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
from digitvae.parity.truth.enclosure import Approximation, Enclosure, Weights

aten = torch.ops.aten

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""Klambauer et al., *Self-Normalizing Neural Networks*, NeurIPS 2017, section 2."""


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


def _gelu(x: Enclosure, approximate: str = "none") -> Enclosure:
    return enclosure.pointwise(x, _GELU_BY_TANH if approximate == "tanh" else _GELU)


def _elu(x: Enclosure, alpha: float = 1.0, scale: float = 1.0, slope: float = 1.0) -> Enclosure:
    def elu(value: Tensor) -> Tensor:
        below = alpha * torch.expm1(slope * value.clamp(max=0.0))
        return scale * torch.where(value > 0.0, value, below)

    # Its numbers are rounded to float32 by some runtimes; the units cover that.
    units = 3.0 * max(1.0, abs(alpha * scale))
    return enclosure.pointwise(x, Approximation(elu, of_result=3.0, absolute=units))


def _softplus(x: Enclosure, beta: float = 1.0, threshold: float = 20.0) -> Enclosure:
    def softplus(value: Tensor) -> Tensor:
        return functional.softplus(value, beta, threshold)

    # log(1 + e^βx) is divided by β, and its error, too. At the threshold the function falls.
    absolute, turns = 4.0 / min(beta, 1.0), (threshold / beta,)
    return enclosure.pointwise(x, Approximation(softplus, 3.0, 2.0, absolute, turns))


_GELU = Approximation(functional.gelu, 4.0, 4.0, turns=(-0.7517915241,))
_GELU_BY_TANH = Approximation(
    lambda x: functional.gelu(x, approximate="tanh"), 4.0, 4.0, turns=(-0.7524614220,)
)
_MISH = Approximation(functional.mish, 4.0, 4.0, turns=(-1.1924264026,))
_EXP = Approximation(torch.exp, 4.0)
_ERF = Approximation(torch.erf, 2.0, absolute=1.0)


def _negative(x: Enclosure) -> Enclosure:
    return Enclosure(-x.value, x.error, x.variance)


def _absolute(x: Enclosure) -> Enclosure:
    return Enclosure(x.value.abs(), x.error, x.variance)


def _softmax(x: Enclosure, dim: int, dtype: Any = None) -> Enclosure:
    return enclosure.softmax(_to_type(x, dtype or torch.float32), dim)


def _log_softmax(x: Enclosure, dim: int, dtype: Any = None) -> Enclosure:
    return enclosure.log_softmax(_to_type(x, dtype or torch.float32), dim)


def _pieces(function: Callable[..., tuple[Tensor, ...]]) -> Callable[..., tuple[Enclosure, ...]]:
    """A rule for an operation that cuts a value into several."""

    def rule(x: Enclosure, *arguments: Any) -> tuple[Enclosure, ...]:
        parts = (function(part, *arguments) for part in (x.value, x.error, x.variance))
        return tuple(Enclosure(*part) for part in zip(*parts, strict=True))

    return rule


def _stack(parts: list[Enclosure], dim: int = 0) -> Enclosure:
    return _concatenate([part.through(lambda v: v.unsqueeze(dim)) for part in parts], dim)


def _pad(x: Enclosure, sizes: Any, mode: str = "constant", value: float | None = None) -> Enclosure:
    def padded(tensor: Tensor, number: float = 0.0) -> Tensor:
        if mode == "constant":
            return functional.pad(tensor, sizes, mode, number)
        return functional.pad(tensor, sizes, mode)

    return Enclosure(padded(x.value, _number(value or 0.0)), padded(x.error), padded(x.variance))


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
    aten.expand.default: torch.Tensor.expand,
    aten.repeat.default: torch.Tensor.repeat,
    aten.unflatten.int: torch.unflatten,
    aten.flip.default: torch.flip,
    aten.pixel_shuffle.default: functional.pixel_shuffle,
    aten.pixel_unshuffle.default: functional.pixel_unshuffle,
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
    aten.gelu.default: _gelu,
    aten.elu.default: _elu,
    aten.selu.default: lambda x: _elu(x, _SELU_ALPHA, _SELU_SCALE),
    aten.celu.default: lambda x, alpha=1.0: _elu(x, alpha, 1.0, 1.0 / alpha),
    aten.softplus.default: _softplus,
    aten.mish.default: lambda x: enclosure.pointwise(x, _MISH),
    aten.exp.default: lambda x: enclosure.pointwise(x, _EXP),
    aten.erf.default: lambda x: enclosure.pointwise(x, _ERF),
    aten.neg.default: _negative,
    aten.abs.default: _absolute,
    aten.reciprocal.default: lambda x: enclosure.divide(_operand(1.0), x),
    aten.div.Tensor: lambda a, b: enclosure.divide(_operand(a), _operand(b)),
    aten.softmax.int: _softmax,
    aten.log_softmax.int: _log_softmax,
    aten.chunk.default: _pieces(torch.chunk),
    aten.split.Tensor: _pieces(torch.split),
    aten.split_with_sizes.default: _pieces(torch.split),
    aten.unbind.int: _pieces(torch.unbind),
    aten.stack.default: _stack,
    aten.pad.default: _pad,
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
