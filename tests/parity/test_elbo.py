"""−ELBO is what the formula says, the same in every runtime, and not that of a faulty network."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from torch.nn import functional

from digitvae.bundle.folder import Bundle
from digitvae.parity import elbo
from digitvae.parity.enclosure import Enclosure
from digitvae.parity.loaded import load_all
from digitvae.parity.networks import DECODER, ENCODER
from digitvae.parity.random_reference import standard_normal
from digitvae.parity.runtimes.c_api import C_API
from digitvae.parity.runtimes.native import NATIVE, NATIVE_DENSE, NATIVE_THREADS
from digitvae.parity.runtimes.pytorch import EAGER, EXPORTED_PROGRAM, TORCHSCRIPT
from digitvae.parity.statistics import bits_differ
from digitvae.vae.heldout import as_tensor, evaluate
from digitvae.vae.weights import load_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from digitvae.data.sets import Split
    from digitvae.parity.loaded import Loaded
    from digitvae.parity.networks import Float32, Function, Network
    from digitvae.parity.report import Check

COUNT = 300
LATENTS = 40
STATEMENT = "computes the −ELBO of the test images"


@pytest.fixture(scope="module")
def loaded(tiny_bundle: Path) -> Loaded:
    return load_all(Bundle.open(tiny_bundle))


@pytest.fixture(scope="module")
def images(mnist: dict[str, Split]) -> Float32:
    return mnist["test"].images[:COUNT].reshape(COUNT, -1).astype(np.float32) / np.float32(255)


def alone(_network: str, runtime: str) -> str:
    """Nothing is known of anybody's bits."""
    return runtime


def check(
    loaded: Loaded,
    images: Float32,
    *,
    leader: Callable[[str, str], str] = alone,
    threads: int = 1,
    steps: list[str] | None = None,
) -> dict[str, Check]:
    said: list[str] = []
    checks = elbo.check_elbo(loaded, images, leader, said.append, threads=threads)
    if steps is not None:
        steps += said
    assert {check.statement for check in checks} == {STATEMENT}
    return {check.subject: check for check in checks}


def few(loaded: Loaded, *runtimes: str) -> Loaded:
    """Only eager and these, for speed."""
    return replace(
        loaded,
        functions={
            network: {name: functions[name] for name in (EAGER, *runtimes)}
            for network, functions in loaded.functions.items()
        },
    )


def with_function(loaded: Loaded, network: Network, runtime: str, function: Function) -> Loaded:
    """A copy, one function of which is another."""
    changed = loaded.functions[network.name] | {runtime: function}
    return replace(loaded, functions=loaded.functions | {network.name: changed})


def numbers(check: Check) -> tuple[float, float, float]:
    """What a check says: nats, distance from the truth, limit."""
    nats, off, limit = check.detail.split(", ")
    assert nats.endswith(" nats")
    assert off.endswith(" from the truth")
    return (
        float(nats.removesuffix(" nats")),
        float(off.removesuffix(" from the truth")),
        float(limit.removeprefix("limit ")),
    )


class Independent(NamedTuple):
    nats: float
    z: Float32


@pytest.fixture(scope="module")
def independent(tiny_bundle: Path, images: Float32) -> Independent:
    """−ELBO in float64 by PyTorch's own functions, of the same latents to the last bit."""
    model = load_bundle(Bundle.open(tiny_bundle))
    noise = standard_normal(0, 2, 0, COUNT, LATENTS)
    x = torch.from_numpy(images)
    with torch.inference_mode():
        mu, logvar = (output.numpy() for output in model.encoder(x))
        z = mu + np.exp(np.float32(0.5) * logvar) * noise
        model.double()
        wide_mu, wide_logvar = model.encoder(x.double())
        p = model.decoder(torch.from_numpy(z).double()).clamp(1e-6, 1.0 - 1e-6)
        bce = functional.binary_cross_entropy(p, x.double(), reduction="sum")
    posterior = torch.distributions.Normal(wide_mu, (0.5 * wide_logvar).exp())
    zero, one = torch.zeros_like(wide_mu), torch.ones_like(wide_mu)
    kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(zero, one)).sum()
    return Independent(float(bce + kl) / COUNT, z)


