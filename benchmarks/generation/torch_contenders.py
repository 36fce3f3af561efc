"""Contenders that run on PyTorch, each cut into batches of the size that is found to be best."""

from __future__ import annotations

import io
import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from benchmarks.generation.contenders import BATCHES, Generate, Prepared, fastest, size_of
from benchmarks.generation.correctness import read_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from digitvae.bundle.folder import Bundle

_VERSION = torch.__version__.partition("+")[0]


def with_torch(bundle: Bundle, threads: int) -> Prepared:
    """PyTorch as it comes, in inference mode."""
    decoder = _decoder_on(threads, bundle)
    return _prepared(bundle, lambda z: _to_bytes(decoder(z)), decoder)


def with_torchscript(bundle: Bundle, threads: int) -> Prepared:
    """The decoder as TorchScript, frozen and optimised for inference."""
    _use(threads)
    with warnings.catch_warnings():  # TorchScript is deprecated upstream, and shipped all the same
        warnings.simplefilter("ignore")
        content = io.BytesIO(torchscript_bytes(bundle))
        module = torch.jit.load(content, map_location="cpu")  # type: ignore[no-untyped-call]
        decoder = torch.jit.optimize_for_inference(module.eval())
    return _prepared(bundle, lambda z: _to_bytes(decoder(z)), decoder)


def with_compile(bundle: Bundle, threads: int) -> Prepared:
    """``torch.compile``: decoder, scaling and rounding fused by its default backend, Inductor.

    It is compiled once for all sizes, with the weights as constants. What is checked is the same
    decoder compiled in the same way, without the rounding.
    """
    decoder = _decoder_on(threads, bundle)

    def images_of(z: Tensor) -> Tensor:
        return torch.round(decoder(z) * 255).to(torch.uint8)

    options: dict[str, Any] = {"freezing": True}
    compiled = torch.compile(images_of, dynamic=True, options=options)
    return _prepared(bundle, compiled, torch.compile(decoder, dynamic=True, options=options))


def with_pythae(bundle: Bundle, threads: int) -> Prepared:
    """pythae, a library of generative autoencoders: its VAE around our decoder, its NormalSampler.

    In inference mode; the encoder is never used.
    """
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.samplers import NormalSampler

    network = _decoder_on(threads, bundle)
    size = (1, *size_of(bundle))

    class Decoder(BaseDecoder):  # type: ignore[misc]
        """Our decoder with the result that pythae expects."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.network(z).reshape(-1, *size))

    config = VAEConfig(input_dim=size, latent_dim=bundle.latent_dim)
    model = VAE(config, encoder=BaseEncoder(), decoder=Decoder())
    sampler = NormalSampler(model.eval())

    def generator(batch: int) -> Generate:
        def generate(n: int) -> Any:
            with torch.inference_mode():
                x = sampler.sample(num_samples=n, batch_size=batch)
                return _to_bytes(x).to(torch.uint8).numpy().reshape(n, *size[1:])

        return generate

    def decode(z: Any) -> Any:
        with torch.inference_mode():
            pixels = model.decoder(torch.from_numpy(z))["reconstruction"]
            return pixels.reshape(len(z), -1).numpy()

    batch, generate = fastest({batch: generator(batch) for batch in BATCHES})
    versions = {"pythae": version("pythae"), "torch": _VERSION}
    return Prepared(generate, decode, versions, f"batches of {batch}")


def torchscript_bytes(bundle: Bundle) -> bytes:
    """The decoder as TorchScript, made from the bundle's weights.

    What TorchScript lies in a bundle is not loaded: it could run code.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = io.BytesIO()
        torch.jit.save(torch.jit.script(_decoder(bundle)), content)
    return content.getvalue()


def _decoder(bundle: Bundle) -> nn.Module:
    weights = read_weights(bundle)

    def linear(name: str) -> nn.Linear:
        state = {
            part: torch.tensor(weights[f"decoder.{name}.{part}"]) for part in ("weight", "bias")
        }
        outputs, inputs = state["weight"].shape
        layer = nn.Linear(inputs, outputs)
        layer.load_state_dict(state)
        return layer

    layers = [linear("hidden"), nn.ReLU(), linear("output"), nn.Sigmoid()]
    return nn.Sequential(*layers).eval().requires_grad_(requires_grad=False)


def _decoder_on(threads: int, bundle: Bundle) -> nn.Module:
    _use(threads)
    return _decoder(bundle)


def _use(threads: int) -> None:
    """Have PyTorch compute with so many threads. Must come before its first computation."""
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def _to_bytes(x: Tensor) -> Tensor:
    """Pixels in [0, 1] as 255·x, rounded; x itself is overwritten."""
    return x.mul_(255).round_()


def _prepared(
    bundle: Bundle, images_of: Callable[[Tensor], Tensor], decoder: Callable[..., Any]
) -> Prepared:
    """A contender at its best batch size.

    Args:
        bundle: Whose decoder it is.
        images_of: From latents [rows, 40] to whole numbers of any type, [rows, 784].
        decoder: From latents to pixels in [0, 1], to be checked.
    """
    height, width = size_of(bundle)

    def generator(batch: int) -> Generate:
        def generate(n: int) -> Any:
            images = torch.empty((n, height * width), dtype=torch.uint8)
            with torch.inference_mode():
                for start in range(0, n, batch):
                    part = images[start : start + batch]
                    part.copy_(images_of(torch.randn(len(part), bundle.latent_dim)))
            return images.numpy().reshape(n, height, width)

        return generate

    def decode(z: Any) -> Any:
        with torch.inference_mode():
            return decoder(torch.from_numpy(z)).numpy()

    batch, generate = fastest({batch: generator(batch) for batch in BATCHES})
    return Prepared(generate, decode, {"torch": _VERSION}, f"batches of {batch}")
