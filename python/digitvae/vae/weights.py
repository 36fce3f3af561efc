"""The trained parameters of a network, ``weights.safetensors``, in PyTorch."""

from __future__ import annotations

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors

from digitvae.base.errors import BundleError
from digitvae.bundle.dims import Dims
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import WEIGHTS
from digitvae.vae.model import VAE


def load(weights: bytes, dims: Dims) -> VAE:
    """The network with these parameters, in evaluation mode, without gradients.

    Args:
        weights: The content of a ``weights.safetensors``.
        dims: Its sizes.

    Raises:
        ValueError: The parameters are not those of this architecture, or of other sizes.
    """
    try:
        state = load_safetensors(weights)
        latents, hidden = state["encoder.fc_mu.weight"].shape
        (pixels,) = state["decoder.output.bias"].shape
        if (pixels, latents, hidden) != (dims.pixels, dims.latents, dims.hidden):
            raise ValueError(
                f"they are of {pixels} pixels, {latents} latents, {hidden} hidden units"
            )
        with torch.device("meta"):  # no memory is taken before all shapes are known to be right
            model = VAE(dims)
        model.load_state_dict({name: t.float().clone() for name, t in state.items()}, assign=True)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"expected {dims}: {error}") from error
    return model.requires_grad_(requires_grad=False).eval()


def load_bundle(bundle: Bundle) -> VAE:
    """The network of a bundle, as :func:`load`.

    Raises:
        BundleError: ``weights.safetensors`` is missing, damaged, or not what the manifest says.
    """
    try:
        return load(bundle.read(WEIGHTS), bundle.dims)
    except ValueError as error:
        raise BundleError(
            f"{bundle.path / WEIGHTS} does not hold the parameters of the model: {error}"
        ) from error
