"""Codes of images: what the encoder says, and what reconstructs an image better than that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digitvae.bundle.dims import Dims
from digitvae.bundle.folder import Bundle
from digitvae.mixture import posteriors
from digitvae.mixture.posteriors import PRIOR_WEIGHT, encode, refine
from digitvae.vae.heldout import as_tensor
from digitvae.vae.model import VAE
from digitvae.vae.weights import load_bundle

Array = NDArray[Any]


@pytest.fixture(scope="module")
def trained() -> VAE:
    return load_bundle(Bundle.open())


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def costs(model: VAE, images: Array, z: Array) -> tuple[Array, Array]:
    """Of each image, in float64: cross-entropy, and ½|z|²."""
    x = images.reshape(len(images), -1) / 255.0
    weights = {name: value.double().numpy() for name, value in model.decoder.state_dict().items()}
    hidden = np.maximum(z @ weights["hidden.weight"].T + weights["hidden.bias"], 0)
    logits = hidden @ weights["output.weight"].T + weights["output.bias"]
    return (np.logaddexp(0, logits) - x * logits).sum(axis=1), 0.5 * np.square(z).sum(axis=1)


def test_encoding_gives_the_encoder_s_numbers_block_by_block(
    trained: VAE, mnist: dict[str, Any]
) -> None:
    images = mnist["train"].images[:1500]
    mu, logvar = encode(trained, images)
    ink = torch.from_numpy(images.reshape(1500, -1)).float() / 255
    with torch.inference_mode():
        expected = trained.encoder(ink)
    np.testing.assert_allclose(mu, expected[0], atol=1e-5)
    np.testing.assert_allclose(logvar, expected[1], atol=1e-5)


def test_every_image_costs_less_and_not_much_more_than_it_must(
    trained: VAE, mnist: dict[str, Any]
) -> None:
    images = mnist["test"].images[:50]
    mu, _ = encode(trained, images)
    misfit, norm = costs(trained, images, mu)
    found, larger = costs(trained, images, refine(trained, images, mu))
    before, after = misfit + PRIOR_WEIGHT * norm, found + PRIOR_WEIGHT * larger
    assert (after < before).all()
    x = torch.from_numpy(images.reshape(50, -1)).double() / 255
    z = torch.tensor(mu, requires_grad=True)
    decoder = load_bundle(Bundle.open()).decoder.double()
    best = torch.optim.LBFGS([z], max_iter=500, line_search_fn="strong_wolfe")

    def cost() -> torch.Tensor:
        best.zero_grad()
        logits = decoder.logits(z)
        misfit = torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        total = misfit + PRIOR_WEIGHT * 0.5 * z.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total.detach()

    best.step(cost)  # type: ignore[no-untyped-call]
    lowest = float(cost())
    gained = (before.sum() - after.sum()) / (before.sum() - lowest)
    assert 0.8 < gained <= 1.0


def test_a_larger_weight_of_the_prior_keeps_codes_nearer_to_0(
    trained: VAE, mnist: dict[str, Any]
) -> None:
    images = mnist["test"].images[:100]
    mu, _ = encode(trained, images)
    norms = []
    for weight in (0.0, PRIOR_WEIGHT, 1.0, 100.0):
        found = refine(trained, images, mu, prior_weight=weight)
        norms.append(float(np.square(found).sum()))
    assert norms == sorted(norms, reverse=True)
    assert norms[-1] < 0.05 * norms[0]


@pytest.mark.usefixtures("threads")
def test_threads_change_no_bit(trained: VAE, mnist: dict[str, Any]) -> None:
    images = mnist["train"].images[:2300]  # three blocks
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        mu, logvar = encode(trained, images)
        found.append((mu, logvar, refine(trained, images, mu)))
        assert torch.get_num_threads() == threads
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_rows_stay_with_their_images(trained: VAE, mnist: dict[str, Any]) -> None:
    images = mnist["train"].images[:1200]
    mu, _ = encode(trained, images)
    order = np.random.default_rng(0).permutation(1200)
    mixed = refine(trained, images[order], mu[order])
    # Each image is on its own, but its block decides in which order products are added up.
    distance = np.linalg.norm(mixed - refine(trained, images, mu)[order], axis=1)
    assert distance.max() < 0.01


def test_latents_that_the_decoder_ignores_stay_where_they_are(
    trained: VAE, mnist: dict[str, Any]
) -> None:
    images = mnist["train"].images[:1000]
    mu, _ = encode(trained, images)
    unused = mu.std(axis=0) < 0.05
    assert 5 <= unused.sum() <= 20
    moved = refine(trained, images, mu).std(axis=0)
    assert moved[unused].max() < 0.1
    assert moved[~unused].min() > 0.4


def test_progress_counts_images(trained: VAE, mnist: dict[str, Any]) -> None:
    told: list[tuple[int, int]] = []
    images = mnist["train"].images[:2300]
    refine(trained, images, np.zeros((2300, 40)), lambda *step: told.append(step))
    assert told == [(1000, 2300), (2000, 2300), (2300, 2300)]


def test_an_interruption_ends_it_and_gives_the_threads_back(
    trained: VAE, mnist: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posteriors, "_BLOCK", 10)
    begun: list[Array] = []

    def begin(images: Array, dims: Dims) -> torch.Tensor:
        begun.append(images)
        return as_tensor(images, dims)

    monkeypatch.setattr(posteriors, "as_tensor", begin)
    before = torch.get_num_threads()

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    images = mnist["train"].images[:4000]
    with pytest.raises(KeyboardInterrupt):
        refine(trained, images, np.zeros((4000, 40)), interrupt)
    assert torch.get_num_threads() == before
    assert len(begun) < 400
