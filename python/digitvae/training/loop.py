"""Train the model: one file, one loop.

Everything random in an epoch (the order of the images, the posterior noise) is a pure function of
the seed and the epoch, and the learning rate and the KL weight are pure functions of the step. So
a run that was interrupted and resumed ends with the same bits as one that was not.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from digitvae.base.atomic import remove_unfinished, write_json
from digitvae.base.errors import TrainingError
from digitvae.bundle.dims import DEFAULT_DIMS, Dims
from digitvae.data.sets import Split, check_name
from digitvae.training import run_directory as run
from digitvae.training.distributed import Group
from digitvae.vae import objective as objectives
from digitvae.vae.heldout import Evaluation, as_tensor, evaluate
from digitvae.vae.model import VAE

_log = logging.getLogger(__name__)

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class TrainConfig:
    """The recipe; the defaults are those of the variational autoencoder (see :func:`recipe`).

    Attributes:
        objective: "elbo", "pixel-mean" or "autoencoder" (see ``digitvae.vae.objective``).
        dataset: "mnist" or "fashion-mnist", or a name for a data set of your own.
        epochs: passes over the training images.
        batch_size: images a step; the last batch of an epoch may be smaller.
        learning_rate: Adam's largest; it falls to 0 along a half cosine over the whole run.
        warmup_epochs: the learning rate rises to that cosine over so many epochs, step by step:
            large ones do no good before Adam knows the gradients' sizes.
        anneal_epochs: the KL weight rises linearly over so many epochs, in equal steps: it is
            e/anneal_epochs all through epoch e (counted from 1), and 1 from then on.
        precision: "float32", or "bfloat16": matrix products then multiply numbers rounded to 8 bits
            and add in float32; weights, Adam, noise and the loss remain float32. See
            :func:`fast_precision`.
        seed: of the initial weights, the order of the images, and the noise; in [0, 2⁶³).
        threads: of PyTorch; ``None``: as many as it has, or as the run was begun with. Another
            number adds in another order, so bits are reproducible for one number only.
        limit: train on the first so many images only, for quick tries.
        processes: that share each batch (:mod:`.distributed`); another number changes the last
            bits, as another number of threads does.
        latents: of the model.
        hidden: units of the encoder's hidden layer, and of the decoder's.
        height: of the images; :func:`train` takes that of its data, whatever it is here.
        width: likewise.
    """

    objective: str = "elbo"
    dataset: str = "mnist"
    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 8e-3
    warmup_epochs: int = 2
    anneal_epochs: int = 10
    precision: str = "float32"
    seed: int = 0
    threads: int | None = None
    limit: int | None = None
    processes: int = 1
    latents: int = DEFAULT_DIMS.latents
    hidden: int = DEFAULT_DIMS.hidden
    height: int = DEFAULT_DIMS.height
    width: int = DEFAULT_DIMS.width

    @property
    def dims(self) -> Dims:
        """Sizes of the model."""
        return Dims(self.height, self.width, self.latents, self.hidden)

    def __post_init__(self) -> None:
        for name, known in (("objective", objectives.OBJECTIVES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name}: {getattr(self, name)!r}; expected one of {', '.join(known)}"
                )
        check_name(self.dataset, "its folder")
        least_values = {
            **dict.fromkeys(("epochs", "batch_size", "threads", "limit", "processes"), 1),
            **dict.fromkeys(("warmup_epochs", "anneal_epochs", "seed"), 0),
            **dict.fromkeys(Dims._fields, 1),
        }
        for name, least in least_values.items():
            value = getattr(self, name)
            if value is None and name in ("threads", "limit"):
                continue
            if type(value) is not int:
                raise TypeError(f"{name}: {value!r}; expected a whole number")
            if not least <= value < 2**63:
                raise ValueError(f"{name}: {value}; expected at least {least}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate: {self.learning_rate}; expected a number above 0")


def recipe(objective: str = "elbo") -> TrainConfig:
    """The configuration behind the published numbers of an objective.

    The two that are there to be compared with keep the batch and the step size that descriptions
    of the model give, 128 and 10⁻³; docs/training.md tells how those of ``elbo`` were found.

    Raises:
        ValueError: unknown objective.
    """
    if objective == "elbo":
        return TrainConfig()
    return TrainConfig(objective=objective, batch_size=128, learning_rate=1e-3, warmup_epochs=0)


def fast_precision() -> str:
    """The precision in which this processor trains fastest; the models are equally good.

    Returns:
        "bfloat16" if it multiplies such numbers (AVX512_BF16, which those with AMX have, too), and
        "float32" otherwise, for without instructions of their own they take far longer.
    """
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"


class Progress(NamedTuple):
    """Progress of a run, for a bar; ``row`` is the log row when an epoch just ended.

    ``latents`` is how many the model has.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    latents: int
    row: run.Row | None