def exact(truth: Callable[[Float32], tuple[Enclosure, ...]]) -> Function:
    """A runtime that computes in float64."""
    return lambda rows: tuple(one.value.numpy() for one in truth(rows))


def test_every_runtime_computes_the_same(loaded: Loaded, images: Float32) -> None:
    steps: list[str] = []
    found = check(loaded, images, steps=steps)
    encoders, decoders = (loaded.functions[network.name] for network in (ENCODER, DECODER))
    assert list(found) == [name for name in encoders if name in decoders]
    assert {EAGER, TORCHSCRIPT, EXPORTED_PROGRAM, NATIVE, C_API} <= found.keys()
    assert steps == ["−ELBO: truth", *(f"−ELBO: {name}" for name in found)]
    for runtime, one in found.items():
        nats, off, limit = numbers(one)
        assert one.status == "passed", runtime
        assert 0.0 <= off <= limit
        assert limit == numbers(found[EAGER])[2]
        assert nats == pytest.approx(numbers(found[EAGER])[0], abs=1.1e-4)


def test_it_is_the_negative_elbo(loaded: Loaded, images: Float32, independent: Independent) -> None:
    truth = elbo._truth(loaded, images, independent.z, 1)
    assert truth.nats == pytest.approx(independent.nats, abs=1e-9)
    encode, decode = (exact(loaded.truths[network.name]) for network in (ENCODER, DECODER))
    nats = elbo._nats(encode, decode, images, independent.z, 1)
    assert nats == pytest.approx(independent.nats, abs=1e-9)


def test_the_noise_is_stream_2_of_seed_0_and_the_latents_are_the_first_runtimes(
    loaded: Loaded, images: Float32, independent: Independent
) -> None:
    given: list[Float32] = []
    decode = loaded.functions[DECODER.name][NATIVE]

    def remember(z: Float32) -> tuple[Float32, ...]:
        given.append(z.copy())
        return decode(z)

    found = check(with_function(few(loaded, NATIVE), DECODER, NATIVE, remember), images)
    assert not bits_differ(np.concatenate(given), independent.z)
    # A tenth of what other noise would change.
    assert numbers(found[EAGER])[0] == pytest.approx(independent.nats, abs=1e-3)


def test_the_measure_is_that_of_training_up_to_its_noise(
    tiny_bundle: Path, mnist: dict[str, Split], loaded: Loaded, images: Float32
) -> None:
    x = as_tensor(mnist["test"].images[:COUNT])
    nelbo = evaluate(load_bundle(Bundle.open(tiny_bundle)), x).nelbo
    assert nelbo is not None
    assert numbers(check(few(loaded), images)[EAGER])[0] == pytest.approx(nelbo, rel=5e-3)


def test_the_number_of_threads_changes_nothing(loaded: Loaded, images: Float32) -> None:
    twice = np.concatenate([images, images[::-1]])  # more than one block
    one, three = (check(few(loaded, NATIVE), twice, threads=threads) for threads in (1, 3))
    assert one == three


def test_what_has_the_bits_of_another_is_not_computed_again(
    loaded: Loaded, images: Float32
) -> None:
    def unwanted(rows: Float32) -> tuple[Float32, ...]:
        raise AssertionError("it was called")

    twin = few(loaded, NATIVE, NATIVE_THREADS)
    for network in (ENCODER, DECODER):
        twin = with_function(twin, network, NATIVE_THREADS, unwanted)

    def leader(_network: str, runtime: str) -> str:
        return NATIVE if runtime == NATIVE_THREADS else runtime

    steps: list[str] = []
    found = check(twin, images, leader=leader, steps=steps)
    assert steps == ["−ELBO: truth", f"−ELBO: {EAGER}", f"−ELBO: {NATIVE}"]
    assert found[NATIVE_THREADS].detail == found[NATIVE].detail
    assert found[NATIVE_THREADS].status == "passed"

    # The bits of one network alone are not enough.
    def half(network: str, runtime: str) -> str:
        return leader(network, runtime) if network == ENCODER.name else runtime

    assert check(twin, images, leader=half)[NATIVE_THREADS].status == "failed"


