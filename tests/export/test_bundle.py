"""Exporting: a bundle says the same in every form and gives nothing away, or does not exist."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

import digitvae
from digitvae.base import exchange
from digitvae.base.errors import DataError, OutputError, ParityError, TrainingError
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import MANIFEST, WEIGHTS
from digitvae.data.sets import Split
from digitvae.export import bundle as export
from digitvae.mixture.fit import RANK
from digitvae.training import loop as train
from digitvae.training import run_directory as run
from digitvae.vae import serialisation as forms
from digitvae.vae.model import VAE
from digitvae.vae.weights import load
from tests.support.sizes import DIMS

NETWORKS = {
    "decoder": ("z", DIMS.latents, {"x": DIMS.pixels}),
    "encoder": ("x", DIMS.pixels, {"mu": 40, "logvar": 40}),
}
FILES = {
    *(f"{name}.{form}" for name in (*NETWORKS, "prior") for form in ("onnx", "torchscript", "pt2")),
    "weights.safetensors",
    "prior.safetensors",
    "parity.json",
    "README.md",
}


@pytest.fixture(scope="module")
def vae(tiny_run: Path) -> VAE:
    return load((tiny_run / WEIGHTS).read_bytes(), DIMS)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of a few bytes and a verification that passes: for tests of everything around."""

    def write(folder: Path, *_: object) -> None:
        for name in FILES - {"parity.json"}:
            (folder / name).write_bytes(name.encode())

    monkeypatch.setattr(export, "write_networks", write)
    monkeypatch.setattr(export, "_fit", lambda *_: None)
    verdict(monkeypatch, passed=True)


def verdict(monkeypatch: pytest.MonkeyPatch, *, passed: bool) -> None:
    class Report:
        def __init__(self) -> None:
            self.passed = passed

        def summary(self) -> str:
            return "the decoder is off by a mile"

        def to_dict(self) -> dict[str, object]:
            return {"passed": passed}

    def verify(folder: Path, **_options: object) -> Report:
        Bundle.open(folder).check_files()  # as the real one does first
        return Report()

    monkeypatch.setattr(export, "verify", verify)


def parts(content: bytes) -> Iterator[bytes]:
    """A file, and if it is a zip archive all its members, however deep."""
    yield content
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from parts(archive.read(member))


# What is in a bundle.


