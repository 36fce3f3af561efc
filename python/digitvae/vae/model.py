"""The variational autoencoder: 784 → 512 → (μ, log σ²) of 40 latents → 512 → 784.

The architecture is that of Kingma & Welling, "Auto-Encoding Variational Bayes" (2014),
appendix C: one hidden layer each way, a Gaussian posterior with diagonal covariance
(C.2), Bernoulli pixels (C.1); here with ReLU hidden units. The parameter names below are the
names in ``weights.safetensors``, so they are part of the bundle format.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

HEIGHT = 28
WIDTH = 28
PIXELS = HEIGHT * WIDTH
HIDDEN = 512
LATENTS = 40


class Encoder(nn.Module):
    """The approximate posterior q(z|x) = N(μ(x), diag σ²(x))."""

    _jit_override_qualname = "__torch__.digitvae.model.Encoder"  # part of the bundle format

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(PIXELS, HIDDEN)
        self.fc_mu = nn.Linear(HIDDEN, LATENTS)
        self.fc_logvar = nn.Linear(HIDDEN, LATENTS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map images to the parameters of their posteriors.

        Args:
            x: float32 [n, 784], pixel intensities in [0, 1].

        Returns:
            ``(mu, logvar)``, each float32 [n, 40]: mean and natural logarithm of the variance.
        """
        h = relu(self.hidden(x))  # [n, 512]
        return self.fc_mu(h), self.fc_logvar(h)  # [n, 40] each


class Decoder(nn.Module):
    """The likelihood p(x|z): one Bernoulli probability per pixel."""

    _jit_override_qualname = "__torch__.digitvae.model.Decoder"  # part of the bundle format

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(LATENTS, HIDDEN)
        self.output = nn.Linear(HIDDEN, PIXELS)

    def logits(self, z: Tensor) -> Tensor:
        """Map latents float32 [n, 40] to the log-odds of the pixels, float32 [n, 784].

        Training works on these: the cross-entropy of a logit never takes log(0).
        """
        h = relu(self.hidden(z))  # [n, 512]
        out: Tensor = self.output(h)  # [n, 784]
        return out

    def forward(self, z: Tensor) -> Tensor:
        """Map latents float32 [n, 40] to pixel intensities in [0, 1], float32 [n, 784]."""
        return torch.sigmoid(self.logits(z))


class VAE(nn.Module):
    """Encoder and decoder, with the reparameterization between them."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()

    def forward(self, x: Tensor, eps: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, draw z = μ + σ·ε, decode.

        The noise is an argument, not drawn here, so that the caller decides its generator.

        Args:
            x: float32 [n, 784] in [0, 1].
            eps: float32 [n, 40], standard normal; ``None`` takes z = μ.

        Returns:
            ``(logits, mu, logvar)``: float32 [n, 784], [n, 40], [n, 40].
        """
        mu, logvar = self.encoder(x)
        z = mu if eps is None else torch.addcmul(mu, torch.exp(0.5 * logvar), eps)
        return self.decoder.logits(z), mu, logvar
