"""A bundle's report is replaced whole, by one that looked at no less, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from digitvae.base.errors import BundleError, ParityError
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import MANIFEST
from digitvae.cli.app import main
from digitvae.parity import ParityReport, verify
from digitvae.parity.report.report import LOADED, Check, GateTest
from digitvae.parity.report.update import write_report


@pytest.fixture(scope="module")
def report(tiny_bundle: Path, nowhere: Path) -> ParityReport:
    return verify(tiny_bundle, quick=True, draws=2000, data_root=nowhere)


DATA = Check("data set mnist", "test images are compared", "passed")


def whole(report: ParityReport) -> ParityReport:
    """The report as if the data set had been there, and the gate been tested."""
    checks = tuple(DATA if check.subject == DATA.subject else check for check in report.checks)
    return replace(report, mode="full", checks=checks, gate_test=GateTest(107, 107, 10, 10))


def test_a_report_that_looked_at_no_less_replaces_the_one_that_is_there(
    copy: Callable[[], Path], report: ParityReport
) -> None:
    folder = copy()
    for new in (whole(report), replace(whole(report), draws=3000)):
        write_report(folder, new, force=new.draws == 2000)
        bundle = Bundle.open(folder)
        bundle.check_files()
        assert json.loads(bundle.read("parity.json")) == new.to_dict()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"draws": 1999}, "2000 draws in full mode"),
        ({"mode": "quick"}, "2000 draws in full mode"),
        ({"gate_test": None}, "the gate itself, with --self-test"),
        (
            {"checks": (replace(DATA, status="not run"),)},
            "data set mnist: test images are compared",
        ),
        ({"checks": (DATA, Check("decoder.pt2", LOADED, "not run", "not loaded"))}, "decoder.pt2"),
    ],
)
def test_a_report_that_looked_at_less_does_not_replace_it_unless_forced(
    change: dict[str, object], words: str, copy: Callable[[], Path], report: ParityReport
) -> None:
    folder = copy()
    write_report(folder, whole(report), force=True)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    less = replace(whole(report), **change)  # type: ignore[arg-type]
    with pytest.raises(ParityError, match="looked at more") as caught:
        write_report(folder, less)
    assert words in str(caught.value)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    write_report(folder, less, force=True)
    assert json.loads((folder / "parity.json").read_text(encoding="utf-8")) == less.to_dict()


@pytest.mark.parametrize("kept", [b"{", b"[]", b"7", b'{"schema": "other/1"}', b"{}"])
def test_what_is_no_report_is_replaced(
    kept: bytes, copy: Callable[[], Path], report: ParityReport
) -> None:
    from digitvae.parity.gate import edits

    folder = copy()
    (folder / "parity.json").write_bytes(kept)
    edits.redo_hashes(folder)
    write_report(folder, report)
    assert json.loads((folder / "parity.json").read_text(encoding="utf-8")) == report.to_dict()


def test_a_file_that_changed_in_the_meantime_does_not_get_a_new_hash(
    copy: Callable[[], Path], report: ParityReport
) -> None:
    folder = copy()
    content = bytearray((folder / "decoder.onnx").read_bytes())
    content[-1] ^= 1
    (folder / "decoder.onnx").write_bytes(content)
    manifest = (folder / MANIFEST).read_bytes()
    with pytest.raises(BundleError, match=r"decoder\.onnx"):
        write_report(folder, report, force=True)
    assert (folder / MANIFEST).read_bytes() == manifest


def test_the_command_updates_only_with_as_much_or_force(
    copy: Callable[[], Path],
    report: ParityReport,
    nowhere: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = copy()
    write_report(folder, replace(report, draws=100), force=True)
    command = ["verify", str(folder), "--quick", "--data", str(nowhere), "--update"]
    assert main([*command, "--draws", "99"]) == 1
    assert "looked at more: 100 draws in quick mode" in capsys.readouterr().err
    assert main([*command, "--draws", "101"]) == 0
    assert json.loads(Bundle.open(folder).read("parity.json"))["draws"] == 101
    assert main([*command, "--draws", "99", "--force"]) == 0
    assert json.loads(Bundle.open(folder).read("parity.json"))["draws"] == 99


def test_an_update_needs_a_bundle(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--update"]) == 2
    assert "--update needs BUNDLE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--html", "OUT/a", "--junit", "OUT/a"], "--junit and --html are the same file"),
        (["--html", "OUT/b", "--junit", "OUT/../out/b"], "--junit and --html are the same file"),
        (["--html", "BUNDLE/decoder.pt2", "--force"], "lies in the bundle"),
        (["--junit", "BUNDLE/new.xml"], "lies in the bundle"),
        (["--baseline", "OUT/c", "--junit", "OUT/c"], "--junit and --baseline are the same file"),
        (
            ["--torch", "a:b", "--onnx", "OUT/m", "--html", "OUT/m", "--force"],
            "--html and --onnx are the same file",
        ),
    ],
)
def test_nothing_that_is_read_is_written_and_nothing_is_written_twice(
    words: list[str],
    message: str,
    copy: Callable[[], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, out = copy(), tmp_path / "out"
    out.mkdir()
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    words = [w.replace("BUNDLE", str(folder)).replace("OUT", str(out)) for w in words]
    bundle = [] if "--torch" in words else [str(folder)]
    assert main(["verify", *bundle, *words]) == 2
    assert message in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert list(out.iterdir()) == []
