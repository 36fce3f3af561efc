"""The notebook runs from top to bottom, and the outputs that are committed with it are whole."""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tools.notebook import NOTEBOOK, Notebook, execute, jupyter, read_notebook

from digitvae.data.sets import Split

pytestmark = pytest.mark.slow

MAX_BYTES = 2_000_000
OBJECTIVES = ("elbo", "pixel-mean", "autoencoder")
LIMIT = 4096
# Cells by their identifiers, which are stable, and how many pictures each of them shows.
FIGURES = {
    "data-sheet": 1,
    "loss-curves": 1,
    "reconstructions": 1,
    "samples": 2,
    "autoencoder-decodes": 2,
    "interpolation": 1,
    "kl-per-latent": 1,
    "traversal": 1,
    "native": 1,
    "native-agreement": 1,
}
# The start of an absolute path: of a home, of a temporary folder, of Windows.
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|var|usr|opt|mnt|work|Users)/|\b[A-Z]:\\")

Cell = Any


def code_cells(notebook: Notebook) -> list[Cell]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(cell: Cell) -> list[bytes]:
    found = [output.get("data", {}).get("image/png") for output in cell.outputs]
    return [base64.b64decode(png) for png in found if png is not None]


def text(cell: Cell) -> str:
    """Everything that is not a picture: streams, and the text that stands for a result."""
    parts = []
    for output in cell.outputs:
        parts.append(output.get("text", ""))
        parts += [str(v) for k, v in output.get("data", {}).items() if k.startswith("text/")]
    return "\n".join(parts)


def printed(notebook: Notebook, ident: str) -> str:
    return text(next(cell for cell in notebook.cells if cell.id == ident))


def table(notebook: Notebook) -> dict[str, list[str]]:
    """The rows of the table of results: {objective: [first loss, last loss, −ELBO, BCE, KL, …]}."""
    rows = (line.split() for line in printed(notebook, "training").splitlines())
    return {row[0]: row[1:] for row in rows if row and row[0] in OBJECTIVES}


