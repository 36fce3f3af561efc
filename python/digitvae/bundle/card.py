"""The model card: ``README.md`` of a bundle, as the Hugging Face hub reads and shows it.

Every number in it is of the manifest or of ``evaluation.json``, so that both can be made again from
it, and it from both. This module must not import torch, and so nothing of ``digitvae.evaluation``.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection
from typing import Any, NamedTuple

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from digitvae.base.markup import Markdown, code_span, markdown
from digitvae.base.text import printable
from digitvae.bundle.dims import DEFAULT_DIMS, Dims
from digitvae.bundle.names import PRIOR

EVALUATION = "evaluation.json"
SAMPLES = "samples.png"

TEST_METRICS = "test_"
"""Metrics of the manifest that begin so are of training; the others are of an evaluation."""

SOURCES = {
    "reconstructions": "reconstructions",
    "standard": "z ~ N(0, I)",
    "mixture": "z ~ mixture",
}
"""Images that a model makes, by their key in an evaluation."""

_REAL = {"test": "test images", "train": "training images"}
_TASK = "unconditional-image-generation"


class Dataset(NamedTuple):
    """Facts of a data set for the card.

    Attributes:
        name: As people write it.
        hub: Its name on the Hugging Face hub.
        shows: What its images are of.
        bias: Whom and what it does not stand for.
    """

    name: str
    hub: str
    shows: str
    bias: str


DATASETS = {
    "mnist": Dataset(
        "MNIST",
        "ylecun/mnist",
        "handwritten digits",
        "MNIST was written by employees of the United States Census Bureau and by American high "
        "school students: it does not stand for how people elsewhere write.",
    ),
    "fashion-mnist": Dataset(
        "Fashion-MNIST",
        "zalando-datasets/fashion_mnist",
        "clothes, shoes and bags",
        "Fashion-MNIST is made of product photos of one online shop, Zalando: it does not stand "
        "for what people elsewhere, or at another time, wear.",
    ),
}


Figure = tuple[str, str, float]
"""One result: its name among the manifest's metrics, its name for people, its value."""


