"""``digitvae verify``: the same findings for eyes, for programs and for CI."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from digitvae.cli.app import main
from digitvae.parity.gate import edits
from digitvae.parity.runtimes import RUNTIMES


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """Few draws, and a folder without a data set: the command is tested here, not the numbers."""
    empty = tmp_path / "nothing"
    empty.mkdir()
    return ["--quick", "--draws", "65", "--data", str(empty)]


def test_an_honest_bundle_prints_tables_and_ends_with_0(
    tiny_bundle: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tiny_bundle), *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "shares of the limits on all inputs" in out
    assert all(runtime.name in out for runtime in RUNTIMES)
    assert "\x1b" not in out
    assert out.splitlines()[-1].endswith("checks passed, 2 not run")


def test_a_terminal_gets_the_same_findings_with_color(
    tiny_bundle: Path,
    options: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "220")
    assert main(["verify", str(tiny_bundle), *options]) == 0
    out, err = capsys.readouterr()
    assert "\x1b[" in out
    assert "other checks" in out
    assert "properties of the native engine" in err  # the last step of the bar


def test_json_is_the_report_and_nothing_else(
    tiny_bundle: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tiny_bundle), "--json", *options]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (report["schema"], report["passed"], report["draws"]) == ("digitvae-parity/2", True, 65)
    assert err == ""


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_faulty_bundle_ends_with_1_and_names_the_fault(
    form: list[str],
    copy: Callable[[], Path],
    options: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = copy()
    edits.edit_onnx(folder, "decoder", edits.replace_operator("Sigmoid", "HardSigmoid"))
    edits.redo_hashes(folder)
    assert main(["verify", str(folder), *form, *options]) == 1
    out, err = capsys.readouterr()
    assert "digitvae: error: parity: " in err
    assert "ONNX Runtime, decoder x on prior draws: failed" in err
    assert "Traceback" not in err
    if form:
        assert json.loads(out)["passed"] is False
    else:
        assert "FAILED" in out


def test_details_list_every_comparison_and_every_check(
    tiny_bundle: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tiny_bundle), "--details", *options]) == 0
    out = capsys.readouterr().out
    assert "weights equal weights.safetensors bit for bit" in out
    assert "extreme latents" in out
    assert "Runtimes against each other" in out


@pytest.mark.parametrize("faulty", [False, True])
def test_a_page_and_junit_are_written_whatever_the_verdict(
    faulty: bool,
    copy: Callable[[], Path],
    options: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = copy()
    if faulty:
        edits.edit_onnx(folder, "encoder", edits.swap_results("mu", "logvar"))
        edits.redo_hashes(folder)
    page, junit = tmp_path / "report.html", tmp_path / "junit.xml"
    written = ["--html", str(page), "--junit", str(junit)]
    assert main(["verify", str(folder), *options, *written]) == int(faulty)
    capsys.readouterr()
    assert page.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    suites = ElementTree.parse(junit).getroot()
    assert int(suites.attrib["tests"]) > 150
    assert (int(suites.attrib["failures"]) > 0) is faulty


def test_what_exists_is_replaced_only_with_force(
    tiny_bundle: Path, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    page.write_text("mine")
    command = ["verify", str(tiny_bundle), *options, "--html", str(page)]
    assert main(command) == 1
    assert "--force" in capsys.readouterr().err
    assert page.read_text() == "mine"
    assert main([*command, "--force"]) == 0
    assert page.read_text(encoding="utf-8") != "mine"
    assert [p.name for p in tmp_path.iterdir() if "digitvae" in p.name] == []


def test_a_long_list_of_failures_is_cut(
    copy: Callable[[], Path], options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy()
    for network in ("decoder", "encoder"):
        edits.edit_onnx(folder, network, edits.edit_every_tensor(lambda w: w * 2))
    edits.redo_hashes(folder)
    assert main(["verify", str(folder), *options]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 14
    assert lines[-1].strip().startswith("and ")


def test_what_is_required_and_missing_ends_with_1(
    tiny_bundle: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tiny_bundle), "--require-data", *options]) == 1
    assert "data set mnist: test images are compared: failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [["--draws", "0"], ["--draws", "many"], ["--threads", "0"], ["--nonsense"]]
)
def test_wrong_usage_ends_with_2(tiny_bundle: Path, wrong: list[str]) -> None:
    assert main(["verify", str(tiny_bundle), *wrong]) == 2


def test_a_folder_that_is_no_bundle_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tmp_path)]) == 1
    assert "is not a bundle" in capsys.readouterr().err


def test_without_pytorch_it_says_how_to_get_it(
    tiny_bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> Any:
        return None if name == "torch" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    assert main(["verify", str(tiny_bundle)]) == 1
    error = capsys.readouterr().err
    assert "needs torch" in error
    assert "pip install 'digitvae[train]'" in error
