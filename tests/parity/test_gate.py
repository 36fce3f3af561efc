"""A gate that lets a faulty export pass is worthless: every fault is caught, and named."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from digitvae import _native
from digitvae.base.errors import BundleError
from digitvae.bundle.folder import write_manifest
from digitvae.cli.app import main
from digitvae.engine import model as engine
from digitvae.parity import ParityReport
from digitvae.parity.bundle import verify_with
from digitvae.parity.gate import edits, gate_tested, honest, judge, trial
from digitvae.parity.gate.edits import Copy
from digitvae.parity.gate.mutants import BIT_FLIPS, all_mutants
from digitvae.parity.gate.trial import Outcome
from digitvae.parity.report.report import Comparison
from digitvae.parity.runtimes.native import NATIVE
from digitvae.parity.settings import GATE
from tests.support.sizes import DIMS

MUTANTS = {mutant.name: mutant for mutant in all_mutants(DIMS)}
HONEST_COPIES = {copy.name: copy for copy in honest.all_honest_copies()}


@pytest.fixture(scope="session")
def judged(tiny_bundle: Path) -> Callable[[str], Outcome]:
    """What becomes of a mutant, which is found out once."""

    @functools.cache
    def judged(name: str) -> Outcome:
        return judge(tiny_bundle, MUTANTS[name])

    return judged


@pytest.mark.parametrize("name", MUTANTS)
def test_a_faulty_export_fails_and_is_named(name: str, judged: Callable[[str], Outcome]) -> None:
    outcome = judged(name)
    assert outcome.failures, "it passed"
    for words in MUTANTS[name].wanted:
        assert words in outcome.said


@pytest.mark.parametrize("name", HONEST_COPIES)
def test_an_honest_copy_passes(name: str, tiny_bundle: Path) -> None:
    outcome = judge(tiny_bundle, HONEST_COPIES[name])
    assert not outcome.failures, outcome.said


def test_copies_of_a_bundle_that_may_not_be_written_may_be(copy: Callable[[], Path]) -> None:
    folder = copy()
    (folder / "notes").mkdir()  # what does not belong to the bundle is left alone
    for file in (*folder.iterdir(), folder):
        file.chmod(0o500)
    seen = []

    def look(copied: Path) -> None:
        seen.extend([copied, *copied.iterdir()])
        assert all(place.stat().st_mode & 0o200 for place in seen)

    try:
        assert not judge(folder, Copy("looked at", change=look)).failures
    finally:
        folder.chmod(0o700)
    assert {place.name for place in seen[1:]} == {p.name for p in folder.iterdir()} - {"notes"}


def test_mutants_have_names_of_their_own_and_say_what_is_wanted() -> None:
    assert len(MUTANTS) == len(all_mutants(DIMS)) >= 100
    assert all(mutant.wanted for mutant in MUTANTS.values())
    assert sum("flipped" in name for name in MUTANTS) == BIT_FLIPS == 50


def test_only_the_faulty_file_is_blamed(judged: Callable[[str], Outcome]) -> None:
    for name, innocent in (
        ("decoder.onnx: bias set to zero", ("encoder", "TorchScript", "ExportedProgram")),
        ("encoder.onnx: log σ² halved", ("decoder", "TorchScript", "ExportedProgram")),
        ("decoder.pt2: Sigmoid → HardSigmoid", ("encoder", "TorchScript", "ONNX", NATIVE, "C API")),
    ):
        for line in judged(name).said.splitlines():
            # A reconstruction is made of both networks.
            assert "reconstruction" in line or not line.startswith(innocent), line
            assert f"{innocent[0]} " not in line.split(":", maxsplit=1)[0], line


def test_numbers_alone_catch_what_changes_numbers(judged: Callable[[str], Outcome]) -> None:
    for name, by_numbers in (
        ("encoder.onnx: means too large by 2⁻¹⁵", True),
        ("decoder.onnx: weights through float16", True),
        ("decoder.onnx: random operator", False),
        ("decoder.onnx: stale hash", False),
    ):
        numbers = [f for f in judged(name).failures if isinstance(f, Comparison)]
        assert bool(numbers) is by_numbers, name


def check(folder: Path) -> ParityReport:
    edits.redo_hashes(folder)
    return verify_with(folder, GATE)


def test_weights_that_happen_to_spell_a_path_are_no_path(copy: Callable[[], Path]) -> None:
    folder = copy()
    change = edits.edit_tensor("hidden.weight", edits.write_text(b"/home/me/model.py"))
    edits.edit_onnx(folder, "decoder", change)
    failures = check(folder).failures
    assert failures
    assert not [failure for failure in failures if "local path" in str(failure)]


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.torchscript"])
def test_a_form_that_the_bundle_lacks_is_caught(name: str, copy: Callable[[], Path]) -> None:
    folder = copy()
    manifest = edits.read_manifest(folder)
    (folder / name).unlink()
    del manifest["files"][name]
    write_manifest(folder, manifest)
    if name.endswith(".onnx"):
        with pytest.raises(BundleError, match=name):  # not even a bundle
            verify_with(folder, GATE)
    else:
        said = "\n".join(map(str, check(folder).failures))
        assert f"{name}: can be loaded" in said
        assert "does not list it" in said


@pytest.mark.parametrize("name", ["decoder.onnx", "decoder.torchscript", "weights.safetensors"])
def test_a_stale_hash_ends_the_verification_before_anything_is_loaded(
    name: str, copy: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy()
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)

    def loaded(*_: object, **__: object) -> None:
        pytest.fail("TorchScript was loaded although a hash was wrong")

    monkeypatch.setattr(torch.jit, "load", loaded)
    with pytest.raises(BundleError, match=f"{name} was changed"):
        verify_with(folder, GATE)


def test_an_engine_that_does_not_load_is_reported_and_the_rest_compared(
    tiny_bundle: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITVAE_ORT_LIBRARY", str(nowhere / "libonnxruntime.so"))
    report = verify_with(tiny_bundle, GATE)
    # The engine, and what the C API makes of the prior.
    assert [str(f).split(":")[0] for f in report.failures] == [NATIVE, "prior.onnx"]
    assert {c.status for c in report.comparisons} == {"passed"}
    assert NATIVE not in {c.runtime for c in report.comparisons}


def test_an_engine_on_another_version_of_onnx_runtime_is_not_held_to_the_bits_of_this_one(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.Model, "runtime_version", property(lambda _: "1.21.0"))
    report = verify_with(tiny_bundle, GATE)
    assert report.passed, report.summary()
    assert [c for c in report.checks if c.status == "not run" and c.subject == NATIVE]
    native = [c for c in report.comparisons if c.runtime == NATIVE]
    assert native
    assert all(c.must_equal is None for c in native)
    # Its own forms must agree with each other all the same.
    assert {c.must_equal for c in report.comparisons if c.runtime == "C API"} == {NATIVE}


class WithoutKernel:
    """A decoder on a processor that has no sparse kernel."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._decoder = _native.Decoder(*arguments, **options)

    def __getattr__(self, name: str) -> object:
        return getattr(self._decoder, name)

    def is_optimized(self, _rows: int) -> bool:
        return False


