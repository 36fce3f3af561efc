"""A whole run: who takes part, in which order, and what becomes of those who fail."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from benchmarks.generation import measure as measuring
from benchmarks.generation.contenders import ALL, TORCHSCRIPT, Contender
from benchmarks.generation.measure import measure
from benchmarks.generation.results import Series
from benchmarks.generation.tables import tables
from benchmarks.machine import available, limited_to

import digitvae as dv
from benchmarks import machine
from digitvae.bundle.folder import Bundle, describe_files, write_manifest
from tests.benchmarks.conftest import TINY, Odd

OURS, ONNXRUNTIME = ALL[:2]
GHOST = Contender("ghost", "Ghost", "no.module", ("no_such_package",), "pip install ghost")


def keys(series: list[Series]) -> set[tuple[str, int, int, int]]:
    return {(one.contender, one.digits, one.threads, len(one.seconds)) for one in series}


@pytest.mark.slow
def test_everything_is_measured_and_nothing_stays(model: dv.Model, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    results = measure(
        replace(TINY, turn_seconds=0.25),  # room for all calls on a busy machine
        model.bundle,
        tmp_path,
        contenders=(OURS, ONNXRUNTIME, GHOST),
        on_progress=lambda *step: told.append(step),
    )
    both = ("ours", "onnxruntime")
    everybody = available()
    assert keys(results.warm) == {(name, n, 1, 2) for name in both for n in (1, 65)}
    assert keys(results.latency) == {(name, 1, 1, 6) for name in both}
    assert keys(results.process) == {(name, n, everybody, 2) for name in both for n in (1, 3000)}
    assert {(one.name, one.threads, len(one.per_second)) for one in results.limits} == {
        ("fma", 1, 2),
        ("page cache", 1, 2),
        ("disk", 1, 2),
    }
    assert all(s > 0 for one in results.warm + results.process for s in one.seconds)
    assert [one.status for one in results.outcomes] == ["measured", "measured", "not installed"]
    assert results.outcomes[1].versions.keys() == {"onnxruntime", "numpy"}
    assert results.outcomes[2].detail == "pip install ghost"
    assert results.operations_a_digit == 843_776
    assert "not installed: pip install ghost" in tables(results)[-1].markdown()
    assert all(0 <= done <= total for done, total, _ in told)
    assert not list(tmp_path.iterdir())


class Recorder:
    """Stands for a worker and notes whose turn it is."""

    calls: list[tuple[str, int]] = []  # noqa: RUF012 (emptied by the test)

    def __init__(self, contender: Contender, _bundle: Path, threads: int) -> None:
        self.contender = contender
        self.threads = threads

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def prepare(self) -> dict[str, Any]:
        return {"versions": {}, "settings": ""}

    def check(self) -> dict[str, Any]:
        return {"deviation": 0.0, "problem": ""}

    def time(self, digits: int, seconds: float, _most: int | None = None) -> list[float]:
        if seconds > 0:
            self.calls.append((self.contender.name, digits))
        return [1.0, 3.0]


def test_contenders_take_turns_and_who_is_first_changes(
    model: dv.Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(measuring, "Worker", Recorder)
    monkeypatch.setattr(Recorder, "calls", [])
    settings = replace(TINY, parts=("warm",), rounds=2)
    results = measure(settings, model.bundle, tmp_path, contenders=(OURS, ONNXRUNTIME))
    assert Recorder.calls == [
        ("ours", 1),
        ("onnxruntime", 1),
        ("ours", 65),
        ("onnxruntime", 65),
        ("onnxruntime", 1),
        ("ours", 1),
        ("onnxruntime", 65),
        ("ours", 65),
    ]
    assert all(one.seconds == [2.0, 2.0] for one in results.warm)  # the mean of each turn


def test_programs_take_turns_after_one_run_of_each_that_is_checked(
    model: dv.Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[str] = []

    def note(words: list[str]) -> float:
        started.append("ours" if "generate" in words else "onnxruntime")
        return 0.5

    monkeypatch.setattr(measuring, "seconds_of", note)
    monkeypatch.setattr(measuring, "problem_of", lambda *_: "")
    settings = replace(TINY, parts=("process",), counts=(1,), rounds=3)
    results = measure(settings, model.bundle, tmp_path, contenders=(OURS, ONNXRUNTIME))
    a, b = "ours", "onnxruntime"
    assert started == [a, b, b, a, a, b, b, a]
    assert [one.seconds for one in results.process] == [[0.5] * 3] * 2


def test_no_torchscript_of_the_bundle_is_loaded_but_one_made_from_its_weights(
    model: dv.Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    ours = pytest.importorskip("benchmarks.generation.torch_contenders")
    honest = ours.torchscript_bytes(model.bundle)
    folder = shutil.copytree(model.bundle.path, tmp_path / "bundle")
    (folder / "decoder.torchscript").write_bytes(b"what would run code")
    names = model.bundle.file_names
    write_manifest(folder, model.bundle.manifest | {"files": describe_files(folder, names)})
    bundle = Bundle.open(folder)
    loaded: list[bytes] = []

    def load(file: Any, **_: object) -> NoReturn:
        loaded.append(file.read())
        raise RuntimeError

    monkeypatch.setattr(torch.jit, "load", load)
    monkeypatch.setattr(torch, "set_num_interop_threads", lambda _: None)
    with pytest.raises(RuntimeError):
        ours.with_torchscript(bundle, 1)

    def note(words: list[str]) -> float:
        loaded.append((Path(words[3]) / "decoder.torchscript").read_bytes())
        return 0.5

    monkeypatch.setattr(measuring, "seconds_of", note)
    monkeypatch.setattr(measuring, "problem_of", lambda *_: "")
    (contender,) = (one for one in ALL if one.name == TORCHSCRIPT)
    settings = replace(TINY, parts=("process",), counts=(1,), rounds=1)
    results = measure(settings, bundle, tmp_path, contenders=(contender,))
    assert [one.status for one in results.outcomes] == ["measured"]
    assert loaded == [honest] * 3


@pytest.mark.parametrize(
    ("behaviour", "status", "detail"),
    [
        ("slightly wrong", "refused", "deviate from float64"),
        ("raises", "failed", "the model is not there"),
        ("dies later", "failed", "MemoryError: no more"),
    ],
)
def test_who_fails_or_computes_something_else_is_left_out(
    model: dv.Model, odd: Odd, tmp_path: Path, behaviour: str, status: str, detail: str
) -> None:
    settings = replace(TINY, parts=("warm",), sizes=(1, 3), rounds=1)
    results = measure(settings, model.bundle, tmp_path, contenders=(OURS, odd(behaviour)))
    ours, other = results.outcomes
    assert ours.status == "measured"
    assert other.status == status
    assert detail in other.detail
    assert {one.contender for one in results.warm} == {"ours"}
    assert f"{status}: " in tables(results)[-1].markdown()


@pytest.mark.parametrize(
    ("code", "status", "detail"),
    [
        ("raise SystemExit('no luck')", "failed", "its program ended with 1: no luck"),
        ("", "failed", "No such file"),
        (
            "import sys, numpy; numpy.save(sys.argv[3], numpy.zeros((3000, 28, 28), 'uint8'))",
            "refused",
            "not drawn from N(0, I)",
        ),
        (
            "import sys, numpy; numpy.save(sys.argv[3], numpy.zeros((3000, 784), 'uint8'))",
            "refused",
            "it returns uint8 [3000, 784]",
        ),
    ],
)
def test_a_program_that_writes_something_else_is_left_out(
    model: dv.Model, tmp_path: Path, code: str, status: str, detail: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(code)
    other = Contender("other", "Other", "no.module", program=(str(script),))
    settings = replace(TINY, parts=("process",), counts=(3000,), rounds=1)
    results = measure(settings, model.bundle, tmp_path, contenders=(OURS, other))
    assert results.outcomes[1].status == status
    assert detail in results.outcomes[1].detail
    assert {one.contender for one in results.process} == {"ours"}


def test_limits_can_be_measured_alone(model: dv.Model, tmp_path: Path) -> None:
    results = measure(replace(TINY, parts=("limits",)), model.bundle, tmp_path, contenders=())
    assert {one.name for one in results.limits} == {"fma", "page cache", "disk"}
    assert results.fma_limit(1) == max(results.limits[-1].per_second)
    assert results.fma_limit(64) is None


def test_limits_are_plausible_and_leave_nothing(tmp_path: Path) -> None:
    rate = machine.fma_rate(0.05, 1)
    assert rate is not None
    assert 1e9 < rate < 1e13
    assert machine.write_rate(tmp_path, 1, sync=True) > 0
    assert not list(tmp_path.iterdir())


def test_the_peak_of_no_time_is_refused() -> None:
    with pytest.raises(SystemExit, match="usage"):
        machine.fma_rate(0, 1)


def test_a_limit_on_processors_ends_with_its_block() -> None:
    before = available()
    with limited_to(1):
        assert available() == 1
    assert available() == before
