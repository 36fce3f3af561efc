"""Training: the recipe, the files it leaves, and what survives an interruption."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from digitvae.base.errors import OutputError, TrainingError
from digitvae.bundle.dims import Dims
from digitvae.bundle.names import WEIGHTS
from digitvae.data.sets import Split
from digitvae.training import loop as train
from digitvae.training import run_directory as run
from digitvae.training.loop import Progress, TrainConfig, kl_weight, learning_rate, recipe
from digitvae.vae.model import VAE
from digitvae.vae.weights import load
from tests.support.sizes import DIMS

SHORT = TrainConfig(epochs=3, batch_size=100, limit=500, anneal_epochs=2, threads=2)


@pytest.fixture(scope="module")
def few(mnist: dict[str, Split]) -> dict[str, Split]:
    return {"train": mnist["train"].head(600), "test": mnist["test"].head(200)}


@pytest.fixture(scope="module")
def short_run(few: dict[str, Split], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of ``SHORT``. Not to be changed."""
    folder = tmp_path_factory.mktemp("short") / "run"
    train.train(SHORT, folder, data=few, say=quiet)
    return folder


def quiet(_line: str) -> None:
    pass


def stop_at(epoch: int, step: int) -> Callable[[Progress], None]:
    """A progress callback that presses Ctrl-C after a step."""

    def callback(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (epoch, step):
            raise KeyboardInterrupt

    return callback


def without_times(folder: Path) -> list[dict[str, Any]]:
    log = json.loads((folder / run.LOG_JSON).read_text())
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in log
    ]


def assert_same_run(one: Path, other: Path) -> None:
    """Same weights, bit for bit, and the same log but for the times."""
    assert (one / WEIGHTS).read_bytes() == (other / WEIGHTS).read_bytes()
    assert without_times(one) == without_times(other)
    a, b = (load_file(folder / run.CHECKPOINT) for folder in (one, other))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


# The recipe.


def test_the_default_recipe_is_the_documented_one() -> None:
    assert TrainConfig() == TrainConfig(
        objective="elbo",
        dataset="mnist",
        epochs=30,
        batch_size=256,
        learning_rate=8e-3,
        warmup_epochs=2,
        anneal_epochs=10,
        precision="float32",
        seed=0,
        threads=None,
        limit=None,
        processes=1,
        latents=40,
        hidden=512,
        height=28,
        width=28,
    )
    assert recipe() == recipe("elbo") == TrainConfig()
    for other in ("pixel-mean", "autoencoder"):
        assert recipe(other) == replace(
            TrainConfig(), objective=other, batch_size=128, learning_rate=1e-3, warmup_epochs=0
        )
    with pytest.raises(ValueError, match="objective: 'mse'"):
        recipe("mse")


def test_the_learning_rate_is_half_a_cosine_over_the_whole_run() -> None:
    config = TrainConfig(learning_rate=0.002, warmup_epochs=0)
    rates = [learning_rate(config, step, 1000) for step in range(1000)]
    assert rates[0] == 0.002
    assert rates[250] == pytest.approx(0.001 * (1 + math.sqrt(0.5)))
    assert rates[500] == pytest.approx(0.001)
    assert rates[999] == pytest.approx(0.001 * (1 + math.cos(math.pi * 0.999)))
    assert rates == sorted(rates, reverse=True)


