"""A small classifier of digits, with which generated ones are measured.

Its confidence says whether a picture can be recognized, and its last hidden layer is the space in
which sets of pictures are compared (``digitvae.evaluation``). A convolutional network that is
trained on slightly moved, turned and scaled training images; everything random is a pure function
of the seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from digitvae.data.sets import Split
from digitvae.vae.heldout import as_tensor
from digitvae.vae.serialisation import onnx_bytes

CLASSES = 10
FEATURES = 128
SCHEMA = "digitvae-classifier/1"

_ROWS = 1000


class Classifier(nn.Module):
    """Four 3 × 3 convolutions, three poolings that halve, and a hidden layer of 128.

    Attributes:
        size: Height and width of the images, each at least 8.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        height, width = size
        self.convolutions = nn.Sequential(
            *_convolution(1, 16),
            nn.MaxPool2d(2),
            *_convolution(16, 32),
            nn.MaxPool2d(2),
            *_convolution(32, 64),
            *_convolution(64, 96),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.hidden = nn.Linear(96 * (height // 8) * (width // 8), FEATURES)
        self.output = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Classify images.

        Args:
            x: float32 [n, pixels], pixel intensities in [0, 1].

        Returns:
            ``(logits, features)``: float32 [n, 10], of the classes, and float32 [n, 128], the
            hidden layer after its ReLU.
        """
        planes = self.convolutions(x.reshape(-1, 1, *self.size))
        features = functional.relu(self.hidden(planes))
        return self.output(features), features


def _convolution(before: int, after: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


@dataclass(frozen=True)
class ClassifierConfig:
    """The recipe.

    Attributes:
        dataset: "mnist" or "fashion-mnist".
        epochs: Passes over the training images.
        batch_size: Images a step; what is left over at the end of an epoch is left out.
        learning_rate: The largest of the one-cycle schedule (Smith & Topin 2018).
        weight_decay: AdamW's.
        seed: Of the weights, the order of the images, and their changes.
        shift: Images are moved by at most so many pixels, each way.
        degrees: They are turned by at most so much, each way.
        scale: They are enlarged or reduced by at most this share.
    """

    dataset: str = "mnist"
    epochs: int = 12
    batch_size: int = 128
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    seed: int = 0
    shift: float = 2.0
    degrees: float = 12.0
    scale: float = 0.1

    def steps(self, images: int) -> int:
        """Steps in all, on so many training images."""
        return self.epochs * (images // self.batch_size)


def train_classifier(
    config: ClassifierConfig,
    train: Split,
    *,
    on_step: Callable[[], None] = lambda: None,
) -> Classifier:
    """Train a classifier.

    Args:
        config: The recipe.
        train: Images and labels, at least a batch of them.
        on_step: Called after each step.

    Returns:
        The network, in evaluation mode.

    Raises:
        ValueError: There are fewer images than a batch holds.
    """
    n = len(train.images)
    if n < config.batch_size:
        raise ValueError(f"train: {n} images; expected at least a batch, {config.batch_size}")
    x, labels = as_tensor(train.images), torch.tensor(train.labels, dtype=torch.int64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = Classifier(train.images.shape[1:]).train().to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(config.seed)
    per_epoch = n // config.batch_size
    steps = config.steps(n)
    adam = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, config.learning_rate, total_steps=steps)
    for step in range(steps):
        i = step % per_epoch
        if i == 0:
            order = torch.randperm(n, generator=generator)
        batch = order[i * config.batch_size : (i + 1) * config.batch_size]
        logits, _ = network(augmented(x[batch].view(-1, *network.size), config, generator))
        loss = functional.cross_entropy(logits, labels[batch])
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        schedule.step()
        on_step()
    return network.eval().requires_grad_(requires_grad=False)


def augmented(x: Tensor, config: ClassifierConfig, generator: torch.Generator) -> Tensor:
    """Images moved, turned and scaled at random, each by its own amount.

    Args:
        x: float32 [n, height, width] in [0, 1].
        config: Says by how much at most; amounts are uniform.
        generator: Where the amounts are drawn.

    Returns:
        Of the same shape and range; what comes in from outside is background.
    """
    turn, zoom, right, down = torch.rand(4, len(x), generator=generator).mul(2).sub(1)
    angle, zoom = turn * math.radians(config.degrees), 1 + zoom * config.scale
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    height, width = x.shape[1:]
    # affine_grid counts in half widths of the image.
    right, down = right * config.shift * 2 / width, down * config.shift * 2 / height
    theta = torch.stack([cos, -sin, right, sin, cos, down], dim=1).reshape(-1, 2, 3)
    grid = functional.affine_grid(theta, [len(x), 1, height, width], align_corners=False)
    return functional.grid_sample(x[:, None], grid, align_corners=False).squeeze(1)


def accuracy(network: Classifier, split: Split) -> float:
    """Share of images whose label has the largest logit."""
    x, labels = as_tensor(split.images), torch.tensor(split.labels, dtype=torch.int64)
    right = 0
    with torch.inference_mode():
        for first in range(0, len(x), _ROWS):
            rows = slice(first, first + _ROWS)
            right += int((network(x[rows])[0].argmax(dim=1) == labels[rows]).sum())
    return right / len(x)


def classifier_bytes(network: Classifier, dataset: str, test_accuracy: float) -> bytes:
    """A classifier as ONNX: ``x`` [batch, pixels] → ``logits`` [batch, 10] and ``features``.

    Args:
        network: In evaluation mode.
        dataset: What it was trained on; metadata ``digitvae.dataset``.
        test_accuracy: In [0, 1]; metadata ``digitvae.accuracy``.
    """
    height, width = network.size
    facts: dict[str, object] = {
        "schema": SCHEMA,
        "height": height,
        "width": width,
        "dataset": dataset,
        "accuracy": test_accuracy,
    }
    # Memory formats are none of ONNX's business.
    network = network.to(memory_format=torch.contiguous_format)
    return onnx_bytes(network, ["x"], ["logits", "features"], height * width, facts)
