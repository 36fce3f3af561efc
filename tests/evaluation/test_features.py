"""Measures on feature vectors, with answers known in advance."""

from __future__ import annotations

import numpy as np
import pytest

from digitvae.evaluation.features import frechet_distance, precision_recall
from digitvae.evaluation.measures.smoothness import smoothness


def with_moments(mean: np.ndarray, covariance: np.ndarray, n: int = 64) -> np.ndarray:
    """Vectors whose sample mean and covariance are exactly these."""
    raw = np.random.default_rng(0).standard_normal((n, len(mean)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T)).T)
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    result: np.ndarray = white @ root + mean
    return result


def test_the_frechet_distance_of_known_gaussians_is_the_closed_form() -> None:
    # Diagonal covariances commute: ‖Δm‖² + Σ (σ_a − σ_b)².
    a = with_moments(np.array([0.0, 1.0, 2.0]), np.diag([1.0, 4.0, 9.0]))
    b = with_moments(np.array([1.0, 1.0, 0.0]), np.diag([4.0, 4.0, 1.0]))
    assert frechet_distance(a, b) == pytest.approx(5 + (1 + 0 + 4), rel=1e-9)


def test_covariances_that_do_not_commute_are_multiplied_in_the_right_way() -> None:
    first, second = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([[3.0, -1.0], [-1.0, 1.0]])
    a, b = with_moments(np.zeros(2), first), with_moments(np.zeros(2), second)
    # tr √(AB) of a 2 × 2 matrix is √(tr AB + 2·√det AB).
    product = first @ second
    root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    expected = np.trace(first) + np.trace(second) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_features_that_are_always_zero_do_no_harm() -> None:
    a = with_moments(np.zeros(3), np.diag([1.0, 0.0, 0.0]))
    b = with_moments(np.zeros(3), np.diag([0.0, 4.0, 0.0]))
    assert frechet_distance(a, b) == pytest.approx(5, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a[:, :1], a[:, :1] + 3) == pytest.approx(9, rel=1e-9)


def test_precision_counts_the_generated_and_recall_the_real() -> None:
    line = np.arange(10.0)[:, None]
    # With k = 1 the balls around 0 … 9 reach just to the neighbours.
    generated = np.array([[0.5], [4.0], [8.7], [30.0]])
    # Their own balls: 0.5 ± 3.5, 4 ± 3.5, 8.7 ± 4.7, 30 ± 21.3: of 0 … 9, all.
    assert precision_recall(line, generated, k=1) == (0.75, 1.0)
    assert precision_recall(generated, line, k=1) == (1.0, 0.75)


def test_a_mode_that_is_left_out_costs_recall_alone() -> None:
    random = np.random.default_rng(0)
    one, other = random.standard_normal((2, 1200, 3))  # two blocks of rows
    real = np.concatenate([one, other + 50])
    precision, recall = precision_recall(real, random.standard_normal((1200, 3)))
    assert precision > 0.95
    assert recall == pytest.approx(0.5, abs=0.02)


def test_the_radius_is_the_distance_to_the_third_neighbour_itself_not_counted() -> None:
    real = np.array([[0.0], [1.0], [2.0], [3.0]])
    inside, outside = np.array([[5.99]] * 4), np.array([[6.01]] * 4)
    assert precision_recall(real, inside)[0] == 1
    assert precision_recall(real, outside)[0] == 0


def test_an_even_straight_path_has_no_detour_and_equal_steps() -> None:
    t = np.linspace(0, 1, 5)
    features = np.stack([np.outer(t, [3.0, 4.0]), np.outer(t, [6.0, 8.0])])
    confidence = np.array([[0.0, 0.95, 0.95, 0.5, 0.0], [1.0, 0.9, 0.91, 0.1, 1.0]])
    found = smoothness(features, confidence)
    assert (found.paths, found.steps) == (2, 5)
    assert found.squared_step == pytest.approx((25 + 100) / 2)
    assert found.detour == pytest.approx(1)
    assert found.largest_step == pytest.approx(0.25)
    assert found.recognizable == 3 / 6  # the ends are real images; 0.9 is not above 0.9


def test_jumps_and_detours_are_seen() -> None:
    jump = np.array([[[0.0, 0.0], [0.0, 0.0], [0.0, 2.0], [0.0, 2.0]]])
    found = smoothness(jump, np.ones((1, 4)))
    assert found.largest_step == 1
    assert found.squared_step == pytest.approx((2 * 3) ** 2 / 3)
    corner = np.array([[[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]]])
    assert smoothness(corner, np.ones((1, 3))).detour == pytest.approx(7 / 5)


def test_paths_that_do_not_move_are_left_out() -> None:
    still = np.zeros((1, 3, 2))
    moving = np.array([[[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]]])
    assert smoothness(np.concatenate([still, moving]), np.ones((2, 3))).detour == pytest.approx(1.4)
    assert smoothness(still, np.ones((1, 3))).detour == 1


def test_wrong_shapes_are_value_errors() -> None:
    with pytest.raises(ValueError, match="two or more"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
    with pytest.raises(ValueError, match="one dimension"):
        frechet_distance(np.zeros((5, 2)), np.zeros((5, 3)))
    with pytest.raises(ValueError, match="more than k"):
        precision_recall(np.zeros((3, 2)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="steps ≥ 3"):
        smoothness(np.zeros((1, 2, 4)), np.ones((1, 2)))