def test_the_learning_rate_rises_to_the_cosine_in_the_epochs_of_warmup() -> None:
    config = TrainConfig(learning_rate=0.002, epochs=10, warmup_epochs=2)
    plain = replace(config, warmup_epochs=0)
    rates = [learning_rate(config, step, 1000) for step in range(1000)]
    cosine = [learning_rate(plain, step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(0.002 / 200)
    assert rates[99] == pytest.approx(cosine[99] / 2)
    assert rates[199:] == cosine[199:]
    assert rates[:199] == sorted(rates[:199])


def test_the_kl_weight_rises_by_a_tenth_each_epoch_and_stays_at_one() -> None:
    config = TrainConfig()
    expected = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0, 1.0]
    assert [kl_weight(config, epoch) for epoch in range(1, 13)] == pytest.approx(expected)
    assert kl_weight(replace(config, anneal_epochs=0), 1) == 1.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("objective", "mse"),
        ("dataset", "../cifar"),
        ("precision", "float16"),
        ("epochs", 0),
        ("batch_size", 0),
        ("anneal_epochs", -1),
        ("warmup_epochs", -1),
        ("processes", 0),
        ("seed", -1),
        ("seed", 2**63),
        ("threads", 0),
        ("limit", 0),
        ("latents", 0),
        ("hidden", -1),
        ("height", 0),
        ("width", 2**63),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
    ],
)
def test_a_recipe_that_makes_no_sense_is_a_value_error_that_names_the_field(
    field: str, value: object
) -> None:
    with pytest.raises(ValueError, match=field):
        replace(TrainConfig(), **{field: value})  # type: ignore[arg-type]


def test_the_step_is_adam_on_the_mean_loss_of_the_batch(
    few: dict[str, Split], tmp_path: Path
) -> None:
    """One step by hand, in float64, from the initial weights and the epoch's own generator."""
    config = TrainConfig(
        epochs=1, batch_size=50, limit=50, learning_rate=0.01, warmup_epochs=0, threads=1
    )
    train.train(config, tmp_path / "run", data=few, say=quiet)
    trained = load_file(tmp_path / "run" / WEIGHTS)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(train._seed(0, "weights"))
        model = VAE(DIMS).double()
    generator = torch.Generator().manual_seed(train._seed(0, "epoch 0"))
    order = torch.randperm(50, generator=generator)
    eps = torch.randn(50, 40, generator=generator)
    x = torch.from_numpy(few["train"].images[:50].reshape(50, 784)).double()[order] / 255
    mu, logvar = model.encoder(x)
    p = model.decoder(mu + (logvar / 2).exp() * eps.double())
    bce = -(x * p.log() + (1 - x) * (1 - p).log()).sum() / 50
    kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum() / 50
    (bce + 0.1 * kl).backward()
    for name, w in model.named_parameters():
        assert w.grad is not None
        # Adam's first step is lr·g/(|g| + ε): its sign is that of the gradient.
        clear = w.grad.abs() > 1e-4
        assert clear.any()
        step = (trained[name].double() - w.detach())[clear]
        expected = -0.01 * w.grad[clear] / (w.grad[clear].abs() + 1e-8)
        torch.testing.assert_close(step, expected, rtol=1e-3, atol=1e-6)
    row = json.loads((tmp_path / "run" / run.LOG_JSON).read_text())[0]
    assert row["train_loss"] == pytest.approx((bce + 0.1 * kl).item(), rel=1e-5)
    assert row["train_bce"] == pytest.approx(bce.item(), rel=1e-5)
    assert row["train_kl"] == pytest.approx(kl.item(), rel=1e-4)


def test_every_image_is_shown_once_an_epoch_even_in_a_smaller_last_batch(
    few: dict[str, Split], tmp_path: Path
) -> None:
    seen: list[Progress] = []
    config = replace(SHORT, epochs=1, limit=450)
    train.train(config, tmp_path / "run", data=few, say=quiet, on_progress=seen.append)
    assert [p.step for p in seen if p.row is None] == [1, 2, 3, 4, 5]
    assert {p.steps for p in seen if p.row is None} == {5}
    row = seen[-1].row
    assert row is not None
    losses = [p.loss for p in seen if p.row is None]
    expected = sum(loss * n for loss, n in zip(losses, (100, 100, 100, 100, 50), strict=True)) / 450
    assert row["train_loss"] == pytest.approx(expected)


@pytest.mark.parametrize("objective", ["elbo", "pixel-mean", "autoencoder"])
def test_each_objective_goes_down(few: dict[str, Split], tmp_path: Path, objective: str) -> None:
    config = replace(SHORT, objective=objective, anneal_epochs=0, batch_size=50)
    summary = train.train(config, tmp_path / "run", data=few, say=quiet)
    losses = [row["train_loss"] for row in summary.log]
    assert losses == sorted(losses, reverse=True)
    assert (summary.test.nelbo is None) == (objective == "autoencoder")


