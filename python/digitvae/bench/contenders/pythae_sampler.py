"""pythae, a library of generative autoencoders: its VAE around our decoder, its NormalSampler."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.samplers import NormalSampler

from digitvae.bench.contenders import Prepared
from digitvae.bench.contenders.torch_batches import load_decoder, to_bytes, use_threads
from digitvae.bench.contenders.trial import BATCHES, fastest
from digitvae.vae.model import HEIGHT, LATENTS, WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from digitvae.bundle.folder import Bundle


class _Decoder(BaseDecoder):  # type: ignore[misc]
    """Our decoder with the result that pythae expects."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: torch.Tensor) -> Any:
        return ModelOutput(reconstruction=self.network(z).reshape(-1, 1, HEIGHT, WIDTH))


def prepare(bundle: Bundle, threads: int) -> Prepared:
    """Try batch sizes of the sampler, in inference mode; the encoder is never used."""
    use_threads(threads)
    decoder = load_decoder(bundle)
    model = VAE(
        VAEConfig(input_dim=(1, HEIGHT, WIDTH), latent_dim=LATENTS),
        encoder=BaseEncoder(),
        decoder=_Decoder(decoder),
    )
    sampler = NormalSampler(model.eval())

    def generator(batch: int) -> Callable[[int], Any]:
        def generate(n: int) -> Any:
            with torch.inference_mode():
                x = sampler.sample(num_samples=n, batch_size=batch)
                return to_bytes(x).to(torch.uint8).numpy().reshape(n, HEIGHT, WIDTH)

        return generate

    def decode(z: Any) -> Any:
        with torch.inference_mode():
            pixels = model.decoder(torch.from_numpy(z))["reconstruction"]
            return pixels.reshape(len(z), -1).numpy()

    batch, generate = fastest({batch: generator(batch) for batch in BATCHES})
    return Prepared(
        generate=generate,
        decode=decode,
        versions={"pythae": version("pythae"), "torch": torch.__version__.partition("+")[0]},
        settings=f"batches of {batch}",
    )
