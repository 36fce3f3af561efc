"""``digitvae train``: what it prints, refuses, and how Ctrl-C and --resume work together."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from digitvae.bundle.names import WEIGHTS
from digitvae.training import loop as train
from digitvae.training.run_directory import CHECKPOINT, CONFIG, FILES
from tests.support.processes import started
from tests.support.running import PROGRAM, Runner, assert_explained

QUICK = ["--limit", "300", "--epochs", "2", "--batch-size", "50", "--threads", "2"]

pytestmark = pytest.mark.usefixtures("mnist")  # so that it is in the cache


def test_it_prints_a_line_for_each_epoch_and_the_result(run: Runner, tmp_path: Path) -> None:
    result = run("train", "--out", "run", *QUICK)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].startswith("epoch 1/2  loss ")
    assert lines[1].startswith("epoch 2/2  loss ")
    assert "−ELBO" in lines[0]
    assert "images/s" in lines[0]
    assert lines[2] == "elbo, 2 epochs: run"
    assert "nats an image" in lines[3]
    assert "a pixel" in lines[3]
    assert {p.name for p in (tmp_path / "run").iterdir()} == set(FILES)


def test_json_is_the_summary_and_nothing_else(run: Runner, tmp_path: Path) -> None:
    result = run("train", "--out", "run", *QUICK, "--json")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == train.read_summary(tmp_path / "run").to_dict()


def test_every_option_reaches_the_recipe(run: Runner, tmp_path: Path) -> None:
    options = [
        "--objective",
        "autoencoder",
        "--lr",
        "0.002",
        "--warmup",
        "2",
        "--precision",
        "bfloat16",
        "--seed",
        "7",
        "--latents",
        "3",
        "--hidden",
        "20",
        *QUICK,
    ]
    assert run("train", "--out", "run", *options, *QUICK).code == 0
    assert train.read_config(tmp_path / "run") == train.TrainConfig(
        objective="autoencoder",
        epochs=2,
        batch_size=50,
        learning_rate=0.002,
        warmup_epochs=2,
        precision="bfloat16",
        seed=7,
        threads=2,
        limit=300,
        latents=3,
        hidden=20,
    )


@pytest.mark.parametrize(("able", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_the_processor_decides_the_precision_of_a_new_run_only(
    run: Runner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    able: bool,
    precision: str,
) -> None:
    multiplies = "torch.cpu._is_avx512_bf16_supported"
    monkeypatch.setattr(multiplies, lambda: able)
    assert run("train", "--out", "run", *QUICK).code == 0
    assert train.read_config(tmp_path / "run").precision == precision
    monkeypatch.setattr(multiplies, lambda: not able)
    assert run("train", "--out", "run", "--resume", *QUICK).code == 0
    assert train.read_config(tmp_path / "run").precision == precision
    assert run("train", "--out", "other", "--precision", precision, *QUICK).code == 0
    assert train.read_config(tmp_path / "other").precision == precision


def test_events_for_tensorboard_are_the_log(run: Runner, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert run("train", "--out", "run", *QUICK, "--tensorboard").code == 0
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    log = train.read_summary(tmp_path / "run").log
    steps = 300 // 50
    for tag, name in (
        ("train/loss", "train_loss"),
        ("test/nelbo", "test_nelbo"),
        ("run/kl_weight", "kl_weight"),
    ):
        shown = [(event.step, event.value) for event in events.Scalars(tag)]
        expected = [(row["epoch"] * steps, pytest.approx(row[name], rel=1e-6)) for row in log]
        assert shown == expected
    losses = events.Scalars("loss/step")
    assert [event.step for event in losses] == list(range(1, 2 * steps + 1))
    mean = sum(event.value for event in losses[:steps]) / steps
    assert mean == pytest.approx(log[0]["train_loss"], rel=1e-5)


def test_events_for_tensorboard_need_tensorboard(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "tensorboard" else found(name)
    )
    assert_explained(run("train", "--out", "run", *QUICK, "--tensorboard"), 1, "needs tensorboard")


def test_a_collapsed_model_is_announced_on_standard_error(run: Runner) -> None:
    options = ["--objective", "pixel-mean", "--limit", "600", "--batch-size", "10"]
    result = run("train", "--out", "run", *options, "--epochs", "4", "--threads", "2")
    assert result.code == 0
    assert "WARNING: posterior collapse: 0 of 40 latents active" in result.err
    assert "training loss" in result.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--objective", "mse"], "objective: 'mse'"),
        (["--dataset", "cifar"], "dataset: 'cifar'"),
        (["--epochs", "0"], "epochs: 0"),
        (["--batch-size", "-1"], "batch_size: -1"),
        (["--lr", "nan"], "learning_rate: nan"),
        (["--warmup", "-1"], "warmup_epochs: -1"),
        (["--latents", "0"], "latents: 0; expected at least 1"),
        (["--hidden", "-1"], "hidden: -1; expected at least 1"),
        (["--precision", "half"], "precision: 'half'; expected one of float32, bfloat16"),
        (["--resume", "--force"], "choose one"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_writes_nothing(
    run: Runner, tmp_path: Path, words: list[str], message: str
) -> None:
    assert_explained(run("train", "--out", "run", *words), 2, message)
    assert not (tmp_path / "run").exists()


def test_an_existing_run_is_refused_and_force_replaces_it(run: Runner) -> None:
    assert run("train", "--out", "run", *QUICK).code == 0
    assert_explained(run("train", "--out", "run", *QUICK), 1, "--resume goes on with the run")
    assert run("train", "--out", "run", *QUICK, "--force", "--seed", "1").code == 0


def test_a_finished_run_resumed_says_so(run: Runner) -> None:
    run("train", "--out", "run", *QUICK)
    result = run("train", "--out", "run", "--resume")
    assert result.code == 0
    assert result.err == "run: already finished (2 epochs); nothing to do\n"


def test_resuming_with_other_options_names_them(run: Runner) -> None:
    run("train", "--out", "run", *QUICK)
    result = run("train", "--out", "run", "--resume", "--lr", "0.5", "--epochs", "2")
    assert_explained(result, 1, "learning_rate was 0.008, now 0.5")
    assert "epochs" not in result.err


def test_a_missing_data_folder_is_a_failure_and_begins_no_run(run: Runner, tmp_path: Path) -> None:
    result = run("train", "--out", "run", *QUICK, "--data", "nowhere")
    assert_explained(result, 1, "nowhere: has no train-images-idx3-ubyte")
    assert not (tmp_path / "run").exists()


def test_without_pytorch_it_says_what_to_install(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    for words in (["train", "--out", "run"], ["export", "run", "--out", "bundle"]):
        assert_explained(run(*words), 1, "pip install 'digitvae[train]'")


def test_ctrl_c_leaves_a_run_that_the_command_it_names_completes(
    run: Runner, tmp_path: Path
) -> None:
    options = ["--limit", "500", "--epochs", "5", "--threads", "2", "--objective", "autoencoder"]
    folder = tmp_path / "a run"
    with started(
        [*PROGRAM, "train", "--out", folder, *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(python_path())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not (folder / CHECKPOINT).exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no epoch was completed"
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert sorted(p.name for p in folder.iterdir() if p.name in (CONFIG, CHECKPOINT, WEIGHTS)) == [
        CHECKPOINT,
        CONFIG,
    ]
    name, *words = shlex.split(err.splitlines()[-1])
    assert name == "digitvae"
    assert run(*words).code == 0
    assert run("train", "--out", "whole", *options).code == 0
    assert (folder / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()


@pytest.mark.parametrize("piped", [True, False])
def test_on_a_terminal_a_bar_moves_and_the_lines_still_go_where_they_should(
    tmp_path: Path, piped: bool
) -> None:
    terminal, other_end = pty.openpty()
    with started(
        [*PROGRAM, "train", "--out", "run", *QUICK],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(python_path()), "TERM": "xterm"},
        stdout=subprocess.PIPE if piped else other_end,
        stderr=other_end,
    ) as process:
        os.close(other_end)
        shown = b""
        try:
            while chunk := os.read(terminal, 1 << 16):
                shown += chunk
        except OSError:  # how Linux says that the other end was closed
            pass
        out = process.stdout.read() if process.stdout is not None else shown
    os.close(terminal)
    assert process.returncode == 0
    assert b"12/12" in shown  # the bar, at its end
    assert out.count(b"epoch 2/2  loss ") == 1
    assert out.count(b"nats an image") == 1
    assert not piped or b"\x1b" not in out


def python_path() -> list[str]:
    import sys

    return [entry for entry in sys.path if entry]


DEFAULTS = (
    *("objective", "dataset", "epochs", "batch_size", "learning_rate", "warmup_epochs"),
    *("latents", "hidden", "seed"),
)


def test_help_needs_no_torch_and_shows_the_defaults(run: Runner) -> None:
    result = run("train", "--help")
    assert result.code == 0
    for word in (
        "--resume",
        "--force",
        *(f"[default: {getattr(train.TrainConfig(), name)}]" for name in DEFAULTS),
    ):
        assert word in result.out
