"""Generation with PyTorch around a decoder, cut into batches of the best size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from digitvae.bench.contenders import Prepared
from digitvae.bench.contenders.trial import BATCHES, fastest
from digitvae.bench.weights import read_weights
from digitvae.vae.model import HEIGHT, LATENTS, PIXELS, VAE, WIDTH, Decoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from digitvae.bundle.folder import Bundle

    Generate = Callable[[int], Any]


def use_threads(threads: int) -> None:
    """Have PyTorch compute with so many threads. Must come before its first computation."""
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def load_decoder(bundle: Bundle) -> Decoder:
    """The decoder with the bundle's weights, in evaluation mode."""
    vae = VAE()
    vae.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in read_weights(bundle).items()})
    return vae.decoder.eval()


def to_bytes(x: Tensor) -> Tensor:
    """Pixels in [0, 1] as 255·x, rounded; x itself is overwritten."""
    return x.mul_(255).round_()


def generator(images_of: Callable[[Tensor], Tensor], batch: int) -> Generate:
    """A function from a number of digits to uint8 [n, 28, 28].

    Args:
        images_of: From latents [rows, 40] to whole numbers of any type, [rows, 784].
        batch: Rows of a batch.
    """

    def generate(n: int) -> Any:
        images = torch.empty((n, PIXELS), dtype=torch.uint8)
        with torch.inference_mode():
            for start in range(0, n, batch):
                part = images[start : start + batch]
                part.copy_(images_of(torch.randn(len(part), LATENTS)))
        return images.numpy().reshape(n, HEIGHT, WIDTH)

    return generate


def prepare_torch(images_of: Callable[[Tensor], Tensor], decoder: Callable[..., Any]) -> Prepared:
    """A contender at its best batch size.

    Args:
        images_of: As for :func:`generator`.
        decoder: From latents to pixels in [0, 1], to be checked.
    """

    def decode(z: Any) -> Any:
        with torch.inference_mode():
            return decoder(torch.from_numpy(z)).numpy()

    batch, generate = fastest({batch: generator(images_of, batch) for batch in BATCHES})
    return Prepared(
        generate=generate,
        decode=decode,
        versions={"torch": torch.__version__.partition("+")[0]},
        settings=f"batches of {batch}",
    )
