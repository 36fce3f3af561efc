"""The latent mixture: what it draws, how it is fitted, and that every form of it is the same."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from digitvae.mixture import fit
from digitvae.mixture.fit import (
    CANDIDATES,
    LEAST_IMAGES,
    RANK,
    ClassMixture,
    MixtureFit,
    assemble,
    cluster,
    fit_class,
    fit_mixture,
    log_likelihood,
    principal_factor,
)
from digitvae.mixture.model import LatentMixture
from digitvae.vae import serialisation as forms
from tests.support.sizes import DIMS

Array = NDArray[Any]

WEIGHTS = ([0.25, 0.75], [1.0], [0.125, 0.5, 0.375])
FREQUENCIES = np.array([0.5, 0.25, 0.25])
LARGEST_U = np.float32(1 - 2**-24)


def some_mixtures() -> list[ClassMixture]:
    rng = np.random.default_rng(0)
    return [
        ClassMixture(
            np.array(weights),
            rng.standard_normal((len(weights), DIMS.latents)),
            rng.standard_normal((len(weights), RANK, DIMS.latents)),
            np.ones((len(weights), DIMS.latents)),
        )
        for weights in WEIGHTS
    ]


@pytest.fixture(scope="module")
def toy() -> LatentMixture:
    return assemble(some_mixtures(), FREQUENCIES)


def draw(module: Any, u: Any, digit: Any, eps: Any) -> tuple[Array, Array]:
    u, digit = np.asarray(u, np.float32), np.asarray(digit, np.int64)
    z, label = module(torch.from_numpy(u), torch.from_numpy(digit), torch.from_numpy(eps))
    return z.numpy(), label.numpy()


def components(module: LatentMixture, u: Any, digit: int) -> list[int]:
    rows = torch.tensor(np.asarray(u, np.float32))
    return module.choose(rows, torch.full((len(rows),), digit))[0].tolist()


def below(threshold: float) -> np.float32:
    return np.float32(np.nextafter(np.float32(threshold), np.float32(0)))


def noise(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((count, DIMS.latents), np.float32)


# What is drawn.


def test_a_component_begins_exactly_at_its_threshold(toy: LatentMixture) -> None:
    assert components(toy, [0, below(0.25), 0.25, LARGEST_U], 0) == [0, 0, 1, 1]
    assert components(toy, [0, 0.5, LARGEST_U], 1) == [2, 2, 2]
    assert components(toy, [0, 0.125, below(0.625), 0.625, LARGEST_U], 2) == [3, 4, 4, 5, 5]


def test_any_class_divides_the_range_by_frequencies_and_then_by_weights(toy: LatentMixture) -> None:
    u = [0, 0.125, 0.5, 0.75, 0.75 + 0.125 / 4, 0.75 + 0.625 / 4, LARGEST_U]
    assert components(toy, u, -1) == [0, 1, 2, 3, 4, 5, 5]
    before = np.nextafter(np.array(u[1:6], np.float32), np.float32(0))
    assert components(toy, before, -1) == [0, 1, 2, 3, 4]
    assert draw(toy, u, [-1] * 7, noise(7))[1].tolist() == [0, 0, 1, 2, 2, 2, 2]


@given(st.floats(0, 1, exclude_max=True, width=32), st.integers(-1, 2))
@settings(max_examples=200)
def test_every_u_gives_a_component_of_the_label_and_the_label_is_the_digit(
    u: float, digit: int
) -> None:
    toy = assemble(some_mixtures(), FREQUENCIES)
    component, label = toy.choose(torch.tensor([u]), torch.tensor([digit]))
    if digit >= 0:
        assert label.item() == digit
    first, counts = toy.first.tolist(), toy.components
    start = first[int(label)]
    assert start <= component.item() < start + counts[int(label)]


def test_thresholds_that_rounding_pushes_to_1_leave_every_u_a_component() -> None:
    tiny = 1e-9  # 1 − 10⁻⁹ is 1 in float32
    mixture = some_mixtures()[0]._replace(weights=np.array([1 - tiny, tiny]))
    module = assemble([mixture, mixture], np.array([1 - tiny, tiny]))
    assert components(module, [0, LARGEST_U], 0) == [0, 0]
    assert components(module, [0, LARGEST_U], 1) == [2, 2]
    assert components(module, [0, LARGEST_U], -1) == [0, 0]


def test_latents_are_mean_plus_noise_times_factor_of_float64(toy: LatentMixture) -> None:
    rng = np.random.default_rng(3)
    u, digit, eps = rng.random(500, np.float32), rng.integers(-1, 3, 500), noise(500)
    z, label = draw(toy, u, digit, eps)
    mixtures, ends = some_mixtures(), np.cumsum(FREQUENCIES)
    for i in range(500):
        if digit[i] >= 0:
            expected, share = int(digit[i]), float(u[i])
        else:
            expected = int(np.searchsorted(ends, u[i], side="right"))
            share = (float(u[i]) - ends[expected] + FREQUENCIES[expected]) / FREQUENCIES[expected]
        assert label[i] == expected
        each = mixtures[expected]
        k = int(np.searchsorted(np.cumsum(each.weights), share, side="right"))
        truth = each.means[k] + eps[i, :RANK].astype(np.float64) @ each.factors[k]
        np.testing.assert_allclose(z[i], truth, rtol=0, atol=4e-6)


def test_draws_of_one_component_have_its_mean_and_covariance() -> None:
    mixture = some_mixtures()[1]
    count = 200_000
    z, _ = draw(assemble([mixture], np.ones(1)), np.zeros(count), np.zeros(count), noise(count))
    covariance = mixture.factors[0].T @ mixture.factors[0]
    spread = np.sqrt(np.diag(covariance))
    assert np.abs((z.mean(axis=0) - mixture.means[0]) / spread).max() < 5 / np.sqrt(count)
    error = np.abs(np.cov(z.T) - covariance) / np.outer(spread, spread)
    assert error.max() < 6 * np.sqrt(2 / count)


def test_without_noise_the_mean_of_a_component_is_drawn_to_the_bit(toy: LatentMixture) -> None:
    z, _ = draw(toy, [0.9], [2], np.zeros((1, DIMS.latents), np.float32))
    assert np.array_equal(z[0], some_mixtures()[2].means[2].astype(np.float32))


def test_any_class_comes_as_often_as_its_frequency(toy: LatentMixture) -> None:
    u = (np.arange(4096) / 4096).astype(np.float32)
    _, label = draw(toy, u, np.full(4096, -1), noise(4096))
    assert np.bincount(label).tolist() == [2048, 1024, 1024]


def test_rows_do_not_depend_on_each_other(toy: LatentMixture) -> None:
    u, digit, eps = noise(64)[:, 0] % 1, np.arange(64) % 4 - 1, noise(64)
    z, label = draw(toy, u, digit, eps)
    order = np.random.default_rng(0).permutation(64)
    mixed, mixed_label = draw(toy, u[order], digit[order], eps[order])
    assert np.array_equal(mixed, z[order])
    assert np.array_equal(mixed_label, label[order])


# Fitting.


def codes(count: int = 600, classes: int = 3, seed: int = 0) -> tuple[Array, Array, Array]:
    """Codes with two clusters in each class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    mu = rng.standard_normal((count, DIMS.latents)) * 0.3
    mu[:, 0] += labels * 10
    mu[:, 1] += np.where(rng.random(count) < 0.4, 5.0, -5.0)
    return mu, np.full((count, DIMS.latents), -3.0), labels