def test_the_bundle_holds_its_files_and_opens(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    bundle.check_files()
    assert set(bundle.file_names) == FILES
    assert {p.name for p in tiny_bundle.iterdir()} == FILES | {MANIFEST}
    assert not [*tiny_bundle.parent.glob(".digitvae-*")]
    assert tiny_bundle.stat().st_mode & 0o777 == 0o777 & ~umask()


def test_the_manifest_says_what_was_trained_and_how_well(tiny_bundle: Path, tiny_run: Path) -> None:
    manifest = Bundle.open(tiny_bundle).manifest
    summary = train.read_summary(tiny_run)
    assert manifest["schema"] == "digitvae-bundle/1"
    assert manifest["dims"] == {"latent": 40, "hidden": 512, "height": 28, "width": 28}
    assert (manifest["dataset"], manifest["objective"]) == ("mnist", "elbo")
    assert (manifest["seed"], manifest["epochs"]) == (0, 1)
    assert manifest["training"] == {
        "batch_size": summary.config.batch_size,
        "learning_rate": 8e-3,
        "warmup_epochs": 2,
        "anneal_epochs": 10,
        "precision": "float32",
        "limit": 4096,
    }
    assert manifest["metrics"]["test_nelbo"] == summary.test.nelbo
    assert manifest["metrics"]["test_active_latents"] == summary.test.active_latents
    assert manifest["versions"]["torch"] == torch.__version__
    assert {"digitvae", "python", "onnx", "onnxscript", "safetensors"} < set(manifest["versions"])
    assert ("created" in manifest) == ("SOURCE_DATE_EPOCH" in os.environ)


def test_the_parity_report_is_in_the_bundle_and_passed(tiny_bundle: Path) -> None:
    assert json.loads(Bundle.open(tiny_bundle).read("parity.json"))["passed"] is True


def test_the_weights_are_those_of_the_run(tiny_bundle: Path, tiny_run: Path) -> None:
    weights = Bundle.open(tiny_bundle).read("weights.safetensors")
    assert weights == (tiny_run / WEIGHTS).read_bytes()


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_has_the_specified_names_shapes_and_metadata_and_no_notes(
    tiny_bundle: Path, name: str
) -> None:
    argument, width, outputs = NETWORKS[name]
    model = onnx.load(tiny_bundle / f"{name}.onnx")
    onnx.checker.check_model(model, full_check=True)

    def signature(values: Any) -> dict[str, list[str | int]]:
        return {
            v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
            for v in values
        }

    assert signature(model.graph.input) == {argument: ["batch", width]}
    assert signature(model.graph.output) == {o: ["batch", w] for o, w in outputs.items()}
    assert {p.key: p.value for p in model.metadata_props} == {
        "digitvae.schema": "digitvae-bundle/1",
        "digitvae.latent_dim": "40",
        "digitvae.height": "28",
        "digitvae.width": "28",
        "digitvae.dataset": "mnist",
    }
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    text = re.sub(r"raw_data: .*", "", str(model.graph))
    assert "metadata_props" not in text
    assert "doc_string" not in text


@pytest.mark.parametrize("batch", [1, 2, 3, 257])
@pytest.mark.parametrize("name", NETWORKS)
def test_torchscript_and_exported_program_equal_eager_to_the_last_bit(
    tiny_bundle: Path, vae: VAE, name: str, batch: int
) -> None:
    x = torch.randn(batch, NETWORKS[name][1], generator=torch.Generator().manual_seed(batch))
    script = load_torchscript(tiny_bundle / f"{name}.torchscript")
    program = torch.export.load(tiny_bundle / f"{name}.pt2").module()
    with torch.inference_mode():
        expected, *others = (network(x) for network in (getattr(vae, name), script, program))
    for other in others:
        for a, b in zip(as_tuple(expected), as_tuple(other), strict=True):
            assert torch.equal(a, b)


def load_torchscript(path: Path) -> torch.nn.Module:
    with forms._quiet():
        module: torch.nn.Module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    return module


def as_tuple(value: Any) -> tuple[torch.Tensor, ...]:
    return value if isinstance(value, tuple) else (value,)


def test_exported_parameters_ask_for_no_gradients(tiny_bundle: Path) -> None:
    script = load_torchscript(tiny_bundle / "decoder.torchscript")
    assert not any(p.requires_grad for p in script.parameters())
    program = torch.export.load(tiny_bundle / "decoder.pt2")
    assert not any(p.requires_grad for p in program.state_dict.values())


@pytest.mark.parametrize("file", sorted(FILES | {MANIFEST}))
def test_no_file_holds_a_path_of_the_machine_that_made_it(tiny_bundle: Path, file: str) -> None:
    package = str(Path(digitvae.__file__).parent)
    secrets = {
        str(Path.home()),
        str(Path.cwd()),
        package,
        str(Path(torch.__file__).parent),
        "site-packages",
        "python/digitvae",
        str(tiny_bundle.parent),
        sys.prefix,
        ".py:",
        'model.py", line',
        "debug_pkl",
        "stack_trace",
    } - {"/"}
    for part in parts((tiny_bundle / file).read_bytes()):
        for secret in secrets:
            assert secret.encode() not in part, secret


def test_the_search_for_paths_looks_into_archives_in_archives() -> None:
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", "/home/someone " * 100)
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b", inner.getvalue())
    assert any(b"/home/someone" in part for part in parts(outer.getvalue()))
    assert b"/home/someone" not in outer.getvalue()


def test_pytorch_would_have_put_paths_there(vae: VAE) -> None:
    """Else the test above could not fail."""
    content = io.BytesIO()
    with forms._quiet():
        torch.jit.save(torch.jit.script(vae.decoder), content)
    assert any(b"digitvae/vae/model.py" in part for part in parts(content.getvalue()))
    with forms._quiet():
        program = torch.export.export(vae.decoder, (torch.zeros(2, DIMS.latents),))
        torch.export.save(program, content := io.BytesIO())
    assert any(b"digitvae/vae/model.py" in part for part in parts(content.getvalue()))


@pytest.mark.slow
def test_the_same_run_gives_the_same_bytes_in_another_process_with_another_hash_seed(
    tiny_run: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "digitvae.cli.app", "export", tiny_run),
            *("--out", tmp_path / "again", "--quick"),
        ],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONHASHSEED": "2", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=True,
        capture_output=True,
    )
    for file in (*FILES, MANIFEST):
        assert (tmp_path / "again" / file).read_bytes() == (tiny_bundle / file).read_bytes(), file


# The prior.


def test_the_manifest_says_what_the_prior_is(tiny_bundle: Path) -> None:
    facts = Bundle.open(tiny_bundle).manifest["prior"]
    first = load_file(tiny_bundle / "prior.safetensors")["first"]
    assert facts["covariance"] == f"rank {RANK}"
    assert np.cumsum([0, *facts["components"][:-1]]).tolist() == first.tolist()
    assert -100 < facts["held_out_log_likelihood"] < 0


