"""The importance-weighted bound: brute force in float64, and a model whose likelihood is known."""

from __future__ import annotations

import math

import pytest
import torch

from digitvae.evaluation.measures.importance import binarised, importance_bound, log_weights
from digitvae.vae.model import VAE
from tests.support.sizes import DIMS


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_vae() -> VAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return VAE(DIMS).requires_grad_(requires_grad=False)


def linear_vae() -> VAE:
    """p(x|z) depends on the first latent only, through one pixel; the posterior is N(−½, e^½).

    It is wider than the true one, so that the weights are bounded.
    """
    model = VAE(DIMS).requires_grad_(requires_grad=False)
    for parameter in model.parameters():
        parameter.zero_()
    model.encoder.fc_mu.bias[0] = -0.5
    model.encoder.fc_logvar.bias[0] = 0.5
    # z = relu(z) − relu(−z), so that the logit of pixel 0 is 2z.
    model.decoder.hidden.weight[0, 0], model.decoder.hidden.weight[1, 0] = 1, -1
    model.decoder.output.weight[0, 0], model.decoder.output.weight[0, 1] = 2, -2
    return model


def exact_cost() -> float:
    """−log p(x) of an image whose pixel 0 is 1, by the trapezoidal rule: nats."""
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    ink = torch.trapezoid(density * torch.sigmoid(2 * z), z)
    return (DIMS.pixels - 1) * math.log(2) - math.log(float(ink))


def test_weights_are_those_of_the_densities_written_out() -> None:
    model = random_vae()
    x = torch.rand(5, DIMS.pixels, generator=generator())
    eps = torch.randn(5, 7, DIMS.latents, generator=generator(4))
    found = log_weights(model, x, eps)
    wide = model.double()
    mu, logvar = wide.encoder(x.double())
    sigma = torch.exp(0.5 * logvar)[:, None]
    z = mu[:, None] + sigma * eps.double()
    p = wide.decoder(z)
    ink = x.double()[:, None]
    likelihood = (ink * p.log() + (1 - ink) * torch.log1p(-p)).sum(dim=2)
    prior = torch.distributions.Normal(torch.zeros_like(z), 1).log_prob(z).sum(dim=2)  # type: ignore[no-untyped-call]
    posterior = torch.distributions.Normal(mu[:, None], sigma).log_prob(z).sum(dim=2)  # type: ignore[no-untyped-call]
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, likelihood + prior - posterior, rtol=0, atol=1e-3)


def test_one_draw_is_the_negative_elbo_of_the_same_noise() -> None:
    model, x = random_vae(), torch.rand(9, DIMS.pixels, generator=generator())
    eps = torch.randn(9, 1, DIMS.latents, generator=generator(8))
    bound = importance_bound(model, x, 1, generator(8))
    assert bound.nats == pytest.approx(-float(log_weights(model, x, eps).mean()), rel=1e-12)


@pytest.mark.parametrize("k", [1, 3, 50])
def test_the_bound_averages_weights_and_not_their_logarithms(k: int) -> None:
    model, x = random_vae(), torch.rand(4, DIMS.pixels, generator=generator())
    eps = torch.randn(4, k, DIMS.latents, generator=generator(8))
    # Relative to the largest, because e^−550 is beyond float64's kin.
    weights = log_weights(model, x, eps)
    largest = weights.max(dim=1, keepdim=True).values
    each = -(largest.squeeze(1) + torch.exp(weights - largest).mean(dim=1).log())
    found = importance_bound(model, x, k, generator(8))
    assert found.nats == pytest.approx(float(each.mean()), rel=1e-12)
    assert found.standard_error == pytest.approx(float(each.std()) / 2, rel=1e-9)
    assert (found.k, found.images) == (k, 4)


def test_the_bound_falls_from_the_elbo_to_the_true_likelihood() -> None:
    model = linear_vae()
    x = torch.full((3000, DIMS.pixels), 0.5)
    x[:, 0] = 1
    # −ELBO in closed form but for the cross-entropy, which is integrated.
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    q = torch.exp(-0.5 * (z + 0.5).square() / math.exp(0.5)) / math.sqrt(
        2 * math.pi * math.exp(0.5)
    )
    bce = float(torch.trapezoid(q * torch.nn.functional.softplus(-2 * z), z))
    kl = 0.5 * (0.25 + math.exp(0.5) - 1 - 0.5)
    nelbo = (DIMS.pixels - 1) * math.log(2) + bce + kl
    found = {k: importance_bound(model, x, k, generator()) for k in (1, 4, 64)}
    for k, expected in ((1, nelbo), (64, exact_cost())):
        bound = found[k]
        assert bound.standard_error is not None
        # Four standard errors, and what is left of the bias of k = 64.
        assert abs(bound.nats - expected) < 4 * bound.standard_error + 0.3 / k * (k > 1)
    assert found[1].nats > found[4].nats > found[64].nats
    assert nelbo > exact_cost() + 0.02  # else the order above would say little


def test_blocks_do_not_change_the_result() -> None:
    model, x = random_vae(), torch.rand(130, DIMS.pixels, generator=generator())
    whole = importance_bound(model, x, 100, generator(8))  # blocks of 40 images
    eps = torch.randn(130, 100, DIMS.latents, generator=generator(8))
    weights = log_weights(model, x, eps)
    expected = (math.log(100) - torch.logsumexp(weights, dim=1)).mean()
    assert whole.nats == pytest.approx(float(expected), rel=1e-7)


def test_one_image_has_no_standard_error() -> None:
    assert (
        importance_bound(random_vae(), torch.zeros(1, DIMS.pixels), 2, generator()).standard_error
        is None
    )


def test_binarised_pixels_are_one_as_often_as_their_intensity_says() -> None:
    x = torch.tensor([0.0, 0.25, 1.0]).expand(20_000, 3)
    found = binarised(x, generator())
    assert set(found.flatten().tolist()) == {0.0, 1.0}
    assert found[:, 0].max() == 0
    assert found[:, 2].min() == 1
    assert float(found[:, 1].mean()) == pytest.approx(0.25, abs=0.015)
    assert torch.equal(found, binarised(x, generator()))


def test_wrong_arguments_are_value_errors() -> None:
    with pytest.raises(ValueError, match="k: 0"):
        importance_bound(random_vae(), torch.zeros(1, DIMS.pixels), 0, generator())
    with pytest.raises(ValueError, match="no images"):
        importance_bound(random_vae(), torch.zeros(0, DIMS.pixels), 1, generator())
