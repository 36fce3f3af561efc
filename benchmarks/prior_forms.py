"""The table of docs/prior.md: forms of the latent mixture, how good their digits are, the cost.

    python -m benchmarks.prior_forms --classifier export/classifiers/mnist.onnx [--bundle DIR]

Every form is fitted to codes of the same nine tenths of the MNIST training images: the
means of their posteriors, or what ascent from there finds with a weight of the prior. Per class
and form 1,000 digits are decoded and shown to the classifier (ONNX: float32 [n, 784] in [0, 1] to
``logits`` and ``features``). Printed are the share that gets the label it was drawn with, the share
that it is surer of than 0.9, the Fréchet distance of its features to those of the training images
that were held out and of the 10,000 test images, the recall of test images (Kynkäänniemi et al.
(2019), k = 3, of every third), the held-out log-likelihood, and microseconds of a tile
of 128 rows on one thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from digitvae.bundle.folder import Bundle
from digitvae.data import sets as data
from digitvae.engine.model import load
from digitvae.mixture import posteriors as codes
from digitvae.mixture.fit import (
    HELD_OUT,
    SHRINKAGE,
    ClassMixture,
    assemble,
    cluster,
    log_likelihood,
    principal_factor,
)
from digitvae.mixture.model import LatentMixture
from digitvae.vae.serialisation import onnx_bytes
from digitvae.vae.weights import load_bundle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from digitvae.vae.model import VAE

    Array = NDArray[Any]

CLASSES = 10
PER_CLASS = 1000
TILE = 128
MEANS = None  # instead of a weight of the prior: codes are the means of the posteriors
FORMS = (
    # weight of the prior, name, components per class, rank, whether posterior noise is drawn, too
    (MEANS, "full", 5, 40, True),
    (MEANS, "full", 5, 40, False),
    (MEANS, "low rank", 80, 10, False),
    (1.0, "low rank", 80, 10, False),
    (0.3, "low rank", 80, 10, False),
    (0.0, "low rank", 80, 10, False),
    (0.1, "full", 5, 40, False),
    (0.1, "full", 40, 40, False),
    (0.1, "tied", 80, 40, False),
    (0.1, "diagonal", 80, 40, False),
    (0.1, "shared axes", 80, 10, False),
    (0.1, "low rank", 80, 4, False),
    (0.1, "low rank", 80, 8, False),
    (0.1, "low rank", 5, 10, False),
    (0.1, "low rank", 20, 10, False),
    (0.1, "low rank", 40, 10, False),
    (0.1, "low rank", 80, 10, False),
    (0.1, "low rank", 80, 10, True),
    (0.1, "low rank", 120, 10, False),
    (0.1, "low rank", 80, 12, False),
    (0.1, "low rank", 80, 14, False),
    (0.1, "low rank", 80, 16, False),
)


class Codes(NamedTuple):
    """Of one class: codes, posterior variances, and held-out codes with noise; [n, latents]."""

    z: Array
    variances: Array
    held_out: Array


class SharedAxes(LatentMixture):
    """All components with the axes ``axes`` [latents, latents] and deviations of their own."""

    def __init__(self, prior: LatentMixture, axes: Tensor | None) -> None:
        super().__init__(**prior.state_dict())
        self.axes = axes

    def forward(self, u: Tensor, digit: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        """As its base; the deviations are the first row of each factor."""
        component, label = self.choose(u, digit)
        spread = torch.index_select(self.factors[:, 0], 0, component) * eps
        turned = spread if self.axes is None else spread @ self.axes
        return torch.index_select(self.means, 0, component) + turned, label


class Classifier:
    """Logits and features of images uint8 [n, 28, 28]."""

    def __init__(self, path: Path) -> None:
        self.session = session(path.read_bytes())

    def __call__(self, images: Array) -> tuple[Array, Array]:
        """Logits [n, 10] and features [n, m]."""
        ink = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
        parts = [
            self.session.run(["logits", "features"], {"x": ink[i : i + 500]})
            for i in range(0, len(ink), 500)
        ]
        logits, features = (np.concatenate(each) for each in zip(*parts, strict=True))
        return logits, features.astype(np.float64)


def session(content: bytes) -> Any:
    """ONNX Runtime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def mixture(classes: list[Codes], form: str, components: int, rank: int) -> list[ClassMixture]:
    """Fit one form to every class."""
    clusters = [cluster(each.z, components, 0) for each in classes]
    rests = [each.z - means[k] for each, (k, means) in zip(classes, clusters, strict=True)]
    pooled = np.concatenate(rests)
    axes = np.linalg.eigh(pooled.T @ pooled)[1]
    found = []
    for each, rest, (members, means) in zip(classes, rests, clusters, strict=True):
        tied = rest.T @ rest / len(rest)
        factors, noise = [], []
        for k in range(len(means)):
            own = rest[members == k]
            covariance = (own.T @ own + SHRINKAGE * tied) / (len(own) + SHRINKAGE)
            if form == "diagonal":
                factor = np.diag(np.sqrt(np.diag(covariance)))
            elif form == "shared axes":
                scale = np.sqrt(np.diag(axes.T @ covariance @ axes))
                scale[np.argsort(scale)[:-rank]] = 0.0
                factor = scale[:, None] * axes.T
            else:
                factor = principal_factor(tied if form == "tied" else covariance, rank)
            factors.append(factor)
            noise.append(each.variances[members == k].mean(axis=0))
        weights = np.bincount(members) / len(members)
        found.append(ClassMixture(weights, means, np.stack(factors), np.stack(noise)))
    return found


