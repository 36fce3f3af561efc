"""Seconds an epoch of training takes, beside the loop that most tutorials have.

    python -m benchmarks.training_speed [--rounds 3] [--threads 2]

The other loop has the same layers and batches of 128: a ``DataLoader`` over torchvision's MNIST
with ``ToTensor``, Adam with its defaults, the binary cross-entropy of sigmoids, and an evaluation
on the test images after each epoch (the structure of the VAE in pytorch/examples). Ours is what
``digitvae train`` does: an epoch, its evaluation, its checkpoint. In turns, medians, and the share
of the limit that the processor's multiply-adds set.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from digitvae import data
from digitvae.bench.limits import fma_rate
from digitvae.model import HIDDEN, LATENTS, PIXELS, VAE
from digitvae.train import Progress, recipe, train

BATCH = 128


class Tutorial:
    """The loop that most tutorials have."""

    def __init__(self, root: Path) -> None:
        self.model = VAE()
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
        x = images.view(-1, PIXELS)
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


def timed_epochs(splits: dict[str, Any], threads: int) -> list[float]:
    """Seconds from epoch to epoch of ``digitvae train``, evaluation and checkpoint included."""
    ends: list[float] = []

    def watch(progress: Progress) -> None:
        if progress.row is not None:
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as scratch:
        config = replace(recipe(), epochs=3, threads=threads)
        train(config, Path(scratch) / "run", data=splits, on_progress=watch)
    return [after - before for before, after in pairwise(ends)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds an epoch takes.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    splits = data.load("mnist")
    tutorial = Tutorial(data.cache_root())
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(asked.rounds):
        start = time.perf_counter()
        tutorial.epoch()
        theirs.append(time.perf_counter() - start)
        ours += timed_epochs(splits, asked.threads)
    # Two operations for each weight and image forward, as many for the weights' gradients, and for
    # those of the inputs of all layers but the first.
    first = PIXELS * HIDDEN
    weights = first + 2 * HIDDEN * LATENTS + LATENTS * HIDDEN + HIDDEN * PIXELS
    operations = 60_000 * 2 * (3 * weights - first)
    limit = operations / fma_rate(2.0, asked.threads)
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"tutorial loop   {other:6.2f} s an epoch")
    print(f"digitvae train  {mine:6.2f} s an epoch: {other / mine:.1f} times as fast")
    print(f"limit           {limit:6.2f} s of multiply-adds: {limit / mine:.2f} of it is reached")


if __name__ == "__main__":
    main()
