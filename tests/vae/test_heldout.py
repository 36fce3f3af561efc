"""Measures with answers known in advance: networks whose weights are chosen by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from digitvae.data.sets import Split
from digitvae.vae.heldout import as_tensor, baseline_bce, evaluate
from digitvae.vae.model import VAE
from digitvae.vae.objective import divergence, reconstruction
from tests.support.sizes import DIMS


@pytest.fixture
def zero() -> VAE:
    """Every parameter zero: μ = 0, log σ² = 0, every pixel ½."""
    model = VAE(DIMS)
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    return model


def random_images(n: int) -> torch.Tensor:
    return torch.rand(n, DIMS.pixels, generator=torch.Generator().manual_seed(5))


def pass_latents(model: VAE, count: int, spread: float) -> torch.Tensor:
    """Let μ of the first ``count`` latents be one pixel each; images whose pixels vary by it."""
    x = torch.full((1200, DIMS.pixels), 0.5)
    with torch.no_grad():
        for i in range(count):
            model.encoder.hidden.weight[i, i] = 1
            model.encoder.fc_mu.weight[i, i] = 1
            x[::2, i] += spread
            x[1::2, i] -= spread
    return x


def test_a_network_of_zeros_costs_784_log_2_and_has_no_divergence(zero: VAE) -> None:
    found = evaluate(zero, random_images(1500))
    assert found.images == 1500
    assert found.bce == pytest.approx(DIMS.pixels * math.log(2), rel=1e-6)
    assert found.bce_per_pixel == pytest.approx(math.log(2), rel=1e-6)
    assert found.kl == 0
    assert found.nelbo == pytest.approx(found.bce)
    assert found.nelbo_per_pixel == pytest.approx(math.log(2), rel=1e-6)
    assert found.active_latents == 0


def test_the_divergence_is_the_closed_form_for_a_constant_posterior(zero: VAE) -> None:
    with torch.no_grad():
        zero.encoder.fc_mu.bias.fill_(0.5)
        zero.encoder.fc_logvar.bias.fill_(-1.0)
    found = evaluate(zero, random_images(1001))
    expected = DIMS.latents * 0.5 * (0.25 + math.exp(-1) - 1 + 1)
    assert found.kl == pytest.approx(expected, rel=1e-6)
    assert found.nelbo == pytest.approx(found.bce + expected, rel=1e-6)


@pytest.mark.parametrize("count", [1, 3, 40])
def test_latents_are_active_when_the_variance_of_their_mean_exceeds_a_hundredth(
    zero: VAE, count: int
) -> None:
    above = pass_latents(zero, count, math.sqrt(0.0101))
    assert evaluate(zero, above).active_latents == count
    below = pass_latents(zero, count, math.sqrt(0.0099))
    assert evaluate(zero, below).active_latents == 0


def test_the_variance_is_over_all_images_and_not_over_batches(zero: VAE) -> None:
    x = pass_latents(zero, 1, 0.0)
    x[:600, 0], x[600:, 0] = 0.9, 0.1
    assert evaluate(zero, x).active_latents == 1
    # Constant within each thousand of images, so only the whole shows that it varies.
    y = torch.full((2000, DIMS.pixels), 0.5)
    y[:1000, 0], y[1000:, 0] = 0.9, 0.1
    assert evaluate(zero, y).active_latents == 1


def test_all_images_count_equally_whatever_the_batches(zero: VAE) -> None:
    with torch.no_grad():
        zero.decoder.output.bias.fill_(2.0)
    x = random_images(2300)
    expected = reconstruction(torch.full_like(x, 2.0), x).item() / 2300
    assert evaluate(zero, x).bce == pytest.approx(expected, rel=1e-5)


def test_noise_is_drawn_for_a_posterior_and_not_for_an_autoencoder() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VAE(DIMS)
    x = random_images(100)
    logits, mu, logvar = model(x)
    plain = evaluate(model, x, "autoencoder")
    assert plain.bce == pytest.approx(reconstruction(logits, x).item() / 100, rel=1e-6)
    assert plain.kl is None
    assert plain.nelbo is None
    assert plain.nelbo_per_pixel is None
    noisy = evaluate(model, x)
    assert noisy.bce != plain.bce
    assert noisy.kl == pytest.approx(divergence(mu, logvar).mean().item(), rel=1e-5)


def test_evaluating_twice_gives_the_same_numbers_and_touches_no_generator() -> None:
    model, x = VAE(DIMS), random_images(50)
    state = torch.get_rng_state()
    assert evaluate(model, x) == evaluate(model, x)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_baseline_is_the_best_constant_prediction() -> None:
    x = random_images(40)
    x[:, 0], x[:, 1] = 0, 1  # where log(0) would be multiplied by 0
    mean = x.double().mean(dim=0)
    cost = -(x * mean.log().clamp(min=-1e9) + (1 - x) * (1 - mean).log().clamp(min=-1e9))
    assert baseline_bce(x) == pytest.approx(cost.sum().item() / 40, rel=1e-9)
    for change in (0.99, 1.01):
        p = (mean * change).clamp(1e-12, 1 - 1e-12)
        worse = -(x * p.log() + (1 - x) * (1 - p).log()).sum() / 40
        assert worse > baseline_bce(x)


def test_the_baseline_of_the_mnist_training_images_is_where_collapse_ends(
    mnist: dict[str, Split],
) -> None:
    x = as_tensor(mnist["train"].images)
    assert baseline_bce(x) / DIMS.pixels == pytest.approx(0.26279, abs=5e-6)


def test_a_model_is_collapsed_without_active_latents_or_at_the_baseline(zero: VAE) -> None:
    x = pass_latents(zero, 5, 0.3)
    hardly_trained = evaluate(zero, x)
    # Its BCE is that of ½ everywhere, which here is the mean image, too.
    assert hardly_trained.active_latents == 5
    assert hardly_trained.collapsed
    x[:, 100:] = 0.0  # now the mean image knows better than the network: bad, but no collapse
    assert not evaluate(zero, x).collapsed
    nothing_active = evaluate(VAE(DIMS).requires_grad_(requires_grad=False), x[:1])
    assert nothing_active.active_latents == 0
    assert nothing_active.collapsed


def test_the_collapse_message_gives_the_numbers_behind_it(zero: VAE) -> None:
    message = evaluate(zero, torch.full((10, DIMS.pixels), 0.5)).collapse_message()
    assert "posterior collapse: 0 of 40 latents active" in message
    assert "BCE 0.6931 per pixel where the mean image alone gives 0.6931" in message
    message = evaluate(zero, pass_latents(zero, 5, 0.3)).collapse_message()
    assert message.startswith("the decoder ignores its 5 active latents: BCE 0.69")


def test_the_dictionary_has_every_measure(zero: VAE) -> None:
    assert sorted(evaluate(zero, random_images(3)).to_dict()) == [
        "active_latents",
        "baseline_bce",
        "bce",
        "bce_per_pixel",
        "collapsed",
        "images",
        "kl",
        "nelbo",
        "nelbo_per_pixel",
    ]


def test_images_become_rows_between_zero_and_one() -> None:
    images = np.arange(2 * DIMS.pixels, dtype=np.uint32).reshape(2, 28, 28).astype(np.uint8)
    x = as_tensor(images)
    assert x.dtype == torch.float32
    assert x.shape == (2, DIMS.pixels)
    assert torch.equal(x[1], torch.from_numpy(images[1].reshape(-1) / np.float32(255)))
    images[:] = 7
    assert x[0, 255] == 1  # a copy: the caller may reuse the array


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 28, 28), np.float32),
        np.zeros((2, 784), np.uint8),
        np.zeros((2, 28, 28, 1), np.uint8),
        np.zeros((2, 28, 27), np.uint8),
        np.zeros((2, 14, 56), np.uint8),
    ],
)
def test_images_of_another_kind_are_refused(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \[n, 28, 28\]"):
        as_tensor(images, DIMS)


def test_images_of_any_size_are_taken_where_none_is_given() -> None:
    assert as_tensor(np.zeros((2, 14, 27), np.uint8)).shape == (2, 378)
    with pytest.raises(ValueError, match=r"expected uint8 \[n, height, width\]"):
        as_tensor(np.zeros((2, 784), np.uint8))


def test_wrong_arguments_are_value_errors(zero: VAE) -> None:
    with pytest.raises(ValueError, match="no images"):
        evaluate(zero, torch.zeros(0, DIMS.pixels))
    with pytest.raises(ValueError, match="'mse'"):
        evaluate(zero, random_images(1), "mse")
