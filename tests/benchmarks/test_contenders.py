"""Every contender computes the bundle's decoder, in a process that runs in its turns only."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.generation import correctness
from benchmarks.generation.contenders import ALL, OURS, Contender, Stage, fastest, generator
from benchmarks.generation.measure import command, problem_of, seconds_of
from benchmarks.generation.worker import ContenderError, Worker

import digitvae as dv
from digitvae.bundle.folder import shipped_path
from tests.benchmarks.conftest import Odd


@pytest.mark.slow
@pytest.mark.parametrize("contender", ALL, ids=lambda one: one.name)
def test_it_computes_the_decoder_and_generates(
    contender: Contender, monkeypatch: pytest.MonkeyPatch
) -> None:
    if contender.missing():
        pytest.skip(f"{contender.title} beside us ({contender.install})")
    monkeypatch.setenv("HURRIED", contender.prepare)
    hurried = replace(contender, prepare="tests.benchmarks.odd_contenders:hurried")
    with Worker(hurried, shipped_path(), threads=1) as worker:
        ready = worker.prepare()
        assert ready["versions"]
        checked = worker.check()
        assert checked["problem"] == ""
        assert 0 < checked["deviation"] < 2e-6
        times = worker.time(65, 0.0)
        assert len(times) == 1
        assert times[0] > 0
        assert len(worker.time(1, 60.0, 5)) == 5


@pytest.mark.slow
@pytest.mark.parametrize("contender", [one for one in ALL if one.program], ids=lambda one: one.name)
def test_its_program_writes_digits(contender: Contender, model: dv.Model, tmp_path: Path) -> None:
    if contender.missing():
        pytest.skip(f"{contender.title} beside us ({contender.install})")
    out = tmp_path / "digits.npy"
    seconds_of(command(contender, shipped_path(), 2500, out))
    assert problem_of(out, 2500, model.bundle) == ""


def test_ours_is_the_first() -> None:
    assert ALL[0].name == OURS


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [
        ("slightly wrong", "deviate from float64 by 2."),
        ("not a number", "deviate from float64 by inf"),
        ("too few", "deviate from float64 by inf"),
        ("floats", "it returns float32 [1, 28, 28] for 1 digits"),
        ("the same", "the same digits again and again"),
        ("inverted", "not drawn from N(0, I)"),
    ],
)
def test_who_computes_something_else_is_found_out(odd: Odd, behaviour: str, problem: str) -> None:
    with Worker(odd(behaviour), shipped_path(), threads=1) as worker:
        worker.prepare()
        assert problem in worker.check()["problem"]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("raises", "OSError: the model is not there"),
        ("dies", "its process ended: something terrible"),
    ],
)
def test_a_failure_is_told_with_its_reason(odd: Odd, behaviour: str, message: str) -> None:
    with Worker(odd(behaviour), shipped_path(), threads=1) as worker:
        with pytest.raises(ContenderError, match=message):
            worker.prepare()
        with pytest.raises(ContenderError):  # and again, for who asks on
            worker.check()


def test_what_a_library_prints_disturbs_nobody(odd: Odd, capfd: pytest.CaptureFixture[str]) -> None:
    with Worker(odd("chatters"), shipped_path(), threads=1) as worker:
        assert worker.prepare()["versions"]
    assert capfd.readouterr() == ("", "")


def test_between_its_turns_a_contender_is_stopped_and_afterwards_gone(odd: Odd) -> None:
    with Worker(odd("spins"), shipped_path(), threads=1) as worker:
        worker.prepare()
        status = Path(f"/proc/{worker.pid}/status")
        deadline = time.monotonic() + 30
        while "State:\tT" not in status.read_text():  # the signal takes a moment
            assert time.monotonic() < deadline
        assert len(worker.time(1, 60.0, 3)) == 3
    assert not status.exists()


def test_truth_is_what_the_engine_computes_in_float32(model: dv.Model) -> None:
    z = correctness.latents(model.bundle, 100, seed=3) * 4  # saturated pixels too
    x = model.decode(z, dtype="float32").reshape(100, -1)
    np.testing.assert_allclose(correctness.truth(model.bundle, z), x, rtol=0, atol=5e-6)


@pytest.mark.parametrize(
    ("n", "lanes"), [(1, 1), (7, 1), (8, 1), (17, 1), (3, 2), (33, 2), (50, 3)]
)
def test_batches_fill_every_digit_once(model: dv.Model, n: int, lanes: int) -> None:
    def make_stage(rows: int) -> Stage:
        z, x = np.empty((rows, 40), np.float32), np.empty((rows, 784), np.float32)

        def run() -> None:
            x[:] = 0.6 / 255 + np.float32(1 / 255) * np.isfinite(z).all(axis=1, keepdims=True)

        return Stage(z, x, run)

    images = generator(make_stage, model.bundle, batch=8, lanes=lanes)(n)
    assert images.shape == (n, 28, 28)
    assert (images == 2).all()


def test_the_fastest_of_a_trial_wins() -> None:
    name, generate = fastest({"slow": lambda _n: time.sleep(0.05), "fast": lambda _n: None})
    assert name == "fast"
    assert generate(1) is None
