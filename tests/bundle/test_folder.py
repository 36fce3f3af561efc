"""Every way in which a bundle can be wrong has its own error, and nothing wrong is ever used."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import digitvae as dv
from digitvae.bundle.dims import Dims
from digitvae.bundle.folder import SCHEMA, Bundle, describe_files, shipped_path, write_manifest
from digitvae.bundle.names import MANIFEST

Manifest = dict[str, Any]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the shipped bundle, to damage."""
    return Path(shutil.copytree(shipped_path(), tmp_path / "bundle"))


def edit(folder: Path, change: Callable[[Manifest], object]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    write_manifest(folder, manifest)


def test_the_shipped_bundle_is_whole() -> None:
    bundle = Bundle.open()
    bundle.check_files()
    assert bundle.manifest["schema"] == SCHEMA
    assert bundle.dims == Dims(height=28, width=28, latents=40, hidden=512)
    on_disk = {file.name for file in bundle.path.iterdir()} - {MANIFEST}
    assert on_disk == set(bundle.file_names)
    assert describe_files(bundle.path, bundle.file_names) == bundle.manifest["files"]


def test_a_bundle_can_be_moved(copy: Path) -> None:
    moved = copy.rename(copy.with_name("elsewhere"))
    assert (dv.load(moved).sample(3) == dv.load().sample(3)).all()


def test_a_missing_folder_and_a_file_in_its_place_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(dv.BundleError, match="does not exist"):
        dv.load(tmp_path / "nothing")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(dv.BundleError, match="is a file, expected a bundle"):
        dv.load(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(dv.BundleError, match=r"it has no manifest\.json"):
        dv.load(tmp_path / "empty")


@pytest.mark.parametrize("text", ["", "{", "\x00", "[" * 100_000, "\udcff"], ids=repr)
def test_a_manifest_that_is_not_json_is_refused(copy: Path, text: str) -> None:
    (copy / MANIFEST).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(dv.BundleError, match="is not JSON"):
        Bundle.open(copy)


@pytest.mark.parametrize("text", ["[]", "3", '"x"', "{}", '{"schema": 3}', "null"])
def test_json_that_is_no_manifest_is_refused(copy: Path, text: str) -> None:
    (copy / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(dv.BundleError, match="names no schema"):
        Bundle.open(copy)


def test_a_huge_manifest_is_not_even_read(copy: Path) -> None:
    (copy / MANIFEST).write_bytes(b" " * (1 << 21))
    with pytest.raises(dv.BundleError, match="larger than a manifest can be"):
        Bundle.open(copy)


BAD_NAMES = ["../decoder.onnx", "/etc/passwd", "a/b", "a\\b", "", ".", "..", ".hidden", "c:x", "\0"]
BAD_NAMES += ["x" * 256, "é" * 128, "x\x1b[2Jy", "x\ny"]

DAMAGES: list[tuple[str, Callable[[Manifest], object], str]] = [
    ("schema", lambda m: m.update(schema="digitvae-bundle/99"), "schema 'digitvae-bundle/99'"),
    ("no dims", lambda m: m.pop("dims"), "dims is None"),
    ("dims 0", lambda m: m["dims"].update(latent=0), "expected whole numbers"),
    ("dims bool", lambda m: m["dims"].update(latent=True), "expected whole numbers"),
    ("dims text", lambda m: m["dims"].update(height="28"), "expected whole numbers"),
    ("files list", lambda m: m.update(files=[]), "files is list, expected an object"),
    ("no decoder", lambda m: m["files"].pop("decoder.onnx"), "does not list decoder.onnx"),
    ("no encoder", lambda m: m["files"].pop("encoder.onnx"), "does not list encoder.onnx"),
    ("entry", lambda m: m["files"].update({"decoder.onnx": 3}), "expected 64 hex digits"),
    ("hash", lambda m: m["files"]["decoder.onnx"].update(sha256="A" * 64), "64 hex digits"),
    ("short hash", lambda m: m["files"]["decoder.onnx"].update(sha256="ab"), "64 hex digits"),
    ("size", lambda m: m["files"]["decoder.onnx"].update(bytes=-1), "expected a number of bytes"),
    ("size 1.0", lambda m: m["files"]["decoder.onnx"].update(bytes=1.0), "a number of bytes"),
    ("absent", lambda m: m["files"].update(x={"sha256": "0" * 64, "bytes": 1}), "x is missing"),
]
DAMAGES += [
    (
        f"name {name!r}",
        lambda m, name=name: m["files"].update({name: {"sha256": "0" * 64, "bytes": 1}}),  # type: ignore[misc]
        "not a plain file name",
    )
    for name in BAD_NAMES
]


@pytest.mark.parametrize(
    ("change", "message"), [d[1:] for d in DAMAGES], ids=[d[0] for d in DAMAGES]
)
def test_a_damaged_manifest_is_refused(
    copy: Path, change: Callable[[Manifest], object], message: str
) -> None:
    edit(copy, change)
    with pytest.raises(dv.BundleError, match=message):
        Bundle.open(copy)


@pytest.mark.parametrize("name", ["decoder.onnx", "encoder.onnx", "weights.safetensors"])
def test_a_missing_truncated_or_longer_file_is_named(copy: Path, name: str) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-1])
    with pytest.raises(dv.BundleError, match=f"{name} is truncated: {len(content) - 1} bytes"):
        Bundle.open(copy)
    (copy / name).write_bytes(content + b"\0")
    with pytest.raises(dv.BundleError, match=f"{name} is longer than it should be"):
        Bundle.open(copy)
    (copy / name).unlink()
    with pytest.raises(dv.BundleError, match=f"{name} is missing"):
        Bundle.open(copy)
    (copy / name).mkdir()
    with pytest.raises(dv.BundleError, match="not a regular file"):
        Bundle.open(copy)


def test_what_is_no_file_with_an_end_is_not_read(copy: Path) -> None:
    for name in (MANIFEST, "decoder.onnx"):
        content = (copy / name).read_bytes()
        (copy / name).unlink()
        os.mkfifo(copy / name)
        with pytest.raises(dv.BundleError, match=r"not a regular file|it has no manifest\.json"):
            Bundle.open(copy)
        (copy / name).unlink()
        (copy / name).write_bytes(content)


@pytest.mark.parametrize("what", ["grown", "cut", "pipe", "link"])
def test_a_file_that_becomes_another_after_it_was_looked_at_is_not_read_on(
    copy: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = copy / "decoder.onnx"
    size = path.stat().st_size
    bundle = Bundle.open(copy)
    check = Bundle._check_entry

    def change_afterwards(self: Bundle, name: str) -> str:
        told = check(self, name)
        if what in ("grown", "cut"):
            os.truncate(path, 1 << 40 if what == "grown" else size - 1)
            return told
        path.unlink()
        if what == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
        return told

    monkeypatch.setattr(Bundle, "_check_entry", change_afterwards)
    messages = {
        "grown": f"longer than it should be: {size + 1} bytes",
        "cut": f"truncated: {size - 1} bytes",
        "pipe": "Not a regular file",
        "link": "Not a regular file",
    }
    with pytest.raises(dv.BundleError, match=messages[what]):
        bundle.read("decoder.onnx")


@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=20)
def test_one_flipped_bit_anywhere_in_the_decoder_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, position: float, bit: int
) -> None:
    folder = Path(shutil.copytree(shipped_path(), tmp_path_factory.mktemp("bit") / "bundle"))
    content = bytearray((folder / "decoder.onnx").read_bytes())
    content[int(position * len(content))] ^= 1 << bit
    (folder / "decoder.onnx").write_bytes(content)
    with pytest.raises(dv.BundleError, match=r"decoder\.onnx was changed: its SHA-256"):
        dv.load(folder)
    shutil.rmtree(folder)