def test_a_processor_without_a_kernel_has_no_sparse_engine_and_says_so(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = SimpleNamespace(TILE_ROWS=_native.TILE_ROWS, Decoder=WithoutKernel)
    monkeypatch.setattr("digitvae.parity.runtimes.native._native", module)
    report = verify_with(tiny_bundle, GATE)
    assert report.passed, report.summary()
    assert "native engine, sparse" not in {c.runtime for c in report.comparisons}
    assert "native engine, sparse: can be loaded: not run" in "\n".join(map(str, report.checks))


@pytest.fixture
def few_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate test of two mutants, one of which nothing could catch, and two honest copies."""
    caught = MUTANTS["decoder.onnx: bias set to zero"]
    missed = Copy("nothing at all", ("anything",))
    blamed = Copy("blamed on another place", ("the moon",), caught.change)
    rejected = Copy(
        "not so honest", change=lambda folder: edits.edit_onnx(folder, "decoder", edits.fix_batch)
    )
    monkeypatch.setattr(trial, "all_mutants", lambda *_, **__: [caught, missed, blamed])
    monkeypatch.setattr(trial, "all_honest_copies", lambda: [HONEST_COPIES["unchanged"], rejected])


@pytest.mark.usefixtures("few_copies")
def test_the_gate_s_own_test_counts_and_fails_the_report(tiny_bundle: Path) -> None:
    steps: list[tuple[int, int, str]] = []
    report = gate_tested(
        verify_with(tiny_bundle, GATE),
        tiny_bundle,
        on_progress=lambda *step: steps.append(step),
    )
    test = report.gate_test
    assert test is not None
    assert (test.mutants, test.caught, test.honest, test.accepted) == (3, 1, 2, 1)
    assert test.missed == ("nothing at all", "blamed on another place")
    assert test.rejected == ("not so honest",)
    assert not report.passed
    assert "nothing at all; blamed on another place; not so honest" in report.summary()
    assert [done for done, _, _ in steps] == [0, 1, 2, 3, 4]
    assert report.to_dict()["gate_test"]["caught"] == 1


def test_the_gate_is_not_tested_on_a_bundle_that_fails(copy: Callable[[], Path]) -> None:
    folder = copy()
    edits.edit_onnx(folder, "decoder", edits.fix_batch)
    report = gate_tested(check(folder), folder)
    assert report.gate_test is None
    assert [c.status for c in report.checks if c.subject == "gate"] == ["not run"]


@pytest.mark.usefixtures("few_copies")
def test_the_command_tests_the_gate_when_asked(
    tiny_bundle: Path, nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--quick", "--draws", "65", "--data", str(nowhere), "--self-test"]
    assert main(["verify", str(tiny_bundle), *options]) == 1
    out, err = capsys.readouterr()
    assert "faulty copies caught, and the place named  1 of 3" in out
    assert "honest copies accepted                     1 of 2" in out
    assert "gate: the gate catches every faulty copy and accepts every honest one: failed" in err


def test_comparisons_and_checks_are_told_apart(
    tiny_bundle: Path, judged: Callable[[str], Outcome]
) -> None:
    outcome = judged("decoder.onnx: pixels too dark by 2⁻¹⁸")
    assert any(isinstance(failure, Comparison) for failure in outcome.failures)
    assert outcome.as_it_should
    report = verify_with(tiny_bundle, GATE)
    assert all(isinstance(item, Comparison) for item in report.comparisons)