@dataclass(frozen=True)
class Summary:
    """The result of a finished run.

    Attributes:
        config: what was run.
        log: one row an epoch: the columns of ``log.csv``.
        test: held-out measures of the final weights.
    """

    config: TrainConfig
    log: tuple[run.Row, ...]
    test: Evaluation

    def to_dict(self) -> dict[str, Any]:
        """As in ``summary.json``."""
        seconds = [row["seconds"] for row in self.log]
        rate = [row["images_per_second"] for row in self.log]
        return {
            "schema": run.SCHEMA,
            "config": asdict(self.config),
            "epochs": len(self.log),
            "train": {key: self.log[-1][f"train_{key}"] for key in ("loss", "bce", "kl")},
            "test": self.test.to_dict(),
            "seconds_per_epoch": sum(seconds) / len(seconds),
            "images_per_second": sum(rate) / len(rate),
            "versions": run.versions(),
        }


def learning_rate(config: TrainConfig, step: int, steps: int) -> float:
    """Adam's step size at ``step`` of a run of ``steps`` in total, counted from 0."""
    warm = config.warmup_epochs * steps / config.epochs
    rise = min(1.0, (step + 1) / warm) if warm else 1.0
    return 0.5 * config.learning_rate * rise * (1 + math.cos(math.pi * step / steps))


def kl_weight(config: TrainConfig, epoch: int) -> float:
    """β during an epoch, counted from 1: epoch/10 for the default of 10, then 1."""
    return min(1.0, epoch / config.anneal_epochs) if config.anneal_epochs else 1.0


def train(
    config: TrainConfig,
    run_dir: str | Path,
    *,
    data: dict[str, Split],
    resume: bool = False,
    force: bool = False,
    group: Group = Group(),  # noqa: B008 (it is frozen)
    on_progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] = _log.warning,
) -> Summary:
    """Train a model into a run directory.

    Args:
        config: the recipe.
        run_dir: made if need be; see ``digitvae.training.run_directory`` for its files.
        data: "train" and "test", from ``digitvae.data.sets.load``.
        resume: go on after the last complete epoch of a run of the same configuration; start it
            if there is none.
        force: throw an existing run away.
        group: the processes that train together, each with the same arguments; ``config.processes``
            becomes their number. Only the first touches the directory.
        on_progress: called after each step and, with a row, after each epoch.
        say: called with one line about things worth knowing (collapse, already finished).

    Returns:
        The result, also if a finished run was "resumed".

    Raises:
        ValueError: ``resume`` together with ``force``, or no images.
        TrainingError: the directory is taken, its configuration is another one, its checkpoint
            is damaged, it cannot be written, the model does not fit into memory, or the loss is
            not finite.
    """
    if resume and force:
        raise ValueError("resume goes on with a run, force throws it away: choose one")
    folder = Path(run_dir)
    for name in ("train", "test"):
        if not len(data[name].images):
            raise ValueError(f"data: there are no {name} images")
    height, width = data["train"].images.shape[1:]
    config = replace(config, processes=group.size, height=height, width=width)
    _refuse_more_than_memory(config.dims)

    def begin() -> Summary | tuple[TrainConfig, run.Checkpoint | None]:
        check_run_dir(config, folder, resume=resume, force=force)
        opened = _open_run(config, folder, force=force, say=say)
        if not (folder / run.SUMMARY).exists():
            return opened
        say(f"{folder}: already finished ({config.epochs} epochs); nothing to do")
        return read_summary(folder)

    begun = group.shared(begin)
    if isinstance(begun, Summary):
        return begun
    config, checkpoint = begun
    threads_before = torch.get_num_threads()
    torch.set_num_threads(config.threads or threads_before)
    try:
        return _train(
            config, folder, data, checkpoint, group=group, on_progress=on_progress, say=say
        )
    finally:
        torch.set_num_threads(threads_before)