def test_without_the_data_set_no_prior_can_be_fitted_and_the_way_out_is_named(
    tiny_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(
        DataError, match=r"(?s)cannot be fitted without the training images.*--no-prior"
    ):
        export.export_run(tiny_run, tmp_path / "bundle", data_root=tmp_path / "nothing")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.usefixtures("quick")
def test_who_wants_no_prior_gets_none(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_: object) -> None:
        raise AssertionError("it was fitted")

    monkeypatch.setattr(export, "_fit", fit)
    bundle = Bundle.open(export.export_run(tiny_run, tmp_path / "bundle", prior=False))
    assert "prior" not in bundle.manifest


@pytest.mark.parametrize(("limit", "expected"), [(None, 60_000), (5_000, 5_000), (100, 4_096)])
def test_the_prior_is_fitted_to_refined_codes_of_the_run_s_images_and_progress_is_told(
    vae: VAE,
    tiny_run: Path,
    mnist: dict[str, Split],
    monkeypatch: pytest.MonkeyPatch,
    limit: int | None,
    expected: int,
) -> None:
    refined, fitted = np.zeros((1, DIMS.latents)), []
    told: list[tuple[int, int, str]] = []
    said: list[str] = []
    run_of = train.read_summary(tiny_run)
    run_of = replace(run_of, config=replace(run_of.config, limit=limit))

    def refine(_model: VAE, images: Any, mu: Any, show: Callable[[int, int], None]) -> Any:
        assert np.array_equal(images, mnist["train"].images[:expected])
        assert len(mu) == expected
        show(7, len(images))
        return refined

    def fit_mixture(codes: object, logvar: Any, labels: Any, **_options: object) -> None:
        assert len(logvar) == expected
        assert np.array_equal(labels, mnist["train"].labels[:expected])
        fitted.append(codes)
        raise InterruptedError

    def tell(done: int, total: int, what: str) -> None:
        told.append((done, total, what))

    monkeypatch.setattr(export, "refine", refine)
    monkeypatch.setattr(export, "fit_mixture", fit_mixture)
    with pytest.raises(InterruptedError):
        export._fit(vae, run_of, None, said.append, tell)
    assert fitted[0] is refined
    assert told == [(7, expected, "finding the images' codes")]
    assert said == ["fitting the prior to the training images of mnist"]


def test_an_autoencoder_gets_no_prior_and_it_is_said(vae: VAE, tiny_run: Path) -> None:
    summary = train.read_summary(tiny_run)
    autoencoder = replace(summary, config=replace(summary.config, objective="autoencoder"))
    said: list[str] = []
    assert export._fit(vae, autoencoder, None, said.append, None) is None
    assert said == ["no prior: an autoencoder has no posterior to fit it to"]


# What is not exported, and what is not replaced.


def test_an_unfinished_run_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    (tmp_path / "run" / run.SUMMARY).unlink()
    with pytest.raises(TrainingError, match="unfinished, 1 of 1 epochs"):
        export.export_run(tmp_path / "run", tmp_path / "bundle")
    with pytest.raises(TrainingError, match="not a run directory"):
        export.export_run(tmp_path / "nowhere", tmp_path / "bundle")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.fixture
def collapsed_run(tiny_run: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "collapsed"
    shutil.copytree(tiny_run, folder)
    summary = json.loads((folder / run.SUMMARY).read_text())
    summary["test"]["active_latents"] = 0
    (folder / run.SUMMARY).write_text(json.dumps(summary))
    return folder


@pytest.mark.usefixtures("quick")
def test_a_collapsed_run_is_refused_unless_told_otherwise(
    collapsed_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"posterior collapse: 0 of 40 .*--allow-collapsed"):
        export.export_run(collapsed_run, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    export.export_run(collapsed_run, tmp_path / "bundle", allow_collapsed=True)
    assert Bundle.open(tmp_path / "bundle").manifest["metrics"]["test_collapsed"] is True


def spoil(path: Path, change: str) -> None:
    weights = load_file(path)
    if change == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif change == "missing tensor":
        save_file({n: w for n, w in weights.items() if n != "decoder.output.bias"}, path)
    elif change == "another shape":
        save_file(weights | {"decoder.output.bias": torch.zeros(783)}, path)
    elif change == "a flipped bit":
        weights["encoder.fc_mu.weight"].view(torch.int32)[3, 4] ^= 1
        save_file(weights, path)
    elif change == "NaN":
        weights["encoder.fc_mu.weight"][3, 4] = np.nan
        save_file(weights, path)
    else:
        path.unlink()


@pytest.mark.parametrize(
    "change", ["truncated", "missing tensor", "another shape", "a flipped bit", "NaN", "gone"]
)
def test_damaged_weights_are_refused_and_named(tiny_run: Path, tmp_path: Path, change: str) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    spoil(tmp_path / "run" / WEIGHTS, change)
    with pytest.raises(TrainingError, match=r"run/weights\.safetensors: "):
        export.export_run(tmp_path / "run", tmp_path / "bundle")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.mark.usefixtures("quick")
def test_a_bundle_is_replaced_only_with_force(tiny_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "bundle"
    assert export.export_run(tiny_run, target) == target
    (target / "decoder.onnx").write_bytes(b"older")
    with pytest.raises(OutputError, match="--force replaces it"):
        export.export_run(tiny_run, target)
    assert (target / "decoder.onnx").read_bytes() == b"older"
    target.chmod(0o700)
    (target / "decoder.onnx").chmod(0o600)
    export.export_run(tiny_run, target, force=True)
    Bundle.open(target).check_files()
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert stat.S_IMODE((target / "decoder.onnx").stat().st_mode) == 0o600
    assert [p.name for p in target.parent.iterdir()] == ["bundle"]


@pytest.mark.usefixtures("quick")
def test_nothing_but_a_bundle_is_ever_replaced(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("years of work")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "file", "link", "dangling"):
        with pytest.raises(OutputError, match="is not a bundle, so it is not replaced"):
            export.export_run(tiny_run, tmp_path / name, force=True)
    assert (tmp_path / "folder" / "thesis.tex").read_text() == "years of work"
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("foreign", ["thesis.tex", "more/", "link"])
def test_a_bundle_that_holds_other_files_is_not_replaced(
    tiny_run: Path, tiny_bundle: Path, tmp_path: Path, foreign: str
) -> None:
    target = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    path = target / foreign
    if foreign == "link":
        path.symlink_to("decoder.onnx")
    elif foreign.endswith("/"):
        path.mkdir()
    else:
        path.write_text("years of work")
    with pytest.raises(OutputError, match=f"it holds '{foreign.rstrip('/')}', which digitvae did"):
        export.export_run(tiny_run, target, force=True)
    assert os.path.lexists(path)
    (target / MANIFEST).write_text('{"name": "a web app", "files": {"thesis.tex": 1}}')
    with pytest.raises(OutputError, match="will not replace the folder"):
        export.export_run(tiny_run, target, force=True)


@pytest.mark.usefixtures("quick")
def test_an_empty_folder_may_become_the_bundle(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    Bundle.open(export.export_run(tiny_run, tmp_path / "bundle"))


@pytest.mark.usefixtures("quick")
def test_without_parity_nothing_is_exported_and_the_old_bundle_stays(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "bundle"
    export.export_run(tiny_run, target)
    before = {p.name: p.read_bytes() for p in target.iterdir()}
    verdict(monkeypatch, passed=False)
    with pytest.raises(ParityError, match="nothing was exported: the decoder is off by a mile"):
        export.export_run(tiny_run, target, force=True)
    with pytest.raises(ParityError):
        export.export_run(tiny_run, tmp_path / "new")
    assert {p.name: p.read_bytes() for p in target.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("moment", ["write", "rename"])
def test_a_failure_at_any_moment_leaves_what_was_there(
    tiny_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    moment: str,
) -> None:
    target = tmp_path / "bundle"
    export.export_run(tiny_run, target)
    before = {p.name: p.read_bytes() for p in target.iterdir()}

    def fail(*_: object) -> None:
        raise failure

    if moment == "write":
        monkeypatch.setattr(export, "write_manifest", fail)
    else:
        monkeypatch.setattr(exchange, "swap", fail)
    expected = OutputError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        export.export_run(tiny_run, target, force=True)
    assert {p.name: p.read_bytes() for p in target.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_a_place_that_cannot_be_written_is_an_output_error_before_anything_is_fitted(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_fit", lambda *_: pytest.fail("it was fitted"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        export.export_run(tiny_run, tmp_path / "file" / "bundle")


def test_folders_that_were_made_for_an_export_that_fails_are_taken_away(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()

    def fail(*_: object) -> None:
        assert list((tmp_path / "mine" / "new" / "newer").iterdir())
        raise DataError("it cannot be had")

    monkeypatch.setattr(export, "_fit", fail)
    with pytest.raises(DataError):
        export.export_run(tiny_run, tmp_path / "mine" / "new" / "newer" / "bundle")
    assert [place.name for place in tmp_path.rglob("*")] == ["mine"]


@pytest.mark.usefixtures("quick")
def test_a_date_is_written_only_if_the_build_asks_for_one(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    bundle = export.export_run(tiny_run, tmp_path / "bundle")
    assert Bundle.open(bundle).manifest["created"] == "2001-09-09T01:46:40+00:00"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(ValueError, match="SOURCE_DATE_EPOCH: 'yesterday'"):
        export.export_run(tiny_run, tmp_path / "other")


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
