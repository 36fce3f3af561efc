import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from digitvae.vae import objective
from tests.support.sizes import DIMS

finite = st.floats(-4, 4, width=32)


def batch(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return (
        4 * torch.randn(n, DIMS.pixels, generator=g),
        torch.rand(n, DIMS.pixels, generator=g),
        torch.randn(n, DIMS.latents, generator=g),
        torch.randn(n, DIMS.latents, generator=g),
    )


def test_reconstruction_is_the_bernoulli_cross_entropy_summed() -> None:
    logits, x, _, _ = batch(7)
    p = torch.sigmoid(logits.double())
    truth = -(x.double() * p.log() + (1 - x.double()) * (1 - p).log()).sum()
    assert math.isclose(objective.reconstruction(logits, x).item(), truth.item(), rel_tol=1e-6)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_reconstruction_and_its_gradient_are_those_of_pytorch_in_float64(scale: float) -> None:
    logits, x, _, _ = batch(5)
    narrow, wide = (scale * logits).requires_grad_(), (scale * logits.double()).requires_grad_()
    found = 3 * objective.reconstruction(narrow, x)
    truth = 3 * torch.nn.functional.binary_cross_entropy_with_logits(
        wide, x.double(), reduction="sum"
    )
    found.backward()  # type: ignore[no-untyped-call]
    truth.backward()  # type: ignore[no-untyped-call]
    assert found.item() == pytest.approx(truth.item(), rel=1e-6)
    assert narrow.grad is not None
    torch.testing.assert_close(narrow.grad.double(), wide.grad, rtol=1e-6, atol=1e-6)
    assert not x.requires_grad


def test_reconstruction_of_a_half_grey_image_is_784_log_2() -> None:
    value = objective.reconstruction(torch.zeros(1, DIMS.pixels), torch.rand(1, DIMS.pixels))
    assert math.isclose(value.item(), DIMS.pixels * math.log(2), rel_tol=1e-6)


def test_reconstruction_of_hopeless_logits_is_finite() -> None:
    assert objective.reconstruction(torch.full((1, 784), -1e4), torch.ones(1, 784)) == 784e4


@settings(max_examples=50)
@given(st.lists(st.tuples(finite, finite), min_size=DIMS.latents, max_size=DIMS.latents))
def test_divergence_agrees_with_the_closed_form_in_float64(
    pairs: list[tuple[float, float]],
) -> None:
    mu = torch.tensor([[m for m, _ in pairs]])
    logvar = torch.tensor([[v for _, v in pairs]])
    m, v = mu.double(), logvar.double()
    truth = -0.5 * (1 + v - m**2 - v.exp()).sum(dim=1)
    got = objective.divergence(mu, logvar)
    torch.testing.assert_close(got.double(), truth, rtol=1e-5, atol=1e-5)
    assert got.item() >= 0


def test_divergence_agrees_with_torch_distributions() -> None:
    _, _, mu, logvar = batch(9)
    q = torch.distributions.Normal(mu, (0.5 * logvar).exp())
    p = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
    truth = torch.distributions.kl_divergence(q, p).sum(dim=1)
    torch.testing.assert_close(objective.divergence(mu, logvar), truth, rtol=1e-5, atol=1e-5)


def test_divergence_is_zero_exactly_at_the_prior() -> None:
    zeros = torch.zeros(3, DIMS.latents)
    assert torch.equal(objective.divergence(zeros, zeros), torch.zeros(3))


def test_terms_are_the_mean_over_the_batch() -> None:
    logits, x, mu, logvar = batch(6)
    whole = objective.terms(logits, x, mu, logvar)
    singles = [
        objective.terms(logits[i : i + 1], x[i : i + 1], mu[i : i + 1], logvar[i : i + 1])
        for i in range(6)
    ]
    assert math.isclose(whole.bce.item(), sum(t.bce.item() for t in singles) / 6, rel_tol=1e-5)
    assert math.isclose(whole.kl.item(), sum(t.kl.item() for t in singles) / 6, rel_tol=1e-5)


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
def test_each_objective_combines_the_two_terms_as_documented(beta: float) -> None:
    parts = objective.Terms(torch.tensor(100.0), torch.tensor(20.0), 784)
    assert objective.loss("elbo", parts, beta).item() == pytest.approx(100 + beta * 20)
    assert objective.loss("pixel-mean", parts, beta).item() == pytest.approx(100 / 784 + beta * 20)
    assert objective.loss("autoencoder", parts, beta).item() == 100


def test_an_unknown_objective_is_a_value_error_that_lists_the_known_ones() -> None:
    parts = objective.Terms(torch.tensor(1.0), torch.tensor(1.0), 784)
    with pytest.raises(ValueError, match=r"'mse'.*elbo, pixel-mean, autoencoder"):
        objective.loss("mse", parts, 1.0)
