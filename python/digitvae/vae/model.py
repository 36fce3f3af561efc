"""The variational autoencoder: pixels → hidden → (μ, log σ²) of each latent → hidden → pixels.

The architecture is that of Kingma & Welling, "Auto-Encoding Variational Bayes" (2014),
appendix C: one hidden layer each way, a Gaussian posterior with diagonal covariance
(C.2), Bernoulli pixels (C.1); here with ReLU hidden units. The parameter names below are the
names in ``weights.safetensors``, so they are part of the bundle format.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from digitvae.bundle.dims import Dims


class Encoder(nn.Module):
    """The approximate posterior q(z|x) = N(μ(x), diag σ²(x))."""

    _jit_override_qualname = "__torch__.digitvae.model.Encoder"  # part of the bundle format

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        self.hidden = nn.Linear(dims.pixels, dims.hidden)
        self.fc_mu = nn.Linear(dims.hidden, dims.latents)
        self.fc_logvar = nn.Linear(dims.hidden, dims.latents)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map images to the parameters of their posteriors.

        Args:
            x: float32 [n, pixels], pixel intensities in [0, 1].

        Returns:
            ``(mu, logvar)``, each float32 [n, latents]: mean and natural logarithm of the variance.
        """
        h = relu(self.hidden(x))  # [n, hidden]
        return self.fc_mu(h), self.fc_logvar(h)  # [n, latents] each


class Decoder(nn.Module):
    """The likelihood p(x|z): one Bernoulli probability per pixel."""

    _jit_override_qualname = "__torch__.digitvae.model.Decoder"  # part of the bundle format

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        self.hidden = nn.Linear(dims.latents, dims.hidden)
        self.output = nn.Linear(dims.hidden, dims.pixels)

    def logits(self, z: Tensor) -> Tensor:
        """Map latents float32 [n, latents] to the log-odds of the pixels, float32 [n, pixels].

        Training works on these: the cross-entropy of a logit never takes log(0).
        """
        h = relu(self.hidden(z))  # [n, hidden]
        out: Tensor = self.output(h)  # [n, pixels]
        return out

    def forward(self, z: Tensor) -> Tensor:
        """Map latents float32 [n, latents] to pixel intensities in [0, 1], float32 [n, pixels]."""
        return torch.sigmoid(self.logits(z))


class VAE(nn.Module):
    """Encoder and decoder, with the reparameterization between them.

    Attributes:
        dims: The sizes it was made with.
    """

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        self.dims = dims
        self.encoder = Encoder(dims)
        self.decoder = Decoder(dims)

    def forward(self, x: Tensor, eps: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, draw z = μ + σ·ε, decode.

        The noise is an argument, not drawn here, so that the caller decides its generator.

        Args:
            x: float32 [n, pixels] in [0, 1].
            eps: float32 [n, latents], standard normal; ``None`` takes z = μ.

        Returns:
            ``(logits, mu, logvar)``: float32 [n, pixels], [n, latents], [n, latents].
        """
        mu, logvar = self.encoder(x)
        z = mu if eps is None else torch.addcmul(mu, torch.exp(0.5 * logvar), eps)
        return self.decoder.logits(z), mu, logvar