@pytest.fixture(scope="module")
def runs(mnist: dict[str, Split], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs that holds one finished run already."""
    from digitvae.training.loop import TrainConfig, train

    folder = tmp_path_factory.mktemp("runs")
    finished = folder / f"elbo-1-limit-{LIMIT}"
    train(TrainConfig(epochs=1, limit=LIMIT, threads=1), finished, data=mnist)
    for file in finished.iterdir():
        os.utime(file, ns=(0, 0))
    return folder


@pytest.fixture(scope="module")
def fresh(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """The notebook, executed with one epoch and few images; a failing cell raises here."""
    settings = tmp_path_factory.mktemp("jupyter")
    notebook = read_notebook()
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", str(settings))  # not the user's
        execute(
            notebook,
            {
                "DIGITVAE_NOTEBOOK_EPOCHS": "1",
                "DIGITVAE_NOTEBOOK_LIMIT": str(LIMIT),
                "DIGITVAE_NOTEBOOK_RUNS": str(runs),
                # On a busy machine, threads that wait for each other are ten times slower.
                "OMP_NUM_THREADS": "1",
                "IPYTHONDIR": str(settings),
            },
        )
        yield notebook


@pytest.fixture(scope="module")
def committed() -> Notebook:
    return read_notebook()


def check_figures(notebook: Notebook) -> None:
    shown = {cell.id: len(pictures(cell)) for cell in code_cells(notebook) if pictures(cell)}
    assert shown == FIGURES
    tagged = [cell.id for cell in notebook.cells if "figure" in cell.metadata.get("tags", [])]
    assert tagged == list(FIGURES)
    for cell in code_cells(notebook):
        for png in pictures(cell):
            grey = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
            assert min(grey.shape) > 100, f"{cell.id}: {grey.shape}"
            assert grey.std() > 20, f"{cell.id}: blank"
            assert len(np.unique(grey)) > 16, f"{cell.id}: blank"


def test_it_runs_from_top_to_bottom_and_shows_every_figure(fresh: Notebook) -> None:
    counts = [cell.execution_count for cell in code_cells(fresh)]
    assert counts == list(range(1, len(counts) + 1))
    check_figures(fresh)


def test_it_trains_every_objective_as_long_as_it_was_told(fresh: Notebook, runs: Path) -> None:
    from digitvae.training.loop import read_summary

    assert printed(fresh, "training").startswith("epochs: 1;")
    assert sorted(folder.name for folder in runs.iterdir()) == sorted(
        f"{objective}-1-limit-{LIMIT}" for objective in OBJECTIVES
    )
    for objective in OBJECTIVES:
        summary = read_summary(runs / f"{objective}-1-limit-{LIMIT}")
        assert (summary.config.objective, len(summary.log)) == (objective, 1)
        assert float(table(fresh)[objective][1]) == pytest.approx(
            summary.log[-1]["train_loss"], abs=5.1e-5
        )


def test_it_does_not_train_a_finished_run_again(fresh: Notebook, runs: Path) -> None:
    finished = list((runs / f"elbo-1-limit-{LIMIT}").iterdir())
    assert {file.stat().st_mtime_ns for file in finished} == {0}


def test_the_native_engine_agrees_with_pytorch_in_it(fresh: Notebook, committed: Notebook) -> None:
    for notebook in (fresh, committed):
        differences = re.findall(r"\d\.\de-\d\d", printed(notebook, "native-agreement"))
        assert len(differences) == 3
        # Decoder; μ and log σ², whose values are larger.
        assert all(0 < float(value) < 1e-5 for value in differences)


def test_the_committed_notebook_is_valid_and_small(committed: Notebook) -> None:
    with jupyter() as nbformat:
        nbformat.validate(committed)
    assert NOTEBOOK.stat().st_size < MAX_BYTES


def test_the_committed_outputs_are_complete(committed: Notebook) -> None:
    counts = [cell.execution_count for cell in code_cells(committed)]
    assert counts == list(range(1, len(counts) + 1))
    kinds = {output.output_type for cell in code_cells(committed) for output in cell.outputs}
    assert kinds == {"stream", "display_data"}, "no errors, no stray results"
    check_figures(committed)


def test_the_committed_outputs_hold_no_noise_and_no_trace_of_a_machine(committed: Notebook) -> None:
    assert committed.metadata.kernelspec.name == "python3"
    for cell in committed.cells:
        assert set(cell.metadata) <= {"tags"}, "timestamps and the like"
        assert not MACHINE_PATH.search(cell.source)
        for output in cell.get("outputs", []):
            assert output.get("name", "stdout") == "stdout"
        if cell.cell_type == "code":
            said = text(cell)
            assert not MACHINE_PATH.search(said)
            assert "warning" not in said.lower()
            assert "\r" not in said, "a progress bar"
            for png in pictures(cell):
                assert not MACHINE_PATH.search(str(Image.open(io.BytesIO(png)).info))


def test_the_committed_outputs_are_of_30_epochs_and_show_the_collapse(committed: Notebook) -> None:
    said = printed(committed, "training")
    assert said.startswith("epochs: 30;")
    results = table(committed)
    assert float(results["elbo"][2]) <= 104.0
    assert int(results["elbo"][5]) > 30
    assert [results["pixel-mean"][5], results["autoencoder"][5]] == ["0", "40"]
    assert "posterior collapse: 0 of 40 latents active" in said
    assert "0.26279 per pixel" in said


def test_the_text_quotes_what_the_committed_outputs_say(committed: Notebook) -> None:
    prose = next(cell.source for cell in committed.cells if cell.id == "collapse-text")
    prose = " ".join(prose.split())
    results = table(committed)
    first, last = results["pixel-mean"][:2]
    assert f"from {first} to {last} in the 30-epoch run" in prose
    bce, kl = (float(value) for value in results["elbo"][3:5])
    constant = re.search(r"constant predictor: ([\d.]+) nats", printed(committed, "training"))
    assert constant is not None
    saved = float(constant.group(1)) - bce
    assert f"spends {kl:.0f} nats of KL to save {saved:.0f} of BCE" in prose


def test_a_machine_path_is_recognized() -> None:
    for path in ("/home/someone/x", "in '/mnt/y'", "C:\\Users\\z"):
        assert MACHINE_PATH.search(path)
    for harmless in ("784 / 512", "a/home/b", "docs/random-numbers.md", "https://arxiv.org/abs/1"):
        assert not MACHINE_PATH.search(harmless)
