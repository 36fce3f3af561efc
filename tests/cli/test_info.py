"""``digitvae info``: what is in a bundle, whole or not, with ONNX Runtime or without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnxruntime
import pytest

from digitvae.bundle.folder import Bundle, shipped_path, write_manifest
from tests.support.running import Runner, assert_explained


def test_info_shows_every_file_and_the_runtime(run: Runner) -> None:
    result = run("info", "--check")
    assert result.code == 0
    bundle = Bundle.open()
    assert f"bundle    {bundle.path}\nsha256    {bundle.sha256}\n" in result.out
    assert "784 → 512 → 40 latents → 512 → 784, images 28 × 28" in result.out
    for name, entry in bundle.manifest["files"].items():
        line = next(line for line in result.out.splitlines() if f" {name} " in line)
        assert line.split()[-2:] == [f"{entry['bytes']:,}", entry["sha256"]]
    assert "every SHA-256 is right" in result.out
    assert f"ONNX Runtime {onnxruntime.__version__}, " in result.out


def test_info_as_json_has_the_whole_manifest(run: Runner) -> None:
    told = json.loads(run("info", shipped_path(), "--json").out)
    bundle = Bundle.open()
    assert told["manifest"] == bundle.manifest
    assert told["path"] == str(bundle.path)
    assert told["bundle_sha256"] == bundle.sha256
    assert told["checked"] is False
    assert told["runtime"]["version"] == onnxruntime.__version__
    assert Path(told["runtime"]["library"]).exists()


def test_info_does_without_onnx_runtime(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITVAE_ORT_LIBRARY", "/nonexistent")
    result = run("info")
    assert result.code == 0
    assert "runtime   not available: " in result.out
    assert "/nonexistent" in json.loads(run("info", "--json").out)["runtime"]["error"]


def test_check_finds_a_file_that_was_changed(run: Runner) -> None:
    copy = Path(shutil.copytree(shipped_path(), "bundle"))
    content = bytearray((copy / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(content)
    assert run("info", copy).code == 0
    assert_explained(run("info", copy, "--check"), 1, "weights.safetensors was changed")


@pytest.mark.parametrize(
    ("path", "message"), [("missing", "does not exist"), (".", "has no manifest.json")]
)
def test_what_is_no_bundle_is_told(run: Runner, path: str, message: str) -> None:
    assert_explained(run("info", path), 1, message)


def test_a_manifest_with_the_required_entries_alone_can_be_shown(run: Runner) -> None:
    copy = Path(shutil.copytree(shipped_path(), "bundle"))
    manifest = json.loads((copy / "manifest.json").read_text())
    for key in set(manifest) - {"schema", "dims", "files"}:
        del manifest[key]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    result = run("info", copy)
    assert result.code == 0
    assert "decoder.onnx" in result.out


def test_what_a_manifest_says_forges_no_line_and_moves_no_cursor(run: Runner) -> None:
    copy = Path(shutil.copytree(shipped_path(), "bundle"))
    text = "x\x1b[2J\x9b31m\x7f\nchecked   every SHA-256 is right\r\u202e\u2028"
    manifest = Bundle.open(copy).manifest | {
        "dataset": text,
        "objective": text,
        "epochs": {text: [text]},
        "seed": text,
        "metrics": {text: text},
        "versions": {text: text},
        text: text,
    }
    write_manifest(copy, manifest)
    found = run("info", copy)
    assert found.code == 0
    lines = found.out.split("\n")
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("checked") for line in lines)
    assert "dataset x\\x1b[2J\\x9b31m\\x7f\\nchecked" in found.out
    found = run("info", copy, "--json")
    assert found.out.rstrip("\n").isprintable()
    assert json.loads(found.out)["manifest"] == Bundle.open(copy).manifest
    # Messages quote it, too: here the data set that nobody knows.
    found = run("interpolate", "--bundle", copy, "--from", "3", "--to", "8")
    assert found.code != 0
    assert all(line.isprintable() for line in found.err.split("\n"))
    assert found.err.count("\n") == 1


def test_a_manifest_of_half_characters_is_refused(run: Runner) -> None:
    copy = Path(shutil.copytree(shipped_path(), "bundle"))
    text = (copy / "manifest.json").read_text(encoding="utf-8")
    (copy / "manifest.json").write_text(text.replace('"mnist"', r'"mn\udc9bist"', 1), "utf-8")
    assert_explained(run("info", copy), 1, "surrogates not allowed")
    (copy / "manifest.json").write_text(text.replace('"mnist"', r'"\ud83d\ude00"', 1), "utf-8")
    assert run("info", copy).code == 0
