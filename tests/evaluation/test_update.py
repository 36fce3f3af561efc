"""A bundle's evaluation is replaced whole, by one that looked at no less, and nothing else is."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from digitvae.base import atomic
from digitvae.base.errors import BundleError, OutputError
from digitvae.bundle.card import EVALUATION, SAMPLES, model_card
from digitvae.bundle.folder import Bundle, describe_files, write_manifest
from digitvae.bundle.names import CARD, MANIFEST, PRIOR
from digitvae.evaluation import update
from digitvae.evaluation.bundle import evaluate_bundle
from digitvae.evaluation.options import command_options, settings
from digitvae.evaluation.report import EvaluationReport
from digitvae.evaluation.update import write_evaluation
from digitvae.parity.checks.structure import check_paths
from digitvae.parity.report.update import write_report
from tests.support.cards import front_matter
from tests.support.evaluating import SMALL, changed

WRITTEN = {CARD, EVALUATION, SAMPLES, MANIFEST}


@pytest.fixture
def folder(tiny_bundle: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_bundle, tmp_path / "copy")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def of_now(report: EvaluationReport, folder: Path, **sizes: Any) -> EvaluationReport:
    """The report as if it were of the bundle as it is, with other settings."""
    changed = settings(**{**report.settings.sizes, **sizes})
    return replace(report, bundle_sha256=Bundle.open(folder).sha256, settings=changed)


def with_file(folder: Path, name: str, content: bytes) -> Bundle:
    """Put a file into a bundle, as its manifest would have it."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    write_manifest(folder, manifest | {"files": manifest["files"] | describe_files(folder, [name])})
    return Bundle.open(folder)


def test_an_evaluation_goes_into_the_bundle_and_nothing_else_changes(
    folder: Path, report: EvaluationReport
) -> None:
    before, manifest = contents(folder), Bundle.open(folder).manifest
    write_evaluation(folder, report)
    bundle = Bundle.open(folder)
    bundle.check_files()
    after = contents(folder)
    assert set(after) == set(before) | WRITTEN
    assert {name for name in before if before[name] != after[name]} == {CARD, MANIFEST}
    assert set(bundle.file_names) == set(after) - {MANIFEST}
    for name in set(before) - WRITTEN:
        assert bundle.manifest["files"][name] == manifest["files"][name]
    assert bundle.manifest.keys() == manifest.keys()
    for key in manifest.keys() - {"files", "metrics"}:
        assert bundle.manifest[key] == manifest[key]


def test_json_metrics_and_card_say_what_the_report_says(
    folder: Path, report: EvaluationReport
) -> None:
    trained = Bundle.open(folder).manifest["metrics"]
    write_evaluation(folder, report)
    bundle = Bundle.open(folder)
    kept, told = json.loads(bundle.read(EVALUATION)), report.to_dict()
    measured = ("decoder.onnx", "encoder.onnx", "prior.onnx", "weights.safetensors")
    assert kept.pop("files") == {
        name: bundle.manifest["files"][name]["sha256"] for name in measured
    }
    assert kept.pop("command") is None
    assert kept == {key: told[key] for key in told.keys() - {"bundle", "bundle_sha256"}}
    metrics = bundle.manifest["metrics"]
    assert {key: metrics[key] for key in trained} == trained
    mixture, near = told["sources"]["mixture"], told["neighbours"]["mixture"]
    grey, binarised = told["bounds"]["grey"][1], told["bounds"]["binarised"][1]
    assert (grey["k"], binarised["k"]) == (8, 8)
    expected = {
        "frechet_mixture": mixture["frechet"],
        "precision_mixture": mixture["precision"],
        "recall_mixture": mixture["recall"],
        "recognizable_mixture": mixture["recognizable"],
        "label_accuracy_mixture": mixture["label_accuracy"],
        "copies_mixture": near["copies"],
        "frechet_standard": told["sources"]["standard"]["frechet"],
        "importance_weighted_8_grey": grey["nats"],
        "importance_weighted_8_binarised": binarised["nats"],
    }
    assert {key: metrics[key] for key in expected} == expected
    assert "importance_weighted_1_grey" not in metrics
    card = bundle.read(CARD).decode()
    evaluation = json.loads(bundle.read(EVALUATION))
    assert card == model_card(bundle.manifest, evaluation, bundle.file_names)
    results = front_matter(card)["model-index"][0]["results"][0]["metrics"]
    shown = ("test_nelbo", "test_bce", "test_kl", "test_active_latents")
    assert {result["type"]: result["value"] for result in results} == {
        key: value for key, value in metrics.items() if key in shown or key not in trained
    }


