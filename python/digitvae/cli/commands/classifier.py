"""``digitvae classifier``: make the network that ``digitvae evaluate`` looks at pictures with."""

from __future__ import annotations

from pathlib import Path

import click

from digitvae.cli import options
from digitvae.cli.say import say, say_json, tell


@click.command(
    short_help="Train a classifier of digits and write it as ONNX.",
    epilog="""\b
Examples:
  digitvae classifier --out mnist.onnx
  digitvae classifier --out fashion.onnx --dataset fashion-mnist
  digitvae classifier --out quick.onnx --epochs 1 --limit 6000 --force
""",
)
@click.option(
    "--out", type=options.PATH, metavar="FILE.onnx", required=True, help="Where to write."
)
@click.option(
    "--dataset",
    default="mnist",
    show_default=True,
    help="mnist or fashion-mnist.",
    shell_complete=options.complete_dataset,
)
@options.number("--epochs", low=1, high=1000, default=12, help="Passes over the training images.")
@options.seed
@options.number("--limit", low=1, high=60_000, help="Train on the first N images only.")
@options.data
@options.force
@options.as_json
def classifier(
    *,
    out: Path,
    dataset: str,
    epochs: int,
    seed: int,
    limit: int | None,
    data: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Train a classifier of digits and write it as ONNX."""
    from digitvae.cli.requirements import require_torch

    require_torch(also=("onnx", "onnxscript"))
    from digitvae.base.atomic import new_file
    from digitvae.cli.progress import progress
    from digitvae.data.sets import load
    from digitvae.evaluation.classifier import (
        ClassifierConfig,
        accuracy,
        classifier_bytes,
        train_classifier,
    )

    config = ClassifierConfig(dataset=dataset, epochs=epochs, seed=seed)
    images = load(dataset, data, say=tell)
    train = images["train"] if limit is None else images["train"].head(limit)
    # Opened first: what cannot be written is told before minutes of training.
    with new_file(out, force=force) as file:
        with progress("training", config.steps(len(train.images))) as advance:
            network = train_classifier(config, train, on_step=lambda: advance(1))
        right = accuracy(network, images["test"])
        file.write(classifier_bytes(network, dataset, right))
    if as_json:
        result = {"command": "classifier", "path": str(out), "dataset": dataset, "accuracy": right}
        say_json(result)
    else:
        say(f"{out}: {100 * right:.2f} % of the {dataset} test images are classified right")
