"""A decoder and a prior beside their optimized twins, which verification compares."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from digitvae import _native
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import DECODER, PRIOR
from digitvae.engine.runtime import open_runtime
from digitvae.engine.sampling import LATENT_STREAM
from digitvae.parity.checks.random_reference import (
    mixture_latents,
    mixture_uniform,
    standard_normal,
)


def decoder(optimized: bool | None) -> _native.Decoder:
    return _native.Decoder(open_runtime(), Bundle.open().read(DECODER), optimized=optimized)


def test_each_variant_gives_the_same_bits() -> None:
    z = np.random.default_rng(0).standard_normal((300, 40), np.float32)
    images = []
    for optimized in (None, False, True):
        out = np.empty((300, 784), np.float32)
        decoder(optimized).decode(z, out, threads=1)
        images.append(out)
    assert images[0].tobytes() == images[1].tobytes() == images[2].tobytes()


def test_the_reference_never_turns_sparse() -> None:
    reference = decoder(optimized=False)
    out = np.empty((20_000, 784), np.uint8)
    reference.sample(out, seed=0, first=0, threads=1)
    assert not reference.is_optimized(_native.TILE_ROWS)
    # The one that may, does, wherever the sparse product exists.
    usual = decoder(optimized=None)
    assert not usual.is_optimized(_native.TILE_ROWS)
    usual.sample(out, seed=0, first=0, threads=1)
    exists = decoder(optimized=True).is_optimized(_native.TILE_ROWS)
    assert usual.is_optimized(_native.TILE_ROWS) is exists


@pytest.mark.parametrize("rows", [0, _native.TILE_ROWS + 1])
def test_a_run_has_as_many_rows_as_a_tile_at_most(rows: int) -> None:
    with pytest.raises(ValueError, match=f"rows is {rows}, expected 1 to 128"):
        decoder(optimized=None).is_optimized(rows)


@pytest.mark.parametrize("digits", [(), (7,), tuple(range(10))])
def test_each_variant_of_a_prior_draws_the_same_bits(digits: tuple[int, ...]) -> None:
    content = Bundle.open().read(PRIOR)
    drawn = []
    for optimized in (None, False, True):
        prior = _native.Mixture(open_runtime(), content, optimized=optimized)
        z, labels = np.empty((300, 40), np.float32), np.empty(300, np.int32)
        decoder(None).latents(
            z, seed=3, first=77, threads=1, prior=prior, digits=digits, labels=labels
        )
        drawn.append(z.tobytes() + labels.tobytes())
        assert prior.is_optimized is (optimized is True and platform.machine() == "x86_64")
    model = onnx.load_model_from_string(content)
    tables = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    wanted = np.resize(np.array(digits or (-1,)), 77 + 300)[77:]  # by the index of the image
    z, label = mixture_latents(
        tables, mixture_uniform(3, 77, 300), wanted, standard_normal(3, LATENT_STREAM, 77, 300, 40)
    )
    specified = z.tobytes() + label.astype(np.int32).tobytes()
    assert drawn[0] == drawn[1] == drawn[2]
    if platform.machine() == "x86_64":  # where the kernels of ONNX Runtime sum in that order
        assert drawn[1] == specified


@pytest.mark.skipif(platform.machine() != "x86_64", reason="kernels that sum in another order")
def test_a_prior_as_it_is_exported_today_is_drawn_from_natively(tiny_bundle: Path) -> None:
    content = Bundle.open(tiny_bundle).read(PRIOR)
    assert _native.Mixture(open_runtime(), content, optimized=True).is_optimized