def _train(
    config: TrainConfig,
    folder: Path,
    data: dict[str, Split],
    checkpoint: run.Checkpoint | None,
    *,
    group: Group,
    on_progress: Callable[[Progress], None] | None,
    say: Callable[[str], None],
) -> Summary:
    """The run itself: prepare, loop over the epochs, conclude."""
    # All images in memory, once: 188 MB, and no loader between the data and the step.
    x_train = as_tensor(data["train"].images[: config.limit], config.dims)  # [n, pixels]
    x_test = as_tensor(data["test"].images, config.dims)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(config.seed, "weights"))
        model = VAE(config.dims)
    if config.objective == "autoencoder":  # it has none, and nothing may wait for their gradients
        model.encoder.fc_logvar.requires_grad_(requires_grad=False)
    adam = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    log: list[run.Row] = []
    if checkpoint is not None:
        run.restore(folder, checkpoint, model, adam)
        log = checkpoint.log

    parallel = group.parallel(model)
    warned = False
    for epoch in range(len(log), config.epochs):
        row = _one_epoch(
            config,
            epoch,
            parallel,
            adam=adam,
            x_train=x_train,
            group=group,
            on_progress=on_progress,
        )
        if not group.is_first:
            log.append(row)
            continue
        test = evaluate(model, x_test, config.objective)
        row |= {f"test_{name}": value for name, value in test.to_dict().items()}
        log.append(row)
        run.save_checkpoint(folder, run.capture(model, adam, log))
        if on_progress is not None:
            on_progress(
                Progress(epoch + 1, config.epochs, 0, 0, row["train_loss"], config.latents, row)
            )
        if test.collapsed and not warned:
            say(f"WARNING: epoch {epoch + 1}: {test.collapse_message()}")
            warned = True

    test = evaluate(model, x_test, config.objective)
    summary = Summary(config, tuple(log), test)
    if not group.is_first:
        return summary
    run.save_weights(folder, model.state_dict())
    write_json(folder / run.SUMMARY, summary.to_dict())
    if test.collapsed:
        say(f"WARNING: {test.collapse_message()}")
    return summary


def _one_epoch(
    config: TrainConfig,
    epoch: int,
    model: nn.Module,
    *,
    adam: torch.optim.Adam,
    x_train: Tensor,
    group: Group,
    on_progress: Callable[[Progress], None] | None,
) -> run.Row:
    """Show every training image to the model once; returns the training half of the log row."""
    n = len(x_train)
    steps = -(-n // config.batch_size)
    generator = torch.Generator().manual_seed(_seed(config.seed, f"epoch {epoch}"))
    order = torch.randperm(n, generator=generator)
    noise = torch.randn(n, config.latents, generator=generator)
    loss_sum = bce_sum = kl_sum = 0.0
    beta = kl_weight(config, epoch + 1)
    began = time.perf_counter()

    for i in range(steps):
        step = epoch * steps + i
        lr = learning_rate(config, step, config.epochs * steps)
        adam.param_groups[0]["lr"] = lr

        images = min(config.batch_size, n - i * config.batch_size)
        mine = group.part(images)
        batch = slice(i * config.batch_size + mine.start, i * config.batch_size + mine.stop)
        x = x_train.index_select(0, order[batch])  # [batch, pixels]
        eps = None if config.objective == "autoencoder" else noise[batch]  # [batch, latents]
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
            outputs = model(x, eps)
        logits, mu, logvar = (output.float() for output in outputs)
        parts = objectives.terms(logits, x, mu, logvar)
        loss = objectives.loss(config.objective, parts, beta)
        adam.zero_grad(set_to_none=True)
        # The mean over the batch is that of the processes' means, weighted by their images.
        (loss * (len(x) * group.size / images)).backward()  # type: ignore[no-untyped-call]
        adam.step()

        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(
                f"epoch {epoch + 1}, step {i + 1} of {steps}: the loss is {value}; "
                f"try a learning rate below {config.learning_rate:g}"
            )
        loss_sum += value * len(x)
        bce_sum += parts.bce.item() * len(x)
        kl_sum += parts.kl.item() * len(x)
        if on_progress is not None:
            on_progress(
                Progress(epoch + 1, config.epochs, i + 1, steps, value, config.latents, None)
            )

    seconds = time.perf_counter() - began
    loss_sum, bce_sum, kl_sum = group.sums([loss_sum, bce_sum, kl_sum])
    return {
        "epoch": epoch + 1,
        "seconds": seconds,
        "images_per_second": n / seconds,
        "learning_rate": lr,
        "kl_weight": beta,
        "train_loss": loss_sum / n,
        "train_bce": bce_sum / n,
        "train_bce_per_pixel": bce_sum / n / config.dims.pixels,
        "train_kl": kl_sum / n,
    }


def read_summary(run_dir: str | Path) -> Summary:
    """The result of a finished run.

    Raises:
        TrainingError: the directory is no run, or the run is not finished.
    """
    folder = Path(run_dir)
    config = read_config(folder)
    checkpoint = _load_checkpoint(folder, config)
    if checkpoint is None or not (folder / run.SUMMARY).exists():
        done = 0 if checkpoint is None else len(checkpoint.log)
        raise TrainingError(
            f"{folder}: unfinished, {done} of {config.epochs} epochs; "
            f"`digitvae train --out {folder} --resume` goes on with it"
        )
    test = run.read_json(folder / run.SUMMARY).get("test")
    names = {field.name for field in fields(Evaluation)} - {"dims"}
    try:
        if not isinstance(test, dict):
            raise TypeError(f"its test measures are {test!r}")
        run.check_row({f"test_{name}": test[name] for name in names})
    except (KeyError, TypeError) as error:
        raise TrainingError(
            f"{folder / run.SUMMARY}: damaged: {error}; delete it, and "
            f"`digitvae train --out {folder} --resume` makes it again"
        ) from error
    measures = Evaluation(config.dims, **{name: test[name] for name in names})
    return Summary(config, tuple(checkpoint.log), measures)


def _load_checkpoint(folder: Path, config: TrainConfig) -> run.Checkpoint | None:
    """The checkpoint of a run of this configuration, as :func:`.run_directory.load_checkpoint`."""
    checkpoint = run.load_checkpoint(folder)
    if checkpoint is not None and len(checkpoint.log) > config.epochs:
        raise TrainingError(
            f"{folder / run.CHECKPOINT}: has {len(checkpoint.log)} epochs, and the run has "
            f"{config.epochs}: of another run; put its own back, or start again with --force"
        )
    return checkpoint


def read_config(run_dir: str | Path) -> TrainConfig:
    """The configuration of a run, finished or not.

    Raises:
        TrainingError: the directory is no run, or its configuration cannot be understood.
    """
    path = Path(run_dir) / run.CONFIG
    if not path.is_file():
        raise TrainingError(f"{run_dir}: not a run directory: it has no {run.CONFIG}")
    values = run.read_json(path).get("config")
    names = {field.name for field in fields(TrainConfig)}
    # Runs of earlier versions name no sizes: they all had those that are the defaults.
    if not isinstance(values, dict) or names ^ values.keys() not in (set(), set(Dims._fields)):
        raise TrainingError(f"{path}: expected exactly the fields {', '.join(sorted(names))}")
    try:
        return TrainConfig(**values)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"{path}: {error}") from error