def model_card(
    manifest: dict[str, Any], evaluation: dict[str, Any] | None, names: Collection[str]
) -> str:
    """The text of ``README.md``. The same arguments give the same text.

    Args:
        manifest: Of the bundle; of its entries only ``dims`` and ``dataset``, one of
            ``digitvae.data.sets.DATASETS``, have to be there. ``files`` is not looked at.
        evaluation: The content of ``evaluation.json``, if the model has been evaluated.
        names: The bundle's other files: what is not there is not written about.
    """
    dataset, dims = DATASETS[manifest["dataset"]], manifest["dims"]
    training = manifest.get("training", {})
    trained = training_figures(manifest)
    evaluated = [] if evaluation is None else evaluation_figures(evaluation)
    metadata = _metadata(manifest, [*trained, *evaluated], dataset)
    front_matter = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=1000)
    environment = Environment(
        loader=PackageLoader("digitvae.bundle", "."),
        undefined=StrictUndefined,
        finalize=markdown,  # whatever is filled in and is no Markdown of our own
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = _number
    return environment.get_template("card.md.jinja").render(
        front_matter=Markdown(front_matter),
        title=_title(manifest),
        names=names,
        mixture=PRIOR in names,
        autoencoder=_is_autoencoder(manifest),
        metrics={"test_collapsed": False} | manifest.get("metrics", {}),
        prior=manifest.get("prior"),
        dims=dims,
        pixels=dims["height"] * dims["width"],
        size=f"{dims['height']} × {dims['width']}",
        limit=training.get("limit"),
        recipe=_recipe(manifest),
        command=_train_command(manifest),
        versions=manifest.get("versions"),
        dataset=dataset,
        datasets=DATASETS,
        trained=trained,
        evaluated=evaluated,
        evaluation=evaluation,
        **({} if evaluation is None else _seen(evaluation)),
    )


def training_figures(manifest: dict[str, Any]) -> list[Figure]:
    """Training's measures of the test images; those of a posterior only if the model has one.

    What is no number is left out.
    """
    metrics = manifest.get("metrics", {})
    known = {
        "test_nelbo": "negative ELBO, nats an image",
        "test_bce": "cross-entropy (BCE), nats an image",
        "test_kl": "KL, nats an image",
        "test_active_latents": "active latents",
    }
    return [
        (key, name, metrics[key])
        for key, name in known.items()
        if isinstance(metrics.get(key), (int, float))
    ]


def evaluation_figures(evaluation: dict[str, Any]) -> list[Figure]:
    """The key figures of an evaluation: the tightest bounds, and what samples are worth.

    Args:
        evaluation: ``EvaluationReport.to_dict()``, or the content of ``evaluation.json``.
    """
    figures: list[Figure] = []
    for kind, bounds in evaluation["bounds"].items():
        tightest = max(bounds, key=lambda bound: bound["k"])
        k = tightest["k"]
        name = f"importance-weighted bound, k = {k}, {kind} images, nats an image"
        figures.append((f"importance_weighted_{k}_{kind}", name, tightest["nats"]))
    measures = {
        "frechet": "Fréchet distance in a classifier's features",
        "precision": "precision",
        "recall": "recall",
        "recognizable": "recognizable",
        "label_accuracy": "label accuracy",
    }
    for source, words in SOURCES.items():
        found = evaluation["sources"][source]
        figures += [
            (f"{key}_{source}", f"{name}, {words}", found[key])
            for key, name in measures.items()
            if found is not None and found[key] is not None
        ]
        near = evaluation["neighbours"].get(source)
        if near is not None:
            name = f"copies of training images, {words}"
            figures.append((f"copies_{source}", name, near["copies"]))
    return figures


def _metadata(manifest: dict[str, Any], figures: list[Figure], dataset: Dataset) -> dict[str, Any]:
    """The front matter."""
    metadata: dict[str, Any] = {
        "license": "mit",
        "library_name": "onnx",
        "pipeline_tag": _TASK,
        "tags": [
            *(["autoencoder"] if _is_autoencoder(manifest) else ["vae", "variational-autoencoder"]),
            *("onnx", "onnxruntime", "image-generation", manifest["dataset"]),
        ],
        "datasets": [dataset.hub],
    }
    if figures:
        result = {
            "task": {"type": _TASK},
            "dataset": {"type": dataset.hub, "name": dataset.name, "split": "test"},
            "metrics": [
                {"type": key, "name": name, "value": value} for key, name, value in figures
            ],
        }
        metadata["model-index"] = [{"name": _title(manifest), "results": [result]}]
    return metadata


def _recipe(manifest: dict[str, Any]) -> list[tuple[str, Any]]:
    """Settings of the training, by their names for people."""
    words = {"warmup_epochs": "epochs of warm-up", "anneal_epochs": "epochs of KL annealing"}
    facts = {key: manifest[key] for key in ("objective", "epochs", "seed") if key in manifest}
    training = manifest.get("training", {})
    facts |= {key: value for key, value in training.items() if value is not None}
    return [(words.get(key, key.replace("_", " ")), facts[key]) for key in sorted(facts)]


def _train_command(manifest: dict[str, Any]) -> Markdown | None:
    """A command that trains such a model; ``None`` if the manifest does not say all of it."""
    training = manifest.get("training", {})
    said = manifest | training
    flags = {
        "objective": "--objective",
        "dataset": "--dataset",
        "epochs": "--epochs",
        "batch_size": "--batch-size",
        "learning_rate": "--lr",
        "warmup_epochs": "--warmup",
        "seed": "--seed",
    }
    if not flags.keys() <= said.keys():
        return None
    further = {"precision": "--precision", "limit": "--limit"}
    flags |= {key: flag for key, flag in further.items() if training.get(key) is not None}
    options = {flag: said[key] for key, flag in flags.items()}
    dims = Dims.of_manifest(manifest)
    options |= {
        f"--{name}": getattr(dims, name)
        for name in ("latents", "hidden")
        if getattr(dims, name) != getattr(DEFAULT_DIMS, name)
    }
    words = (f"{flag} {shlex.quote(printable(str(value)))}" for flag, value in options.items())
    return Markdown(" ".join(["digitvae train --out run", *words]))


def _seen(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Values of the template that an evaluation gives besides its figures."""
    command, sources = evaluation.get("command"), evaluation["sources"]
    recognizable = {"standard": "these", "mixture": "draws from the mixture", "test": "test images"}
    return {
        "made_by": Markdown(f"the settings in `{EVALUATION}`")
        if command is None
        else code_span(command),
        "sources": [
            (words, sources[key], evaluation["neighbours"].get(key))
            for key, words in (_REAL | SOURCES).items()
            if sources[key] is not None
        ],
        "shares": [
            f"{100 * sources[key]['recognizable']:.1f} % of {words}"
            for key, words in recognizable.items()
            if sources[key] is not None
        ],
    }


def _title(manifest: dict[str, Any]) -> str:
    return f"digitvae-{manifest['dataset']}"


def _is_autoencoder(manifest: dict[str, Any]) -> bool:
    return bool(manifest.get("objective") == "autoencoder")


def _number(value: float | None, digits: int, group: str = ",") -> str:
    return "–" if value is None else f"{value:{group}.{digits}f}"
