"""The model under evaluation: a bundle, in the native engine and as PyTorch weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from digitvae.base.errors import BundleError
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import PRIOR
from digitvae.data.sets import DATASETS
from digitvae.engine.model import Model, load
from digitvae.vae.model import VAE
from digitvae.vae.objective import OBJECTIVES
from digitvae.vae.weights import load_bundle


@dataclass(frozen=True)
class Subject:
    """A model to evaluate.

    Attributes:
        engine: What makes its pictures, as in use.
        network: What its likelihood is computed with: logits, which the exported decoder has not.
        dataset: Name of the data set it was trained on.
        objective: What it was trained for.
    """

    engine: Model
    network: VAE
    dataset: str
    objective: str

    @classmethod
    def open(cls, path: str | Path | None) -> Subject:
        """Load a bundle.

        Args:
            path: The folder; ``None`` for the shipped one.

        Raises:
            BundleError: It is no intact bundle, has no weights of this architecture, or is of an
                unknown data set or objective.
            RuntimeLibraryError: ONNX Runtime is missing or too old.
        """
        bundle = Bundle.open(path)
        dataset = bundle.manifest.get("dataset")
        objective = bundle.manifest.get("objective", OBJECTIVES[0])
        for name, value, known in (
            ("data set", dataset, tuple(DATASETS)),
            ("objective", objective, OBJECTIVES),
        ):
            if value not in known:
                raise BundleError(
                    f"{bundle.path}: the {name} is {value!r}, expected one of {', '.join(known)}"
                )
        return cls(load(bundle), load_bundle(bundle), str(dataset), objective)

    @property
    def has_mixture(self) -> bool:
        """Whether the bundle has a latent mixture."""
        return PRIOR in self.engine.bundle.file_names

    @property
    def has_posterior(self) -> bool:
        """Whether the encoder's variances mean anything: an autoencoder's were never trained."""
        return self.objective != "autoencoder"

    def mixture(
        self, n: int, seed: int, digit: int | list[int] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """Samples of the bundle's mixture, uint8 [n, height, width], with their labels [n].

        Args:
            n: How many.
            seed: Of the specified random numbers.
            digit: Their class, or classes that take turns; ``None``: any.
        """
        images: NDArray[np.uint8]
        labels: NDArray[np.int32]
        images, labels = self.engine.sample(
            n, seed=seed, prior="mixture", digit=digit, return_labels=True
        )
        return images, labels

    def mixture_latents(self, n: int, seed: int) -> NDArray[np.float32]:
        """Latents [n, latents] of the bundle's mixture: those behind :meth:`mixture`."""
        return self.engine.latents(n, seed=seed, prior="mixture")

    def posterior_draws(
        self, mu: NDArray[np.float32], logvar: NDArray[np.float32], generator: torch.Generator
    ) -> NDArray[np.float32]:
        """One z ~ q(z|x) for each image.

        Args:
            mu: [n, latents].
            logvar: [n, latents].
            generator: Of the noise.
        """
        noise = torch.randn(mu.shape, generator=generator)
        draws = torch.from_numpy(mu) + torch.exp(0.5 * torch.from_numpy(logvar)) * noise
        result: NDArray[np.float32] = draws.numpy()
        return result
