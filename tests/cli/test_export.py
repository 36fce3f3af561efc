"""``digitvae export``: a verified bundle from a finished run, or a message."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from digitvae.bundle.folder import Bundle
from digitvae.export import bundle as export
from digitvae.training.run_directory import SUMMARY
from tests.support.running import Runner, assert_explained


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Networks of a few bytes and a verification that passes; lists what it was called with."""
    calls: list[object] = []

    class Report:
        passed = True

        def to_dict(self) -> dict[str, object]:
            return {"passed": True}

    def write(folder: Path, *_: object) -> None:
        for name in ("decoder.onnx", "encoder.onnx"):
            (folder / name).write_bytes(b"network")

    def verify(
        _folder: Path, *, quick: bool, data_root: Path | None, on_progress: object
    ) -> Report:
        assert callable(on_progress)
        calls.append((data_root, quick))
        return Report()

    monkeypatch.setattr(export, "write_networks", write)
    monkeypatch.setattr(export, "_fit", lambda *_: None)
    monkeypatch.setattr(export, "verify", verify)
    return calls


def test_it_says_what_was_exported(run: Runner, quick: list[object], tiny_run: Path) -> None:
    result = run("export", tiny_run, "--out", "bundle")
    assert result.code == 0
    assert result.out.endswith("bundle: 4 files, 0.0 MB, parity holds\n")
    assert quick == [(None, False)]


def test_json_is_the_manifest(
    run: Runner, quick: list[object], tiny_run: Path, tmp_path: Path
) -> None:
    result = run("export", tiny_run, "--out", "bundle", "--json", "--quick", "--data", tmp_path)
    assert json.loads(result.out) == Bundle.open(tmp_path / "bundle").manifest
    assert quick == [(tmp_path, True)]


@pytest.mark.usefixtures("quick")
def test_an_existing_bundle_needs_force(run: Runner, tiny_run: Path) -> None:
    assert run("export", tiny_run, "--out", "bundle").code == 0
    assert_explained(run("export", tiny_run, "--out", "bundle"), 1, "--force replaces it")
    assert run("export", tiny_run, "--out", "bundle", "--force").code == 0


@pytest.mark.usefixtures("quick")
def test_a_collapsed_model_needs_to_be_allowed(run: Runner, tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    summary = json.loads((tmp_path / "run" / SUMMARY).read_text())
    summary["test"]["active_latents"] = 0
    (tmp_path / "run" / SUMMARY).write_text(json.dumps(summary))
    assert_explained(run("export", "run", "--out", "bundle"), 1, "--allow-collapsed")
    assert run("export", "run", "--out", "bundle", "--allow-collapsed").code == 0


def test_what_is_no_run_is_named(run: Runner, tmp_path: Path) -> None:
    assert_explained(run("export", "nowhere", "--out", "bundle"), 1, "nowhere: not a run directory")
    assert list(tmp_path.iterdir()) == []