def assert_greys(image: Image.Image, pixels: np.ndarray) -> None:
    """The image has the nearest of 16 greys for every pixel."""
    found = np.asarray(image).astype(int)
    assert set(np.unique(found)) <= set(range(0, 256, 17))
    assert np.abs(found - pixels).max() <= 8


def test_the_picture_is_a_sheet_of_the_mixture(folder: Path, report: EvaluationReport) -> None:
    write_evaluation(folder, report)
    content = Bundle.open(folder).read(SAMPLES)
    assert len(content) < 100_000
    (sheet,) = (p for p in report.pictures if p.rows)
    assert sheet.title.endswith("the mixture")
    assert sheet.rows == tuple("0123456789")
    with Image.open(io.BytesIO(content)) as image:
        height, width = sheet.pixels.shape
        left, top = image.width - 16 - width, image.height - 16 - height
        box = (left, top, left + width, top + height)
        assert_greys(image.crop(box), sheet.pixels)
        # In the column of labels beside each row something is written, and nothing between.
        labels = np.asarray(image)[top : top + height, 16:left]
    for row in range(10):
        edge = row * height // 10
        assert labels[edge + 4 : edge + 26].min() < 200
        assert labels[edge : edge + 4].min() == 255


def test_without_a_prior_the_picture_is_of_the_normal_distribution(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    plain = changed(tiny_bundle, tmp_path / "plain")
    found = evaluate_bundle(plain, SMALL, pictures=True)
    write_evaluation(plain, found)
    bundle = Bundle.open(plain)
    assert PRIOR not in json.loads(bundle.read(EVALUATION))["files"]
    assert "frechet_standard" in bundle.manifest["metrics"]
    assert not [name for name in bundle.manifest["metrics"] if name.endswith("_mixture")]
    with Image.open(io.BytesIO(bundle.read(SAMPLES))) as image:
        pixels = found.pictures[0].pixels
        box = (16, image.height - 16 - len(pixels), image.width - 16, image.height - 16)
        assert_greys(image.crop(box), pixels)


def test_evaluating_again_gives_the_same_bytes(folder: Path, report: EvaluationReport) -> None:
    write_evaluation(folder, report)
    first = contents(folder)
    write_evaluation(folder, evaluate_bundle(folder, SMALL, pictures=True))
    assert contents(folder) == first


def test_one_that_looked_at_more_replaces_it(folder: Path, report: EvaluationReport) -> None:
    write_evaluation(folder, report)
    more = {"draws": 301, "bounds": ((1, 200), (8, 41), (16, 1)), "seed": 5}
    write_evaluation(folder, of_now(report, folder, **more))
    assert json.loads(Bundle.open(folder).read(EVALUATION))["settings"]["draws"] == 301


@pytest.mark.parametrize(
    ("less", "words"),
    [
        ({"draws": 299}, "300 images from each source"),
        ({"precision_recall": 199}, "200 images for precision and recall"),
        ({"neighbours": 49}, "50 images for their nearest training images"),
        ({"latents": 199}, "200 latents"),
        ({"paths": 11}, "12 interpolations"),
        ({"steps": 4}, "5 images on each interpolation"),
        ({"bounds": ((1, 200), (8, 39))}, "the bound of k = 8 on 40 images"),
        ({"bounds": ((1, 200), (9, 99))}, "the bound of k = 8 on 40 images"),
    ],
)
def test_one_that_looked_at_less_does_not_unless_forced(
    less: dict[str, Any], words: str, folder: Path, report: EvaluationReport
) -> None:
    write_evaluation(folder, report)
    before = contents(folder)
    new = of_now(report, folder, **less)
    with pytest.raises(OutputError, match="looked at more") as caught:
        write_evaluation(folder, new)
    assert f": {words}." in str(caught.value)
    assert contents(folder) == before
    write_evaluation(folder, new, force=True)
    kept = json.loads(Bundle.open(folder).read(EVALUATION))
    assert kept["settings"] == new.to_dict()["settings"]


def test_metrics_of_the_evaluation_before_are_gone(folder: Path, report: EvaluationReport) -> None:
    write_evaluation(folder, report)
    loose = {kind: bounds[:1] for kind, bounds in report.bounds.items()}
    parts = {**report.parts, "bounds": loose}
    write_evaluation(folder, replace(of_now(report, folder), parts=parts), force=True)
    metrics = Bundle.open(folder).manifest["metrics"]
    found = {name for name in metrics if name.startswith("importance")}
    assert found == {"importance_weighted_1_grey", "importance_weighted_1_binarised"}


@pytest.mark.parametrize("kept", [b"{", b"[]", b"7", b'{"schema": "other/1"}', b"{}"])
def test_what_is_no_evaluation_is_replaced(
    kept: bytes, folder: Path, report: EvaluationReport
) -> None:
    with_file(folder, EVALUATION, kept)
    write_evaluation(folder, of_now(report, folder))
    Bundle.open(folder).check_files()
    assert b"digitvae-evaluation/1" in (folder / EVALUATION).read_bytes()


def test_the_report_of_another_bundle_is_refused(folder: Path, report: EvaluationReport) -> None:
    manifest = Bundle.open(folder).manifest
    write_manifest(folder, manifest | {"seed": 77})
    before = contents(folder)
    with pytest.raises(BundleError, match="changed while it was measured"):
        write_evaluation(folder, report, force=True)
    assert contents(folder) == before


def test_a_file_that_changed_does_not_get_a_new_hash(
    folder: Path, report: EvaluationReport
) -> None:
    content = bytearray((folder / "decoder.pt2").read_bytes())
    content[-1] ^= 1
    (folder / "decoder.pt2").write_bytes(content)
    before = contents(folder)
    with pytest.raises(BundleError, match=r"decoder\.pt2"):
        write_evaluation(folder, report, force=True)
    assert contents(folder) == before


def test_a_file_of_somebody_else_is_not_replaced_unless_forced(
    folder: Path, report: EvaluationReport
) -> None:
    (folder / SAMPLES).write_bytes(b"mine")
    before = contents(folder)
    with pytest.raises(OutputError, match=r"samples\.png is there, but not part of the bundle"):
        write_evaluation(folder, report)
    assert contents(folder) == before
    write_evaluation(folder, report, force=True)
    Bundle.open(folder).check_files()


@pytest.mark.parametrize("failing", sorted(WRITTEN))
def test_what_cannot_be_written_leaves_everything(
    failing: str, folder: Path, report: EvaluationReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_content: bytes) -> int:
        raise OSError(28, "No space left on device")

    @contextmanager
    def new_file(path: Path, *, force: bool) -> Iterator[Any]:
        with atomic.new_file(path, force=force) as file:
            yield SimpleNamespace(write=full) if path.name == failing else file

    monkeypatch.setattr(update, "new_file", new_file)
    before = contents(folder)
    with pytest.raises(OutputError, match=rf"{failing}.*No space left"):
        write_evaluation(folder, report)
    assert contents(folder) == before


def test_a_renewed_parity_report_leaves_evaluation_and_card(
    folder: Path, report: EvaluationReport
) -> None:
    write_evaluation(folder, report)
    before = contents(folder)
    parity: Any = SimpleNamespace(to_dict=lambda: {"schema": "another report"})
    write_report(folder, parity, force=True)
    Bundle.open(folder).check_files()
    after = contents(folder)
    assert {name for name in before if before[name] != after[name]} == {"parity.json", MANIFEST}


def test_verification_accepts_what_was_written(folder: Path, report: EvaluationReport) -> None:
    write_evaluation(folder, report)
    assert check_paths(Bundle.open(folder)).status == "passed"


def test_verification_finds_a_path_in_a_picture_but_not_in_its_pixels(folder: Path) -> None:
    path = "/home/someone/secret"
    # Compressed, pixels can look like anything: this chunk does not even have to be any.
    chunk = path.encode()
    pixels = b"\x89PNG\r\n\x1a\n" + len(chunk).to_bytes(4, "big") + b"IDAT" + chunk + bytes(4)
    assert check_paths(with_file(folder, SAMPLES, pixels)).status == "passed"
    facts, comment = PngImagePlugin.PngInfo(), io.BytesIO()
    facts.add_text("made in", path)
    Image.new("L", (20, 1)).save(comment, "PNG", pnginfo=facts)
    found = check_paths(with_file(folder, SAMPLES, comment.getvalue()))
    assert found.status == "failed"
    assert f"{SAMPLES}: {path}" in found.detail


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, []),
        ({"quick": True}, ["--quick"]),
        ({"draws": 2000}, ["--draws", "2000"]),
        ({"quick": True, "draws": 2000}, ["--quick"]),
        ({"quick": True, "draws": 700, "seed": 9}, ["--quick", "--draws", "700", "--seed", "9"]),
    ],
)
def test_the_options_of_a_command_are_found_again(
    given: dict[str, Any], options: list[str]
) -> None:
    assert command_options(settings(**given)) == options


def test_sizes_that_no_options_ask_for_have_none() -> None:
    assert command_options(SMALL) is None
    assert command_options(settings(steps=15)) is None
