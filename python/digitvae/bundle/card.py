"""The model card: ``README.md`` of a bundle, as the Hugging Face hub reads and shows it.

Every number in it is of the manifest or of ``evaluation.json``, so that both can be made again from
it, and it from both. This module must not import torch, and so nothing of ``digitvae.evaluation``.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from digitvae.base.markup import Markdown, code_span, markdown
from digitvae.base.tables import Table
from digitvae.base.text import printable
from digitvae.bundle.names import PRIOR

if TYPE_CHECKING:
    from collections.abc import Collection

EVALUATION = "evaluation.json"
SAMPLES = "samples.png"

TEST_METRICS = "test_"
"""How the manifest's metrics begin that training measured; the others are of an evaluation."""

SOURCES = {
    "reconstructions": "reconstructions",
    "standard": "z ~ N(0, I)",
    "mixture": "z ~ mixture",
}
"""What a model makes, by its key in an evaluation."""

_REAL = {"test": "test images", "train": "training images"}
_TASK = "unconditional-image-generation"
_NOTHING = "–"


class Dataset(NamedTuple):
    """What the card says of a data set.

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


class Figure(NamedTuple):
    """One result.

    Attributes:
        key: Its name among the manifest's metrics.
        name: Its name for people.
        value: The number, with every digit.
    """

    key: str
    name: str
    value: float


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
    dataset = DATASETS[manifest["dataset"]]
    sections = (
        _what_it_is(manifest, dataset, names),
        _use(manifest, names),
        _training(manifest, dataset),
        _results(manifest, evaluation),
        _limits(manifest, evaluation, dataset, names),
        _END,
    )
    metadata = _metadata(manifest, evaluation, dataset)
    front_matter = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{front_matter}---\n\n" + "\n\n".join(sections) + "\n"


def training_figures(manifest: dict[str, Any]) -> list[Figure]:
    """What training measured on the test images; none of a model that has no posterior's.

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
        Figure(key, name, metrics[key])
        for key, name in known.items()
        if isinstance(metrics.get(key), (int, float))
    ]


def evaluation_figures(evaluation: dict[str, Any]) -> list[Figure]:
    """The key figures of an evaluation: the tightest bounds, and what samples are worth.

    Args:
        evaluation: ``EvaluationReport.to_dict()``, or the content of ``evaluation.json``.
    """
    figures = []
    for kind, bounds in evaluation["bounds"].items():
        tightest = max(bounds, key=lambda bound: bound["k"])
        k = tightest["k"]
        figures.append(
            Figure(
                f"importance_weighted_{k}_{kind}",
                f"importance-weighted bound, k = {k}, {kind} images, nats an image",
                tightest["nats"],
            )
        )
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
            Figure(f"{key}_{source}", f"{name}, {words}", found[key])
            for key, name in measures.items()
            if found is not None and found[key] is not None
        ]
        near = evaluation["neighbours"].get(source)
        if near is not None:
            figures.append(
                Figure(f"copies_{source}", f"copies of training images, {words}", near["copies"])
            )
    return figures


# The front matter.


def _metadata(
    manifest: dict[str, Any], evaluation: dict[str, Any] | None, dataset: Dataset
) -> dict[str, Any]:
    figures = training_figures(manifest)
    if evaluation is not None:
        figures += evaluation_figures(evaluation)
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
        metadata["model-index"] = [{"name": _name(manifest), "results": [result]}]
    return metadata


# The text.


def _what_it_is(manifest: dict[str, Any], dataset: Dataset, names: Collection[str]) -> str:
    latent, hidden = manifest["dims"]["latent"], manifest["dims"]["hidden"]
    pixels = _pixels(manifest)
    kind = "An autoencoder" if _is_autoencoder(manifest) else "A variational autoencoder"
    parts = [
        f"# {_name(manifest)}",
        f"{kind} of {dataset.name}'s {dataset.shows}, exported by digitvae to ONNX, TorchScript "
        "and PyTorch's ExportedProgram.",
    ]
    if SAMPLES in names:
        drawn = "the latent mixture, a row for each class" if PRIOR in names else "N(0, I)"
        shown = f"Samples, z drawn from {drawn}: the first ones, not chosen"
        parts.append(f"![{shown}]({SAMPLES})")
    if manifest.get("metrics", {}).get("test_collapsed"):
        parts.append("**This model has collapsed: whatever the latents, it draws much the same.**")
    rows = [
        ("decoder.onnx", f"`z` float32 [batch, {latent}] → `x` float32 [batch, {pixels}]"),
        (
            "encoder.onnx",
            f"`x` float32 [batch, {pixels}] → `mu`, `logvar` float32 [batch, {latent}]",
        ),
    ]
    if PRIOR in names:
        rows.append(
            (
                PRIOR,
                f"`u` float32 [batch], `digit` int64 [batch], `eps` float32 [batch, {latent}] → "
                f"`z` float32 [batch, {latent}], `label` int64 [batch]",
            )
        )
    parts += [
        "## What it is",
        f"Encoder {pixels} → {hidden} ReLU → μ, log σ² ({latent} each); decoder {latent} → "
        f"{hidden} ReLU → {pixels} sigmoid.{_mixture(manifest, names)}",
        "\n".join(
            (
                "| file | inputs and outputs |",
                "|---|---|",
                *(_row((code_span(name), Markdown(said))) for name, said in rows),
            )
        ),
        f"Images are {_size(manifest)}, row after row, from 0 (background) to 1. The other forms "
        "compute the same, `weights.safetensors` holds the parameters, and `manifest.json` "
        "describes every file.",
    ]
    return "\n\n".join(parts)


