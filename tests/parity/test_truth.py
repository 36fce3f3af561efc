"""The truth of a module is the module in float64; what PyTorch computes stays near it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from torch import Tensor, nn

from digitvae.data.sets import Split
from digitvae.parity.truth.captured import Truth, capture
from digitvae.parity.truth.enclosure import UNIT_ROUNDOFF, Enclosure
from digitvae.parity.truth.rules import NoRuleError
from digitvae.vae.model import VAE
from tests.support.sizes import DIMS


class Function(nn.Module):
    """A module of one function."""

    def __init__(self, function: Callable[[Tensor], Tensor | tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.function(x)


class Residual(nn.Module):
    """A block of a residual network, its activations in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.second = nn.Conv2d(3, 3, 3, padding=1)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.second(self.activation(self.norm(self.first(x))))
        inner += x
        result: Tensor = self.activation(inner)
        return result


class Parameter(nn.Module):
    """Adds, subtracts and multiplies by what it holds."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.randn(3, 1, 1))
        self.register_buffer("scale", torch.randn(6))

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.shift) * self.scale - self.shift


def ready(module: nn.Module, seed: int = 0) -> nn.Module:
    """A module with random parameters and statistics, to be evaluated."""
    rng = torch.Generator().manual_seed(seed)
    module = module.eval().requires_grad_(requires_grad=False)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            random = torch.randn(tensor.shape, generator=rng)
            tensor.copy_(random.abs() + 0.1 if "var" in name else random)
    return module


def in_float64(module: nn.Module, rows: NDArray[np.float32]) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        result = copy.deepcopy(module).double()(torch.from_numpy(rows).double())
    return result if isinstance(result, tuple) else (result,)


def in_float32(module: nn.Module, rows: NDArray[np.float32]) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        result = module(torch.from_numpy(rows.copy()))
    return result if isinstance(result, tuple) else (result,)


def demand_truth(
    module: nn.Module, found: tuple[Enclosure, ...], rows: NDArray[np.float32]
) -> None:
    """The truth is the module's in float64, and that in float32 is within both limits."""
    expected, computed = in_float64(module, rows), in_float32(module, rows)
    assert len(found) == len(expected)
    for enclosure, wide, narrow in zip(found, expected, computed, strict=True):
        torch.testing.assert_close(enclosure.value, wide, rtol=1e-12, atol=1e-12)
        assert enclosure.value.dtype == torch.float64
        for limit in (enclosure.error, enclosure.noise_limit()):
            assert limit.dtype == torch.float32
            assert limit.shape == narrow.shape
            assert ((narrow.double() - enclosure.value).abs() <= limit).all()


IMAGES = (3, 6, 6)
F32_TENTH = float(np.float32(0.1))
MODULES: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(6, 5),
    "linear without bias": lambda: nn.Linear(6, 5, bias=False),
    "convolution": lambda: nn.Conv2d(3, 4, 3),
    "strided, padded convolution": lambda: nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False),
    "convolution that keeps the size": lambda: nn.Conv2d(3, 4, 3, padding="same"),
    "dilated convolution of groups": lambda: nn.Conv2d(3, 6, 2, dilation=2, groups=3),
    "batch normalization": lambda: nn.BatchNorm2d(3),
    "batch normalization of convolution": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
    ),
    "batch normalization without parameters": lambda: nn.BatchNorm2d(3, affine=False),
    "batch normalization of rows": lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(108)),
    "relu": nn.ReLU,
    "relu in place": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True)),
    "relu6": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU6(inplace=True)),
    "leaky relu": lambda: nn.LeakyReLU(F32_TENTH),
    "steep leaky relu": lambda: nn.Sequential(nn.Linear(6, 6), nn.LeakyReLU(-2.5)),
    "hardtanh": lambda: nn.Sequential(nn.Linear(6, 6), nn.Hardtanh(-F32_TENTH, 0.75)),
    "clamp": lambda: Function(lambda x: x.clamp(-F32_TENTH, 0.5)),
    "clamp from below": lambda: Function(lambda x: x.clamp(min=F32_TENTH)),
    "clamp from above": lambda: Function(lambda x: x.clamp(max=F32_TENTH)),
    "one minus it": lambda: Function(lambda x: 1 - x),
    "its own input in place": lambda: Function(lambda x: x.relu_()),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "silu of a convolution": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(inplace=True)),
    "hard sigmoid": nn.Hardsigmoid,
    "hard swish": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.Hardswish(inplace=True)),
    "gelu": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.GELU()),
    "gelu by tanh": lambda: nn.GELU("tanh"),
    "elu": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.ELU(F32_TENTH)),
    "selu": nn.SELU,
    "celu": lambda: nn.CELU(0.5),
    "softplus": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.Softplus()),
    "softplus with a threshold": lambda: nn.Softplus(2.0, 3.0),
    "wide softplus": lambda: nn.Softplus(0.1),
    "mish": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.Mish()),
    "exponential and error function": lambda: Function(lambda x: (x.tanh().exp(), x.erf())),
    "negative and absolute": lambda: Function(lambda x: -(x.tanh().abs())),
    "quotient": lambda: Function(lambda x: (x / 3, 1 / (x.abs() + 1), x / (x.exp() + 1))),
    "softmax": lambda: nn.Sequential(nn.Linear(6, 6), nn.Softmax(-1)),
    "log of softmax": lambda: nn.Sequential(nn.Linear(6, 6), nn.LogSoftmax(1)),
    "pieces": lambda: Function(
        lambda x: (
            *x.tanh().chunk(2, -1),
            *torch.split(x.relu(), [1, 2], 1),
            torch.stack(x.unbind(1)),
        )
    ),
    "padding": lambda: Function(
        lambda x: tuple(
            nn.functional.pad(x.tanh(), (1, 2, 0, 1), mode) for mode in ("constant", "reflect")
        )
    ),
    "repetition": lambda: Function(
        lambda x: (x.tanh().repeat(1, 2, 1, 1), x[:, :1].exp().expand(-1, 3, -1, -1).flip(3))
    ),
    "pixel shuffle": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.PixelShuffle(2)),
    "max pooling": lambda: nn.MaxPool2d(2),
    "padded max pooling": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(3, 2, 1)),
    "average pooling": lambda: nn.AvgPool2d(2),
    "padded average pooling": lambda: nn.AvgPool2d((3, 2), 2, 1, ceil_mode=True),
    "average of images": lambda: nn.AdaptiveAvgPool2d(1),
    "average of windows": lambda: nn.AdaptiveAvgPool2d((3, 2)),
    "average of windows that overlap": lambda: nn.AdaptiveAvgPool2d((4, 5)),
    "mean of axes": lambda: Function(lambda x: x.mean((2, 3))),
    "mean of an axis": lambda: Function(lambda x: x.mean(-1, keepdim=True)),
    "parameters": Parameter,
    "sum of branches": lambda: Function(lambda x: x.tanh() + x.relu() - x * x),
    "numbers": lambda: Function(lambda x: (x + 0.5) * F32_TENTH - 3),
    "weighted sums": lambda: Function(
        lambda x: torch.add(torch.sub(x, x.relu(), alpha=0.25), x.tanh(), alpha=-2)
    ),
    "concatenation": lambda: Function(lambda x: torch.cat([x, x.tanh(), x.relu()], 1)),
    "views": lambda: Function(
        lambda x: x.permute(0, 2, 3, 1).reshape(x.shape[0], -1).view(x.shape[0], 9, -1).flatten(1)
    ),
    "slices": lambda: Function(lambda x: x[:, 1:, ::2, 3].unsqueeze(1).squeeze(1).transpose(1, 2)),
    "rows that are cut": lambda: Function(lambda x: x.view(x.shape[0] * 2, -1)),
    "dropout": lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 3)),
    "residual block": Residual,
    "two outputs": lambda: Function(lambda x: (x.tanh(), x.mean(3))),
}


@pytest.mark.parametrize("name", MODULES)
def test_truth_is_the_module_in_float64_and_float32_is_near_it(name: str) -> None:
    module = ready(MODULES[name]())
    truth = Truth(module, torch.zeros(3, *IMAGES))
    rng = np.random.default_rng(0)
    # Other numbers of rows than the example's three, inputs of any size, exact zeros.
    for count, size in ((1, 1.0), (2, 0.01), (200, 3.0)):
        rows = (rng.normal(size=(count, *IMAGES)) * size).astype(np.float32)
        rows[rng.random(rows.shape) < 0.1] = 0.0
        demand_truth(module, truth(rows), rows)


