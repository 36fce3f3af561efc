"""Draws with labels: the mixture, digits in turn, truncation, and variations of one image."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from cpp.fuzz import make_corpus
from hypothesis import given, settings
from hypothesis import strategies as st

import digitvae as dv
from digitvae import _native
from digitvae.bundle.folder import Bundle, describe_files, write_manifest
from digitvae.bundle.names import PRIOR
from digitvae.parity.checks.random_reference import mixture_uniform, standard_normal

LATENTS, POSTERIOR = 0, 2  # streams of random numbers
COMPONENTS = make_corpus.COMPONENTS


def expected_of(
    model: dv.Model, digits: list[int], truncation: float, *, seed: int, first: int, count: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Latents and labels as docs/random-numbers.md has them, by ONNX Runtime in Python."""
    session = onnxruntime.InferenceSession(
        model.bundle.read(PRIOR), providers=["CPUExecutionProvider"]
    )
    indices = range(first, first + count)
    noise = standard_normal(seed, LATENTS, first, count, model.latent_dim)
    given = {
        "u": mixture_uniform(seed, first, count),
        "digit": np.array([digits[i % len(digits)] for i in indices], np.int64),
        "eps": noise * np.float32(truncation),
    }
    z, labels = session.run(["z", "label"], given)
    return z, labels


@pytest.mark.parametrize("digits", [[-1], [7], [3, 0, 9, 3, 5]])
@pytest.mark.parametrize("truncation", [1.0, 0.7, 0.0])
@pytest.mark.parametrize(("seed", "first"), [(0, 0), (2**64 - 1, 2**64 - 300)])
def test_latents_of_the_mixture_are_its_graph_s_on_the_specified_numbers(
    labelled: dv.Model, digits: list[int], truncation: float, seed: int, first: int
) -> None:
    options: Any = {"prior": "mixture"} if digits == [-1] else {"digit": digits}
    z, labels = labelled.latents(
        300, seed=seed, first=first, truncation=truncation, return_labels=True, **options
    )
    expected_z, expected_labels = expected_of(
        labelled, digits, truncation, seed=seed, first=first, count=300
    )
    np.testing.assert_array_equal(z.view(np.uint32), expected_z.view(np.uint32))
    np.testing.assert_array_equal(labels, expected_labels)
    assert (labels.dtype.name, labels.shape) == ("int32", (300,))


def with_noise_dim(bundle: Path, folder: Path, said: str) -> Path:
    """The bundle with a prior whose metadata say how many columns of noise it reads."""
    copy = shutil.copytree(bundle, folder)
    model = onnx.load(copy / PRIOR)
    model.metadata_props.add(key="digitvae.noise_dim", value=said)
    (copy / PRIOR).write_bytes(model.SerializeToString())
    opened = Bundle.open(bundle)
    write_manifest(copy, opened.manifest | {"files": describe_files(copy, opened.file_names)})
    return copy


@pytest.mark.parametrize("columns", [1, 10, 39, 40])
def test_no_noise_is_made_for_columns_that_the_prior_does_not_read(
    labelled_bundle: Path, tmp_path: Path, columns: int
) -> None:
    model = dv.load(with_noise_dim(labelled_bundle, tmp_path / "bundle", str(columns)))
    z, labels = model.latents(
        300, seed=5, first=100, digit=[1, 8], truncation=0.5, return_labels=True
    )
    # The small prior reads every column: it shows what stood in each.
    noise = np.float32(0.5) * standard_normal(5, LATENTS, 100, 300, 40)
    noise[:, columns:] = 0.0
    session = onnxruntime.InferenceSession(
        model.bundle.read(PRIOR), providers=["CPUExecutionProvider"]
    )
    digit = np.array([[1, 8][i % 2] for i in range(100, 400)], np.int64)
    given = {"u": mixture_uniform(5, 100, 300), "digit": digit, "eps": noise}
    expected_z, expected_labels = session.run(["z", "label"], given)
    np.testing.assert_array_equal(z.view(np.uint32), expected_z.view(np.uint32))
    np.testing.assert_array_equal(labels, expected_labels)


@pytest.mark.parametrize(
    ("said", "reason"), [("0", "from 1 to"), ("41", "more than its 40 latents"), ("ten", "ten")]
)
def test_an_impossible_number_of_columns_is_refused(
    labelled_bundle: Path, tmp_path: Path, said: str, reason: str
) -> None:
    bundle = with_noise_dim(labelled_bundle, tmp_path / "bundle", said)
    with pytest.raises(dv.BundleError, match=f"noise_dim.*{reason}"):
        dv.load(bundle).latents(1, prior="mixture")


