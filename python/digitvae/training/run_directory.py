"""The files of a run directory, each written whole or not at all.

======================== =========================================================================
``config.json``          what was asked for: the ``TrainConfig``, and the versions of the tools
``checkpoint.safetensors`` weights, Adam's moments, and the log, after the last complete epoch
``log.csv`` ``log.json`` one row an epoch (a view of the log in the checkpoint)
``weights.safetensors``  the trained parameters, written when the run is finished
``summary.json``         the result; its presence means that the run is finished
======================== =========================================================================

The checkpoint is the only thing a resumed run reads, so no interruption can leave weights and
log in disagreement. It holds its own SHA-256, so that no change to it goes unnoticed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from digitvae import __version__
from digitvae.base.atomic import write_json, write_whole
from digitvae.base.errors import TrainingError
from digitvae.base.files import open_regular
from digitvae.bundle.names import WEIGHTS

SCHEMA = "digitvae-run/1"
CONFIG = "config.json"
CHECKPOINT = "checkpoint.safetensors"
LOG_CSV = "log.csv"
LOG_JSON = "log.json"
SUMMARY = "summary.json"
FILES = (CONFIG, CHECKPOINT, LOG_CSV, LOG_JSON, WEIGHTS, SUMMARY)

_NO_SHA256 = "0" * 64
"""Stands where a checkpoint has its own SHA-256, when that is taken."""

COLUMNS = (
    *("epoch", "seconds", "images_per_second", "learning_rate", "kl_weight"),
    *("train_loss", "train_bce", "train_bce_per_pixel", "train_kl"),
    *("test_images", "test_nelbo", "test_bce", "test_kl", "test_active_latents"),
    *("test_baseline_bce", "test_nelbo_per_pixel", "test_bce_per_pixel", "test_collapsed"),
)
"""Columns of the log: numbers, but for ``test_collapsed``."""
_OPTIONAL = {"test_nelbo", "test_nelbo_per_pixel", "test_kl"}
"""Columns that are ``None`` for an autoencoder."""

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


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a run directory.

    Raises:
        TrainingError: the file is missing, is no JSON object, or is of another schema.
    """
    try:
        with open_regular(path) as file:
            value = json.loads(file.read())
    except (OSError, ValueError, RecursionError) as error:
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
                p.copy_(_tensor(checkpoint, f"model.{name}", p.shape))
                # The log-variances of an autoencoder have no gradients, hence no moments.
                if f"adam.step.{name}" in checkpoint.tensors:
                    shapes = {"step": torch.Size(), "exp_avg": p.shape, "exp_avg_sq": p.shape}
                    adam.state[p] = {
                        moment: _tensor(checkpoint, f"adam.{moment}.{name}", shape).clone()
                        for moment, shape in shapes.items()
                    }
    except (KeyError, RuntimeError, ValueError) as error:
        raise TrainingError(f"{folder / CHECKPOINT}: of another model: {error}") from error


def _tensor(checkpoint: Checkpoint, name: str, shape: torch.Size) -> Tensor:
    """A tensor of a checkpoint, whose shape is looked at: copying would repeat a smaller one."""
    tensor = checkpoint.tensors[name]
    if tensor.shape != shape or tensor.dtype != torch.float32:
        raise ValueError(f"{name} is {tensor.dtype} {list(tensor.shape)}, expected {list(shape)}")
    return tensor


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint, then the two views of its log."""
    log = json.dumps(checkpoint.log, allow_nan=False)
    content = save(checkpoint.tensors, {"schema": SCHEMA, "log": log, "sha256": _NO_SHA256})
    sha256 = hashlib.sha256(content).hexdigest()
    write_whole(folder / CHECKPOINT, content.replace(_NO_SHA256.encode(), sha256.encode(), 1))
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=list(checkpoint.log[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(checkpoint.log)
    write_whole(folder / LOG_CSV, table.getvalue().encode())
    write_json(folder / LOG_JSON, checkpoint.log)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint of a run, or ``None`` if it was interrupted before its first one.

    Raises:
        TrainingError: the file is there but damaged, to the last bit, or foreign.
    """
    path = folder / CHECKPOINT
    try:
        with open_regular(path) as file:
            content = file.read()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header.get("__metadata__") if isinstance(header, dict) else None
        if not isinstance(metadata, dict) or metadata.get("schema") != SCHEMA:
            raise ValueError(f"not a checkpoint of {SCHEMA}")
        if "sha256" not in metadata:
            raise ValueError("it has no SHA-256, so nobody knows whether it still is what it was")
        told = str(metadata["sha256"])
        zeroed = content.replace(told.encode(), _NO_SHA256.encode(), 1)
        if (found := hashlib.sha256(zeroed).hexdigest()) != told:
            raise ValueError(f"it was changed: its SHA-256 is {found}, it says {told}")
        log = json.loads(metadata["log"])
        _check_log(log)
        return Checkpoint(load(content), log)
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise TrainingError(
            f"{path}: damaged: {error}; put a copy of it back, or start again with --force"
        ) from error


def _check_log(log: object) -> None:
    """Refuse a log that no run has written."""
    if not isinstance(log, list) or not all(isinstance(row, dict) for row in log):
        raise TypeError("its log is no list of rows")
    if not log:
        raise ValueError("its log has no row")
    for epoch, row in enumerate(log, 1):
        if row.keys() != set(COLUMNS):
            differing = ", ".join(sorted(row.keys() ^ set(COLUMNS)))
            raise ValueError(f"row {epoch} of its log lacks columns, or has others: {differing}")
        check_row(row)
        if row["epoch"] != epoch:
            raise ValueError(f"row {epoch} of its log is of epoch {row['epoch']}")


def check_row(row: Row) -> None:
    """Refuse values that a log cannot have, in whatever columns of it.

    Raises:
        TypeError: Names the first.
    """
    for name, value in row.items():
        if name == "test_collapsed":
            good = isinstance(value, bool)
        else:
            number = type(value) in (int, float) and abs(value) <= sys.float_info.max
            good = number or (value is None and name in _OPTIONAL)
        if not good:
            raise TypeError(f"{name} is {value!r}")


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