def test_a_number_is_what_it_is_in_float32() -> None:
    # PyTorch and exported files hold it so; 0.1 in float64 would be 1½ billionths away.
    rows = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    for number in (0.1, 0.3):
        for module in (
            nn.LeakyReLU(number),
            nn.Hardtanh(-number, number),
            Function(lambda x, n=number: x.clamp(min=n)),  # type: ignore[misc]
            Function(lambda x, n=number: x.clamp(max=n)),  # type: ignore[misc]
            Function(lambda x, n=number: x + n),  # type: ignore[misc]
            Function(lambda x, n=number: x * n),  # type: ignore[misc]
        ):
            (found,) = Truth(module, torch.zeros(2, 4))(rows)
            (computed,) = in_float32(module, rows)
            missed = (computed.double() - found.value).abs()
            assert (missed <= found.error).all(), (module, number)
            assert (missed <= found.noise_limit()).all(), (module, number)


@pytest.mark.parametrize(("module", "factor"), [(nn.Hardsigmoid(), 0), (nn.Hardswish(), 1)])
def test_a_hard_sigmoid_may_round_before_it_cancels(module: nn.Module, factor: int) -> None:
    # As ONNX Runtime evaluates it: ⅙·x + ½, whose roundings stay where the result is nearly 0.
    rng = np.random.default_rng(2)
    near = [np.nextafter(np.float32(v), np.float32(w)) for v in (-3, 3) for w in (-4, v, 4)]
    rows = np.concatenate(
        [rng.normal(0, 3, 5000), *(v + rng.normal(0, 1e-4, 2000) for v in (-3, 3)), near]
    ).astype(np.float32)[None]
    scaled = np.float32(1 / 6) * rows + np.float32(0.5)
    computed = torch.from_numpy(scaled.clip(0, 1) * rows**factor)
    (found,) = Truth(module, torch.zeros(2, 4))(rows)
    missed = (computed.double() - found.value).abs()
    assert (missed <= found.error).all()
    assert (missed <= found.noise_limit()).all()


def test_what_is_clipped_to_a_limit_has_no_noise() -> None:
    (found,) = Truth(nn.Hardsigmoid(), torch.zeros(2, 1))(np.array([[-3.1], [3.1]], np.float32))
    assert found.value.tolist() == [[0.0], [1.0]]
    assert found.variance.tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize(
    ("module", "operation"),
    [
        (Function(torch.lgamma), "aten.lgamma.default"),
        (Function(torch.erfinv), "aten.erfinv.default"),
        (Function(lambda x: torch.linalg.vector_norm(x.relu(), dim=1)), "linalg_vector_norm"),
    ],
)
def test_an_operation_without_a_rule_is_named(module: nn.Module, operation: str) -> None:
    with pytest.raises(NoRuleError, match=rf"no rule describes the rounding of .*{operation}"):
        Truth(module, torch.zeros(2, 4))


def test_every_operation_without_a_rule_is_named_once() -> None:
    module = Function(lambda x: torch.lgamma(torch.erfinv(torch.lgamma(x).relu())))
    words = "no rule describes the rounding of aten.erfinv.default, aten.lgamma.default"
    with pytest.raises(NoRuleError, match=rf"^{words}$"):
        Truth(module, torch.zeros(2, 4))


def test_a_mean_of_another_type_is_refused() -> None:
    wide = Truth(Function(lambda x: x.mean(1, dtype=torch.float64)), torch.zeros(2, 4))
    with pytest.raises(NoRuleError, match=r"of a mean in torch\.float64"):
        wide(np.ones((2, 4), np.float32))


def test_dropout_in_training_mode_is_refused() -> None:
    rows = np.ones((2, 4), np.float32)
    for share, training in ((0.0, True), (0.5, False)):
        (found,) = Truth(
            Function(lambda x: nn.functional.dropout(x, share, training)),  # noqa: B023
            torch.zeros(2, 4),
        )(rows)
        assert (found.value == 1.0).all()
    with pytest.raises(NoRuleError, match="dropout is in training mode"):
        Truth(Function(lambda x: nn.functional.dropout(x, 0.5)), torch.zeros(2, 4))(rows)


def test_batch_normalization_in_training_mode_is_refused() -> None:
    with pytest.raises(NoRuleError, match="batch_norm"):
        Truth(nn.BatchNorm2d(3).train(), torch.zeros(2, *IMAGES))
    # Without statistics it normalizes each batch by itself, whatever its mode.
    rows = np.ones((2, *IMAGES), np.float32)
    with pytest.raises(NoRuleError, match=r"in training mode: call eval\(\) on the module"):
        Truth(nn.BatchNorm2d(3, track_running_stats=False).eval(), torch.zeros(2, *IMAGES))(rows)