def test_samples_are_decoded_latents_with_their_labels(labelled: dv.Model) -> None:
    z, labels = labelled.latents(300, seed=3, digit=[1, 8], truncation=0.8, return_labels=True)
    images, others = labelled.sample(300, seed=3, digit=[1, 8], truncation=0.8, return_labels=True)
    np.testing.assert_array_equal(images, labelled.decode(z))
    np.testing.assert_array_equal(labels, others)
    alone = labelled.sample(300, seed=3, digit=[1, 8], truncation=0.8)
    np.testing.assert_array_equal(alone, images)


@given(
    first=st.integers(0, 400),
    count=st.integers(1, 200),
    threads=st.integers(1, 3),
    chunk=st.integers(1, 250),
    digits=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    truncation=st.sampled_from([1.0, 0.5, 0.0]),
)
@settings(max_examples=40)
def test_any_range_threads_and_chunking_give_the_same_digits(
    labelled: dv.Model,
    first: int,
    count: int,
    threads: int,
    chunk: int,
    digits: list[int],
    truncation: float,
) -> None:
    asked: Any = {"seed": 5, "digit": digits, "truncation": truncation, "return_labels": True}
    whole, labels = labelled.sample(600, **asked)
    assert labels.tolist() == [digits[i % len(digits)] for i in range(600)]
    part, part_labels = labelled.sample(count, first=first, threads=threads, **asked)
    np.testing.assert_array_equal(part, whole[first : first + count])
    np.testing.assert_array_equal(part_labels, labels[first : first + count])
    pairs = list(labelled.stream(count, first=first, chunk=chunk, threads=threads, **asked))
    np.testing.assert_array_equal(np.concatenate([images for images, _ in pairs]), part)
    np.testing.assert_array_equal(np.concatenate([some for _, some in pairs]), part_labels)
    assert [len(some) for _, some in pairs[:-1]] == [chunk] * (len(pairs) - 1)
    buffer, numbers = bytearray(784 * count), memoryview(bytearray(4 * count)).cast("i")
    labelled.sample_into(
        buffer, labels=numbers, seed=5, first=first, digit=digits, truncation=truncation
    )
    assert buffer == part.tobytes()
    assert numbers.tolist() == part_labels.tolist()


def test_all_of_the_noise_is_the_same_as_not_saying_so(labelled: dv.Model) -> None:
    for source in ({}, {"prior": "mixture"}, {"digit": 4}):
        options: Any = source
        for make in (labelled.sample, labelled.latents):
            plain = make(200, seed=9, **options)
            np.testing.assert_array_equal(make(200, seed=9, truncation=1, **options), plain)


def test_less_noise_of_the_standard_prior_is_a_product_in_float32(model: dv.Model) -> None:
    z = model.latents(300, seed=2, first=50)
    for truncation in (0.0, 0.3, np.float32(0.9)):
        shorter = model.latents(300, seed=2, first=50, truncation=float(truncation))
        np.testing.assert_array_equal(shorter, z * np.float32(truncation))
        images = model.sample(300, seed=2, first=50, truncation=float(truncation))
        np.testing.assert_array_equal(images, model.decode(shorter))


def test_without_noise_the_mixture_gives_its_means_whatever_the_seed(labelled: dv.Model) -> None:
    means = make_corpus.mixture(labelled.latent_dim)["means"]
    for seed in (0, 1):
        z = labelled.latents(200, seed=seed, digit=6, truncation=0)
        distinct = np.unique(z, axis=0)
        expected = np.unique(means[6 * COMPONENTS : 7 * COMPONENTS], axis=0)
        np.testing.assert_array_equal(distinct, expected)


def test_a_digit_is_the_list_of_it_and_implies_the_mixture(labelled: dv.Model) -> None:
    for digit in (7, [7], (7, 7), np.array([7]), np.int64(7)):
        asked: Any = digit
        images, labels = labelled.sample(150, digit=asked, return_labels=True)
        assert set(labels.tolist()) == {7}
        np.testing.assert_array_equal(images, labelled.sample(150, prior="mixture", digit=7))
    _, every = labelled.sample(400, prior="mixture", return_labels=True)
    assert set(every.tolist()) == set(range(10))
    assert labelled.labels == 10