def too_dark(function: Function) -> Function:
    return lambda z: (function(z)[0] * np.float32(1.0 - 1e-3),)


def halved(function: Function) -> Function:
    def encode(x: Float32) -> tuple[Float32, ...]:
        mu, logvar = function(x)
        return mu, np.float32(0.5) * logvar

    return encode


def swapped(function: Function) -> Function:
    return lambda x: function(x)[::-1]


def saturated(function: Function) -> Function:
    return lambda z: (np.rint(function(z)[0]),)


def not_a_number(function: Function) -> Function:
    def decode(z: Float32) -> tuple[Float32, ...]:
        (x,) = function(z)
        x[-1, -1] = np.nan
        return (x,)

    return decode


@pytest.mark.parametrize(
    ("network", "fault"),
    [
        (DECODER, too_dark),
        (DECODER, saturated),
        (DECODER, not_a_number),
        (ENCODER, halved),
        (ENCODER, swapped),
    ],
)
def test_a_faulty_network_fails_far_beyond_the_limit_and_alone(
    network: Network, fault: Callable[[Function], Function], loaded: Loaded, images: Float32
) -> None:
    function = loaded.functions[network.name][NATIVE]
    found = check(
        with_function(few(loaded, NATIVE, TORCHSCRIPT), network, NATIVE, fault(function)), images
    )
    assert {name: one.status for name, one in found.items()} == {
        EAGER: "passed",
        NATIVE: "failed",
        TORCHSCRIPT: "passed",
    }
    _, off, limit = numbers(found[NATIVE])
    assert limit > 0.0
    assert np.isnan(off) if fault is not_a_number else off > 100.0 * limit


def test_black_and_white_costs_a_lot_but_is_a_number(loaded: Loaded, images: Float32) -> None:
    faulty = with_function(
        few(loaded, NATIVE), DECODER, NATIVE, saturated(loaded.functions[DECODER.name][NATIVE])
    )
    nats, _, _ = numbers(check(faulty, images)[NATIVE])
    # A wrong pixel costs −log 1e-6 = 13.8 nats.
    assert 300.0 < nats < 13.9 * 784


class Constants(NamedTuple):
    """A network whose outputs are the same for every input.

    Attributes:
        p: Every pixel.
        mu: Every mean.
        logvar: Every log-variance.
        of_p: Variance of ``p``, in units of u²/3, as an ``Enclosure`` has it.
        of_mu: That of ``mu``.
        of_logvar: That of ``logvar``.
    """

    p: float = 0.4
    mu: float = -0.7
    logvar: float = 0.9
    of_p: float = 3.0
    of_mu: float = 5.0
    of_logvar: float = 11.0

    def stand_in(self, loaded: Loaded) -> Loaded:
        """These constants as the truth of both networks, and eager's, computed in float64."""

        def constant(rows: Float32, width: int, value: float, variance: float) -> Enclosure:
            one = torch.ones(len(rows), width)
            return Enclosure(value * one.double(), 0 * one, variance * one)

        truths: dict[str, Any] = {
            DECODER.name: lambda z: (constant(z, 784, self.p, self.of_p),),
            ENCODER.name: lambda x: (
                constant(x, LATENTS, self.mu, self.of_mu),
                constant(x, LATENTS, self.logvar, self.of_logvar),
            ),
        }
        functions = {name: {EAGER: exact(truth)} for name, truth in truths.items()}
        return replace(loaded, truths=truths, functions=functions)

    def slopes(self, inks: tuple[float, ...]) -> list[float]:
        """Derivatives of the cross-entropy of pixels of these inks."""
        return [-x / self.p + (1 - x) / (1 - self.p) for x in inks]