@pytest.mark.slow
def test_the_literal_objective_begins_at_the_quoted_loss_and_collapses_at_once(
    mnist: dict[str, Split], tmp_path: Path
) -> None:
    """Epoch 1 of the quoted curve, 0.2746; docs/training.md has all 30."""
    rows: list[run.Row] = []
    said: list[str] = []

    def first_epoch(progress: Progress) -> None:
        if progress.row is not None:
            rows.append(progress.row)
        elif progress.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.train(
            recipe("pixel-mean"),
            tmp_path / "run",
            data=mnist,
            on_progress=first_epoch,
            say=said.append,
        )
    assert rows[0]["train_loss"] == pytest.approx(0.2746, abs=0.0005)
    assert rows[0]["test_active_latents"] == 0
    assert rows[0]["test_collapsed"]
    assert "posterior collapse: 0 of 40 latents active" in said[0]


# What it leaves.


def test_a_finished_run_has_its_six_files_and_nothing_else(short_run: Path) -> None:
    assert sorted(p.name for p in short_run.iterdir()) == sorted(run.FILES)


def test_the_weights_are_finite_and_named_as_in_the_model(short_run: Path) -> None:
    weights = load_file(short_run / WEIGHTS)
    VAE(DIMS).load_state_dict(weights)
    assert all(torch.isfinite(w).all() for w in weights.values())
    checkpoint = load_file(short_run / run.CHECKPOINT)
    for name, w in weights.items():
        assert torch.equal(checkpoint[f"model.{name}"], w)


def test_the_two_logs_hold_the_same_numbers(short_run: Path) -> None:
    log = json.loads((short_run / run.LOG_JSON).read_text())
    assert [row["epoch"] for row in log] == [1, 2, 3]
    assert [row["kl_weight"] for row in log] == [0.5, 1, 1]
    with (short_run / run.LOG_CSV).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in log] == rows
    for row in log:
        assert row["train_bce_per_pixel"] * 784 == pytest.approx(row["train_bce"])
        assert row["train_loss"] == pytest.approx(
            row["train_bce"] + row["kl_weight"] * row["train_kl"], rel=1e-6
        )
        assert row["test_nelbo"] == pytest.approx(row["test_bce"] + row["test_kl"])
        assert row["images_per_second"] * row["seconds"] == pytest.approx(500)


def test_the_summary_is_that_of_the_last_epoch_and_can_be_read_back(short_run: Path) -> None:
    summary = train.read_summary(short_run)
    assert summary.config == SHORT
    assert len(summary.log) == 3
    last = summary.log[-1]
    assert summary.test.to_dict() == {
        name.removeprefix("test_"): v for name, v in last.items() if name.startswith("test_")
    }
    content = json.loads((short_run / run.SUMMARY).read_text())
    assert content == summary.to_dict()
    assert content["train"]["loss"] == last["train_loss"]


def test_the_config_records_the_threads_that_were_used(
    few: dict[str, Split], tmp_path: Path
) -> None:
    config = replace(SHORT, threads=None, epochs=1)
    train.train(config, tmp_path / "run", data=few, say=quiet)
    assert train.read_config(tmp_path / "run").threads == torch.get_num_threads()


def test_training_leaves_global_state_of_torch_alone(few: dict[str, Split], tmp_path: Path) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    train.train(replace(SHORT, epochs=1, threads=1), tmp_path / "run", data=few, say=quiet)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(
    few: dict[str, Split], short_run: Path, tmp_path: Path
) -> None:
    torch.manual_seed(99)  # the global generator must not matter
    train.train(SHORT, tmp_path / "same", data=few, say=quiet)
    assert_same_run(tmp_path / "same", short_run)
    train.train(replace(SHORT, seed=1), tmp_path / "other", data=few, say=quiet)
    assert (tmp_path / "other" / WEIGHTS).read_bytes() != (short_run / WEIGHTS).read_bytes()