def test_a_changed_encoder_is_noticed_when_it_is_used(copy: Path) -> None:
    content = bytearray((copy / "encoder.onnx").read_bytes())
    content[1000] ^= 1
    (copy / "encoder.onnx").write_bytes(content)
    model = dv.load(copy)
    with pytest.raises(dv.BundleError, match=r"encoder\.onnx was changed"):
        model.encode(model.sample(1))
    with pytest.raises(dv.BundleError, match=r"encoder\.onnx was changed"):
        Bundle.open(copy).check_files()


@pytest.mark.parametrize("name", ["decoder.onnx", MANIFEST])
def test_a_link_out_of_the_folder_is_refused_and_one_inside_is_not(copy: Path, name: str) -> None:
    (copy / name).rename(copy / "inside")
    (copy / name).symlink_to("inside")
    assert dv.load(copy).sample(1).shape == (1, 28, 28)
    outside = (copy / "inside").rename(copy.with_name("outside"))
    (copy / name).unlink()
    (copy / name).symlink_to(outside)
    with pytest.raises(dv.BundleError, match="is a link that leaves the bundle"):
        Bundle.open(copy)


def test_a_path_that_the_system_refuses_is_a_bundle_error() -> None:
    with pytest.raises(dv.BundleError, match="cannot read the bundle"):
        Bundle.open("x" * 5000)


