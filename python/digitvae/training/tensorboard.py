"""The log of a run as TensorBoard shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from digitvae.training.loop import Progress


@contextmanager
def board(run_dir: Path) -> Iterator[Callable[[Progress], None]]:
    """Write the loss of every step, and the row of every epoch, into ``RUN/tensorboard``.

    The horizontal axis is the step, counted from 1 over the whole run. What an interrupted run has
    written of an epoch that is done again is hidden by TensorBoard.

    Args:
        run_dir: The run directory.

    Yields:
        A function to call with all that ``train`` reports.
    """
    writer: SummaryWriter | None = None
    step = 0

    def write(progress: Progress) -> None:
        nonlocal writer, step
        if progress.row is None:
            step = (progress.epoch - 1) * progress.steps + progress.step
        if writer is None:  # opened here, where the first step is known
            writer = SummaryWriter(str(run_dir / "tensorboard"), purge_step=step)
        if progress.row is None:
            writer.add_scalar("loss/step", progress.loss, step)
            return
        for name, value in progress.row.items():
            if value is not None and name != "epoch":
                split, _, measure = name.partition("_")
                tag = f"{split}/{measure}" if split in ("train", "test") else f"run/{name}"
                writer.add_scalar(tag, float(value), step)
        writer.flush()

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()