def draw(classes: list[ClassMixture], *, noisy: bool) -> Array:
    """``PER_CLASS`` codes of every class, one class after another."""
    rng = np.random.default_rng(1)
    draws = []
    for each in classes:
        k = rng.choice(len(each.weights), PER_CLASS, p=each.weights)
        eps = rng.standard_normal((PER_CLASS, each.factors.shape[1]))
        z = each.means[k] + np.einsum("nr,nrd->nd", eps, each.factors[k])
        if noisy:
            z += np.sqrt(each.noise[k]) * rng.standard_normal(z.shape)
        draws.append(z)
    return np.concatenate(draws).astype(np.float32)


def frechet(a: Array, b: Array) -> float:
    """Between Gaussians with the moments of two sets of features (Heusel et al. (2017))."""
    shift = a.mean(axis=0) - b.mean(axis=0)
    first, second = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    return max(0.0, float(shift @ shift + np.trace(first) + np.trace(second) - 2 * shared))


def recall(made: Array, real: Array, k: int = 3) -> float:
    """Share of real features that lie within the distance of a made one to its k-th neighbour."""
    radius = np.sqrt(np.partition(squares(made, made), k, axis=1)[:, k])
    return float((np.sqrt(squares(real, made)) <= radius).any(axis=1).mean())


def squares(a: Array, b: Array) -> Array:
    """Squared distances of every row to every row."""
    distances: Array = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0.0)
    return distances


def microseconds(classes: list[ClassMixture], form: str) -> float:
    """A tile of rows of any class in ONNX Runtime on one thread, the fastest of many."""
    network = assemble(classes, np.full(CLASSES, 1 / CLASSES))
    if form in ("diagonal", "shared axes"):
        network = SharedAxes(network, None if form == "diagonal" else torch.eye(40))
    content = onnx_bytes(network, ["u", "digit", "eps"], ["z", "label"], 40, {})
    rng = np.random.default_rng(0)
    binding = (graph := session(content)).io_binding()
    binding.bind_cpu_input("u", rng.random(TILE, np.float32))
    binding.bind_cpu_input("digit", np.full(TILE, -1))
    binding.bind_cpu_input("eps", rng.standard_normal((TILE, 40), np.float32))
    binding.bind_output("z")
    binding.bind_output("label")
    fastest = float("inf")
    for _ in range(200):
        start = time.perf_counter()
        for _ in range(10):
            graph.run_with_iobinding(binding)
        fastest = min(fastest, (time.perf_counter() - start) / 10)
    return fastest * 1e6