@pytest.fixture(scope="module")
def fitted() -> MixtureFit:
    return fit_mixture(*codes())


def test_a_second_cluster_makes_held_out_codes_likelier_than_one_gaussian(
    monkeypatch: pytest.MonkeyPatch, fitted: MixtureFit
) -> None:
    monkeypatch.setattr(fit, "CANDIDATES", (1,))
    single = fit_mixture(*codes())
    assert single.mixture.components == [1, 1, 1]
    assert fitted.held_out_log_likelihood > single.held_out_log_likelihood + 1
    assert min(fitted.mixture.components) >= 2


def test_the_same_codes_and_seed_give_the_same_bits_and_another_seed_others(
    fitted: MixtureFit,
) -> None:
    again, other = fit_mixture(*codes()), fit_mixture(*codes(), seed=1)
    assert again.facts() == fitted.facts()
    state = fitted.mixture.state_dict()
    assert all(
        torch.equal(state[name], value) for name, value in again.mixture.state_dict().items()
    )
    assert other.held_out_log_likelihood != fitted.held_out_log_likelihood


def test_frequencies_are_those_of_the_labels() -> None:
    mu, logvar, labels = codes()
    kept = (labels != 1) | (np.arange(len(labels)) < 300)
    module = fit_mixture(mu[kept], logvar[kept], labels[kept]).mixture
    np.testing.assert_allclose(module.class_thresholds, [0.4, 0.6], rtol=1e-6)


@pytest.mark.parametrize("count", [LEAST_IMAGES, 3 * LEAST_IMAGES, 500])
@pytest.mark.parametrize("wanted", [1, 7, 80])
def test_no_component_stands_for_fewer_images_than_the_least(count: int, wanted: int) -> None:
    rng = np.random.default_rng(count)
    mu = np.concatenate([rng.standard_normal((count - 3, 4)), 100 + rng.standard_normal((3, 4))])
    members, means = cluster(mu, wanted, seed=0)
    sizes = np.bincount(members)
    assert sizes.min() >= LEAST_IMAGES
    assert len(sizes) == len(means) <= wanted
    for k, mean in enumerate(means):
        np.testing.assert_allclose(mean, mu[members == k].mean(axis=0))


