"""``digitvae train``: MNIST in, run directory out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from digitvae.base.text import printable
from digitvae.cli import options
from digitvae.cli.requirements import require_torch
from digitvae.cli.say import say, say_json, tell

if TYPE_CHECKING:
    from digitvae.training.distributed import Group
    from digitvae.training.loop import Progress, Summary


@click.command(
    short_help="Train a model, measured on held-out images.",
    epilog="""\b
Examples:
  digitvae train --out RUN                         the recipe of the shipped bundle
  digitvae train --out RUN --resume                after whatever ended it
  digitvae train --out RUN --dataset fashion-mnist --epochs 60
  digitvae train --out RUN --latents 16 --hidden 256           a smaller model
  digitvae train --out RUN --epochs 1 --limit 2000 --force     a quick try
""",
)
@click.option(
    "--out", type=options.PATH, metavar="RUN", required=True, help="Run directory to write."
)
@click.option(
    "--objective",
    type=str,
    help="elbo, pixel-mean (collapses, on purpose) or autoencoder; the other two are trained with "
    "--batch-size 128 --lr 0.001 --warmup 0 unless told otherwise. [default: elbo]",
    shell_complete=options.complete_words("elbo", "pixel-mean", "autoencoder"),
)
@click.option(
    "--dataset",
    type=str,
    help="mnist, fashion-mnist, or a name for your own IDX files in --data, called as MNIST's are. "
    "[default: mnist]",
    shell_complete=options.complete_dataset,
)
@click.option("--epochs", type=int, help="Passes over the training images. [default: 30]")
@click.option("--batch-size", type=int, help="Images a step. [default: 256]")
@click.option(
    "--lr", "learning_rate", type=float, help="Adam's largest learning rate. [default: 0.008]"
)
@click.option(
    "--warmup",
    "warmup_epochs",
    type=int,
    metavar="EPOCHS",
    help="Epochs in which it rises. [default: 2]",
)
@click.option("--latents", type=int, help="Latents of the model. [default: 40]")
@click.option("--hidden", type=int, help="Units of each of its two hidden layers. [default: 512]")
@click.option(
    "--precision",
    type=str,
    help="bfloat16 or float32, of matrix products. [default: bfloat16 where the processor "
    "multiplies such numbers (AVX512_BF16), otherwise float32]",
    shell_complete=options.complete_words("bfloat16", "float32"),
)
@click.option("--seed", type=int, help="Of everything random. [default: 0]")
@click.option("--threads", type=int, help="PyTorch's threads. [default: as PyTorch chooses]")
@click.option(
    "--limit",
    type=int,
    metavar="N",
    help="Train, and later fit the latent mixture, on the first N images only, for quick tries.",
)
@options.data
@click.option("--resume", is_flag=True, help="Go on with the run that is there, as it was begun.")
@click.option("--force", is_flag=True, help="Replace the run that is there.")
@click.option(
    "--tensorboard", is_flag=True, help="Also write events for TensorBoard, into RUN/tensorboard."
)
@click.option("--json", "as_json", is_flag=True, help="Print nothing but the summary, as JSON.")
def train(
    *,
    out: Path,
    data: Path | None,
    resume: bool,
    force: bool,
    tensorboard: bool,
    as_json: bool,
    **recipe: Any,
) -> None:
    """Train a model and measure it on held-out images after every epoch.

    In several processes, which share each batch:

    \b
      torchrun --standalone --nproc-per-node 2 -m digitvae train --out RUN
    """  # noqa: D301 (click's own mark: what follows is not to be wrapped)
    if resume and force:
        raise click.BadParameter("--resume goes on with a run, --force replaces it: choose one")
    require_torch(also=("tensorboard",) if tensorboard else ())
    from digitvae.data import sets as datasets
    from digitvae.training import distributed
    from digitvae.training import loop as training
    from digitvae.training import run_directory as run

    # The other options are fields of a TrainConfig, which checks them. What is not given on
    # resuming is what the run was begun with.
    changes = {name: value for name, value in recipe.items() if value is not None}
    try:
        if resume and (out / run.CONFIG).is_file():
            base = training.read_config(out)
        else:
            published = training.recipe(recipe["objective"] or "elbo")
            base = replace(published, precision=training.fast_precision())
        config = replace(base, **changes)
        datasets.check_name(config.dataset, data)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error

    # Each process of a group looks before any of them writes.
    training.check_run_dir(config, out, resume=resume, force=force)
    with distributed.joined() as group:
        try:
            with group.first_alone():
                images = datasets.load(config.dataset, data, say=tell)
            with _watching(out, group, as_json=as_json, tensorboard=tensorboard) as (show, warn):
                summary = training.train(
                    config,
                    out,
                    data=images,
                    resume=resume,
                    force=force,
                    group=group,
                    on_progress=show,
                    say=warn,
                )
        except KeyboardInterrupt:
            if group.is_first:
                folder = "" if data is None else f" --data {shlex.quote(str(data))}"
                tell("interrupted; go on after the last complete epoch with")
                tell(f"  digitvae train --out {shlex.quote(str(out))}{folder} --resume")
            raise click.exceptions.Exit(130) from None
    if not group.is_first:
        return
    if as_json:
        say_json(summary.to_dict(), indent=2)
    else:
        for line in _report(out, summary):
            say(line)


@contextmanager
def _watching(
    out: Path, group: Group, *, as_json: bool, tensorboard: bool
) -> Iterator[tuple[Callable[[Progress], None] | None, Callable[[str], None]]]:
    """Functions to call with the progress, and with lines; only the first process talks."""
    if not group.is_first:
        yield None, lambda _line: None
        return
    with _progress(as_json=as_json) as (show, warn):
        if not tensorboard:
            yield show, warn
            return
        from digitvae.training.tensorboard import board

        with board(out) as write:

            def show_and_write(progress: Progress) -> None:
                show(progress)
                write(progress)

            yield show_and_write, warn


@contextmanager
def _progress(
    *, as_json: bool
) -> Iterator[tuple[Callable[[Progress], None], Callable[[str], None]]]:
    """A line on standard output for each epoch, and on a terminal a bar that moves.

    Yields:
        What to call with the progress, and what to call with a line for standard error.
    """

    def show(progress: Progress) -> None:
        if progress.row is not None and not as_json:
            say(_line(progress))

    if not sys.stderr.isatty():
        yield show, tell
        return
    from rich import progress as rich
    from rich.console import Console

    from digitvae.cli.progress import pacer

    # Lines for the terminal go through the console, which knows where the bar is.
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    with rich.Progress(
        rich.TextColumn("epoch {task.fields[epoch]}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TextColumn("loss {task.fields[loss]:.4f}"),
        rich.TimeRemainingColumn(),
        console=console,
        redirect_stdout=False,
        redirect_stderr=False,
        transient=True,
        auto_refresh=False,
    ) as bars:
        is_due = pacer()
        task = bars.add_task("", total=None, epoch="", loss=0.0)

        def show_bar(progress: Progress) -> None:
            if progress.row is None:
                bars.update(
                    task,
                    total=progress.steps * progress.epochs,
                    completed=progress.steps * (progress.epoch - 1) + progress.step,
                    epoch=f"{progress.epoch}/{progress.epochs}",
                    loss=progress.loss,
                    refresh=is_due(),
                )
            elif sys.stdout.isatty() and not as_json:
                console.print(_line(progress))
            else:
                show(progress)

        yield show_bar, lambda line: console.print(printable(line))


def _line(progress: Progress) -> str:
    row = progress.row or {}
    measures = f"BCE {row['test_bce']:.2f}"
    if row["test_nelbo"] is not None:
        measures = (
            f"−ELBO {row['test_nelbo']:.2f} ({row['test_nelbo_per_pixel']:.4f}/pixel)  "
            f"{measures}  KL {row['test_kl']:.2f}"
        )
    return (
        f"epoch {progress.epoch:>{len(str(progress.epochs))}}/{progress.epochs}  "
        f"loss {row['train_loss']:.4f}  test {measures}  "
        f"active {row['test_active_latents']}/{progress.latents}  "
        f"{row['seconds']:.1f} s  {row['images_per_second']:,.0f} images/s"
    )


def _report(out: Path, summary: Summary) -> list[str]:
    test, totals = summary.test, summary.to_dict()
    lines = [f"{summary.config.objective}, {summary.config.epochs} epochs: {out}"]
    if summary.config.objective == "pixel-mean":
        lines.append(
            f"  training loss     {summary.log[0]['train_loss']:.4f} in epoch 1, "
            f"{summary.log[-1]['train_loss']:.4f} in epoch {len(summary.log)}"
        )
    if test.nelbo is not None and test.nelbo_per_pixel is not None:
        lines.append(
            f"  test −ELBO        {test.nelbo:.2f} nats an image, "
            f"{test.nelbo_per_pixel:.4f} a pixel (BCE {test.bce:.2f} + KL {test.kl:.2f})"
        )
    else:
        lines.append(
            f"  test BCE          {test.bce:.2f} nats an image, {test.bce_per_pixel:.4f} a pixel"
        )
    lines.append(f"  active latents    {test.active_latents} of {test.dims.latents}")
    lines.append(
        f"  time              {totals['seconds_per_epoch']:.1f} s an epoch, "
        f"{totals['images_per_second']:,.0f} images/s"
    )
    return lines