def test_capturing_replaces_operations_in_place_and_leaves_other_graphs_alone() -> None:
    def kinds(module: nn.Module) -> list[str]:
        program = capture(ready(module), torch.zeros(2, 4))
        return [str(n.target) for n in program.graph.nodes if n.op == "call_function"]

    assert kinds(nn.Sequential(nn.Linear(4, 4), nn.ReLU())) == [
        "aten.linear.default",
        "aten.relu.default",
    ]
    assert kinds(nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True)))[-1] == "aten.relu.default"


def test_a_module_with_a_fixed_batch_has_a_truth_for_that_batch() -> None:
    module = ready(Function(lambda x: x.reshape(2, 12).tanh()))
    truth = Truth(module, torch.zeros(2, 3, 4))
    rows = np.random.default_rng(3).normal(size=(2, 3, 4)).astype(np.float32)
    demand_truth(module, truth(rows), rows)


def test_outputs_and_steps_are_named_in_order() -> None:
    layer = nn.Linear(4, 5)
    last = Function(lambda x: (x[:, 0], x * 2))
    truth = Truth(ready(nn.Sequential(layer, nn.ReLU(inplace=True), last)), torch.zeros(2, 4))
    rows = np.random.default_rng(4).normal(size=(7, 4)).astype(np.float32)
    trace = truth.trace(rows)
    assert [name.split("_")[0] for name in trace][:2] == ["linear", "relu"]
    assert [name.split("_")[0] for name in truth.outputs] == ["select", "mul"]
    for name, output in zip(truth.outputs, truth(rows), strict=True):
        assert torch.equal(trace[name].value, output.value)
        assert torch.equal(trace[name].error, output.error)
    expected = torch.from_numpy(rows).double() @ layer.weight.double().T + layer.bias.double()
    torch.testing.assert_close(next(iter(trace.values())).value, expected, rtol=0, atol=1e-14)
    assert truth.bounded


def test_an_input_that_is_handed_on_is_exact() -> None:
    rows = np.random.default_rng(5).normal(size=(3, 4)).astype(np.float32)
    given, doubled = Truth(Function(lambda x: (x, x * 2)), torch.zeros(2, 4))(rows)
    assert torch.equal(given.value, torch.from_numpy(rows).double())
    assert not given.error.any()
    assert not given.variance.any()
    assert (doubled.error > 0).all()


@pytest.mark.parametrize("size", [1e-45, 1e-39, 1e-20, 1e15, 1e20])
def test_inputs_of_any_size_are_enclosed(size: float) -> None:
    # Subnormal ones, and such that bounds are computed in float64.
    module = ready(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)))
    rng = np.random.default_rng(6)
    rows = (rng.choice([-1, 1, 0, 2], size=(20, 8)) * np.float32(size)).astype(np.float32)
    (found,) = Truth(module, torch.zeros(2, 8))(rows)
    (computed,) = in_float32(module, rows)
    assert ((computed.double() - found.value).abs() <= found.error).all()
    assert (found.error < 1e-4 * max(1.0, size)).all()


@pytest.fixture(scope="module")
def trained(tiny_bundle: Path) -> VAE:
    model = VAE(DIMS).requires_grad_(requires_grad=False).eval()
    weights = load_file(tiny_bundle / "weights.safetensors")
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return model


@pytest.fixture(scope="module")
def ink(mnist: dict[str, Split]) -> NDArray[np.float32]:
    return mnist["test"].images[:500].reshape(500, 784).astype(np.float32) / np.float32(255)


def test_truth_is_the_model_of_pytorch_in_float64(trained: VAE) -> None:
    double = copy.deepcopy(trained).double()
    rng = np.random.default_rng(2)
    z = rng.normal(size=(50, 40)).astype(np.float32)
    x = rng.random((50, 784), np.float32)
    with torch.inference_mode():
        pixels = double.decoder(torch.from_numpy(z).double())
        posterior = double.encoder(torch.from_numpy(x).double())
    (decoded,) = Truth(trained.decoder, torch.zeros(2, 40))(z)
    torch.testing.assert_close(decoded.value, pixels, rtol=0, atol=1e-13)
    encoded = Truth(trained.encoder, torch.zeros(2, 784))(x)
    for found, expected in zip(encoded, posterior, strict=True):
        torch.testing.assert_close(found.value, expected, rtol=0, atol=1e-12)


def logits_of(trained: VAE) -> nn.Module:
    return Function(trained.decoder.logits)


