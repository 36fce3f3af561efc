"""A generator that is off is caught by the statistic made for it, on both sides of its limit."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from digitvae.engine.sampling import LATENT_STREAM
from digitvae.parity.checks.latent_statistics import check_latents
from digitvae.parity.checks.random_reference import standard_normal
from digitvae.parity.compare.statistics import bits_differ
from digitvae.parity.inputs.sets import prior_draws as draw
from digitvae.parity.networks import Float32

Float64 = NDArray[np.float64]

COUNT, DIM = 20_000, 40
ROOT = np.sqrt(COUNT)

SPECIFIED = "are those of docs/random-numbers.md, bit for bit"
MEAN = "have mean 0"
VARIANCE = "have variance 1"
CORRELATION = "have no correlation within a draw"
SERIAL = "have no correlation from one draw to the next"
DISTRIBUTION = "have the normal distribution (Kolmogorov–Smirnov)"
STATISTICS = (MEAN, VARIANCE, CORRELATION, SERIAL, DISTRIBUTION)

WORD = 2**32
COMPARED = 256 * DIM * 5  # the first draws, and 256 at each of four places


def specified(count: int, seed: int, first: int) -> Float32:
    return standard_normal(seed, LATENT_STREAM, first, count, DIM)


def found(draws: Float32, make: Callable[[int, int, int], Float32] = specified) -> dict[str, str]:
    """The statuses of all checks, by what they state."""
    checks = check_latents(draws, make)
    assert {check.subject for check in checks} == {"latents"}
    return {check.statement: check.status for check in checks}


def failed(draws: Float32) -> set[str]:
    """Which statistics fail; whether these are the specified numbers is not asked."""
    statuses = found(draws)
    return {name for name in STATISTICS if statuses[name] == "failed"}


@pytest.fixture(scope="module")
def draws() -> Float32:
    """The real ones, to change copies of."""
    z = draw(COUNT, DIM)
    z.setflags(write=False)
    return z


@pytest.fixture
def wide(draws: Float32) -> Float64:
    return draws.astype(np.float64)


def narrow(z: Float64) -> Float32:
    return z.astype(np.float32)


def test_the_engines_draws_pass_everything(draws: Float32) -> None:
    checks = check_latents(draws, specified)
    assert [check.statement for check in checks] == [SPECIFIED, *STATISTICS]
    assert {check.status for check in checks} == {"passed"}
    assert checks[0].detail == f"0 of {COMPARED} differ"
    assert [check.detail.split(" in ")[1] for check in checks[1:5]] == [
        f"{number}, limit 6" for number in (DIM, DIM, DIM * (DIM - 1), DIM)
    ]


def test_draw_gives_the_latents_of_the_specification() -> None:
    z = draw(300, 7)
    assert not bits_differ(z, standard_normal(0, LATENT_STREAM, 0, 300, 7))


@pytest.mark.parametrize(("errors", "fails"), [(5.9, False), (6.1, True), (-6.1, True)])
def test_one_latents_mean_may_be_six_standard_errors_off(
    wide: Float64, errors: float, fails: bool
) -> None:
    wide[:, 11] += errors / ROOT - wide[:, 11].mean()
    assert failed(narrow(wide)) == ({MEAN} if fails else set())


@pytest.mark.parametrize(("errors", "fails"), [(5.9, False), (6.1, True), (-6.1, True)])
def test_one_latents_variance_may_be_six_standard_errors_off(
    wide: Float64, errors: float, fails: bool
) -> None:
    target = 1.0 + errors * np.sqrt(2.0) / ROOT
    wide[:, 39] *= np.sqrt(target / np.square(wide[:, 39]).mean())
    assert failed(narrow(wide)) == ({VARIANCE} if fails else set())


@pytest.mark.parametrize(("errors", "fails"), [(5.9, False), (6.1, True), (-6.1, True)])
def test_two_latents_may_correlate_by_six_standard_errors(
    wide: Float64, errors: float, fails: bool
) -> None:
    a, b = wide[:, 0], wide[:, 39]
    b += a * (errors / ROOT - (a * b).mean()) / np.square(a).mean()
    assert failed(narrow(wide)) == ({CORRELATION} if fails else set())


@pytest.mark.parametrize(("errors", "fails"), [(5.9, False), (6.1, True), (-6.1, True)])
def test_a_draw_may_correlate_with_the_one_before_by_six_standard_errors(
    wide: Float64, errors: float, fails: bool
) -> None:
    z = wide[:, 5].copy()
    before = np.concatenate([[0.0], z[:-1]])
    # The products that follow each other in z + a·before are a polynomial in a.
    square = (before[:-1] * before[1:]).sum()
    plain = (z[:-1] * z[1:]).sum() - errors * np.sqrt(COUNT - 1)
    mixed = (z[:-1] * before[1:]).sum() + (before[:-1] * z[1:]).sum()
    roots = np.roots([square, mixed, plain])
    wide[:, 5] = z + roots[np.abs(roots).argmin()].real * before
    assert failed(narrow(wide)) == ({SERIAL} if fails else set())


@pytest.mark.parametrize(("distance", "fails"), [(3.1, False), (3.3, True), (-3.3, True)])
def test_the_distribution_function_may_be_3_2_over_root_n_off(distance: float, fails: bool) -> None:
    # The quantiles of N(0, 1), moved: their distribution function is off by Φ(δ/2) − Φ(−δ/2).
    n, normal = 2_000 * 4, NormalDist()
    quantiles = np.array([normal.inv_cdf((i + 0.5) / n) for i in range(n)])
    moved = quantiles + 2.0 * normal.inv_cdf(0.5 + distance / np.sqrt(n) / 2.0)
    np.random.default_rng(0).shuffle(moved)
    assert (DISTRIBUTION in failed(narrow(moved).reshape(-1, 4))) is fails


def test_small_faults_of_all_latents_are_found(wide: Float64) -> None:
    # By 9 standard errors of a mean and 6.7 of a variance over so many draws.
    assert MEAN in failed(narrow(wide + 0.065))
    assert VARIANCE in failed(narrow(wide * np.sqrt(1.067)))


def test_uniform_numbers_of_variance_1_are_not_normal() -> None:
    uniform = np.random.default_rng(1).uniform(-np.sqrt(3.0), np.sqrt(3.0), (COUNT, DIM))
    assert failed(narrow(uniform)) == {DISTRIBUTION}


def test_a_latent_that_repeats_another_is_found(wide: Float64) -> None:
    wide[:, 17] = wide[:, 16]
    assert failed(narrow(wide)) == {CORRELATION}


def test_a_draw_that_is_made_twice_is_found(wide: Float64) -> None:
    assert SERIAL in failed(narrow(np.repeat(wide[: COUNT // 2], 2, axis=0)))


def test_latents_that_are_not_numbers_fail(draws: Float32) -> None:
    broken = draws.copy()
    broken[12_345, 6] = np.nan
    assert {MEAN, VARIANCE, CORRELATION, SERIAL, DISTRIBUTION} == failed(broken)


def test_one_latent_has_none_to_correlate_with(draws: Float32) -> None:
    def make(count: int, seed: int, first: int) -> Float32:
        return standard_normal(seed, LATENT_STREAM, first, count, 1)

    statuses = found(draw(COUNT, 1), make)
    assert list(statuses) == [SPECIFIED, *STATISTICS]
    assert set(statuses.values()) == {"passed"}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda n, s, i: specified(n, s, (i + 1) % 2**64), id="off by one"),
        pytest.param(lambda n, s, i: specified(n, s, i % WORD), id="index of 32 bits"),
        pytest.param(lambda n, s, i: specified(n, s % WORD, i), id="seed of 32 bits"),
        pytest.param(
            lambda n, s, i: (
                np.concatenate([specified(1, s, (i + k) % WORD) for k in range(n)])
                if (s, i) == (0, WORD - 100)
                else specified(n, s, i)
            ),
            id="no carry into the upper word",
        ),
        pytest.param(lambda n, s, i: standard_normal(s, 1, i, n, DIM), id="other stream"),
    ],
)
def test_a_generator_that_is_not_the_specified_one_is_found_by_its_bits_alone(
    make: Callable[[int, int, int], Float32], draws: Float32
) -> None:
    statuses = found(draws, make)
    assert {name for name, status in statuses.items() if status != "passed"} == {SPECIFIED}
    assert statuses[SPECIFIED] == "failed"


def test_one_bit_is_counted(draws: Float32) -> None:
    def make(count: int, seed: int, first: int) -> Float32:
        z = specified(count, seed, first)
        if seed == 7:
            z.view(np.uint32)[255, 39] ^= 1
        return z

    check = check_latents(draws, make)[0]
    assert (check.status, check.detail) == ("failed", f"1 of {COMPARED} differ")

    changed = draws.copy()
    changed.view(np.uint32)[0, 0] ^= 1
    check = check_latents(changed, specified)[0]
    assert (check.status, check.detail) == ("failed", f"1 of {COMPARED} differ")


def test_a_generator_that_raises_fails_and_the_draws_are_looked_at_all_the_same(
    draws: Float32,
) -> None:
    def make(count: int, seed: int, first: int) -> Float32:
        raise OverflowError(f"no draws from {first} on")

    first, *others = check_latents(draws, make)
    assert (first.status, first.detail) == ("failed", "no draws from 0 on")
    assert {check.status for check in others} == {"passed"}


@pytest.mark.parametrize("count", [1, 255, 999])
def test_fewer_than_a_thousand_draws_say_nothing_of_a_distribution(
    draws: Float32, count: int
) -> None:
    first, second = check_latents(draws[:count], specified)
    assert (first.statement, first.status) == (SPECIFIED, "passed")
    assert first.detail == f"0 of {(min(count, 256) + 4 * 256) * DIM} differ"
    assert (second.statement, second.status) == ("look like N(0, I)", "not run")
    assert second.detail == f"{count} draws, at least 1000 are needed"


def test_a_thousand_draws_are_enough(draws: Float32) -> None:
    assert found(draws[:1000]) == dict.fromkeys((SPECIFIED, *STATISTICS), "passed")
