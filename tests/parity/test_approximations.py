"""Rules for functions of one number, shares and quotients: what runtimes err by is inside."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from digitvae.parity.truth import enclosure
from digitvae.parity.truth.enclosure import Enclosure
from digitvae.parity.truth.rules import RULES

aten = torch.ops.aten
FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Enclosure], Enclosure]]] = {
    "gelu": (functional.gelu, RULES[aten.gelu.default]),
    "gelu by tanh": (
        lambda x: functional.gelu(x, approximate="tanh"),
        lambda x: RULES[aten.gelu.default](x, "tanh"),
    ),
    "elu": (functional.elu, RULES[aten.elu.default]),
    "selu": (functional.selu, RULES[aten.selu.default]),
    "celu": (lambda x: functional.celu(x, 1.5), lambda x: RULES[aten.celu.default](x, 1.5)),
    "softplus": (functional.softplus, RULES[aten.softplus.default]),
    "wide softplus": (
        lambda x: functional.softplus(x, 0.1),
        lambda x: RULES[aten.softplus.default](x, 0.1),
    ),
    "mish": (functional.mish, RULES[aten.mish.default]),
    "exp": (torch.exp, RULES[aten.exp.default]),
    "erf": (torch.erf, RULES[aten.erf.default]),
    "softmax": (lambda x: x.softmax(-1), lambda x: RULES[aten.softmax.int](x, -1)),
    "log_softmax": (lambda x: x.log_softmax(-1), lambda x: RULES[aten.log_softmax.int](x, -1)),
    "reciprocal": (torch.reciprocal, RULES[aten.reciprocal.default]),
}
MONOTONE = FUNCTIONS.keys() - {"softmax", "log_softmax", "reciprocal"}


class Function(nn.Module):
    """A module of one function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def arguments(name: str) -> Tensor:
    """Rows of eight, of all sizes; exp of more than 88 is no float32."""
    rng = np.random.default_rng(0)
    sizes = np.concatenate(
        [np.linspace(-85, 85, 160_000), rng.normal(0, 1, 80_000), rng.normal(0, 8, 80_000)]
    )
    rows = torch.from_numpy(rng.permutation(sizes).astype(np.float32).reshape(-1, 8))
    return rows.abs() + 0.01 if name == "reciprocal" else rows


def exported(function: Callable[[Tensor], Tensor], rows: Tensor, path: Path) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Function(function),
            (rows[:2],),
            str(path),
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": [0]},
            opset_version=18,
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"x": rows.numpy()})[0])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_runtimes_compute_from_exact_arguments_is_within_both_limits(
    name: str, tmp_path: Path
) -> None:
    function, rule = FUNCTIONS[name]
    rows = arguments(name)
    found = rule(Enclosure.exact(rows))
    torch.testing.assert_close(found.value, function(rows.double()), rtol=1e-12, atol=1e-300)
    used = []
    for computed in (function(rows), exported(function, rows, tmp_path / "one.onnx")):
        missed = (computed.double() - found.value).abs()
        assert (missed <= found.error).all()
        assert (missed <= found.noise_limit()).all()
        used.append(float((missed / found.error).max()))
    # The limit is no more than eight times what the worse of the two needs.
    assert max(used) > 1 / 8


@pytest.mark.parametrize("size", [1e-6, 1e-2, 1.0])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_anywhere_in_their_enclosure_give_results_in_theirs(
    name: str, size: float
) -> None:
    function, rule = FUNCTIONS[name]
    rows = arguments(name)[:4000].clamp(-20, 20).double()
    rows = rows + 2.0 if name == "reciprocal" else rows
    rng = torch.Generator().manual_seed(1)
    error = size * torch.rand(rows.shape, generator=rng)
    found = rule(Enclosure(rows, error, torch.zeros_like(error)))
    farthest = torch.zeros_like(rows)
    for share in (-1.0, 1.0, *(2 * torch.rand((6, *rows.shape), generator=rng) - 1)):
        moved = (function(rows + share * error.double()) - found.value).abs()
        assert (moved <= found.error).all()
        farthest = farthest.maximum(moved)
    if name in MONOTONE and size > 1e-5:
        assert (farthest >= 0.5 * found.error - 1e-5).all()


def test_the_error_of_a_turn_is_that_of_its_value() -> None:
    turn = -0.7517915241
    for at in (turn - 0.2, turn, turn + 0.3):
        exact = torch.tensor([at], dtype=torch.float64)
        (error, zero) = torch.tensor([0.4]), torch.zeros(1)
        found = RULES[aten.gelu.default](Enclosure(exact, error, zero))
        inside = torch.linspace(at - 0.4, at + 0.4, 100_001, dtype=torch.float64)
        reached = (functional.gelu(inside) - found.value).abs().max()
        assert reached <= found.error <= 1.001 * reached + 1e-6


def test_a_quotient_has_no_bound_where_its_divisor_may_be_zero() -> None:
    one = Enclosure.exact(torch.ones(3))
    below = Enclosure(
        torch.tensor([1.0, 0.5, -0.1], dtype=torch.float64), torch.full((3,), 0.5), torch.zeros(3)
    )
    found = enclosure.divide(one, below)
    assert found.error.isfinite().tolist() == [True, False, False]
    assert 1.0 <= found.error[0] < 1.001  # 1/(1 − ½) − 1
