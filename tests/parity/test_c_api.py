"""The C API through ctypes: the bits of the engine, and errors in the library's own words."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import onnxruntime
import pytest
from cpp.fuzz import make_corpus

import digitvae as dv
from digitvae.base.errors import RuntimeLibraryError
from digitvae.bundle.names import DECODER as DECODER_FILE
from digitvae.bundle.names import ENCODER as ENCODER_FILE
from digitvae.parity.checks.random_reference import mixture_uniform, standard_normal
from digitvae.parity.compare.statistics import bits_differ
from digitvae.parity.networks import DECODER, ENCODER, Float32
from digitvae.parity.runtimes import c_api
from digitvae.parity.runtimes.c_api import CApiError, Handle, c_api_function

LATENTS, PIXELS = 40, 784
DIMS = {"latent": LATENTS, "hidden": 400, "height": 28, "width": 28}
ROWS = (1, 37, 300)


@pytest.fixture(scope="module")
def decoder_bytes(model: dv.Model) -> bytes:
    return model.bundle.read(DECODER_FILE)


@pytest.fixture(scope="module")
def encoder_bytes(model: dv.Model) -> bytes:
    return model.bundle.read(ENCODER_FILE)


@pytest.fixture(scope="module")
def decoder(decoder_bytes: bytes) -> Iterator[Handle]:
    with closing(Handle("decoder", decoder_bytes)) as handle:
        yield handle


@pytest.fixture(scope="module")
def encoder(encoder_bytes: bytes) -> Iterator[Handle]:
    with closing(Handle("encoder", encoder_bytes)) as handle:
        yield handle


@pytest.fixture(scope="module")
def latents(model: dv.Model) -> Float32:
    return model.latents(max(ROWS), seed=3)


@pytest.fixture(scope="module")
def images(model: dv.Model, latents: Float32) -> Float32:
    return model.decode(latents, dtype="float32").reshape(-1, PIXELS)


@pytest.mark.parametrize("count", ROWS)
def test_decoding_has_the_bits_of_the_engine(
    count: int, model: dv.Model, decoder: Handle, latents: Float32
) -> None:
    z = latents[:count]
    found = decoder.decode(z, PIXELS)
    assert found.shape == (count, PIXELS)
    assert found.dtype == np.float32
    assert not bits_differ(found, model.decode(z, dtype="float32").reshape(count, PIXELS))


@pytest.mark.parametrize("count", ROWS)
def test_encoding_has_the_bits_of_the_engine(
    count: int, model: dv.Model, encoder: Handle, images: Float32
) -> None:
    mu, logvar = encoder.encode(images[:count], LATENTS)
    posterior = model.encode(images[:count])
    assert mu.shape == logvar.shape == (count, LATENTS)
    assert not bits_differ(mu, posterior.mu)
    assert not bits_differ(logvar, posterior.logvar)


def test_rows_with_gaps_between_them_are_read_as_rows(
    model: dv.Model, decoder: Handle, latents: Float32
) -> None:
    every_other = latents[::2]
    assert not every_other.flags.c_contiguous
    expected = model.decode(np.ascontiguousarray(every_other), dtype="float32")
    assert not bits_differ(decoder.decode(every_other, PIXELS), expected.reshape(-1, PIXELS))


def test_the_functions_that_are_compared_are_these_handles(
    model: dv.Model,
    decoder_bytes: bytes,
    encoder_bytes: bytes,
    latents: Float32,
    images: Float32,
) -> None:
    (drawn,) = c_api_function(DECODER, decoder_bytes, DIMS)(latents[:37])
    assert not bits_differ(drawn, images[:37])
    outputs = c_api_function(ENCODER, encoder_bytes, DIMS)(images[:37])
    for found, expected in zip(outputs, model.encode(images[:37]), strict=True):
        assert not bits_differ(found, expected)


def test_a_function_that_is_gone_has_closed_its_handle(
    decoder_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    close = Handle.close

    def close_and_tell(self: Handle) -> None:
        closed.append(self._handle.value)
        close(self)

    monkeypatch.setattr(Handle, "close", close_and_tell)
    function = c_api_function(DECODER, decoder_bytes, DIMS)
    gc.collect()
    assert closed == []
    del function
    gc.collect()
    (address,) = closed
    assert address


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("decoder", lambda model: model[: len(model) // 2], "the model is no message of ONNX"),
        ("decoder", lambda _: b"", "the model has 0 bytes"),
        (
            "decoder",
            lambda _: make_corpus.bad_decoders()["no_metadata"],
            "the model has no metadata 'digitvae.schema'",
        ),
        (
            "encoder",
            lambda decoder: decoder,
            "the model's inputs are z float32 [batch, 40], expected x float32 [batch, 784]",
        ),
        (
            "prior",
            lambda decoder: decoder,
            "the model uses the operator 'Relu', which",
        ),
    ],
)
def test_what_is_no_such_model_is_refused_in_the_librarys_words(
    kind: str, change: Callable[[bytes], bytes], message: str, decoder_bytes: bytes
) -> None:
    with pytest.raises(CApiError) as caught:
        Handle(kind, change(decoder_bytes))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e21])
def test_a_latent_that_cannot_be_decoded_is_named_with_its_row(
    value: float, decoder: Handle, latents: Float32
) -> None:
    z = latents.copy()
    z[217, 5] = value
    with pytest.raises(CApiError, match=r"row 217, column 5"):
        decoder.decode(z, PIXELS)
    # The handle is as good as before.
    assert decoder.decode(latents[:1], PIXELS).shape == (1, PIXELS)


def test_an_intensity_outside_of_0_to_1_is_named_with_its_row(
    encoder: Handle, images: Float32
) -> None:
    x = images.copy()
    x[36, 783] = 1.5
    with pytest.raises(CApiError, match=r"row 36, column 783"):
        encoder.encode(x, LATENTS)


def test_a_buffer_that_is_too_small_is_refused(
    decoder: Handle, encoder: Handle, latents: Float32, images: Float32
) -> None:
    with pytest.raises(CApiError, match="bytes"):
        decoder.decode(latents[:3], PIXELS - 1)
    with pytest.raises(CApiError, match="bytes"):
        encoder.encode(images[:3], LATENTS - 1)


def test_closing_twice_does_no_harm_and_a_closed_handle_does_nothing_more(
    decoder_bytes: bytes, latents: Float32
) -> None:
    handle = Handle("decoder", decoder_bytes)
    handle.close()
    handle.close()
    with pytest.raises(CApiError, match=r"^decoder is a null pointer$"):
        handle.decode(latents[:1], PIXELS)


def test_a_library_with_another_abi_is_not_called(
    decoder_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c_api, "ABI_VERSION", 2)
    with pytest.raises(RuntimeLibraryError, match=r"^the C API has ABI 1, expected 2$"):
        Handle("decoder", decoder_bytes)


def test_latents_of_a_prior_are_what_onnx_runtime_makes_of_the_specified_numbers(
    decoder: Handle,
) -> None:
    count, content = 1000, make_corpus.PRIOR.read_bytes()
    with closing(Handle("prior", content)) as prior:
        z, labels = decoder.latents(prior, count, LATENTS)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    expected, classes = session.run(
        ["z", "label"],
        {
            "u": mixture_uniform(0, 0, count),
            "digit": np.full(count, -1, np.int64),
            "eps": standard_normal(0, 0, 0, count, LATENTS),
        },
    )
    assert not bits_differ(z, expected)
    assert labels.dtype == np.int32
    assert labels.tolist() == classes.tolist()
    assert set(labels) == set(range(10))


def test_a_prior_that_computes_nonsense_is_an_error(decoder: Handle) -> None:
    wrong = make_corpus.prior(LATENTS, label_offset=make_corpus.CLASSES)
    with closing(Handle("prior", wrong)) as prior, pytest.raises(CApiError, match="label"):
        decoder.latents(prior, 10, LATENTS)
    other = make_corpus.prior(LATENTS - 1)
    with closing(Handle("prior", other)) as prior, pytest.raises(CApiError, match="39"):
        decoder.latents(prior, 10, LATENTS)