INKS = (0.0, 0.5, 1.0, 0.25)
"""Some pixels are too dark, others too light: their slopes have both signs."""


def truth_of_constants(loaded: Loaded, constants: Constants, count: int) -> elbo._Expected:
    """The truth and the limit of so many images, all of them 196 times ``INKS``."""
    images = np.tile(np.array(INKS, np.float32), (count, 784 // 4))
    latents = np.zeros((count, LATENTS), np.float32)
    return elbo._truth(constants.stand_in(loaded), images, latents, 1)


def test_the_limit_is_sixteen_deviations_and_the_bias_through_the_derivatives(
    loaded: Loaded,
) -> None:
    any_constants, count = Constants(), 5
    p, mu, logvar, of_p, of_mu, of_logvar = any_constants
    found = truth_of_constants(loaded, any_constants, count)

    pixels = [-(x * math.log(p) + (1 - x) * math.log(1 - p)) for x in INKS]
    kl = LATENTS * 0.5 * (mu**2 + math.exp(logvar) - 1 - logvar)
    assert found.nats == pytest.approx(784 / 4 * sum(pixels) + kl, rel=1e-12)

    slopes = any_constants.slopes(INKS)
    variance = 784 / 4 * of_p * sum(slope**2 for slope in slopes)
    variance += LATENTS * (of_mu * mu**2 + of_logvar * (0.5 * (math.exp(logvar) - 1)) ** 2)
    deviation = 2.0**-24 / math.sqrt(3.0) * math.sqrt(variance / count)
    bias = 0.5 * 2.0**-24 * 784 / 4 * sum(map(abs, slopes))
    assert found.limit == pytest.approx(16.0 * deviation + bias, rel=1e-6)


def test_more_images_take_noise_out_of_their_mean_but_not_the_bias(loaded: Loaded) -> None:
    count = 600  # more than one block
    few_images, many_images = (
        truth_of_constants(loaded, Constants(), n).limit for n in (count, 4 * count)
    )
    bias = 0.5 * 2.0**-24 * 784 / 4 * sum(map(abs, Constants().slopes(INKS)))
    assert few_images - bias == pytest.approx(2.0 * (many_images - bias), rel=1e-5)
    assert many_images > bias > 0.9 * many_images


@pytest.mark.parametrize(
    ("units", "status"), [(0.45, "passed"), (-0.45, "passed"), (0.55, "failed"), (-0.55, "failed")]
)
def test_pixels_may_err_alike_by_half_a_unit(units: float, status: str, loaded: Loaded) -> None:
    # Without noise nothing else is allowed; images without ink have slopes of one sign.
    noiseless = Constants(of_p=0.0, of_mu=0.0, of_logvar=0.0).stand_in(loaded)
    decode = noiseless.functions[DECODER.name][EAGER]
    biased = with_function(noiseless, DECODER, EAGER, lambda z: (decode(z)[0] + units * 2.0**-24,))
    (found,) = check(biased, np.zeros((COUNT, 784), np.float32)).values()
    assert found.status == status
    _, off, limit = numbers(found)
    assert off / limit == pytest.approx(abs(units) / 0.5, rel=0.05)  # printed with two digits


def test_a_runtime_that_raises_is_a_failed_check(loaded: Loaded, images: Float32) -> None:
    def broken(rows: Float32) -> tuple[Float32, ...]:
        raise RuntimeError("the device is lost")

    found = check(with_function(few(loaded, NATIVE, TORCHSCRIPT), DECODER, NATIVE, broken), images)
    assert (found[NATIVE].status, found[NATIVE].detail) == ("failed", "the device is lost")
    assert found[EAGER].status == found[TORCHSCRIPT].status == "passed"


def test_a_runtime_of_one_network_only_is_left_out(loaded: Loaded, images: Float32) -> None:
    assert NATIVE_DENSE in loaded.functions[DECODER.name]
    only_encoder = with_function(
        few(loaded), ENCODER, NATIVE, loaded.functions[ENCODER.name][NATIVE]
    )
    assert list(check(only_encoder, images)) == [EAGER]