def _mixture(manifest: dict[str, Any], names: Collection[str]) -> str:
    if PRIOR not in names:
        return ""
    facts = manifest.get("prior")
    of = (
        f" of {sum(facts['components'])} Gaussians (covariance: {markdown(facts['covariance'])})"
        if facts
        else ""
    )
    return (
        f" A mixture{of}, fitted to the latents of the training images class by class, draws "
        "latents of the class that is asked for."
    )


def _use(manifest: dict[str, Any], names: Collection[str]) -> str:
    dims = manifest["dims"]
    latent, shape = dims["latent"], f"{dims['height']}, {dims['width']}"
    ours = [
        "import digitvae as dv",
        "",
        'model = dv.load(".")  # this folder',
        f"images = model.sample(16, seed=0)  # uint8 [16, {shape}], z drawn from N(0, I)",
    ]
    if PRIOR in names:
        ours.append("images, labels = model.sample(16, seed=0, digit=[3, 8], return_labels=True)")
        draw = [
            "u, digit = rng.random(16, dtype=np.float32), np.full(16, 7)  # -1: any class",
            f"eps = rng.standard_normal((16, {latent}), dtype=np.float32)",
            f'z, label = ort.InferenceSession("{PRIOR}").run(None, '
            '{"u": u, "digit": digit, "eps": eps})',
        ]
    else:
        draw = [f"z = rng.standard_normal((16, {latent}), dtype=np.float32)  # N(0, I)"]
    plain = [
        "import numpy as np",
        "import onnxruntime as ort",
        "",
        "rng = np.random.default_rng(0)",
        *draw,
        'x = ort.InferenceSession("decoder.onnx").run(["x"], {"z": z})[0]',
        f"images = (255 * x.reshape(-1, {shape}) + 0.5).astype(np.uint8)",
    ]
    return "\n\n".join(
        (
            "## Use",
            "Download the folder as files, `hf download USER/NAME --local-dir DIR`: digitvae "
            "refuses links that leave it, of which the hub's cache is made. With digitvae, which "
            "is installed from its source (`pip install .`):",
            _code("python", ours),
            "With ONNX Runtime and NumPy alone, in this folder:",
            _code("python", plain),
            'C and C++: `dvae_decoder_open("decoder.onnx", NULL, &decoder)` of digitvae\'s library '
            "(docs/embedding.md there), or any other ONNX runtime.",
        )
    )


def _training(manifest: dict[str, Any], dataset: Dataset) -> str:
    training = manifest.get("training", {})
    limit = training.get("limit")
    which = "All training images" if limit is None else f"The first {limit:,} training images"
    words = {"warmup_epochs": "epochs of warm-up", "anneal_epochs": "epochs of KL annealing"}
    facts = {key: manifest[key] for key in ("objective", "epochs", "seed") if key in manifest}
    facts |= {key: value for key, value in training.items() if value is not None}
    rows = [(words.get(key, key.replace("_", " ")), f"{facts[key]}") for key in sorted(facts)]
    parts = [
        "## Training data",
        f"{which} of {dataset.name} ([{dataset.hub}](https://huggingface.co/datasets/"
        f"{dataset.hub})). Nothing was fitted to test images. The data are not part of this "
        "folder, and have terms of their own.",
        "## Recipe",
        "\n".join(("| | |", "|---|---|", *map(_row, rows))),
    ]
    command = _train_command(manifest)
    if command is not None:
        parts += ["With Adam; made by", _code("sh", [command, "digitvae export run --out bundle"])]
    versions = manifest.get("versions")
    if versions:
        made = ", ".join(
            markdown(f"{name} {version}") for name, version in sorted(versions.items())
        )
        parts.append(f"Versions: {made}.")
    return "\n\n".join(parts)


def _train_command(manifest: dict[str, Any]) -> str | None:
    """What trains such a model; ``None`` if the manifest does not say all of it."""
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
    return " ".join(
        [
            "digitvae train --out run",
            *(f"{flag} {shlex.quote(printable(str(value)))}" for flag, value in options.items()),
        ]
    )


