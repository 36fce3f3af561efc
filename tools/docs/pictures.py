"""The pictures of docs/concepts.md, from real runs.

``GOMP_SPINCOUNT=1000 python -m tools.docs.pictures`` makes them again.

Needs MNIST and ``pip install 'digitvae[train,notebook]'``. Two of the objectives are trained for
three epochs, which is as long as it takes to see what becomes of them; ``elbo`` is the bundle that
is shipped.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

import digitvae as dv
from digitvae.bundle.names import WEIGHTS
from digitvae.data import sets as data
from digitvae.training.loop import recipe, train
from digitvae.vae.heldout import as_tensor
from digitvae.vae.weights import load

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from digitvae.vae.model import VAE

FOLDER = Path(__file__).parents[2] / "docs" / "images"
EPOCHS = 3
ICON = FOLDER.parent / "site" / "icon.png"
COLUMNS = 16
SEED = 7
BLUE, ORANGE, GREY = "#3f51b5", "#d1570b", "#888888"

Images = Any


def rows_of_images(rows: dict[str, Images], name: str) -> None:
    """Rows of images with a label each, black between them, into ``docs/images``."""
    _, axes = plt.subplots(len(rows), 1, figsize=(9.6, 0.56 * len(rows)), layout="constrained")
    for one, (label, images) in zip(np.atleast_1d(axes), rows.items(), strict=True):
        strip = np.concatenate([np.pad(image, 1) for image in np.asarray(images)], axis=1)
        one.imshow(strip, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
        one.set_ylabel(label, rotation=0, ha="right", va="center")
        one.set(xticks=[], yticks=[])
        one.spines[:].set_visible(False)
    save(name)


def save(name: str) -> None:
    """The current figure, into ``docs/images``."""
    FOLDER.mkdir(exist_ok=True)
    plt.savefig(FOLDER / name, dpi=150, bbox_inches="tight", pad_inches=0.03)
    plt.close()


def trained(objective: str, mnist: dict[str, data.Split]) -> VAE:
    """A model trained from scratch, for as few epochs as show what the objective does."""
    config = replace(recipe(objective), epochs=EPOCHS)
    with tempfile.TemporaryDirectory() as folder:
        summary = train(config, Path(folder) / "run", data=mnist, say=print)
        print(objective, summary.test)
        return load((Path(folder) / "run" / WEIGHTS).read_bytes(), summary.config.dims)


def three_objectives(model: dv.Model, mnist: dict[str, data.Split]) -> None:
    """The same test images and the same latents through three models."""
    test = mnist["test"].images[:COLUMNS]
    z = model.latents(COLUMNS, seed=SEED)
    reconstructed: dict[str, Images] = {"test images": test / 255.0}
    sampled: dict[str, Images] = {}
    reconstructed["elbo"] = model.decode(model.encode(test).mu, dtype="float32")
    sampled["elbo"] = model.decode(z, dtype="float32")
    for objective in ("autoencoder", "pixel-mean"):
        other = trained(objective, mnist)
        codes = other.encoder(as_tensor(test))[0]
        for rows, latents in ((reconstructed, codes), (sampled, torch.from_numpy(z))):
            rows[objective] = other.decoder(latents).reshape(-1, 28, 28).numpy()
    rows_of_images(reconstructed, "objectives-reconstructions.png")
    rows_of_images(sampled, "objectives-samples.png")


def kl_of_latents(posterior: dv.Posterior) -> NDArray[np.float64]:
    """The KL of each latent in nats, the mean over images."""
    mu, logvar = (part.astype(np.float64) for part in posterior)
    return np.asarray(0.5 * (mu**2 + np.exp(logvar) - 1 - logvar).mean(axis=0))


def posteriors(model: dv.Model, mnist: dict[str, data.Split]) -> None:
    """The posteriors of one latent: a few of them, all together, and the prior."""
    posterior = model.encode(mnist["test"].images)
    best = int(kl_of_latents(posterior).argmax())
    mu = posterior.mu[:, best].astype(np.float64)
    deviation = np.exp(0.5 * posterior.logvar[:, best].astype(np.float64))
    z = np.linspace(-4, 4, 601)

    def density(mean: NDArray[np.float64], width: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = (z[:, None] - mean) / width
        return np.asarray(np.exp(-0.5 * scaled**2) / (width * np.sqrt(2 * np.pi)))

    _, axes = plt.subplots(figsize=(7.6, 2.8), layout="constrained")
    few = density(mu[:12], deviation[:12])
    axes.plot(z, few / few.max(), color=GREY, lw=0.9, label="q(z|x) of 12 images, scaled")
    aggregate = density(mu, deviation).mean(axis=1)
    axes.plot(z, aggregate, color=BLUE, lw=1.8, label="aggregate posterior q(z), 10,000 images")
    prior = density(np.zeros(1), np.ones(1))[:, 0]
    axes.plot(z, prior, color=ORANGE, lw=1.8, ls="--", label="prior p(z) = N(0, 1)")
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), loc="upper right", fontsize=7.5)
    axes.set(yticks=[], xlim=(-4, 4), ylim=(0, 1.35), xlabel=f"latent {best}")
    save("posteriors.png")


def information(model: dv.Model, mnist: dict[str, data.Split]) -> None:
    """How many nats each latent carries, sorted."""
    share = np.sort(kl_of_latents(model.encode(mnist["test"].images)))[::-1]
    _, axes = plt.subplots(figsize=(7.6, 2.1), layout="constrained")
    axes.bar(range(len(share)), share, color=BLUE)
    axes.set(xlim=(-0.7, len(share) - 0.3), xticks=[], ylabel="nats")
    axes.set_xlabel(f"the {len(share)} latents, sorted")
    save("information.png")


def traversal(model: dv.Model, mnist: dict[str, data.Split]) -> None:
    """Four latents of one image swept, and the one that carries the least."""
    share = kl_of_latents(model.encode(mnist["test"].images))
    order = np.argsort(share)[::-1]
    image = mnist["test"].images[mnist["test"].labels == 3][0]
    start = model.encode(image).mu
    rows = {}
    for latent in (*order[:4], order[-1]):
        z = np.repeat(start[None], COLUMNS, axis=0)
        z[:, latent] = np.linspace(-3, 3, COLUMNS)
        label = f"latent {latent}, {share[latent]:.2f} nats"
        rows[label] = model.decode(z, dtype="float32")
    rows_of_images(rows, "traversal.png")


def paths(model: dv.Model, mnist: dict[str, data.Split]) -> None:
    """From a 3 to an 8: the pixels faded, and the latents interpolated."""
    test = mnist["test"]
    ends = [test.images[test.labels == digit][0] for digit in (3, 8)]
    a, b = model.encode(np.stack(ends)).mu
    t = np.linspace(0, 1, COLUMNS)[:, None, None]
    rows = {
        "pixels": ((1 - t) * ends[0] + t * ends[1]) / 255,
        "latents": model.interpolate(a, b, steps=COLUMNS, dtype="float32"),
    }
    rows_of_images(rows, "paths.png")


def emblem(model: dv.Model, mnist: dict[str, data.Split]) -> None:
    """The first test image, a 7, as the model sees it: the site's icon."""
    seven = model.decode(model.encode(mnist["test"].images[0]).mu)
    Image.fromarray(seven).resize((112, 112), Image.Resampling.NEAREST).save(ICON, optimize=True)


def main() -> None:
    """Make all pictures again."""
    mpl.use("Agg")
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    model, mnist = dv.load(), data.load("mnist")
    emblem(model, mnist)
    posteriors(model, mnist)
    information(model, mnist)
    traversal(model, mnist)
    paths(model, mnist)
    three_objectives(model, mnist)


if __name__ == "__main__":
    main()