def test_a_bundle_reached_through_a_link_is_fine(copy: Path) -> None:
    link = copy.with_name("link")
    link.symlink_to(copy)
    assert dv.load(link).sample(1).shape == (1, 28, 28)


def test_a_foreign_onnx_model_is_refused_even_with_the_right_hash(copy: Path) -> None:
    shutil.copy(copy / "encoder.onnx", copy / "decoder.onnx")
    edit(copy, lambda m: m["files"].update(describe_files(copy, ["decoder.onnx"])))
    with pytest.raises(dv.BundleError, match=r"x float32 \[batch, 784\], expected z float32"):
        dv.load(copy)


def test_bytes_that_are_no_model_are_refused_even_with_the_right_hash(copy: Path) -> None:
    (copy / "decoder.onnx").write_bytes(b"not a model" * 100)
    edit(copy, lambda m: m["files"].update(describe_files(copy, ["decoder.onnx"])))
    with pytest.raises(dv.BundleError, match="or cut short"):
        dv.load(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["dims"].update(latent=41),
        lambda m: m["dims"].update(height=14),
        lambda m: m["dims"].update(width=56),
        lambda m: m.update(dataset="fashion-mnist"),
        lambda m: m.pop("dataset"),
    ],
)
def test_a_manifest_that_contradicts_the_decoder_is_refused(
    copy: Path, change: Callable[[Manifest], object]
) -> None:
    edit(copy, change)
    with pytest.raises(dv.BundleError, match=r"decoder\.onnx says .* they are not of one model"):
        dv.load(copy)


@pytest.mark.parametrize(
    ("key", "value"), [("height", "14"), ("height", "56"), ("dataset", "fashion-mnist")]
)
def test_an_encoder_of_another_model_is_refused_even_with_the_right_hash(
    copy: Path, key: str, value: str
) -> None:
    encoder = onnx.load(copy / "encoder.onnx")
    for entry in encoder.metadata_props:
        if entry.key == f"digitvae.{key}":
            entry.value = value
        if entry.key == "digitvae.width" and key == "height":
            entry.value = str(784 // int(value))  # still 784 pixels, so that only the dims are off
    onnx.save(encoder, copy / "encoder.onnx")
    edit(copy, lambda m: m["files"].update(describe_files(copy, ["encoder.onnx"])))
    model = dv.load(copy)
    with pytest.raises(dv.BundleError, match=r"encoder\.onnx says .* they are not of one model"):
        model.encode(model.sample(1))


def test_reading_a_file_the_manifest_does_not_list_is_refused(copy: Path) -> None:
    (copy / "extra").write_bytes(b"x")
    with pytest.raises(dv.BundleError, match="extra is not in the bundle"):
        Bundle.open(copy).read("extra")
