"""Latents from a prior through the C ABI, against docs/random-numbers.md in plain NumPy."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator

import numpy as np
import onnxruntime
import pytest
from cpp.fuzz.make_corpus import CLASSES, PRIOR
from libdigitvae import SampleOptions

from digitvae.parity.checks.random_reference import mixture_uniform, standard_normal
from tests.support.packages import DECODER, Installed

LATENT = 0  # the stream of random numbers
DIM = 40


@pytest.fixture
def library(installed: Installed) -> ctypes.CDLL:
    return ctypes.CDLL(str(installed.shared_library))


@pytest.fixture
def handles(library: ctypes.CDLL) -> Iterator[tuple[ctypes.c_void_p, ctypes.c_void_p]]:
    """A decoder and a prior that fits it."""
    decoder, prior = ctypes.c_void_p(), ctypes.c_void_p()
    path = os.fsencode
    assert library.dvae_decoder_open(path(DECODER), None, ctypes.byref(decoder)) == 0
    assert library.dvae_prior_open(path(PRIOR), None, ctypes.byref(prior)) == 0
    yield decoder, prior
    library.dvae_prior_close(prior)
    library.dvae_decoder_close(decoder)


@pytest.mark.parametrize("truncation", [1.0, 0.7])
@pytest.mark.parametrize("digit", [-1, 3])
@pytest.mark.parametrize(("seed", "first"), [(0, 0), (7, 1000), (2**64 - 1, 2**64 - 200)])
def test_mixture_latents_are_the_graph_s_on_the_numbers_of_the_specification(
    library: ctypes.CDLL,
    handles: tuple[ctypes.c_void_p, ctypes.c_void_p],
    digit: int,
    truncation: float,
    seed: int,
    first: int,
) -> None:
    decoder, prior = handles
    count = 200
    z = np.empty((count, DIM), np.float32)
    labels = np.empty(count, np.int32)
    size = ctypes.sizeof(SampleOptions)
    options = SampleOptions(size, seed, first, prior, digit, 2, None, None, truncation, 0)
    status = library.dvae_latents(
        decoder,
        ctypes.byref(options),
        ctypes.c_size_t(count),
        z.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_size_t(z.nbytes),
        labels.ctypes.data_as(ctypes.c_void_p),
    )
    assert status == 0

    session = onnxruntime.InferenceSession(PRIOR.read_bytes(), providers=["CPUExecutionProvider"])
    given = {
        "u": mixture_uniform(seed, first, count),
        "digit": np.full(count, digit, np.int64),
        "eps": standard_normal(seed, LATENT, first, count, DIM) * np.float32(truncation),
    }
    expected_z, expected_labels = session.run(["z", "label"], given)
    np.testing.assert_array_equal(z, expected_z)
    np.testing.assert_array_equal(labels, expected_labels)
    if digit < 0:
        assert len(set(labels.tolist())) == CLASSES
    else:
        assert set(labels.tolist()) == {digit}