def test_the_principal_factor_of_a_low_rank_covariance_is_all_of_it() -> None:
    root = np.random.default_rng(0).standard_normal((4, DIMS.latents))
    factor = principal_factor(root.T @ root, 4)
    np.testing.assert_allclose(factor.T @ factor, root.T @ root, atol=1e-12)
    lengths = np.linalg.norm(factor, axis=1)
    assert (np.diff(lengths) <= 0).all()


def test_the_likelihood_is_the_density_of_the_mixture() -> None:
    factor = np.array([[3.0, 0.0]])
    mixture = ClassMixture(
        np.array([0.25, 0.75]), np.array([[0.0, 0.0], [1.0, 2.0]]), np.stack([factor, factor]),
        np.array([[1.0, 4.0], [1.0, 4.0]]),
    )  # fmt: skip
    z = np.array([[0.5, -1.0]])

    def density(x: float, y: float) -> float:  # of N(0, diag(9 + 1, 4))
        return float(np.exp(-(x * x / 10 + y * y / 4) / 2) / (2 * np.pi * np.sqrt(40)))

    truth = np.log(0.25 * density(0.5, -1.0) + 0.75 * density(-0.5, -3.0))
    assert log_likelihood(mixture, z) == pytest.approx(truth, rel=1e-12)


def test_collapsed_codes_are_fitted_all_the_same() -> None:
    mu, logvar = np.zeros((120, DIMS.latents)), np.zeros((120, DIMS.latents))
    fit = fit_mixture(mu, logvar, np.arange(120) % 2)
    z, _ = draw(fit.mixture, [0.0, 0.99], [0, 1], noise(2))
    assert np.array_equal(z, np.zeros((2, DIMS.latents), np.float32))
    expected = -0.5 * DIMS.latents * (1 + np.log(2 * np.pi))
    assert fit.held_out_log_likelihood == pytest.approx(expected, abs=5)


def test_real_codes_of_one_class_get_many_components(mnist: dict[str, Any]) -> None:
    import digitvae as dv

    images, labels = mnist["train"].head(4000)
    posterior = dv.load().encode(images[labels == 3])
    mixture = fit_class(
        posterior.mu.astype(float), np.exp(posterior.logvar.astype(float)), CANDIDATES[1], seed=0
    )
    assert mixture.factors.shape == (len(mixture.weights), RANK, DIMS.latents)
    assert mixture.weights.sum() == pytest.approx(1)
    assert 2 <= len(mixture.weights) <= CANDIDATES[1]


MU, LOGVAR, LABELS = codes(120, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((MU[0], LOGVAR, LABELS), r"codes \[40\]"),
        ((MU, LOGVAR[:7], LABELS), r"logvar \[7, 40\]"),
        ((MU, LOGVAR, LABELS[:7]), r"labels \[7\]"),
        ((MU * np.nan, LOGVAR, LABELS), "not finite everywhere"),
        ((MU, LOGVAR, LABELS - 1), "whole numbers from 0"),
        ((MU, LOGVAR, LABELS * 0.5), "labels: float64; expected whole numbers"),
        ((MU, LOGVAR, LABELS * 2), "0 images of class 1; expected at least 40"),
        ((MU[:70], LOGVAR[:70], LABELS[:70]), "35 images of class 0; expected at least 40"),
        ((MU[:0], LOGVAR[:0], LABELS[:0]), "0 images of class 0"),
    ],
)
def test_codes_that_cannot_be_fitted_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_mixture(*arguments)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed: {seed}; expected 0"):
        fit_mixture(MU, LOGVAR, LABELS, seed=seed)


# Exported.


@pytest.mark.parametrize(
    ("classes", "batch"),
    # Of the second class alone, which has one component, tables of thresholds are empty.
    [((0, 1, 2), 1), ((0, 1, 2), 2), ((0, 1, 2), 129), ((1, 1), 5), ((1,), 5), ((2,), 5)],
)
def test_every_exported_form_draws_what_pytorch_draws(classes: tuple[int, ...], batch: int) -> None:
    names = ["u", "digit", "eps"]
    rng = np.random.default_rng(batch)
    toy = assemble(
        [some_mixtures()[one] for one in classes], np.full(len(classes), 1 / len(classes))
    )
    given = (rng.random(batch, np.float32), rng.integers(-1, len(classes), batch), noise(batch))
    z, label = draw(toy, *given)
    session = onnxruntime.InferenceSession(
        forms.onnx_bytes(toy, names, ["z", "label"], DIMS.latents, {})
    )
    onnx_z, onnx_label = session.run(None, dict(zip(names, given, strict=True)))
    np.testing.assert_allclose(onnx_z, z, rtol=0, atol=4e-6)
    assert np.array_equal(onnx_label, label)
    with forms._quiet():
        script = torch.jit.load(io.BytesIO(forms.torchscript_bytes(toy)))  # type: ignore[no-untyped-call]
        program = torch.export.load(
            io.BytesIO(forms.exported_program_bytes(toy, names, DIMS.latents))
        )
    for module in (script, program.module()):
        other_z, other_label = draw(module, *given)
        assert np.array_equal(other_z, z)
        assert np.array_equal(other_label, label)
