"""−ELBO is what the formula says, the same in every runtime, and not that of a faulty network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.nn import functional

from digitvae.bundle.folder import Bundle
from digitvae.data.sets import Split
from digitvae.parity.bundle import load_all
from digitvae.parity.checks import elbo
from digitvae.parity.checks.random_reference import standard_normal
from digitvae.parity.compare.statistics import bits_differ
from digitvae.parity.networks import DECODER, ENCODER, Float32, Function, Network
from digitvae.parity.report.report import Check
from digitvae.parity.runtimes.c_api import C_API
from digitvae.parity.runtimes.native import NATIVE, NATIVE_DENSE, NATIVE_THREADS
from digitvae.parity.runtimes.pytorch import EAGER, EXPORTED_PROGRAM, TORCHSCRIPT
from digitvae.parity.runtimes.runtime import Export
from digitvae.parity.runtimes.trusted import TorchFiles
from digitvae.parity.truth.enclosure import Enclosure
from digitvae.vae.heldout import as_tensor, evaluate
from digitvae.vae.weights import load_bundle

Loaded = dict[str, Export]
"""The networks, by name."""

COUNT = 300
LATENTS = 40
STATEMENT = "computes the −ELBO of the test images"


@pytest.fixture(scope="module")
def loaded(tiny_bundle: Path) -> Loaded:
    bundle = Bundle.open(tiny_bundle)
    decoder, encoder, _ = load_all(bundle, TorchFiles(bundle), [])
    return {DECODER.name: decoder, ENCODER.name: encoder}


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
    checks = elbo.check_elbo(
        loaded[ENCODER.name], loaded[DECODER.name], images, leader, said.append, threads=threads
    )
    if steps is not None:
        steps += said
    assert {check.statement for check in checks} == {STATEMENT}
    return {check.subject: check for check in checks}


def few(loaded: Loaded, *runtimes: str) -> Loaded:
    """Only eager and these, for speed."""
    return {
        network: replace(
            export, functions={name: export.functions[name] for name in (EAGER, *runtimes)}
        )
        for network, export in loaded.items()
    }


def with_function(loaded: Loaded, network: Network, runtime: str, function: Function) -> Loaded:
    """A copy, one function of which is another."""
    export = loaded[network.name]
    changed = replace(export, functions=export.functions | {runtime: function})
    return loaded | {network.name: changed}


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
    encoders, decoders = (loaded[network.name].functions for network in (ENCODER, DECODER))
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
    encode, decode = (exact(loaded[network.name].truth) for network in (ENCODER, DECODER))
    nats = elbo.nelbo(encode, decode, images, independent.z, 1)
    assert nats == pytest.approx(independent.nats, abs=1e-9)


def test_the_noise_is_stream_2_of_seed_0_and_the_latents_are_the_first_runtimes(
    loaded: Loaded, images: Float32, independent: Independent
) -> None:
    given: list[Float32] = []
    decode = loaded[DECODER.name].functions[NATIVE]

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
    function = loaded[network.name].functions[NATIVE]
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
    assert np.isnan(off) if fault is not_a_number else off > 20.0 * limit


def test_black_and_white_costs_a_lot_but_is_a_number(loaded: Loaded, images: Float32) -> None:
    faulty = with_function(
        few(loaded, NATIVE), DECODER, NATIVE, saturated(loaded[DECODER.name].functions[NATIVE])
    )
    nats, _, _ = numbers(check(faulty, images)[NATIVE])
    # A wrong pixel costs −log 1e-6 = 13.8 nats.
    assert 300.0 < nats < 13.9 * 784


@pytest.mark.parametrize(
    ("share", "status"), [(0.9, "passed"), (-0.9, "passed"), (1.1, "failed"), (-1.1, "failed")]
)
def test_four_roundings_may_be_off(
    share: float, status: str, loaded: Loaded, images: Float32, independent: Independent
) -> None:
    # Half of μ² is the divergence's part: what is added to it is added to −ELBO.
    off = share * 2.0**-22 * independent.nats

    def encode(x: Float32) -> tuple[Float32, ...]:
        mu, logvar = exact(loaded[ENCODER.name].truth)(x)
        return np.sqrt(np.square(mu) + 2 * off / LATENTS), logvar

    near = with_function(few(loaded, NATIVE), ENCODER, NATIVE, encode)
    near = with_function(near, DECODER, NATIVE, exact(loaded[DECODER.name].truth))
    found = check(near, images)[NATIVE]
    assert found.status == status
    _, distance, limit = numbers(found)
    assert distance / limit == pytest.approx(abs(share), rel=0.05)  # printed with two digits


def test_a_runtime_that_raises_is_a_failed_check(loaded: Loaded, images: Float32) -> None:
    def broken(rows: Float32) -> tuple[Float32, ...]:
        raise RuntimeError("the device is lost")

    found = check(with_function(few(loaded, NATIVE, TORCHSCRIPT), DECODER, NATIVE, broken), images)
    assert (found[NATIVE].status, found[NATIVE].detail) == ("failed", "the device is lost")
    assert found[EAGER].status == found[TORCHSCRIPT].status == "passed"


def test_a_runtime_of_one_network_only_is_left_out(loaded: Loaded, images: Float32) -> None:
    assert NATIVE_DENSE in loaded[DECODER.name].functions
    only_encoder = with_function(
        few(loaded), ENCODER, NATIVE, loaded[ENCODER.name].functions[NATIVE]
    )
    assert list(check(only_encoder, images)) == [EAGER]
