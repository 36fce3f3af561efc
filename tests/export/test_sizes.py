"""Bundles of other sizes, from training to use, in Python, on the command line and in C.

Web pages take them in web/tests/browser/numbers.test.ts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

import digitvae as dv
from digitvae.bundle.dims import Dims
from digitvae.bundle.names import DECODER, ENCODER, PRIOR
from digitvae.data.sets import Split
from digitvae.parity import verify
from digitvae.parity.gate.mutants import all_mutants
from digitvae.parity.gate.trial import judge
from digitvae.parity.runtimes.c_api import Handle
from tests.support.once import made_once
from tests.support.running import Runner
from tests.support.sizes import GLYPHS, SMALL, make_glyphs, make_small

MAKERS = {SMALL: make_small, GLYPHS: make_glyphs}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def bundle_of(
    mnist: dict[str, Split], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Dims], Path]:
    del mnist  # which has to be in the cache
    names = {SMALL: "small_bundle", GLYPHS: "glyph_bundle"}
    return lambda dims: made_once(tmp_path_factory, names[dims], MAKERS[dims])


@pytest.fixture(params=MAKERS, ids=["16 latents, 256 hidden", "20 × 24 pixels"])
def dims(request: pytest.FixtureRequest) -> Dims:
    found: Dims = request.param
    return found


@pytest.fixture
def bundle(dims: Dims, bundle_of: Callable[[Dims], Path]) -> Path:
    return bundle_of(dims)


def test_every_runtime_of_it_is_verified(dims: Dims, bundle: Path) -> None:
    root = bundle.with_name("glyphs") if dims is GLYPHS else None
    report = verify(bundle, quick=True, data_root=root)
    assert report.passed, report.summary()
    # Of tests without an AVX2 kernel one check is not run.
    assert {check.subject for check in report.checks if check.status == "not run"} <= {
        "native engine, sparse"
    }
    assert dv.Bundle.open(bundle).dims == dims


def test_the_gate_makes_mutants_of_its_size(dims: Dims, bundle: Path) -> None:
    mutants = {mutant.name: mutant for mutant in all_mutants(dims)}
    for name in (
        "decoder.onnx: constant batch",
        "decoder.onnx: weight stored transposed",
        "encoder.onnx: two pixels swapped",
        "decoder.pt2: Sigmoid → HardSigmoid",
        *(name for name in list(mutants) if "of fc_mu.weight" in name),
    ):
        outcome = judge(bundle, mutants[name])
        assert outcome.as_it_should, outcome.said


def test_python_makes_images_of_its_size(dims: Dims, bundle: Path) -> None:
    model = dv.load(bundle)
    size = (dims.height, dims.width)
    images, labels = model.sample(300, seed=5, digit=2, return_labels=True)
    assert images.shape == (300, *size)
    assert (labels == 2).all()
    z = model.latents(300, seed=5)
    assert z.shape == (300, dims.latents)
    plain = model.sample(300, seed=5)
    assert np.array_equal(model.decode(z), plain)
    assert np.array_equal(np.concatenate(list(model.stream(300, seed=5, chunk=77))), plain)
    mu, logvar = model.encode(images)
    assert mu.shape == logvar.shape == z.shape
    assert np.array_equal(model.encode(images.reshape(300, -1)).mu, mu)
    path = model.interpolate(mu[0], mu[1], 5)
    assert path.shape == (5, *size)
    assert np.array_equal(path[[0, -1]], model.decode(mu[:2]))
    assert model.variations(images[0], 3).shape == (3, *size)


def test_the_command_line_makes_images_of_its_size(
    dims: Dims, bundle: Path, run: Runner, tmp_path: Path
) -> None:
    model = dv.load(bundle)
    given = ("--bundle", bundle)
    assert run("generate", 200, *given, "-o", "a.npy").code == 0
    assert run("generate", 200, *given, "-o", "a.png").code == 0
    assert run("encode", "a.npy", *given, "-o", "z.npz").code == 0
    assert run("decode", "z.npz", *given, "-o", "b.npy").code == 0
    images, again = (np.load(tmp_path / name) for name in ("a.npy", "b.npy"))
    assert np.array_equal(images, model.sample(200))
    assert np.array_equal(again, model.decode(model.encode(images).mu))
    assert run("reconstruct", "a.npy", *given, "-o", "c.npy").code == 0
    assert np.array_equal(np.load(tmp_path / "c.npy"), again)
    assert json.loads(run("info", bundle, "--json").out)["manifest"]["dims"] == (
        dims.for_manifest()
    )


def test_c_computes_the_bits_of_python(dims: Dims, bundle: Path) -> None:
    model = dv.load(bundle)
    with ExitStack() as stack:
        decoder, encoder, prior = (
            stack.enter_context(closing(Handle(kind, model.bundle.read(name))))
            for kind, name in (("decoder", DECODER), ("encoder", ENCODER), ("prior", PRIOR))
        )
        z, labels = decoder.latents(prior, 300, dims.latents)
        x = decoder.decode(z, dims.pixels)
        mu, logvar = encoder.encode(x, dims.latents)
    expected, classes = model.sample(300, prior="mixture", dtype="float32", return_labels=True)
    assert np.array_equal(z, model.latents(300, prior="mixture"))
    assert np.array_equal(labels, classes)
    assert x.tobytes() == expected.tobytes()
    posterior = model.encode(expected)
    assert mu.tobytes() == posterior.mu.tobytes()
    assert logvar.tobytes() == posterior.logvar.tobytes()


def test_bundles_of_all_sizes_work_side_by_side(
    bundle_of: Callable[[Dims], Path], model: dv.Model
) -> None:
    folders = [bundle_of(dims) for dims in MAKERS]
    alone = [dv.load(folder).sample(600, seed=3) for folder in folders]
    models = [model, *map(dv.load, folders)]
    for _ in range(2):
        together = [each.sample(600, seed=3) for each in models]
        assert all(map(np.array_equal, together[1:], alone))
    assert np.array_equal(together[0], model.sample(600, seed=3))


def test_a_model_with_fewer_latents_is_evaluated(
    bundle_of: Callable[[Dims], Path], run: Runner
) -> None:
    words = ("--quick", "--draws", "300", "--json", "--html", "page.html")
    report = json.loads(run("evaluate", bundle_of(SMALL), *words).out)
    active = f"{report['heldout']['active_latents']} of {SMALL.latents}"
    assert active in Path("page.html").read_text("utf-8")
    assert len(report["latents"]["kl"]) == SMALL.latents
    assert report["heldout"]["active_latents"] <= SMALL.latents
