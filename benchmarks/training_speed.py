"""Seconds an epoch of training takes, beside the loop that most tutorials have.

    python -m benchmarks.training_speed [--rounds 5] [--threads 2]

The other loop has the same layers and batches of 128: a ``DataLoader`` over torchvision's MNIST
with ``ToTensor``, Adam with its defaults, the binary cross-entropy of sigmoids, and an evaluation
on the test images after each epoch (the structure of the VAE in pytorch/examples). Ours is what
``digitvae train`` does, in both precisions, of which it takes the one that suits the processor: an
epoch, its evaluation, its checkpoint. In turns, each in a new process; medians, and the share of
the limit that the processor's multiply-adds in float32 set.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import binary_cross_entropy
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from benchmarks.machine import fma_rate
from digitvae.cli.requirements import SPINS
from digitvae.data import sets as data
from digitvae.training.loop import PRECISIONS, Progress, TrainConfig, recipe, train
from digitvae.vae.model import VAE

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 128
DIMS = TrainConfig().dims
EPOCHS = 2  # that are timed, of each process


class Tutorial:
    """The loop that most tutorials have."""

    def __init__(self, root: Path) -> None:
        self.model = VAE(DIMS)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.loaders = [
            DataLoader(
                datasets.MNIST(str(root), train=train, transform=transforms.ToTensor()),
                batch_size=BATCH,
                shuffle=train,
            )
            for train in (True, False)
        ]

    def loss(self, images: torch.Tensor) -> torch.Tensor:
        """−ELBO of a batch, summed."""
        x = images.view(-1, DIMS.pixels)
        mu, logvar = self.model.encoder(x)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        bce = binary_cross_entropy(self.model.decoder(z), x, reduction="sum")
        kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return bce + kl

    def epoch(self) -> None:
        """Train on every image once, and evaluate."""
        total = 0.0
        for images, _ in self.loaders[0]:
            self.adam.zero_grad()
            loss = self.loss(images)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
            self.adam.step()
        with torch.no_grad():
            for images, _ in self.loaders[1]:
                total += self.loss(images).item()


def tutorial_epochs(threads: int) -> list[float]:
    """Seconds of each epoch of that loop, its evaluation included."""
    torch.set_num_threads(threads)
    tutorial = Tutorial(data.cache_root())
    seconds = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        tutorial.epoch()
        seconds.append(time.perf_counter() - start)
    return seconds


def our_epochs(threads: int, precision: str) -> list[float]:
    """Seconds from epoch to epoch of ``digitvae train``, evaluation and checkpoint included."""
    ends: list[float] = []

    def watch(progress: Progress) -> None:
        if progress.row is not None:
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as scratch:
        config = replace(recipe(), epochs=1 + EPOCHS, threads=threads, precision=precision)
        train(config, Path(scratch) / "run", data=data.load("mnist"), on_progress=watch)
    return [after - before for before, after in pairwise(ends)]


def in_new_process(
    measure: Callable[..., list[float]], *arguments: object, spins: str | None = None
) -> list[float]:
    """What it returns: from process to process times differ by a fifth, and hardly within one.

    ``spins`` is how often PyTorch's threads look for each other, if not as often as by default.
    """
    os.environ.pop("GOMP_SPINCOUNT", None)
    if spins is not None:
        os.environ["GOMP_SPINCOUNT"] = spins
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, *arguments).result()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds an epoch takes.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    theirs: list[float] = []
    ours: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for _ in range(asked.rounds):
        theirs += in_new_process(tutorial_epochs, asked.threads)
        for precision in PRECISIONS:
            ours[precision] += in_new_process(our_epochs, asked.threads, precision, spins=SPINS)
    # Two operations for each weight and image forward, as many for the weights' gradients, and for
    # those of the inputs of all layers but the first.
    first = DIMS.pixels * DIMS.hidden
    weights = (
        first
        + 2 * DIMS.hidden * DIMS.latents
        + DIMS.latents * DIMS.hidden
        + DIMS.hidden * DIMS.pixels
    )
    operations = 60_000 * 2 * (3 * weights - first)
    limit = operations / (fma_rate(2.0, asked.threads) or float("nan"))
    other = statistics.median(theirs)

    def row(name: str, seconds: list[float]) -> str:
        mine = statistics.median(seconds)
        extremes = f"{min(seconds):.2f} to {max(seconds):.2f}"
        ratios = f"{other / mine:.2f} times as fast, {limit / mine:.2f} of the limit"
        return f"{name:35}{mine:5.2f} s an epoch ({extremes}): {ratios}"

    print(row("tutorial loop", theirs))
    for precision, seconds in ours.items():
        print(row(f"digitvae train --precision {precision}", seconds))
    print(f"{'limit':35}{limit:5.2f} s of multiply-adds in float32")


if __name__ == "__main__":
    main()
