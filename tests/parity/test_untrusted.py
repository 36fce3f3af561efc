"""A bundle is data: TorchScript and .pt2 can run code, so that only our own are loaded."""

from __future__ import annotations

import contextlib
import io
import os
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from digitvae import __version__
from digitvae.bundle.folder import Bundle, describe_files, write_manifest
from digitvae.parity import ParityReport
from digitvae.parity.bundle import verify_with
from digitvae.parity.gate import edits, gate_tested, honest, judge, trial
from digitvae.parity.runtimes.pytorch import (
    EXPORTED_PROGRAM,
    TORCHSCRIPT,
    load_exported_program,
    load_torchscript,
    program_of_bundle,
)
from digitvae.parity.runtimes.trusted import NotLoadedError, TorchFiles
from digitvae.parity.settings import GATE
from digitvae.vae import serialisation as forms
from tests.support.running import Runner

MARK = "ran"
"""What an attack makes in the current folder; a longer path would be found by another check."""

_RUN = f"__import__('os').mkdir({MARK!r})"
_SYMBOL = re.compile(rb"Symbol\('s\d+', positive=True, integer=True\)")


class Pickled:
    """An object that runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"{_RUN} or ((), {{}})",)


class Restored(torch.nn.Module):
    """A module that writes a file when it is loaded."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(z)

    @torch.jit.export
    def __getstate__(self) -> tuple[int, bool]:
        return 1, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[int, bool]) -> None:
        self.training = state[1]
        torch.save(torch.zeros(1), "ran")

    def __deepcopy__(self, _: object) -> Restored:
        return self


def _in_archive(content: bytes, end: str, change: Callable[[bytes], bytes]) -> bytes:
    """An archive with one member changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(zipfile.ZipInfo(name), change(data) if name.endswith(end) else data)
    return out.getvalue()


def _evaluated(content: bytes) -> bytes:
    """A shape expression that sympy evaluates."""
    code = f"{_RUN} or ".encode()
    return _in_archive(
        content, "models/model.json", lambda text: _SYMBOL.sub(rb"%b\g<0>" % code, text, count=1)
    )


def _unpickled(content: bytes) -> bytes:
    """Sample inputs that are no tensors."""
    pickled = io.BytesIO()
    torch.save(Pickled(), pickled)
    return _in_archive(content, "sample_inputs/model.pt", lambda _: pickled.getvalue())


def _restored(_: bytes) -> bytes:
    """TorchScript that overwrites a file."""
    return forms.torchscript_bytes(Restored())


ATTACKS = {
    "decoder.pt2": _evaluated,
    "encoder.pt2": _unpickled,
    "prior.pt2": _unpickled,
    "encoder.torchscript": _restored,
    "prior.torchscript": _restored,
}


@pytest.fixture
def attacked(
    copy: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Copies the tiny bundle, changes files and makes their hashes right, in an empty folder."""

    def make(*names: str) -> Path:
        folder = copy()
        for name in names:
            (folder / name).write_bytes(ATTACKS[name]((folder / name).read_bytes()))
        edits.redo_hashes(folder)
        here = tmp_path / "here"
        here.mkdir()
        monkeypatch.chdir(here)
        return folder

    return make


def not_loaded(report: ParityReport) -> list[str]:
    """The files that were not loaded, as the report tells it."""
    said = f"not loaded: not the bytes that digitvae {__version__} writes"
    return [c.subject for c in report.checks if c.status == "not run" and said in c.detail]


def test_files_that_would_run_code_are_not_loaded(attacked: Callable[..., Path]) -> None:
    report = verify_with(attacked(*ATTACKS), GATE)
    assert not os.path.lexists(MARK)
    assert report.passed, report.summary()
    assert sorted(not_loaded(report)) == sorted(ATTACKS)
    # The one that is left was compared, and nothing else of these runtimes.
    assert {c.network for c in report.comparisons if c.runtime == TORCHSCRIPT} == {"decoder"}
    assert EXPORTED_PROGRAM not in {c.runtime for c in report.comparisons}


@pytest.mark.parametrize("name", ATTACKS)
def test_these_files_run_code_once_they_are_loaded(
    name: str, attacked: Callable[..., Path]
) -> None:
    content = TorchFiles(Bundle.open(attacked(name)), trust=True).read(name)
    load = load_torchscript if name.endswith(".torchscript") else load_exported_program
    with contextlib.suppress(Exception):
        load(content)
    assert os.path.lexists(MARK)


@pytest.mark.parametrize("form", ["torchscript", "pt2"])
def test_one_other_byte_anywhere_and_it_is_not_loaded(form: str, copy: Callable[[], Path]) -> None:
    folder = copy()
    file = folder / f"decoder.{form}"
    content = file.read_bytes()
    middle = len(content) // 2  # of a tensor, which the manifest's hash then covers
    for changed in (
        content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        content + b"\0",
        b"\0" + content,
        content[:-1],
        _in_archive(content, "data.pkl", lambda data: data),  # the same members in another archive
        b"",
    ):
        file.write_bytes(changed)
        edits.redo_hashes(folder)
        with pytest.raises(NotLoadedError, match="--trust loads it"):
            TorchFiles(Bundle.open(folder)).read(file.name)
        assert TorchFiles(Bundle.open(folder), trust=True).read(file.name) == changed


