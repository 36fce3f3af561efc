"""The aggregate posterior next to a prior: closed forms, and brute force."""

from __future__ import annotations

import numpy as np
import pytest

from digitvae.evaluation.measures.aggregate import (
    aggregate_moments,
    neighbour_coincidence,
    posterior_divergence,
)


def test_moments_are_those_of_draws_from_all_posteriors() -> None:
    generator = np.random.default_rng(0)
    mixing = generator.standard_normal((3, 3))
    mu = generator.standard_normal((500, 3)) @ mixing + 1
    logvar = generator.uniform(-2, 0, (500, 3))
    found = aggregate_moments(mu, logvar)
    noise = generator.standard_normal((2000, 500, 3))
    draws = (mu + np.exp(0.5 * logvar) * noise).reshape(-1, 3)
    np.testing.assert_allclose(found.mean, draws.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(found.covariance, np.cov(draws.T), atol=0.02)


def test_an_aggregate_equal_to_the_prior_has_no_divergence() -> None:
    found = aggregate_moments(np.zeros((10, 40), np.float32), np.zeros((10, 40), np.float32))
    np.testing.assert_array_equal(found.marginal_divergence(), 0)
    assert found.divergence() == pytest.approx(0, abs=1e-12)


def test_divergences_are_the_closed_forms() -> None:
    # μ is ±a in both latents together: mean 0, covariance a² everywhere, plus σ² on the diagonal.
    a, variance = 0.6, 0.5
    mu = np.array([[a, a], [-a, -a]])
    found = aggregate_moments(mu, np.full((2, 2), np.log(variance)))
    diagonal = a * a + variance
    marginal = 0.5 * (diagonal - 1 - np.log(diagonal))
    np.testing.assert_allclose(found.marginal_divergence(), marginal, rtol=1e-12)
    determinant = diagonal**2 - a**4
    assert found.divergence() == pytest.approx(0.5 * (2 * diagonal - 2 - np.log(determinant)))
    assert found.divergence() > 2 * marginal  # the correlation counts


def test_the_divergence_of_each_latent_is_its_mean_over_images() -> None:
    mu = np.array([[1.0, 0.0], [3.0, 0.0]], np.float32)
    logvar = np.array([[0.0, np.log(2)], [0.0, 0.0]], np.float32)
    found = posterior_divergence(mu, logvar)
    np.testing.assert_allclose(found, [0.5 * (1 + 9) / 2, 0.25 * (1 - np.log(2))], rtol=1e-6)


def test_coincidence_is_that_of_brute_force() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.standard_normal((30, 4)), generator.standard_normal((30, 4)) + 0.5
    both = np.concatenate([a, b])
    own = 0
    for i, point in enumerate(both):
        order = np.argsort(np.linalg.norm(both - point, axis=1))[1:6]
        own += int(((order < 30) == (i < 30)).sum())
    assert neighbour_coincidence(a, b, 5) == own / (60 * 5)


def test_draws_of_one_distribution_cannot_be_told_apart_and_others_can() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.standard_normal((2, 1500, 10))  # two blocks of rows
    assert neighbour_coincidence(a, b) == pytest.approx(0.5, abs=0.02)
    assert neighbour_coincidence(a, b + 100) == 1
    # The same mean and covariance, another shape: every coordinate ±1.
    assert neighbour_coincidence(a[:, :4], np.sign(b[:, :4])) > 0.9


def test_nobody_is_a_neighbour_of_oneself() -> None:
    # All four neighbours are of the other set, though each point is at distance 0 from itself.
    a, b = np.array([[0.0], [10.0]]), np.array([[0.1], [10.1]])
    assert neighbour_coincidence(a, b, 1) == 0


@pytest.mark.parametrize(
    ("a", "b", "k"),
    [((3, 2), (4, 2), 1), ((3, 2), (3, 1), 1), ((3, 2), (3, 2), 6), ((3, 2), (3, 2), 0)],
)
def test_sets_that_cannot_be_compared_are_refused(
    a: tuple[int, int], b: tuple[int, int], k: int
) -> None:
    with pytest.raises(ValueError, match=f"k = {k}"):
        neighbour_coincidence(np.zeros(a), np.zeros(b), k)