def _refuse_more_than_memory(dims: Dims) -> None:
    """Refuse sizes whose parameters, gradients and moments this machine cannot hold."""
    needed = 4 * 4 * 2 * dims.hidden * (dims.pixels + dims.latents)
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise TrainingError(
            f"hidden: {dims.hidden}, latents: {dims.latents}; training so many takes {needed:,} "
            f"bytes, and this machine has {there:,} of memory"
        )


def _seed(seed: int, purpose: str) -> int:
    """A seed for one purpose. Hashed, because neighbouring seeds of MT19937 are related."""
    digest = hashlib.sha256(f"digitvae {seed} {purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


def check_run_dir(config: TrainConfig, run_dir: str | Path, *, resume: bool, force: bool) -> None:
    """Find out, before any work, whether a run may go into a directory; changes nothing.

    Raises:
        TrainingError: the directory is taken, holds nothing to resume, or holds a run of another
            configuration.
    """
    folder = Path(run_dir)
    try:
        used = any(folder.iterdir()) if folder.exists() else False
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be used as a run directory: {error}") from error
    if not used or force:
        return
    if not resume:
        raise TrainingError(
            f"{folder}: exists and is not empty; --resume goes on with the run there, "
            "--force replaces it"
        )
    before = read_config(folder)
    # The numbers of threads and processes change the last bits, not what is computed.
    differing = [
        f"{name} was {getattr(before, name)!r}, now {getattr(config, name)!r}"
        for name in (field.name for field in fields(TrainConfig))
        if name not in ("threads", "processes") and getattr(before, name) != getattr(config, name)
    ]
    if differing:
        raise TrainingError(
            f"{folder}: cannot go on with another configuration: {'; '.join(differing)}"
        )


def _open_run(
    config: TrainConfig, folder: Path, *, force: bool, say: Callable[[str], None]
) -> tuple[TrainConfig, run.Checkpoint | None]:
    """Begin a run, or find where to go on with the one that is there; settle the threads."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(folder)
        if force:
            for name in run.FILES:  # and nothing else that may lie there
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be used as a run directory: {error}") from error
    if (folder / run.CONFIG).exists():
        before = read_config(folder)
        config = replace(config, threads=config.threads or before.threads)
        for what in ("threads", "processes"):
            then, now = getattr(before, what), getattr(config, what)
            if then != now:
                say(
                    f"{folder}: begun with {then} {what}, going on with {now}: "
                    "the last bits will differ from those of an uninterrupted run"
                )
        return config, _load_checkpoint(folder, config)
    config = replace(config, threads=config.threads or torch.get_num_threads())
    write_json(
        folder / run.CONFIG,
        {"schema": run.SCHEMA, "config": asdict(config), "versions": run.versions()},
    )
    return config, None