def test_parameters_that_explain_nothing_load_nothing(copy: Callable[[], Path]) -> None:
    folder = copy()
    for name in ("weights.safetensors", "prior.safetensors"):
        (folder / name).write_bytes(b"no tensors")
    for form in ("torchscript", "pt2"):  # which nobody asks for, and which has no parameters
        (folder / f"other.{form}").write_bytes((folder / f"decoder.{form}").read_bytes())
    manifest = edits.read_manifest(folder)
    names = [*manifest["files"], "other.torchscript", "other.pt2"]
    write_manifest(folder, manifest | {"files": describe_files(folder, names)})
    files = TorchFiles(Bundle.open(folder))
    for name in names:
        if name.endswith((".torchscript", ".pt2")):
            with pytest.raises(NotLoadedError):
                files.read(name)
        else:
            assert files.read(name) == (folder / name).read_bytes()


def test_what_was_compared_is_what_is_loaded(
    copy: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is swapped after it was compared changes nothing: it is not read again."""
    folder = copy()
    honest = {name: (folder / name).read_bytes() for name in edits.read_manifest(folder)["files"]}
    loaded = []

    def spy(load: Callable[..., Any]) -> Callable[..., Any]:
        def loading(file: Any, **options: Any) -> Any:
            loaded.append(file.getvalue())
            return load(file, **options)

        return loading

    program_of_bundle.cache_clear()
    monkeypatch.setattr(torch.jit, "load", spy(torch.jit.load))
    monkeypatch.setattr(torch.export, "load", spy(torch.export.load))
    verify_with(folder, GATE)
    assert sorted(loaded) == sorted(
        content for name, content in honest.items() if name.endswith((".torchscript", ".pt2"))
    )


@pytest.mark.parametrize("name", ["decoder", "encoder", "prior"])
def test_another_build_of_pytorch_may_have_written_it(
    name: str, copy: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy()
    expected = (folder / f"{name}.pt2").read_bytes()
    network = edits.load_network(folder, name)
    columns = 784 if name == "encoder" else 40

    def written_by(version: str) -> bytes:
        with monkeypatch.context() as patch:
            patch.setattr(torch, "__version__", version)
            return forms.exported_program_bytes(network, forms.SIGNATURES[name][0], columns)

    for version in ("", "x.1", "2.0 \x1b[2J", "2" * 80):  # what is no version is none
        (folder / f"{name}.pt2").write_bytes(written_by(version))
        edits.redo_hashes(folder)
        with pytest.raises(NotLoadedError):
            TorchFiles(Bundle.open(folder)).read(f"{name}.pt2")
    for version in ("2.99.0+cpu", "3.0.0a0+git1234567"):
        written = written_by(version)
        assert written != expected
        (folder / f"{name}.pt2").write_bytes(written)
        edits.redo_hashes(folder)
        files = TorchFiles(Bundle.open(folder))
        assert files.read(f"{name}.pt2") == written
        # Beside the version nothing may differ.
        for changed in (
            written.replace(version.encode(), version.encode()[:-1] + b"\x1b"),
            written.replace(b'"verifiers": ["TRAINING"]', b'"verifiers":["TRAINING"] '),
            written.replace(b"little", b"LITTLE"),
        ):
            assert changed != written
            (folder / f"{name}.pt2").write_bytes(changed)
            edits.redo_hashes(folder)
            with pytest.raises(NotLoadedError):
                TorchFiles(Bundle.open(folder)).read(f"{name}.pt2")


def test_names_in_a_torchscript_do_not_depend_on_what_was_scripted_before(
    tiny_bundle: Path,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("prior", "encoder", "decoder"):
            network = edits.load_network(tiny_bundle, name)
            torch.jit.script(network)  # registers its classes, with other constants
            written = forms.torchscript_bytes(network)
            assert written == (tiny_bundle / f"{name}.torchscript").read_bytes()


def test_the_gate_is_tested_on_no_file_that_would_have_to_be_trusted(
    attacked: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = attacked("decoder.pt2")
    monkeypatch.setattr(trial, "judge", lambda *_, **__: pytest.fail("a copy was made"))
    report = gate_tested(verify_with(folder, GATE), folder)
    assert not os.path.lexists(MARK)
    assert report.gate_test is None
    (gate,) = (check for check in report.checks if check.subject == "gate")
    assert gate.status == "not run"
    assert gate.detail.startswith("decoder.pt2: not loaded: ")


def test_the_gate_judges_copies_of_no_such_file_either(
    attacked: Callable[..., Path],
) -> None:
    folder = attacked("decoder.pt2")
    (unchanged, *_) = honest.all_honest_copies()
    with pytest.raises(NotLoadedError, match=r"decoder\.pt2: not loaded"):
        judge(folder, unchanged)
    assert not os.path.lexists(MARK)


def test_the_command_says_what_was_not_loaded(
    attacked: Callable[..., Path], nowhere: Path, run: Runner
) -> None:
    folder = attacked("encoder.torchscript")
    options = ["--quick", "--draws", "65", "--data", nowhere]
    found = run("verify", folder, *options)
    assert found.code == 0, found
    (line,) = (line for line in found.out.splitlines() if "not loaded" in line)
    assert line.split(maxsplit=3)[:3] == ["not", "run", "encoder.torchscript"]
    assert f"not the bytes that digitvae {__version__} writes; --trust loads it" in line
    found = run("verify", folder, *options, "--trust")
    assert found.code == 1
    assert os.path.lexists(MARK)


def test_trust_is_for_bundles(run: Runner) -> None:
    found = run("verify", "--torch", "a:b", "--onnx", "c.onnx", "--trust")
    assert found.code == 2
    assert "--trust is for bundles" in found.err
