"""The files of a run directory, each written whole or not at all.

======================== =========================================================================
``config.json``          what was asked for: the ``TrainConfig``, and the versions of the tools
``checkpoint.safetensors`` weights, Adam's moments, and the log, after the last complete epoch
``log.csv`` ``log.json`` one row an epoch (a view of the log in the checkpoint)
``weights.safetensors``  the trained parameters, written when the run is finished
``summary.json``         the result; its presence means that the run is finished
======================== =========================================================================

The checkpoint is the only thing a resumed run reads, so no interruption can leave weights and
log in disagreement.
"""

from __future__ import annotations

import csv
import io
import json
import os
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from digitvae import __version__
from digitvae.errors import OutputError, TrainingError

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "digitvae-run/1"
CONFIG = "config.json"
CHECKPOINT = "checkpoint.safetensors"
LOG_CSV = "log.csv"
LOG_JSON = "log.json"
WEIGHTS = "weights.safetensors"
SUMMARY = "summary.json"
FILES = (CONFIG, CHECKPOINT, LOG_CSV, LOG_JSON, WEIGHTS, SUMMARY)

Row = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """The state after a complete epoch.

    Attributes:
        tensors: ``model.NAME`` for each parameter, ``adam.MOMENT.NAME`` for its optimizer state.
        log: one row for each complete epoch, oldest first; its length is the epoch count.
    """

    tensors: dict[str, Tensor]
    log: list[Row]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, flush it to the disk, and rename it into place.

    Raises:
        OutputError: the folder is read-only, the disk is full, or the like; ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write JSON that a person can read; floats keep every digit."""
    write_whole(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a run directory.

    Raises:
        TrainingError: the file is missing, is no JSON object, or is of another schema.
    """
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: cannot be read: {error}") from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        found = value.get("schema") if isinstance(value, dict) else type(value).__name__
        raise TrainingError(f"{path}: schema {found!r}, expected {SCHEMA!r}")
    return value


def capture(model: nn.Module, adam: torch.optim.Adam, log: list[Row]) -> Checkpoint:
    """The state of a run as a checkpoint; its tensors are the live ones, not copies."""
    tensors = {f"model.{name}": p.detach() for name, p in model.named_parameters()}
    for name, p in model.named_parameters():
        tensors |= {f"adam.{moment}.{name}": t for moment, t in adam.state[p].items()}
    return Checkpoint(tensors, log)


def restore(folder: Path, checkpoint: Checkpoint, model: nn.Module, adam: torch.optim.Adam) -> None:
    """Put a checkpoint back into a model and its optimizer.

    Raises:
        TrainingError: it does not hold what the model needs; ``folder`` is named.
    """
    try:
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(checkpoint.tensors[f"model.{name}"])
                # The log-variances of an autoencoder have no gradients, hence no moments.
                if f"adam.step.{name}" in checkpoint.tensors:
                    adam.state[p] = {
                        moment: checkpoint.tensors[f"adam.{moment}.{name}"].clone()
                        for moment in ("step", "exp_avg", "exp_avg_sq")
                    }
    except (KeyError, RuntimeError) as error:
        raise TrainingError(f"{folder / CHECKPOINT}: of another model: {error}") from error


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint, then the two views of its log."""
    metadata = {"schema": SCHEMA, "log": json.dumps(checkpoint.log, allow_nan=False)}
    write_whole(folder / CHECKPOINT, save(checkpoint.tensors, metadata))
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=list(checkpoint.log[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(checkpoint.log)
    write_whole(folder / LOG_CSV, table.getvalue().encode())
    write_json(folder / LOG_JSON, checkpoint.log)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint of a run, or ``None`` if it was interrupted before its first one.

    Raises:
        TrainingError: the file is there but damaged or foreign.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        log = json.loads(metadata["log"]) if metadata.get("schema") == SCHEMA else None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise TrainingError(
            f"{path}: damaged: {error}; delete the directory or start again with --force"
        ) from error
    if log is None:
        raise TrainingError(f"{path}: not a checkpoint of {SCHEMA}")
    return Checkpoint(tensors, log)


def save_weights(folder: Path, state: dict[str, Tensor]) -> None:
    """Write the trained parameters under their names in the model."""
    write_whole(folder / WEIGHTS, save({name: t.contiguous() for name, t in state.items()}))


def versions() -> dict[str, str]:
    """The versions of what computes a run."""
    return {
        "digitvae": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }
