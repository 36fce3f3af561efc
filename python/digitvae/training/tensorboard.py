"""The log of a run as TensorBoard shows it."""

from __future__ import annotations

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from digitvae.training.loop import Progress

FOLDER = "tensorboard"
_LOSS = "loss/step"


class Board:
    """Writes the loss of every step, and the row of every epoch, into ``RUN/tensorboard``.

    The horizontal axis is the step, counted from 1 over the whole run. What an interrupted run has
    written of an epoch that is done again is hidden by TensorBoard.

    Args:
        run_dir: The run directory.
    """

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / FOLDER
        self._writer: SummaryWriter | None = None
        self._step = 0

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def __call__(self, progress: Progress) -> None:
        """Write what is new; to be called with all that ``train`` reports."""
        if progress.row is None:
            self._step = (progress.epoch - 1) * progress.steps + progress.step
            self._open().add_scalar(_LOSS, progress.loss, self._step)
            return
        writer = self._open()
        for name, value in progress.row.items():
            if value is not None and name != "epoch":
                split, _, measure = name.partition("_")
                tag = f"{split}/{measure}" if split in ("train", "test") else f"run/{name}"
                writer.add_scalar(tag, float(value), self._step)
        writer.flush()

    def _open(self) -> SummaryWriter:
        if self._writer is None:
            self._writer = SummaryWriter(str(self._folder), purge_step=self._step)
        return self._writer