class Training(NamedTuple):
    """The training images, their posteriors, and which are held out."""

    images: Array
    labels: Array
    mu: Array
    logvar: Array
    held: Array

    @classmethod
    def of(cls, network: VAE) -> Training:
        """Encode them; a tenth of each class is held out."""
        images, labels = data.load("mnist", splits=("train",))["train"]
        rng, held = np.random.default_rng(0), np.zeros(len(labels), bool)
        for label in range(CLASSES):
            rows = rng.permutation(np.flatnonzero(labels == label))
            held[rows[: round(HELD_OUT * len(rows))]] = True
        return cls(images, labels, *codes.encode(network, images), held)

    def codes_of(self, network: VAE, weight: float | None) -> list[Codes]:
        """Class by class."""
        z = self.mu
        if weight is not MEANS:
            z = codes.refine(network, self.images, self.mu, prior_weight=weight)
        variances = np.exp(self.logvar)
        noisy = z + np.sqrt(variances) * np.random.default_rng(1).standard_normal(z.shape)
        found = []
        for label in range(CLASSES):
            kept = (self.labels == label) & ~self.held
            held = (self.labels == label) & self.held
            found.append(Codes(z[kept], variances[kept], noisy[held]))
        return found


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Forms of the latent mixture.")
    parser.add_argument("--classifier", type=Path, default=Path("export/classifiers/mnist.onnx"))
    parser.add_argument("--bundle", type=Path)
    options = parser.parse_args()
    classify, bundle = Classifier(options.classifier), Bundle.open(options.bundle)
    model, network = load(bundle), load_bundle(bundle)
    test, training = data.load("mnist", splits=("test",))["test"], Training.of(network)
    real = classify(test.images)[1]
    unseen = classify(training.images[training.held])[1]
    drawn = np.repeat(np.arange(CLASSES), PER_CLASS)

    def quality(images: Array, labels: Array | None) -> str:
        logits, features = classify(images)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        sure = float((odds.max(axis=1) / odds.sum(axis=1) > 0.9).mean())
        right = "" if labels is None else f"{(logits.argmax(axis=1) == labels).mean():.4f}"
        distances = f"{frechet(features, unseen):.1f} | {frechet(features, real):.1f}"
        found = recall(features[::3], real[::3])
        return f"{right} | {sure:.4f} | {distances} | {found:.2f}"

    quality_head = "label accuracy | confidence > 0.9 | Fréchet, held-out | Fréchet, test | recall"
    print(f"| codes | form | components | {quality_head} | held-out nats | µs a tile | MB |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    print(f"| | test images | | {quality(test.images, test.labels)} | | | |")
    means, _ = codes.encode(network, test.images)
    best = codes.refine(network, test.images, means)
    for name, latents in (("means", means), (str(codes.PRIOR_WEIGHT), best)):
        seen = quality(model.decode(latents.astype(np.float32)), test.labels)
        print(f"| {name} | their reconstructions | | {seen} | | | |")
    print(f"| | z ~ N(0, I) | | {quality(model.sample(10_000), None)} | | | |")
    sizes = np.bincount(training.labels[training.held])
    found = {weight: training.codes_of(network, weight) for weight in {row[0] for row in FORMS}}
    for weight, form, components, rank, noisy in FORMS:
        classes = mixture(found[weight], form, components, rank)
        likelihoods = [
            log_likelihood(fitted, each.held_out)
            for fitted, each in zip(classes, found[weight], strict=True)
        ]
        nats = float(np.array(likelihoods) @ sizes / sizes.sum())
        z = draw(classes, noisy=noisy)
        # A full graph adds the variance to the covariance, at no cost; a low rank cannot hold it.
        cost = microseconds(classes, form)
        values = 40 if form in ("diagonal", "shared axes") else 40 * rank
        size = sum(len(fitted.weights) for fitted in classes) * (40 + values) * 4 / 1e6
        name = form if rank == 40 else f"{form} {rank}"
        print(
            f"| {'means' if weight is MEANS else weight} "
            f"| {name}{' + posterior noise' if noisy else ''} | {components} "
            f"| {quality(model.decode(z), drawn)} | {nats:.2f} | {cost:.0f} | {size:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