def test_the_standard_prior_of_a_bundle_with_a_mixture_is_what_it_always_was(
    labelled: dv.Model, model: dv.Model
) -> None:
    np.testing.assert_array_equal(labelled.sample(300, seed=4), model.sample(300, seed=4))


BAD_CALLS: list[tuple[str, type[Exception], str]] = [
    ("m.sample(3, prior='normal')", ValueError, "prior is 'normal', expected 'standard' or"),
    ("m.sample(3, digit=10)", ValueError, "digit is 10, expected 0 to 9"),
    ("m.sample(3, digit=-1)", ValueError, "digit is -1, expected 0 to 9"),
    ("m.sample(3, digit=[1, 10])", ValueError, "digit is 10"),
    ("m.sample(3, digit=[])", ValueError, "digit is an empty sequence"),
    ("m.sample(3, digit='7')", TypeError, "digit is '7', expected a whole number"),
    ("m.sample(3, digit=7.0)", TypeError, "digit is 7.0"),
    ("m.sample(3, digit=True)", TypeError, "digit is True"),
    ("m.sample(3, digit=iter([1]))", TypeError, "expected a whole number"),
    ("m.sample(3, truncation=-0.1)", ValueError, "truncation is -0.1, expected 0 to 1"),
    ("m.sample(3, truncation=1.1)", ValueError, "truncation is 1.1"),
    ("m.sample(3, truncation=float('nan'))", ValueError, "truncation is nan"),
    ("m.sample(3, truncation='1')", TypeError, "truncation is '1', expected a number"),
    ("m.sample(3, return_labels=True)", ValueError, "add prior='mixture', or a digit"),
    ("m.latents(3, return_labels=True)", ValueError, "add prior='mixture', or a digit"),
    ("m.stream(3, return_labels=True)", ValueError, "add prior='mixture', or a digit"),
    ("m.stream(3, digit=10)", ValueError, "digit is 10"),
    ("m.stream(3, truncation=2)", ValueError, "truncation is 2"),
    ("m.latents(3, digit=10)", ValueError, "digit is 10"),
    ("m.sample_into(bytearray(784), labels=ints(1))", ValueError, "add prior='mixture'"),
    ("m.sample_into(bytearray(784), digit=1, labels=ints(2))", ValueError, "2 values, expected 1"),
    ("m.sample_into(bytearray(784), digit=1, labels=bytearray(4))", ValueError, "expected 'i'"),
    ("m.sample_into(bytearray(784), digit=1, labels=bytes(4))", BufferError, "writable"),
    ("m.variations(image, 0)", ValueError, "n is 0"),
    ("m.variations(image[None], 3)", ValueError, r"shape \(1, 28, 28\), expected one image"),
    ("m.variations(image[:3], 3)", ValueError, r"x has shape \(3, 28\)"),
    ("m.variations(image, 3, truncation=-1)", ValueError, "truncation is -1"),
    ("m.variations(image, 3, threads=0)", ValueError, "threads is 0"),
    ("m.variations(image.tolist(), 3)", TypeError, "x is a list"),
    ("m.variations(image, 3, out=np.empty((2, 28, 28), np.uint8))", ValueError, "out is uint8"),
]


def ints(count: int) -> memoryview:
    return memoryview(bytearray(4 * count)).cast("i")


@pytest.mark.parametrize(("call", "kind", "message"), BAD_CALLS, ids=[c[0] for c in BAD_CALLS])
def test_wrong_arguments_say_what_was_wrong(
    labelled: dv.Model, call: str, kind: type[Exception], message: str
) -> None:
    image = labelled.sample(1)[0]
    with pytest.raises(kind, match=message):
        eval(call, {"m": labelled, "np": np, "image": image, "ints": ints})


def test_misaligned_labels_are_refused(labelled: dv.Model) -> None:
    shifted = np.frombuffer(bytearray(8), np.uint8)[1:5].view(np.int32)
    assert shifted.ctypes.data % 4 != 0
    with pytest.raises(ValueError, match="multiple of four bytes"):
        labelled.sample_into(bytearray(784), digit=1, labels=shifted)


