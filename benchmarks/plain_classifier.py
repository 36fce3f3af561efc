"""Fréchet distances on the features of a plain classifier: no augmentation, a minute of training.

    python -m benchmarks.plain_classifier [--bundle DIR] [--epochs 2]

How large a Fréchet distance is depends on whose features are compared. Those of the classifiers
that come with the package were trained on moved, turned and scaled images and see the blur of the
decoder well. This one, two convolutions and a hidden layer of 128, is what people write down
first; docs/evaluation.md puts its numbers beside the others.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import digitvae as dv
from digitvae.data import sets as data
from digitvae.evaluation.features import frechet_distance

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGES = 10_000


class PlainClassifier(nn.Module):
    """28 × 28 pixels to 128 features, and from them to 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 128),
            nn.ReLU(),
        )
        self.logits = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [n, 10] and features [n, 128] of images [n, 1, 28, 28] in [0, 1]."""
        features = self.features(x)
        return self.logits(features), features


def tensor(images: NDArray[np.uint8]) -> Tensor:
    """Images [n, 28, 28] as float32 [n, 1, 28, 28] in [0, 1]."""
    return torch.from_numpy(images).float().div_(255).unsqueeze(1)


def trained(x: Tensor, labels: Tensor, epochs: int) -> PlainClassifier:
    """A classifier, after some epochs of Adam."""
    torch.manual_seed(0)
    model = PlainClassifier()
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(x)), 128):
            adam.zero_grad()
            cross_entropy(model(x[rows])[0], labels[rows]).backward()  # type: ignore[no-untyped-call]
            adam.step()
    return model


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description="Fréchet distances to a plain classifier.")
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--epochs", type=int, default=2)
    asked = parser.parse_args()
    splits = data.load("mnist")
    images, labels = splits["train"]
    test, test_labels = splits["test"]
    classifier = trained(tensor(images), torch.from_numpy(labels).long(), asked.epochs)

    def look(pictures: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        with torch.no_grad():
            logits, features = classifier(tensor(pictures))
        return logits.argmax(1).numpy(), features.numpy()

    model = dv.load(asked.bundle)
    mixture, wanted = model.sample(IMAGES, seed=0, prior="mixture", return_labels=True)
    seen, real = look(test)
    print(f"accuracy {(seen == test_labels).mean():.4f}\n\n| source | Fréchet | label accuracy |")
    print("|---|---:|---:|")
    sources = {
        "training images": (images[:IMAGES], labels[:IMAGES]),
        "reconstructions of test images": (model.decode(model.encode(test).mu), test_labels),
        "z ~ N(0, I)": (model.sample(IMAGES, seed=0), None),
        "z ~ mixture": (mixture, wanted),
    }
    for name, (pictures, asked_for) in sources.items():
        seen, features = look(np.asarray(pictures))
        right = "–" if asked_for is None else f"{(seen == asked_for).mean():.4f}"
        print(f"| {name} | {frechet_distance(real, features):.2f} | {right} |")


if __name__ == "__main__":
    main()
