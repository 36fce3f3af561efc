"""The random numbers against their specification, docs/random-numbers.md, bit for bit."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from digitvae import _native
from digitvae.parity.checks import random_reference as reference

SPECIFICATION = Path(__file__).parents[2] / "docs" / "random-numbers.md"
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)


@pytest.fixture(scope="module")
def answers() -> Any:
    block = re.search(r"```json\n(.*?)```", SPECIFICATION.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    return json.loads(block[1])


def native_rows(
    seed: int, stream: int, first: int, count: int, dim: int
) -> npt.NDArray[np.float32]:
    rows = np.full((count, dim), np.nan, np.float32)
    _native.fill_standard_normal(rows, dim=dim, seed=seed, first=first, stream=stream)
    return rows


def words(*values: int) -> list[reference.Words]:
    return [np.array([value], np.uint64) for value in values]


def test_philox_gives_the_published_words(answers: Any) -> None:
    assert len(answers["philox4x32_10"]) == 3
    for answer in answers["philox4x32_10"]:
        counter = [int(word, 16) for word in answer["counter"]]
        key = [int(word, 16) for word in answer["key"]]
        expected = [int(word, 16) for word in answer["words"]]
        assert list(_native.philox4x32_10(*counter, *key)) == expected
        found = reference.philox4x32_10(words(*counter), (key[0], key[1]))
        assert [int(word[0]) for word in found] == expected


def test_uniforms_are_those_of_the_document(answers: Any) -> None:
    assert len(answers["uniforms"]) == 6
    for answer in answers["uniforms"]:
        word, expected = int(answer["word"], 16), float.fromhex(answer["u"])
        assert _native.uniform_from_word(word) == expected
        assert reference.uniform(*words(word))[0] == expected


def test_normals_are_those_of_the_document(answers: Any) -> None:
    assert len(answers["normals"]) == 5
    for answer in answers["normals"]:
        pair = [int(word, 16) for word in answer["words"]]
        expected = tuple(float.fromhex(z) for z in answer["z"])
        assert _native.normals_from_words(*pair) == expected
        assert tuple(z[0] for z in reference.normal_pairs(*words(*pair))) == expected


def test_mixture_choices_are_those_of_the_document(answers: Any) -> None:
    """The native ones are compared with the reference by `tests/packaging/test_mixture.py`."""
    assert len(answers["mixture choices"]) == 4
    for answer in answers["mixture choices"]:
        found = reference.mixture_uniform(answer["seed"], answer["index"], 1)
        assert found.view(np.uint32)[0] == int(answer["u"], 16)


def test_latents_are_those_of_the_document(answers: Any) -> None:
    assert len(answers["latents"]) == 4
    for answer in answers["latents"]:
        for make in (native_rows, reference.standard_normal):
            bits = make(answer["seed"], 0, answer["index"], 1, 40).view(np.uint32)[0]
            assert [f"{word:08x}" for word in bits[:4]] == answer["first four"]
            assert f"{bits[39]:08x}" == answer["last"]
    digest = hashlib.sha256(native_rows(0, 0, 0, 10_000, 40).tobytes()).hexdigest()
    assert digest == answers["sha256 of latents 0 … 9999 of seed 0, float32 little-endian"]


@given(
    seed=U64,
    stream=st.integers(0, 2),
    first=U64 | st.integers(2**32 - 20, 2**32),
    count=st.integers(1, 40),
    dim=st.integers(1, 45),
)
def test_native_rows_equal_the_numpy_reference_bit_for_bit(
    seed: int, stream: int, first: int, count: int, dim: int
) -> None:
    found = native_rows(seed, stream, first, count, dim)
    expected = reference.standard_normal(seed, stream, first, count, dim)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


@given(radius_word=U32, angle_word=U32)
@settings(max_examples=500)
def test_scalar_normals_equal_the_numpy_reference_bit_for_bit(
    radius_word: int, angle_word: int
) -> None:
    expected = reference.normal_pairs(*words(radius_word, angle_word))
    assert _native.normals_from_words(radius_word, angle_word) == tuple(z[0] for z in expected)


@given(radius_word=U32, angle_word=U32)
@example(radius_word=0, angle_word=3758609343)  # the largest error known
def test_normals_agree_with_box_muller_by_libm(radius_word: int, angle_word: int) -> None:
    u, v = (np.longdouble((word + 0.5) * 2.0**-32) for word in (radius_word, angle_word))
    radius, angle = np.sqrt(-2 * np.log(u)), 2 * np.arccos(np.longdouble(-1)) * v
    found = _native.normals_from_words(radius_word, angle_word)
    assert abs(found[0] - radius * np.cos(angle)) < 2.5e-15
    assert abs(found[1] - radius * np.sin(angle)) < 2.5e-15


def test_a_million_latents_have_the_moments_of_a_standard_normal() -> None:
    z = native_rows(20, 0, 0, 25_000, 40).astype(np.float64)
    n = z.size
    # Five standard errors of each estimator.
    assert abs(z.mean()) < 5 / np.sqrt(n)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs((z**3).mean()) < 5 * np.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 5 * np.sqrt(96 / n)
    correlations = np.asarray(np.corrcoef(z, rowvar=False))[np.triu_indices(40, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(len(z))
    neighbours = (z[:-1] * z[1:]).mean()
    assert abs(neighbours) < 5 / np.sqrt(n)


def test_buffers_that_do_not_fit_are_refused() -> None:
    for buffer, message in (
        (np.empty(41, np.float32), "41 values, expected a multiple of 40"),
        (np.empty(40, np.float64), "format 'd'"),
        (np.empty(40, np.uint8), "uint8, expected float32"),
        (np.empty((40, 2), np.float32)[:, 0], "not C-contiguous"),
    ):
        with pytest.raises(ValueError, match=message):
            _native.fill_standard_normal(buffer, dim=40, seed=0, first=0, stream=0)
    frozen = np.empty(40, np.float32)
    frozen.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        _native.fill_standard_normal(frozen, dim=40, seed=0, first=0, stream=0)
