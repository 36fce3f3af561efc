"""A whole evaluation: of a bundle without a prior, of one with a stand-in for it, of odd ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from digitvae.base.errors import BundleError
from digitvae.bundle.folder import Bundle, write_manifest
from digitvae.data.sets import Split
from digitvae.engine.model import Model
from digitvae.evaluation.bundle import evaluate_bundle
from digitvae.evaluation.measure import Inputs
from digitvae.evaluation.measures.importance import BOUNDS
from digitvae.evaluation.measures.neighbours import NEIGHBOURS
from digitvae.evaluation.options import settings
from digitvae.evaluation.report import (
    MIXTURE,
    RECONSTRUCTIONS,
    STANDARD,
    TEST,
    TRAIN,
    EvaluationReport,
)
from digitvae.evaluation.settings import DRAWS
from digitvae.evaluation.views.html import to_html
from digitvae.evaluation.views.sheet import to_png
from digitvae.evaluation.views.tables import tables
from tests.support.evaluating import SMALL, changed


@pytest.fixture(scope="module")
def report(plain: Path) -> EvaluationReport:
    return evaluate_bundle(plain, SMALL, pictures=True)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(
    plain: Path, report: EvaluationReport
) -> None:
    steps: list[tuple[int, int]] = []
    again = evaluate_bundle(plain, SMALL, on_progress=lambda i, n, _: steps.append((i, n)))
    assert again.to_dict() == report.to_dict()
    assert again.pictures == ()
    assert steps == [(i, len(steps)) for i in range(len(steps))]
    other = evaluate_bundle(plain, replace(SMALL, seed=1)).to_dict()
    assert other["heldout"] == report.to_dict()["heldout"]  # of all images, with its own noise
    for key in ("bounds", "sources", "neighbours", "smoothness"):
        assert other[key] != report.to_dict()[key], key


def test_measures_stand_in_the_order_that_they_must(report: EvaluationReport) -> None:
    grey, sizes = report.bounds["grey"], SMALL[BOUNDS]
    assert tuple((bound.k, bound.images) for bound in grey) == sizes
    assert report.heldout.kl is not None
    assert report.latents is not None
    assert sum(report.latents.kl) == pytest.approx(report.heldout.kl, rel=1e-4)
    found = report.sources
    assert list(found) == [TEST, TRAIN, RECONSTRUCTIONS, STANDARD]
    assert found[TEST].frechet is None
    right = found[TEST].label_accuracy
    assert right is not None
    assert right > 0.98
    assert found[STANDARD].label_accuracy is None
    floor, distance = found[TRAIN].frechet, found[STANDARD].frechet
    assert floor is not None
    assert distance is not None
    assert 0 < floor < distance / 2
    assert report.latents.coincidence[TRAIN] < report.latents.coincidence[STANDARD]
    assert list(report.neighbours) == [TEST, STANDARD]
    assert (report.smoothness.paths, report.smoothness.steps) == (12, 5)


def test_a_mixture_that_does_not_exist_is_said_to_be_absent(report: EvaluationReport) -> None:
    found = json.loads(json.dumps(report.to_dict()))
    assert found["schema"] == "digitvae-evaluation/1"
    assert found["sources"]["mixture"] is None
    assert found["neighbours"]["mixture"] is None
    assert found["latents"]["coincidence"]["mixture"] is None
    text = "\n".join(table.markdown() for table in tables([report]))
    assert text.count("the bundle has no prior") == 3


@pytest.fixture
def memorizing(monkeypatch: pytest.MonkeyPatch, mnist: dict[str, Split]) -> None:
    """A prior whose samples are training images; a label in ten is wrong, unless asked for."""

    def mixture(
        _: Inputs, n: int, seed: int, digit: list[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        images, labels = mnist["train"]
        if digit is None:
            wrong = np.arange(n) % 10 == 0
            return images[:n], np.where(wrong, 9 - labels[:n], labels[:n]).astype(np.int32)
        places = [np.flatnonzero(labels == digit[i % len(digit)])[i] for i in range(n)]
        return images[places], labels[places].astype(np.int32)

    drawn = Model.latents

    def latents(model: Model, n: int, **asked: Any) -> Any:
        if asked.get("prior") != "mixture":
            return drawn(model, n, **asked)
        return model.encode(mnist["train"].images[:n]).mu

    monkeypatch.setattr(Inputs, "has_mixture", True)
    monkeypatch.setattr(Inputs, "mixture", mixture)
    monkeypatch.setattr(Model, "latents", latents)


@pytest.mark.usefixtures("memorizing")
def test_a_prior_that_memorizes_is_found_out(plain: Path, report: EvaluationReport) -> None:
    found = evaluate_bundle(plain, SMALL, pictures=True)
    assert found.neighbours[MIXTURE].copies == SMALL[NEIGHBOURS]
    assert found.neighbours[MIXTURE].close == 1
    assert found.neighbours[STANDARD] == report.neighbours[STANDARD]
    mixture = found.sources[MIXTURE]
    assert mixture.images == SMALL[DRAWS]
    assert mixture.label_accuracy == pytest.approx(0.9, abs=0.02)
    assert mixture.recognizable > 0.97
    assert found.to_dict()["sources"]["mixture"]["images"] == SMALL[DRAWS]
    assert found.latents is not None
    assert MIXTURE in found.latents.coincidence
    text = "\n".join(table.markdown() for table in tables([found]))
    assert "no prior" not in text
    titles = [picture.title for picture in found.pictures]
    assert "Samples of each class, z drawn from the mixture" in titles
    assert f"Nearest training images, {MIXTURE}" in titles


@pytest.mark.usefixtures("memorizing")
def test_the_rows_of_a_sheet_are_the_digits_in_order(plain: Path, mnist: dict[str, Split]) -> None:
    found = evaluate_bundle(plain, SMALL, pictures=True)
    (sheet,) = (p.pixels for p in found.pictures if p.title.startswith("Samples of each class"))
    images, labels = mnist["train"]
    known = {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}
    for digit in range(10):
        for column in range(20):
            top, left = 2 + 30 * digit, 2 + 30 * column
            assert known[sheet[top : top + 28, left : left + 28].tobytes()] == digit


def test_an_autoencoder_has_no_likelihood_but_everything_else(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    folder = changed(tiny_bundle, tmp_path / "bundle", objective="autoencoder")
    steps: list[tuple[int, int]] = []
    found = evaluate_bundle(
        folder, SMALL, pictures=True, on_progress=lambda i, n, _: steps.append((i, n))
    )
    assert steps == [(i, len(steps)) for i in range(len(steps))]
    assert found.heldout.nelbo is None
    assert found.bounds == {}
    assert found.latents is None
    assert found.smoothness.paths == 12
    json.dumps(found.to_dict())
    text = "\n".join(table.markdown() for table in tables([found]))
    assert "an autoencoder has no posterior" in text
    assert "KL by latent" not in to_html([found])


def test_of_two_models_every_row_says_whose_it_is(report: EvaluationReport) -> None:
    other = replace(report, bundle="other")
    for table, alone in zip(tables([report, other]), tables([report]), strict=True):
        assert table.header == ("model", *alone.header)
        assert table.left == alone.left + 1
        n = len(alone.rows)
        assert [row[1:] for row in table.rows] == [*alone.rows, *alone.rows]
        assert {row[0] for row in table.rows[:n]} == {report.bundle}
        assert {row[0] for row in table.rows[n:]} == {"other"}
    assert to_png([report, other]) != to_png([report])
    assert to_html([report, other]).count("<svg") == 2


def test_bars_are_ordered_and_as_high_as_their_latents(report: EvaluationReport) -> None:
    assert report.latents is not None
    bars = list(ElementTree.fromstring(to_html([report])).iter("rect"))
    kl = dict(enumerate(report.latents.kl))
    order = sorted(kl, key=lambda latent: -kl[latent])
    assert ["".join(bar.itertext()) for bar in bars] == [
        f"latent {i}: {kl[i]:.3f} nats" for i in order
    ]
    heights = [float(bar.get("height", "")) for bar in bars]
    assert heights == pytest.approx([120 * kl[i] / kl[order[0]] for i in order], abs=0.01)
    assert [float(bar.get("y", "")) for bar in bars] == pytest.approx([120 - h for h in heights])


def test_what_cannot_be_evaluated_says_why(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="data set is 'letters', expected one of mnist"):
        evaluate_bundle(changed(tiny_bundle, tmp_path / "a", dataset="letters"))
    with pytest.raises(BundleError, match="the objective is 'mse'"):
        evaluate_bundle(changed(tiny_bundle, tmp_path / "b", objective="mse"))
    bare = changed(tiny_bundle, tmp_path / "c")
    manifest = Bundle.open(bare).manifest
    del manifest["files"]["weights.safetensors"]
    write_manifest(bare, manifest)
    with pytest.raises(BundleError, match=r"weights\.safetensors is not in the bundle"):
        evaluate_bundle(bare)


def test_settings_follow_the_options() -> None:
    assert settings()[DRAWS] == 10_000
    assert settings(draws=500)[DRAWS] == 500
    assert settings(quick=True)[DRAWS] == 2000
    assert settings(quick=True, draws=700, seed=2**64 - 1)[DRAWS] == 700
    assert settings(quick=True)[BOUNDS] == ((1, 2000), (64, 2000))
    with pytest.raises(ValueError, match="draws: 199"):
        settings(draws=199)
    with pytest.raises(ValueError, match="seed: -1"):
        settings(seed=-1)
    with pytest.raises(ValueError, match="sizes: path; known are draws, bounds"):
        settings(path=3)
