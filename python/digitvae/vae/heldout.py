"""Measures of a model on images it has not seen, which also show a collapsed posterior."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from digitvae.bundle.dims import Dims
from digitvae.vae.model import VAE
from digitvae.vae.objective import OBJECTIVES, divergence, reconstruction

# A latent is active if the variance of its posterior mean over the data exceeds this
# (Burda, Grosse, Salakhutdinov 2016, "Importance Weighted Autoencoders", section 5.2).
ACTIVE_VARIANCE = 0.01

# The decoder that ignores z learns the constant predictor: a BCE within one percent of it says so,
# even if the latents still move. (A model that has hardly learned is worse than that, not at it.)
BASELINE_TOLERANCE = 0.01

_NOISE_SEED = 20140501  # the same noise at every evaluation, so that epochs can be compared
_ROWS = 1000


@dataclass(frozen=True)
class Evaluation:
    """Held-out measures, in nats, each the mean over the images.

    ``nelbo`` is the negative ELBO (BCE + KL) with one posterior sample an image. For an
    autoencoder, which has no posterior, ``nelbo`` and ``kl`` are ``None``. ``dims`` is of the
    model, and no measure.
    """

    dims: Dims
    images: int
    nelbo: float | None
    bce: float
    kl: float | None
    active_latents: int
    baseline_bce: float

    @property
    def nelbo_per_pixel(self) -> float | None:
        """Negative ELBO, nats per pixel."""
        return None if self.nelbo is None else self.nelbo / self.dims.pixels

    @property
    def bce_per_pixel(self) -> float:
        """Cross-entropy, nats per pixel."""
        return self.bce / self.dims.pixels

    @property
    def collapsed(self) -> bool:
        """The decoder draws the same picture for all latents."""
        distance = abs(self.bce - self.baseline_bce)
        return self.active_latents == 0 or distance <= BASELINE_TOLERANCE * self.baseline_bce

    def collapse_message(self) -> str:
        """One line for people; only meaningful if ``collapsed``."""
        baseline = self.baseline_bce / self.dims.pixels
        costs = (
            f"BCE {self.bce_per_pixel:.4f} per pixel where the mean image alone gives "
            f"{baseline:.4f}: every sample will be much the same grey blob"
        )
        if self.active_latents:
            return f"the decoder ignores its {self.active_latents} active latents: {costs}"
        return f"posterior collapse: 0 of {self.dims.latents} latents active, {costs}"

    def to_dict(self) -> dict[str, float | int | bool | None]:
        """Every measure, with the derived ones, ready for JSON."""
        measures = asdict(self)
        del measures["dims"]
        return measures | {
            "nelbo_per_pixel": self.nelbo_per_pixel,
            "bce_per_pixel": self.bce_per_pixel,
            "collapsed": self.collapsed,
        }


def as_tensor(images: NDArray[np.uint8], dims: Dims | None = None) -> Tensor:
    """Images uint8 [n, height, width] as networks take them: float32 [n, pixels] in [0, 1].

    Raises:
        ValueError: They are of another type, or not of the size in ``dims``.
    """
    size = images.shape[1:] if dims is None else (dims.height, dims.width)
    if images.dtype != "uint8" or images.ndim != 3 or images.shape[1:] != size:
        expected = "height, width" if dims is None else f"{dims.height}, {dims.width}"
        raise ValueError(
            f"images: {images.dtype} {list(images.shape)}; expected uint8 [n, {expected}]"
        )
    return torch.tensor(images.reshape(len(images), -1)).to(torch.float32).div_(255)


def baseline_bce(x: Tensor) -> float:
    """Cost of the best constant prediction, the mean image: nats per image.

    Args:
        x: float32 [n, pixels] in [0, 1].
    """
    # All rows in float64 at once would be 60 MB of new memory each time, and ten times as slow.
    sums = [rows.sum(dim=0, dtype=torch.float64) for rows in torch.split(x, 250)]
    p = torch.stack(sums).sum(dim=0) / len(x)
    return float(-(torch.xlogy(p, p) + torch.special.xlog1py(1 - p, -p)).sum())


def evaluate(model: VAE, x: Tensor, objective: str = "elbo") -> Evaluation:
    """Measure a model on images; the same model and images give the same numbers.

    Args:
        model: any state; it is put into evaluation mode only by not computing gradients, since
            no layer of it behaves differently.
        x: float32 [n, pixels] in [0, 1], n ≥ 1.
        objective: what the model was trained for; "autoencoder" decodes z = μ.

    Raises:
        ValueError: no images, or an unknown objective.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"objective: {objective!r}; expected one of {', '.join(OBJECTIVES)}")
    if len(x) == 0:
        raise ValueError("there are no images to evaluate on")
    probabilistic = objective != "autoencoder"
    noise = torch.randn(
        len(x), model.dims.latents, generator=torch.Generator().manual_seed(_NOISE_SEED)
    )
    bce = kl = 0.0
    means = []
    with torch.inference_mode():
        for first in range(0, len(x), _ROWS):
            rows, eps = x[first : first + _ROWS], noise[first : first + _ROWS]
            logits, mu, logvar = model(rows, eps if probabilistic else None)
            bce += reconstruction(logits, rows).item()
            kl += divergence(mu, logvar).sum(dtype=torch.float64).item()
            means.append(mu)
        variance = torch.cat(means).var(dim=0, unbiased=False)  # [latents]
        active = int((variance > ACTIVE_VARIANCE).sum())
    n = len(x)
    return Evaluation(
        dims=model.dims,
        images=n,
        nelbo=(bce + kl) / n if probabilistic else None,
        bce=bce / n,
        kl=kl / n if probabilistic else None,
        active_latents=active,
        baseline_bce=baseline_bce(x),
    )