def test_a_real_network_uses_a_noticeable_part_of_its_bound(trained: VAE) -> None:
    # Two layers compound two worst cases, so less of it is used than in one layer.
    z = np.random.default_rng(3).normal(size=(200, 40)).astype(np.float32)
    (logits,) = Truth(logits_of(trained), torch.zeros(2, 40))(z)
    computed = trained.decoder.logits(torch.from_numpy(z))
    used = float(((computed - logits.value).abs() / logits.error).max())
    assert 0.001 < used <= 1.0
    assert not math.isnan(used)


def test_the_bound_of_a_real_network_is_much_narrower_than_the_textbook_one(trained: VAE) -> None:
    # γₙ for every dot product, all inputs counted, |W| on the errors, slope ¼ of the sigmoid.
    def gamma(n: int) -> float:
        return n * UNIT_ROUNDOFF / (1 - n * UNIT_ROUNDOFF)

    wide = {name: value.double().numpy() for name, value in trained.state_dict().items()}
    z = np.random.default_rng(4).normal(size=(200, 40)).astype(np.float32)
    w, b = wide["decoder.hidden.weight"], wide["decoder.hidden.bias"]
    hidden = np.maximum(z @ w.T + b, 0)
    error = gamma(41) * (np.abs(z) @ np.abs(w).T + np.abs(b))
    w, b = wide["decoder.output.weight"], wide["decoder.output.bias"]
    logit_error = gamma(513) * ((hidden + error) @ np.abs(w).T + np.abs(b)) + error @ np.abs(w).T
    (logits,) = Truth(logits_of(trained), torch.zeros(2, 40))(z)
    (decoded,) = Truth(trained.decoder, torch.zeros(2, 40))(z)
    assert np.median(logit_error) > 2 * np.median(logits.error)
    assert np.median(logit_error / 4) > 3 * np.median(decoded.error)


def in_noise_limits(computed: Tensor, found: Enclosure) -> Tensor:
    return (computed.double() - found.value).abs() / found.noise_limit()


def test_no_value_of_a_real_network_leaves_the_noise_limit(
    trained: VAE, ink: NDArray[np.float32]
) -> None:
    z = np.random.default_rng(5).normal(size=(2000, 40)).astype(np.float32)
    for module, rows in (
        (trained.decoder, z),
        (logits_of(trained), z),
        (trained.encoder, ink),
    ):
        truth = Truth(module, torch.zeros(2, rows.shape[1]))
        for computed, found in zip(in_float32(module, rows), truth(rows), strict=True):
            used = in_noise_limits(computed, found)
            assert 0.05 < used.max() < 1.0
            assert 0.02 < 8 * used.square().mean().sqrt() < 1.0
            assert (found.noise_limit() < found.error).float().mean() > 0.5


def test_no_value_of_a_network_in_another_order_leaves_the_noise_limit(
    trained: VAE, ink: NDArray[np.float32]
) -> None:
    # Pixels and hidden units are permuted, so that every sum is another one.
    rng = np.random.default_rng(5)
    pixels, units = rng.permutation(784), rng.permutation(512)
    shuffled = copy.deepcopy(trained)
    hidden = shuffled.encoder.hidden
    hidden.weight.copy_(trained.encoder.hidden.weight[units][:, pixels])
    hidden.bias.copy_(trained.encoder.hidden.bias[units])
    for head in ("fc_mu", "fc_logvar"):
        weight = getattr(trained.encoder, head).weight
        getattr(shuffled.encoder, head).weight.copy_(weight[:, units])
    one = in_float32(trained.encoder, ink)
    other = in_float32(shuffled.encoder, np.ascontiguousarray(ink[:, pixels]))
    truth = Truth(trained.encoder, torch.zeros(2, 784))
    for a, b, found in zip(one, other, truth(ink), strict=True):
        assert 0.05 < in_noise_limits(b, found).max() < 1.0
        difference = (a.double() - b) / found.deviation()
        assert 0.1 < difference.square().mean().sqrt() < 1.0


def test_a_weight_that_is_slightly_wrong_leaves_the_noise_limit(trained: VAE) -> None:
    # Through bfloat16 and back: 2⁻⁹ of each weight at most, a thing that exporters do.
    z = np.random.default_rng(7).normal(size=(50, 40)).astype(np.float32)
    truth = Truth(trained.decoder, torch.zeros(2, 40))
    damaged = copy.deepcopy(trained.decoder)
    damaged.hidden.weight.copy_(damaged.hidden.weight.bfloat16())
    (computed,) = in_float32(damaged, z)
    assert in_noise_limits(computed, truth(z)[0]).max() > 10