@pytest.mark.parametrize("call", ["m.sample(3, digit=1)", "m.labels", "m.stream(3, digit=1)"])
def test_a_bundle_without_a_mixture_says_so(unlabelled_bundle: Path, call: str) -> None:
    model = dv.load(unlabelled_bundle)
    with pytest.raises(dv.BundleError, match=r"has no prior\.onnx: only prior='standard'"):
        eval(call, {"m": model})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (make_corpus.prior(39), "says {'latent': 39, 'dataset': "),
        (b"nothing", "or cut short"),
        (make_corpus.tiny_decoder(), "the operator 'Relu'"),
    ],
)
def test_a_prior_that_is_not_of_the_bundle_is_refused_and_the_rest_works(
    labelled_bundle: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    folder = shutil.copytree(labelled_bundle, tmp_path / "bundle")
    (folder / PRIOR).write_bytes(content)
    manifest = Bundle.open(labelled_bundle).manifest
    write_manifest(folder, manifest | {"files": describe_files(folder, manifest["files"])})
    model = dv.load(folder)
    with pytest.raises(dv.BundleError, match=message):
        model.sample(1, digit=1)
    assert model.sample(1).shape == (1, 28, 28)


def test_the_native_module_itself_refuses_labels_of_no_prior(labelled: dv.Model) -> None:
    decoder = labelled._networks.decoder
    with pytest.raises(ValueError, match="no prior is given"):
        decoder.sample(bytearray(784), seed=0, first=0, threads=1, labels=ints(1))
    with pytest.raises(ValueError, match="digit is 3 but no prior is given"):
        decoder.sample(bytearray(784), seed=0, first=0, threads=1, digits=[3])
    prior = labelled._networks.mixture
    assert (prior.latent_dim, prior.labels, prior.dataset) == (40, 10, "mnist")
    assert isinstance(prior, _native.Mixture)


def test_a_pickled_model_draws_the_same_digits(labelled: dv.Model) -> None:
    copy = pickle.loads(pickle.dumps(labelled))
    np.testing.assert_array_equal(copy.sample(5, digit=2), labelled.sample(5, digit=2))


def test_many_threads_open_one_prior_and_get_the_same(labelled_bundle: Path) -> None:
    model = dv.load(labelled_bundle)
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda _: model.sample(200, seed=1, digit=[2, 4]), range(8))]
    for images in found[1:]:
        np.testing.assert_array_equal(images, found[0])


def test_labelled_digits_need_neither_numpy_nor_torch(labelled_bundle: Path) -> None:
    script = (
        "import sys, digitvae as dv;"
        f"m = dv.load({str(labelled_bundle)!r});"
        "b, l = bytearray(784 * 3), memoryview(bytearray(12)).cast('i');"
        "m.sample_into(b, labels=l, digit=[3, 1], truncation=0.5);"
        "assert l.tolist() == [3, 1, 3] and any(b);"
        "assert not {'numpy', 'torch', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_fork_draws_the_same_digits(labelled: dv.Model) -> None:
    here = labelled.sample(300, digit=5)
    script_end, our_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            same = np.array_equal(labelled.sample(300, digit=5), here)
            os.write(our_end, b"1" if same else b"0")
        finally:
            os._exit(0)
    os.close(our_end)
    os.waitpid(child, 0)
    assert os.read(script_end, 1) == b"1"
    os.close(script_end)


@pytest.mark.parametrize("truncation", [1.0, 0.4])
def test_variations_are_decoded_draws_from_the_posterior(
    model: dv.Model, truncation: float
) -> None:
    image = model.sample(1, seed=8)[0]
    found = model.variations(image, 200, seed=3, first=10, truncation=truncation)
    mu, logvar = model.encode(image)
    eps = standard_normal(3, POSTERIOR, 10, 200, model.latent_dim)
    z = mu + np.exp(np.float32(0.5) * logvar) * (np.float32(truncation) * eps)
    np.testing.assert_array_equal(found, model.decode(z))
    part = model.variations(image, 7, seed=3, first=60, truncation=truncation)
    np.testing.assert_array_equal(part, found[50:57])
    assert len(np.unique(found, axis=0)) == 200


def test_variations_take_what_encoding_takes_and_fill_what_they_are_given(model: dv.Model) -> None:
    image = model.sample(1, seed=8, dtype="float32")[0]
    out = np.empty((4, 28, 28), np.float32)
    found = model.variations(image.reshape(784), 4, dtype="float32", threads=1, out=out)
    assert found is out
    np.testing.assert_array_equal(found, model.variations(image, 4, dtype="float32"))
    closest = model.variations(image, 2, truncation=0)
    np.testing.assert_array_equal(closest, np.stack([model.decode(model.encode(image).mu)] * 2))
