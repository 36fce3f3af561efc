"""Twenty honest exports, of other seeds, data sets and objectives: none is rejected."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from digitvae.data import sets as data
from digitvae.data.sets import Split
from digitvae.export.bundle import export_run
from digitvae.parity.bundle import verify_with
from digitvae.parity.settings import FULL
from digitvae.training.loop import TrainConfig, train

SEEDS = range(1, 11)
IMAGES = 2048
TYPICAL = ("prior draws", "decoded prior draws", "test images")


@pytest.fixture(scope="session", params=["mnist", "fashion-mnist"])
def dataset(request: pytest.FixtureRequest) -> tuple[str, dict[str, Split]]:
    name: str = request.param
    splits = data.load(name)
    return name, {kind: split.head(IMAGES) for kind, split in splits.items()}


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_an_honest_export_passes(
    seed: int, dataset: tuple[str, dict[str, Split]], tmp_path: Path
) -> None:
    name, splits = dataset
    # A plain autoencoder has means ten times as large: harder, as far as rounding goes.
    objective = "autoencoder" if seed % 5 == 0 else "elbo"
    config = TrainConfig(dataset=name, objective=objective, epochs=2, seed=seed, limit=IMAGES)
    train(config, tmp_path / "run", data=splits)
    # Exporting verifies, and raises if that fails.
    folder = export_run(
        tmp_path / "run", tmp_path / "bundle", quick=True, allow_collapsed=True, prior=False
    )
    report = json.loads((folder / "parity.json").read_text(encoding="utf-8"))
    assert report["passed"] is True
    # Nor is any close to being rejected: the noise limit has room for it.
    used = [
        comparison["deviations"]["noise_used"]["value"]
        for comparison in report["comparisons"]
        if comparison["inputs"] in TYPICAL and "deviations" in comparison
    ]
    assert len(used) >= 6
    assert max(used) < 0.75


@pytest.mark.slow
def test_a_network_of_larger_weights_passes_on_inputs_of_every_kind(
    dataset: tuple[str, dict[str, Split]], tmp_path: Path
) -> None:
    name, splits = dataset
    config = TrainConfig(dataset=name, epochs=1, seed=99, limit=IMAGES, learning_rate=1e-2)
    train(config, tmp_path / "run", data=splits)
    folder = export_run(
        tmp_path / "run", tmp_path / "bundle", quick=True, allow_collapsed=True, prior=False
    )
    report = verify_with(folder, replace(FULL, draws=1_000, decoded=1_000, images=1_000))
    assert report.passed, report.summary()
