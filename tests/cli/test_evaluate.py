"""``digitvae evaluate`` and ``digitvae classifier``."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import onnx
import pytest
from PIL import Image

from tests.support.evaluating import SMALL, changed
from tests.support.running import Runner, assert_explained


@pytest.fixture
def plain(unlabelled_bundle: Path) -> Path:
    return unlabelled_bundle


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was asked for, look at little."""
    from digitvae.evaluation import options

    monkeypatch.setattr(options, "settings", lambda **_: SMALL)


def test_json_and_views_are_of_one_evaluation(run: Runner, plain: Path) -> None:
    words = ["evaluate", plain, "--quick", "--draws", "250", "--seed", "5"]
    result = run(*words, "--json", "--html", "page.html", "--png", "page.png")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert found["schema"] == "digitvae-evaluation/1"
    assert found["bundle"] == str(plain)
    assert found["settings"]["draws"] == 250
    assert found["settings"]["seed"] == 5
    assert found["sources"]["standard"]["images"] == 250
    assert "compared" not in found
    page = ElementTree.parse("page.html").getroot()
    assert len(page.findall(".//img")) == 4
    cells = {"".join(cell.itertext()) for cell in page.iter("td")}
    assert f"{found['heldout']['nelbo']:,.2f}" in cells
    assert f"{found['sources']['standard']['frechet']:,.2f}" in cells
    assert all(image.get("src", "").startswith("data:image/png") for image in page.iter("img"))
    with Image.open("page.png") as sheet:
        sheet.verify()


@pytest.mark.usefixtures("few")
def test_tables_are_printed_as_markdown_with_what_is_absent(run: Runner, plain: Path) -> None:
    result = run("evaluate", plain)
    assert result.code == 0, result.err
    for line in ("| −ELBO |", "| importance-weighted, k = 8, binarised |", "| z ~ N(0, I) | 300 |"):
        assert line in result.out
    assert "| z ~ mixture | the bundle has no prior |" in result.out


@pytest.mark.usefixtures("few")
def test_another_bundle_is_measured_on_the_same(run: Runner, plain: Path, tmp_path: Path) -> None:
    other = changed(plain, tmp_path / "ae", objective="autoencoder")
    result = run("evaluate", plain, "--compare", other, "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert found["compared"]["objective"] == "autoencoder"
    assert found["compared"]["sources"]["train"] == found["sources"]["train"]
    assert found["compared"]["smoothness"] == found["smoothness"]  # the same weights


def test_a_bundle_is_updated_unless_that_would_look_at_less(
    run: Runner, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from digitvae.bundle.folder import Bundle
    from digitvae.evaluation import bundle as evaluation
    from digitvae.evaluation import options
    from digitvae.evaluation.settings import Settings

    def asked(*, draws: int | None = None, **_: object) -> Settings:
        return Settings(0, {**SMALL.sizes, "draws": draws or 300})

    def never(*_: object, **__: object) -> None:
        raise AssertionError("measured first, and refused only then")

    monkeypatch.setattr(options, "settings", asked)
    folder = shutil.copytree(tiny_bundle, tmp_path / "copy")
    words = ["evaluate", folder, "--update", "--draws"]
    result = run(*words, "300", "--json")
    assert result.code == 0, result.err
    bundle = Bundle.open(folder)
    bundle.check_files()
    told, kept = json.loads(result.out), json.loads(bundle.read("evaluation.json"))
    assert kept["sources"] == told["sources"]
    assert bundle.manifest["metrics"]["frechet_mixture"] == told["sources"]["mixture"]["frechet"]
    assert "![Samples" in bundle.read("README.md").decode()
    assert f"frechet_mixture {told['sources']['mixture']['frechet']:.6g}" in run("info", folder).out

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "evaluate_bundle", never)
        assert_explained(run(*words, "299"), 1, "looked at more: 300 images from each source")
    assert Bundle.open(folder).sha256 == bundle.sha256
    assert run(*words, "299", "--force").code == 0
    Bundle.open(folder).check_files()
    assert json.loads((folder / "evaluation.json").read_bytes())["settings"]["draws"] == 299


@pytest.mark.usefixtures("few")
def test_without_update_nothing_is_written_into_the_bundle(run: Runner, plain: Path) -> None:
    before = {file.name: file.read_bytes() for file in plain.iterdir()}
    assert run("evaluate", plain).code == 0
    assert {file.name: file.read_bytes() for file in plain.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--draws", "199"], "199"),
        (["--update"], "--update needs BUNDLE"),
        (["--html", "a", "--png", "a"], "the same file"),
        (["{}", "--html", "{}/page.html"], "lies in the bundle"),
        (["--compare", "{}", "--png", "{}/page.png"], "lies in the bundle"),
    ],
)
def test_wrong_usage_is_told_before_any_work(
    run: Runner, plain: Path, words: list[str], message: str
) -> None:
    before = sorted(plain.iterdir())
    assert_explained(run("evaluate", *(word.format(plain) for word in words)), 2, message)
    assert sorted(plain.iterdir()) == before


def test_failures_are_explained_and_replace_nothing(
    run: Runner, plain: Path, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text("mine")
    assert_explained(run("evaluate", plain, "--html", "page.html"), 1, "--force")
    assert (tmp_path / "page.html").read_text() == "mine"
    assert_explained(run("evaluate", tmp_path / "nowhere"), 1, "there is no bundle")
    assert_explained(run("evaluate", plain, "--data", tmp_path, "--png", "a.png"), 1, "has no")
    assert not (tmp_path / "a.png").exists()


def test_a_collapsed_model_is_warned_about(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: Path, few: None
) -> None:
    from digitvae.vae import heldout

    monkeypatch.setattr(heldout, "ACTIVE_VARIANCE", 1e9)
    result = run("evaluate", plain)
    assert result.code == 0
    assert "posterior collapse: 0 of 40" in result.err


def test_a_classifier_can_be_made(run: Runner, tmp_path: Path) -> None:
    words = ["classifier", "--out", "c.onnx", "--epochs", "1", "--limit", "300"]
    result = run(*words, "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    content = (tmp_path / "c.onnx").read_bytes()
    model = onnx.load(io.BytesIO(content))
    facts = {fact.key: fact.value for fact in model.metadata_props}
    assert facts["digitvae.accuracy"] == str(found["accuracy"])
    assert found["dataset"] == "mnist"
    assert_explained(run(*words), 1, "--force")
    assert (tmp_path / "c.onnx").read_bytes() == content
    assert_explained(run("classifier", "--out", "d.onnx", "--dataset", "letters"), 2, "letters")
    assert not (tmp_path / "d.onnx").exists()