def _results(manifest: dict[str, Any], evaluation: dict[str, Any] | None) -> str:
    latents = manifest["dims"]["latent"]
    rows = []
    for key, name, value in training_figures(manifest):
        shown = f"{value} of {latents}" if key == "test_active_latents" else f"{value:.2f}"
        rows.append((name, code_span("digitvae train"), shown))
    if evaluation is not None:
        rows += [
            (figure.name, _command(evaluation), f"{figure.value:.2f}")
            for figure in evaluation_figures(evaluation)
            if figure.key.startswith("importance_weighted")
        ]
    measured = Table("Test images", ("measure", "made by", "value"), tuple(rows), left=2)
    parts = ["## Results", measured.markdown().rstrip()]
    if evaluation is None:
        parts.append(
            "`digitvae evaluate . --update` measures samples, too, and puts what it finds here."
        )
    else:
        parts.append(_source_table(evaluation).markdown().rstrip())
    parts += [
        "## Parity",
        "Each exported form was compared with float64 truth, with PyTorch and with the others, "
        "against derived limits, before this folder was made. `parity.json` is the report; "
        "`digitvae verify .` repeats the comparison.",
    ]
    return "\n\n".join(parts)


def _source_table(evaluation: dict[str, Any]) -> Table:
    rows = []
    for source, words in (_REAL | SOURCES).items():
        found, near = evaluation["sources"][source], evaluation["neighbours"].get(source)
        if found is None:
            continue
        copies = _NOTHING if near is None else f"{near['copies']} of {near['images']:,}"
        rows.append(
            (
                words,
                f"{found['images']:,}",
                _number(found["frechet"], 2),
                _number(found["precision"], 3),
                _number(found["recall"], 3),
                _number(found["recognizable"], 3),
                _number(found["label_accuracy"], 4),
                copies,
            )
        )
    header = (
        "source",
        *("images", "Fréchet", "precision", "recall", "recognizable", "label accuracy", "copies"),
    )
    classifier = evaluation["classifier"]
    note = (
        f"Made by {_command(evaluation)}. The classifier is digitvae's own of "
        f"{DATASETS[classifier['dataset']].name}, {100 * classifier['accuracy']:.2f} % right on "
        "test images. Fréchet distance, precision and recall compare with test images in its "
        "features; recognizable are images of whose class it is confident; label accuracy is how "
        "often it sees what the label says; copies are images that equal a training image. "
        f"docs/evaluation.md of digitvae defines all of them, `{EVALUATION}` has the rest."
    )
    return Table("Images in the eyes of a classifier", header, tuple(rows), note=Markdown(note))


def _limits(
    manifest: dict[str, Any],
    evaluation: dict[str, Any] | None,
    dataset: Dataset,
    names: Collection[str],
) -> str:
    points = [
        f"It knows grey images of {_size(manifest)} like those of {dataset.name}, and nothing "
        "else.",
        "Its images are blurry: each pixel is a mean over all that the latents leave open.",
    ]
    if _is_autoencoder(manifest):
        points.append(
            "As an autoencoder it was never trained on draws from N(0, I): most of what they give "
            "shows nothing, and it has no likelihood."
        )
    else:
        found = _recognizable(evaluation)
        advice = " Draw from the mixture for images that can be named." if PRIOR in names else ""
        points += [
            "Draws from N(0, I) often fall between the classes, and then show nothing that has a "
            f"name.{found}{advice}",
            "The bounds on grey images are cross-entropies of intensities: good for comparing "
            "models like this one, but no likelihood of anything.",
        ]
    points += [
        "Fréchet distances are of digitvae's own classifier: other numbers than FID, on another "
        "scale.",
        dataset.bias,
    ]
    return "\n".join(("## Limits", "", *(f"- {point}" for point in points)))


def _recognizable(evaluation: dict[str, Any] | None) -> str:
    """How many images the classifier is confident of, where that was measured."""
    if evaluation is None:
        return ""
    shares = [
        f"{100 * found['recognizable']:.1f} % of {words}"
        for words, found in (
            ("these", evaluation["sources"]["standard"]),
            ("draws from the mixture", evaluation["sources"]["mixture"]),
            ("test images", evaluation["sources"]["test"]),
        )
        if found is not None
    ]
    return f" Recognizable are {', '.join(shares[:-1])} and {shares[-1]}."


_END = """## License

MIT.

## Citation

```bibtex
@inproceedings{kingma2014autoencoding,
  title     = {Auto-Encoding Variational Bayes},
  author    = {Kingma, Diederik P. and Welling, Max},
  booktitle = {International Conference on Learning Representations},
  year      = {2014},
  url       = {https://arxiv.org/abs/1312.6114}
}
```"""


def _name(manifest: dict[str, Any]) -> str:
    return f"digitvae-{manifest['dataset']}"


def _is_autoencoder(manifest: dict[str, Any]) -> bool:
    return bool(manifest.get("objective") == "autoencoder")


def _pixels(manifest: dict[str, Any]) -> int:
    return int(manifest["dims"]["height"] * manifest["dims"]["width"])


def _size(manifest: dict[str, Any]) -> str:
    return f"{manifest['dims']['height']} × {manifest['dims']['width']}"


def _command(evaluation: dict[str, Any]) -> Markdown:
    command = evaluation.get("command")
    if command is None:
        return Markdown(f"the settings in `{EVALUATION}`")
    return code_span(command)


def _number(value: float | None, digits: int) -> str:
    return _NOTHING if value is None else f"{value:,.{digits}f}"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(markdown, cells))} |"


def _code(language: str, lines: list[str]) -> str:
    return "\n".join((f"```{language}", *lines, "```"))