def test_bfloat16_is_of_matrix_products_only(
    few: dict[str, Split], short_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[tuple[bool, torch.dtype]] = set()

    class Watched(VAE):
        def forward(
            self, x: torch.Tensor, eps: torch.Tensor | None = None
        ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            outputs = super().forward(x, eps)
            seen.update((torch.is_grad_enabled(), each.dtype) for each in (x, *outputs))
            return outputs

    monkeypatch.setattr(train, "VAE", Watched)
    train.train(replace(SHORT, precision="bfloat16"), tmp_path / "run", data=few, say=quiet)
    # Of training, the images and what the layers give; of measuring, everything.
    assert seen == {(True, torch.float32), (True, torch.bfloat16), (False, torch.float32)}

    weights, plain = (load_file(folder / WEIGHTS) for folder in (tmp_path / "run", short_run))
    for name, value in weights.items():
        assert value.dtype == torch.float32
        assert not value.equal(value.bfloat16().float())
        assert not value.equal(plain[name])
    for row, other in zip(
        *(train.read_summary(folder).log for folder in (tmp_path / "run", short_run)), strict=True
    ):
        assert row["train_loss"] == pytest.approx(other["train_loss"], rel=0.02)
        assert row["test_nelbo"] == pytest.approx(other["test_nelbo"], rel=0.02)


# Interruptions.


@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (2, 1), (3, 4)])
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(
    few: dict[str, Split], short_run: Path, tmp_path: Path, epoch: int, step: int
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train.train(SHORT, folder, data=few, say=quiet, on_progress=stop_at(epoch, step))
    assert not (folder / run.SUMMARY).exists()
    with pytest.raises(TrainingError, match=rf"unfinished, {epoch - 1} of 3 epochs"):
        train.read_summary(folder)
    shown: list[Progress] = []
    train.train(SHORT, folder, data=few, say=quiet, resume=True, on_progress=shown.append)
    assert shown[0].epoch == epoch
    assert_same_run(folder, short_run)


@pytest.mark.parametrize(
    "change",
    [{"objective": "pixel-mean"}, {"objective": "autoencoder"}, {"precision": "bfloat16"}],
    ids=str,
)
def test_every_objective_and_precision_can_be_resumed(
    few: dict[str, Split], tmp_path: Path, change: dict[str, Any]
) -> None:
    config = replace(SHORT, epochs=2, **change)
    train.train(config, tmp_path / "whole", data=few, say=quiet)
    with pytest.raises(KeyboardInterrupt):
        train.train(config, tmp_path / "run", data=few, say=quiet, on_progress=stop_at(2, 2))
    train.train(config, tmp_path / "run", data=few, say=quiet, resume=True)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_a_run_stopped_between_its_last_checkpoint_and_its_summary_is_completed(
    few: dict[str, Split], short_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_folder: Path, _state: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(run, "save_weights", killed)
        with pytest.raises(KeyboardInterrupt):
            train.train(SHORT, folder, data=few, say=quiet)
    (folder / ".digitvae-0123456789abcdef.tmp").write_text("half a checkpoint")
    shown: list[Progress] = []
    train.train(SHORT, folder, data=few, say=quiet, resume=True, on_progress=shown.append)
    assert shown == []
    assert_same_run(folder, short_run)
    assert {path.name for path in folder.iterdir()} == {*run.FILES}


def test_a_resumed_run_keeps_the_threads_it_was_begun_with(
    few: dict[str, Split], short_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train.train(SHORT, folder, data=few, say=quiet, on_progress=stop_at(2, 1))
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train.train(replace(SHORT, threads=None), folder, data=few, say=quiet, resume=True)
    finally:
        torch.set_num_threads(torch_threads)
    assert_same_run(folder, short_run)


def test_going_on_with_other_threads_is_allowed_and_said(
    few: dict[str, Split], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train.train(SHORT, folder, data=few, say=quiet, on_progress=stop_at(3, 1))
    said: list[str] = []
    train.train(replace(SHORT, threads=1), folder, data=few, say=said.append, resume=True)
    assert "begun with 2 threads, going on with 1" in said[0]


def test_resuming_where_nothing_is_begins_a_run(
    few: dict[str, Split], short_run: Path, tmp_path: Path
) -> None:
    train.train(SHORT, tmp_path / "run", data=few, say=quiet, resume=True)
    assert_same_run(tmp_path / "run", short_run)


def test_resuming_a_finished_run_says_so_and_changes_nothing(
    few: dict[str, Split], short_run: Path
) -> None:
    before = {p.name: p.read_bytes() for p in short_run.iterdir()}
    said: list[str] = []
    summary = train.train(SHORT, short_run, data=few, say=said.append, resume=True)
    assert said == [f"{short_run}: already finished (3 epochs); nothing to do"]
    assert summary == train.read_summary(short_run)
    assert {p.name: p.read_bytes() for p in short_run.iterdir()} == before


def test_resuming_with_another_configuration_names_every_field_that_differs(
    few: dict[str, Split], short_run: Path
) -> None:
    other = replace(SHORT, learning_rate=0.5, objective="pixel-mean")
    with pytest.raises(TrainingError) as caught:
        train.train(other, short_run, data=few, resume=True)
    message = str(caught.value)
    assert "objective was 'elbo', now 'pixel-mean'" in message
    assert "learning_rate was 0.008, now 0.5" in message
    for field in fields(TrainConfig):
        if field.name not in ("objective", "learning_rate"):
            assert field.name not in message


def test_sizes_are_those_of_the_configuration_and_of_the_images(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (90, 6, 11), dtype=np.uint8)
    data = {name: Split(images, np.zeros(90, np.uint8)) for name in ("train", "test")}
    config = replace(SHORT, epochs=2, latents=3, hidden=5)
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train.train(config, folder, data=data, say=quiet, on_progress=stop_at(2, 1))
    with pytest.raises(TrainingError, match="hidden was 5, now 512"):
        train.train(replace(config, hidden=512), folder, data=data, resume=True)
    smaller = {name: Split(images[:, :5], labels) for name, (_, labels) in data.items()}
    with pytest.raises(TrainingError, match="height was 6, now 5"):
        train.train(config, folder, data=smaller, resume=True)
    summary = train.train(config, folder, data=data, say=quiet, resume=True)
    dims = Dims(height=6, width=11, latents=3, hidden=5)
    assert summary.config.dims == train.read_summary(folder).test.dims == dims
    assert summary.test.bce_per_pixel == summary.test.bce / 66
    assert load((folder / WEIGHTS).read_bytes(), dims).dims == dims
    with pytest.raises(ValueError, match="images: uint8"):
        train.train(config, tmp_path / "odd", data=data | {"test": smaller["test"]})
    with pytest.raises(TrainingError, match="of memory"):
        train.train(replace(config, hidden=2**40), tmp_path / "huge", data=data)
    assert not (tmp_path / "huge").exists()


def test_a_run_that_names_no_sizes_has_the_default_ones(short_run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(short_run, tmp_path / "run")
    told = json.loads((folder / run.CONFIG).read_text())
    for name in Dims._fields:
        del told["config"][name]
    (folder / run.CONFIG).write_text(json.dumps(told))
    assert train.read_summary(folder).config == SHORT


# Refusals.


def test_an_existing_run_is_refused_without_resume_or_force(
    few: dict[str, Split], short_run: Path
) -> None:
    before = {p.name: p.read_bytes() for p in short_run.iterdir()}
    with pytest.raises(TrainingError, match=r"--resume .*--force"):
        train.train(SHORT, short_run, data=few)
    assert {p.name: p.read_bytes() for p in short_run.iterdir()} == before


def test_force_replaces_the_run_and_spares_other_files(
    few: dict[str, Split], short_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    train.train(replace(SHORT, seed=5, epochs=1), folder, data=few, say=quiet)
    (folder / "notes.txt").write_text("mine")
    train.train(SHORT, folder, data=few, say=quiet, force=True)
    assert_same_run(folder, short_run)
    assert (folder / "notes.txt").read_text() == "mine"


def test_resume_and_force_together_are_a_value_error(few: dict[str, Split], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose one"):
        train.train(SHORT, tmp_path, data=few, resume=True, force=True)


def test_a_folder_of_something_else_is_neither_trained_into_nor_resumed(
    few: dict[str, Split], tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(TrainingError, match="is not empty"):
        train.train(SHORT, tmp_path, data=few)
    with pytest.raises(TrainingError, match="not a run directory"):
        train.train(SHORT, tmp_path, data=few, resume=True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(TrainingError, match="cannot be used as a run directory"):
        train.train(SHORT, tmp_path / "thesis.tex", data=few)
    with pytest.raises(TrainingError, match="cannot be used as a run directory"):
        train.train(SHORT, tmp_path / "thesis.tex" / "below", data=few)


def test_no_images_are_a_value_error_before_anything_is_written(
    few: dict[str, Split], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="no test images"):
        train.train(SHORT, tmp_path / "run", data=few | {"test": few["test"].head(0)})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (run.CONFIG, b"{", "cannot be read"),
        (run.CONFIG, b"[]", "schema"),
        (run.CONFIG, b'{"schema": "digitvae-run/9"}', "schema 'digitvae-run/9'"),
        (
            run.CONFIG,
            b'{"schema": "digitvae-run/1", "config": {"epochs": 3}}',
            "exactly the fields",
        ),
        (run.CHECKPOINT, b"", "damaged"),
        (run.CHECKPOINT, b"\xff" * 64, "damaged"),
    ],
)
def test_damaged_files_of_a_run_are_named(
    few: dict[str, Split], tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train.train(SHORT, folder, data=few, say=quiet, on_progress=stop_at(2, 1))
    (folder / name).write_bytes(content)
    with pytest.raises(TrainingError, match=message) as caught:
        train.train(SHORT, folder, data=few, resume=True)
    assert str(folder / name) in str(caught.value)


def test_a_truncated_or_foreign_checkpoint_is_named(few: dict[str, Split], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train.train(SHORT, folder, data=few, say=quiet, on_progress=stop_at(2, 1))
    path = folder / run.CHECKPOINT
    whole = path.read_bytes()
    checkpoint = run.load_checkpoint(folder)
    assert checkpoint is not None
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match=r"damaged: .*--force"):
        train.train(SHORT, folder, data=few, resume=True)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(TrainingError, match="not a checkpoint"):
        train.train(SHORT, folder, data=few, resume=True)
    # As earlier versions wrote it.
    save_file({"a": torch.zeros(1)}, path, {"schema": run.SCHEMA, "log": "[]"})
    with pytest.raises(TrainingError, match=r"it has no SHA-256, .*--force"):
        train.train(SHORT, folder, data=few, resume=True)
    bias = "model.decoder.output.bias"
    for wrong in (
        {"a": torch.zeros(1)},
        checkpoint.tensors | {bias: torch.zeros(1)},
        checkpoint.tensors | {bias: checkpoint.tensors[bias].double()},
        checkpoint.tensors | {"adam.exp_avg.decoder.output.bias": torch.zeros(1)},
    ):
        run.save_checkpoint(folder, run.Checkpoint(wrong, checkpoint.log))
        with pytest.raises(TrainingError, match=f"{path}: of another model"):
            train.train(SHORT, folder, data=few, resume=True)
    log = [*checkpoint.log * 4]
    run.save_checkpoint(folder, run.Checkpoint(checkpoint.tensors, numbered(log)))
    with pytest.raises(TrainingError, match=r"has 4 epochs, and the run has 3: of another run"):
        train.train(SHORT, folder, data=few, resume=True)


def numbered(log: list[run.Row]) -> list[run.Row]:
    return [row | {"epoch": epoch} for epoch, row in enumerate(log, 1)]


ROW: run.Row = dict.fromkeys(run.COLUMNS, 1.5) | {"epoch": 1, "test_collapsed": False}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder with a checkpoint of a few numbers."""
    run.save_checkpoint(tmp_path, run.Checkpoint({"model.a": torch.arange(4.0)}, [ROW]))
    return tmp_path


def test_flipped_bits_and_cuts_anywhere_in_a_checkpoint_are_noticed(small: Path) -> None:
    path = small / run.CHECKPOINT
    whole = path.read_bytes()
    checkpoint = run.load_checkpoint(small)
    assert checkpoint is not None
    assert checkpoint.log == [ROW]
    assert torch.equal(checkpoint.tensors["model.a"], torch.arange(4.0))
    changed = bytearray(whole)
    for bit in range(0, 8 * len(whole), 3):  # all would take ten seconds
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(TrainingError, match=r"checkpoint\.safetensors: damaged: .*--force"):
            run.load_checkpoint(small)
        changed[bit // 8] ^= 1 << bit % 8
    for other in (*(whole[:end] for end in range(0, len(whole), 7)), whole + b"\0"):
        path.write_bytes(other)
        with pytest.raises(TrainingError, match=r"checkpoint\.safetensors: damaged: "):
            run.load_checkpoint(small)


DAMAGED_LOGS = [
    *("", "{", "[", "nonsense", "[" * 100_000, "null", "3", '"log"', "{}", "[]"),
    *("[3]", "[[]]", "[null]", "[{}]", '[{"epoch": 1}]'),
    *(json.dumps([ROW | {name: "1"}]) for name in run.COLUMNS),
    *(json.dumps([ROW | {"train_bce": value}]) for value in (["1"], {"a": 1})),
    *(json.dumps([ROW | {name: None}]) for name in ("epoch", "seconds", "train_loss")),
    *(json.dumps([{n: v for n, v in ROW.items() if n != name}]) for name in run.COLUMNS),
    json.dumps([ROW | {"train_loss": math.nan}]),
    json.dumps([ROW | {"train_loss": math.inf}]),
    json.dumps([ROW | {"train_loss": 10**400}]),
    json.dumps([ROW | {"train_loss": True}]),
    json.dumps([ROW | {"test_collapsed": 0}]),
    json.dumps([ROW | {"more": 1}]),
    json.dumps([ROW | {"epoch": 2}]),
    json.dumps([ROW, ROW]),
    json.dumps([ROW | {"epoch": 2}, ROW]),
    json.dumps([ROW])[:-2],
]


@pytest.mark.parametrize("log", DAMAGED_LOGS)
def test_every_damage_of_a_log_is_told_as_such(
    small: Path, monkeypatch: pytest.MonkeyPatch, log: str
) -> None:
    """Of a log that was written so: any change of a log that was written is noticed before."""
    with monkeypatch.context() as patched:
        patched.setattr(
            "digitvae.training.run_directory.json.dumps", lambda *_arguments, **_options: log
        )
        run.save_checkpoint(small, run.Checkpoint({"model.a": torch.zeros(1)}, [ROW]))
    with pytest.raises(TrainingError, match=r"checkpoint\.safetensors: damaged: .*--force"):
        run.load_checkpoint(small)


def test_a_run_writes_the_columns_that_a_checkpoint_must_have(short_run: Path) -> None:
    for row in json.loads((short_run / run.LOG_JSON).read_text()):
        assert {*row} == {*run.COLUMNS}


def test_what_is_no_file_is_no_checkpoint(small: Path) -> None:
    path = small / run.CHECKPOINT
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(TrainingError, match="Not a regular file"):
        run.load_checkpoint(small)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 2.5),
        ("epochs", "3"),
        ("epochs", True),
        ("epochs", None),
        ("threads", 2.5),
        ("threads", True),
        ("learning_rate", "x"),
        ("learning_rate", None),
        ("learning_rate", math.nan),
        ("objective", None),
        ("objective", []),
        ("limit", 1.5),
        ("seed", 1.5),
        ("processes", None),
        ("hidden", 2.5),
    ],
)
def test_a_configuration_of_wrong_types_is_told(
    short_run: Path, tmp_path: Path, field: str, value: object
) -> None:
    told = json.loads((short_run / run.CONFIG).read_text())
    told["config"][field] = value
    (tmp_path / run.CONFIG).write_text(json.dumps(told))
    with pytest.raises(TrainingError, match=rf"config\.json: {field}|config\.json: "):
        train.read_config(tmp_path)


def test_a_full_disk_keeps_the_last_checkpoint(
    few: dict[str, Split], short_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    before: list[bytes] = []

    def fill_the_disk(progress: Progress) -> None:
        if progress.epoch == 2 and not before:
            before.append((folder / run.CHECKPOINT).read_bytes())
            monkeypatch.setattr("os.fsync", no_space)

    def no_space(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"checkpoint\.safetensors': No space left"):
        train.train(SHORT, folder, data=few, say=quiet, on_progress=fill_the_disk)
    assert (folder / run.CHECKPOINT).read_bytes() == before[0]
    assert not list(folder.glob(".*"))
    monkeypatch.undo()
    train.train(SHORT, folder, data=few, say=quiet, resume=True)
    assert_same_run(folder, short_run)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(
    few: dict[str, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingError, match=r"epoch 1, step \d of 5: the loss is (nan|inf)"):
        train.train(replace(SHORT, learning_rate=1e30), tmp_path / "wild", data=few, say=quiet)
    assert [p.name for p in (tmp_path / "wild").iterdir()] == [run.CONFIG]

    def spoil(config: TrainConfig, step: int, steps: int) -> float:
        return math.nan if step == 7 else learning_rate(config, step, steps)

    monkeypatch.setattr(train, "learning_rate", spoil)
    with pytest.raises(TrainingError, match="epoch 2, step 4 of 5: the loss is nan"):
        train.train(SHORT, tmp_path / "spoilt", data=few, say=quiet)
    checkpoint = run.load_checkpoint(tmp_path / "spoilt")
    assert checkpoint is not None
    assert len(checkpoint.log) == 1
    assert all(torch.isfinite(t).all() for t in checkpoint.tensors.values())


def test_a_collapsed_run_says_so_when_it_happens_and_at_the_end(
    few: dict[str, Split], tmp_path: Path
) -> None:
    said: list[str] = []
    config = TrainConfig(
        objective="pixel-mean", epochs=4, batch_size=10, anneal_epochs=0, limit=600
    )
    summary = train.train(config, tmp_path / "run", data=few, say=said.append)
    assert summary.test.active_latents == 0
    assert summary.test.collapsed
    assert len(said) == 2
    assert said[0].startswith("WARNING: epoch ")
    assert said[1].startswith("WARNING: posterior collapse: 0 of 40 latents active")


def test_reading_what_is_no_finished_run_is_a_training_error(
    short_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="not a run directory"):
        train.read_summary(tmp_path)
    with pytest.raises(TrainingError, match="not a run directory"):
        train.read_summary(tmp_path / "nowhere")
    folder = tmp_path / "run"
    folder.mkdir()
    for name in run.FILES:
        (folder / name).write_bytes((short_run / name).read_bytes())
    told = json.loads((folder / run.SUMMARY).read_text())
    right = told["test"]
    wrong: list[Any] = [{"bce": 1}, [], None, right | {"bce": "1"}, right | {"bce": math.nan}]
    for test in wrong:
        (folder / run.SUMMARY).write_text(json.dumps(told | {"test": test}))
        with pytest.raises(TrainingError, match=r"summary\.json: damaged: .*--resume"):
            train.read_summary(folder)
    (folder / run.SUMMARY).write_text("[" * 100_000)
    with pytest.raises(TrainingError, match=r"summary\.json: cannot be read"):
        train.read_summary(folder)
