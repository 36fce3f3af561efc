"""41 small modules built the way people build the models that they export.

To add one, add an entry to ``CONSTRUCTIONS``. Its free axes must have size ``SIZE`` in the
example, and the module must accept ``OTHER_SIZE`` as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrizations

BATCH, SIZE = 2, 4
"""Sizes of the batch and of every other free axis in examples."""
OTHER_BATCH, OTHER_SIZE = 3, 6
"""Sizes that every honest export must accept, too."""


@dataclass(frozen=True)
class Construction:
    """A module, and how to export it.

    Attributes:
        make: Returns the module: the same parameters each time, in evaluation mode.
        example: Returns its inputs, the same each time.
        free: By its name, an axis of any size besides the batch: (input, axis).
    """

    make: Callable[[], nn.Module]
    example: Callable[[], tuple[Tensor, ...]]
    free: dict[str, tuple[int, int]] = field(default_factory=dict)

    def inputs(self, batch: int, size: int) -> tuple[Tensor, ...]:
        """Random inputs for which all free axes but the batch have the same size."""
        shapes = [[batch, *x.shape[1:]] for x in self.example()]
        for which, axis in self.free.values():
            shapes[which][axis] = size
        rng = torch.Generator().manual_seed(2)
        return tuple(torch.randn(shape, generator=rng) for shape in shapes)


class Function(nn.Module):
    """A function of what a layer computes."""

    def __init__(self, layer: nn.Module, function: Callable[..., object]) -> None:
        super().__init__()
        self.layer = layer
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(self.layer(x))


class VAE(nn.Module):
    """Returns the reconstruction from the mean, the mean, and the logarithm of the variance."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, hidden: int, latent: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.decoder = decoder

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.encoder(x)
        mean = self.mean(hidden)
        return torch.sigmoid(self.decoder(mean)), mean, self.log_variance(hidden)


class Decoder(nn.Module):
    """Images [batch, 1, 8, 8] from latents [batch, 3]."""

    def __init__(self, *, normalized: bool) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4 * 2 * 2)
        self.upsample = nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(3) if normalized else nn.Identity()
        self.last = nn.ConvTranspose2d(3, 1, 3, stride=2, padding=1, output_padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.first(z)).view(-1, 4, 2, 2)
        x = torch.relu(self.norm(self.upsample(x)))
        return torch.sigmoid(self.last(x))


class NearestCode(nn.Module):
    """The decoder of a VQ-VAE, from what its encoder computes."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = nn.Embedding(5, 3)
        self.decode = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        z = z.permute(0, 2, 3, 1).unsqueeze(-2)  # [batch, height, width, 1, 3]
        nearest = ((z - self.codes.weight) ** 2).sum(-1).argmin(-1)
        return torch.sigmoid(self.decode(self.codes(nearest).permute(0, 3, 1, 2)))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 3, 3, padding=1)
        self.middle = nn.Conv2d(3, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 3, 2, stride=2)
        self.last = nn.Conv2d(6, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skipped = torch.relu(self.down(x))
        x = torch.relu(self.middle(F.max_pool2d(skipped, 2)))
        result: Tensor = self.last(torch.cat([skipped, self.up(x)], dim=1))
        return result


class Residual(nn.Module):
    """Adds its input to what a block computes."""

    def __init__(self, *block: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(*block)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.block(x)
        return result


class Attention(nn.Module):
    """Self-attention of two heads, written out."""

    def __init__(self, width: int = 6, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.qkv = nn.Linear(width, 3 * width)
        self.last = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        qkv = self.qkv(x).reshape(batch, time, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each [batch, heads, time, width of a head]
        weights = torch.softmax(torch.matmul(q, k.transpose(-2, -1)) * self.scale, dim=-1)
        x = torch.matmul(weights, v).transpose(1, 2).reshape(batch, time, width)
        result: Tensor = self.last(x)
        return result


class Recurrent(nn.Module):
    """Returns outputs for all times, and the last states."""

    def __init__(self, layer: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self.layer = layer
        self.last = nn.Linear(layer.hidden_size, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outputs, states = self.layer(x)
        states = states if isinstance(states, tuple) else (states,)  # an LSTM has two
        return self.last(outputs), *(state[-1] for state in states)


class TiedAutoencoder(nn.Module):
    """The decoder's weight is the encoder's, transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 6))
        self.bias = nn.Parameter(torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x @ self.weight.T) @ self.weight + self.bias


class Quotient(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 5)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        result: Tensor = self.layer(x) / (1 + y.abs())
        return result


class Standardized(nn.Module):
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.rand(3, 1, 1))
        self.register_buffer("std", torch.rand(3, 1, 1) + 0.1)
        self.layer = nn.Conv2d(3, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer((x - self.mean) / self.std)
        return result


def exp_and_softplus(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x[:, :3], torch.exp(0.5 * x[:, 3:6]), F.softplus(x[:, 6:])


def slices_assigned(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y[:, :2] = torch.sigmoid(x[:, :2])
    y[:, 2:] = x[:, :-2]
    return y


def normalized(x: Tensor) -> tuple[Tensor, Tensor]:
    return F.normalize(x, dim=1), x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)


def stack_split_where(x: Tensor) -> Tensor:
    first, second = torch.split(x, 2, dim=1)
    return torch.stack([torch.where(first > 0, second, -2 * first), second], dim=1)


def sum_and_amax(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.sum(dim=(2, 3)), x.amax(dim=1)


def expand_and_repeat(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.unsqueeze(1).expand(-1, 3, -1) * 2, x.repeat(1, 2)


def _after_linear(module: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), module)


def _mlp_vae() -> nn.Module:
    encoder = nn.Sequential(nn.Linear(12, 8), nn.ReLU())
    decoder = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 12))
    return VAE(encoder, decoder, hidden=8, latent=3)


def _convolutional_vae() -> nn.Module:
    encoder = nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Flatten(),
    )
    decoder = nn.Sequential(
        nn.Linear(3, 3 * 4 * 4),
        nn.Unflatten(1, (3, 4, 4)),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.ConvTranspose2d(3, 1, 4, stride=2, padding=1),
    )
    return VAE(encoder, decoder, hidden=3 * 4 * 4, latent=3)


def _perceptron(outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, outputs))


def _instance_norm_generator() -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(2, 4, 4, stride=2, padding=1),
        nn.InstanceNorm2d(4, affine=True),
        nn.ReLU(),
        nn.Conv2d(4, 1, 3, padding=1),
        nn.Tanh(),
    )


def _group_norm_block() -> nn.Module:
    return Residual(nn.GroupNorm(2, 4), nn.SiLU(), nn.Conv2d(4, 4, 3, padding=1))


def _layer_norm_mlp() -> nn.Module:
    return Residual(nn.LayerNorm(6), nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 6))


def _transformer_block() -> nn.Module:
    return nn.Sequential(Residual(nn.LayerNorm(6), Attention()), _layer_norm_mlp())


def _transformer_encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(6, 2, dim_feedforward=12, batch_first=True)
    return nn.TransformerEncoder(layer, num_layers=1, enable_nested_tensor=False)


def _audio() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(1, 4, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose1d(4, 1, 4, stride=2, padding=1),
        nn.Tanh(),
    )


def _volumes() -> nn.Module:
    return nn.Sequential(nn.Conv3d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv3d(3, 2, 2, stride=2))


def _seeded(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Give it random parameters also where PyTorch begins with zeros and ones."""

    def seeded() -> nn.Module:
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            module = make().eval().requires_grad_(requires_grad=False)
            for parameter in module.parameters():
                if parameter.ndim == 1:
                    parameter.add_(torch.randn_like(parameter), alpha=0.2)
                else:
                    parameter.mul_(2)  # so that outputs depend on inputs more than on biases
            for name, buffer in module.named_buffers():
                if name.endswith("running_mean"):
                    buffer.normal_(std=0.2)
                if name.endswith("running_var"):
                    buffer.uniform_(0.5, 1.5)
        return module

    return seeded


def _random(*shapes: tuple[int, ...]) -> Callable[[], tuple[Tensor, ...]]:
    def example() -> tuple[Tensor, ...]:
        rng = torch.Generator().manual_seed(1)
        return tuple(torch.randn(BATCH, *shape, generator=rng) for shape in shapes)

    return example


def _rows(make: Callable[[], nn.Module]) -> Construction:
    return Construction(_seeded(make), _random((6,)))


def _latents(make: Callable[[], nn.Module]) -> Construction:
    return Construction(_seeded(make), _random((3,)))


def _sequences(make: Callable[[], nn.Module]) -> Construction:
    """Of any length: [batch, time, 6]."""
    return Construction(_seeded(make), _random((SIZE, 6)), {"time": (0, 1)})


def _images(channels: int, make: Callable[[], nn.Module]) -> Construction:
    """Of any height and width."""
    axes = {"height": (0, 2), "width": (0, 3)}
    return Construction(_seeded(make), _random((channels, SIZE, SIZE)), axes)


def _conv(before: int, after: int) -> nn.Module:
    return nn.Conv2d(before, after, 3, padding=1)


CONSTRUCTIONS = {
    "mlp_vae": Construction(_seeded(_mlp_vae), _random((12,))),
    "decoder": _latents(lambda: Decoder(normalized=False)),
    "decoder_batch_norm": _latents(lambda: Decoder(normalized=True)),
    "convolutional_vae": Construction(_seeded(_convolutional_vae), _random((1, 8, 8))),
    "chunked_encoder": _rows(lambda: Function(_perceptron(6), lambda x: x.chunk(2, dim=1))),
    "exp_softplus_encoder": _rows(lambda: Function(_perceptron(9), exp_and_softplus)),
    "vq_vae_decoder": _images(3, NearestCode),
    "nearest_upsampling": _images(
        1, lambda: nn.Sequential(nn.Upsample(scale_factor=2), _conv(1, 2))
    ),
    "bilinear_upsampling": _images(
        1, lambda: nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), _conv(1, 2))
    ),
    "unet": Construction(_seeded(UNet), _random((1, 8, 8))),
    "pixel_shuffle": _images(1, lambda: nn.Sequential(_conv(1, 8), nn.PixelShuffle(2))),
    "instance_norm_generator": _images(2, _instance_norm_generator),
    "group_norm_block": _images(4, _group_norm_block),
    "layer_norm_mlp": _sequences(_layer_norm_mlp),
    "transformer_block": _sequences(_transformer_block),
    "transformer_encoder": _sequences(_transformer_encoder),
    "lstm": _sequences(lambda: Recurrent(nn.LSTM(6, 4, batch_first=True))),
    "gru": _sequences(lambda: Recurrent(nn.GRU(6, 4, batch_first=True))),
    "audio": Construction(_seeded(_audio), _random((1, SIZE)), {"time": (0, 2)}),
    "volumes": Construction(_seeded(_volumes), _random((1, 4, 4, 4))),
    "elu": _rows(lambda: _after_linear(nn.ELU(0.7))),
    "selu": _rows(lambda: _after_linear(nn.SELU())),
    "prelu": _rows(lambda: _after_linear(nn.PReLU(5))),
    "mish": _rows(lambda: _after_linear(nn.Mish())),
    "gelu": _rows(lambda: _after_linear(nn.GELU())),
    "softplus": _rows(lambda: _after_linear(nn.Softplus())),
    "log_softmax": _rows(lambda: _after_linear(nn.LogSoftmax(dim=1))),
    "reflection_padding": _images(
        1, lambda: nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(1, 2, 5))
    ),
    "zero_padding": _images(
        1, lambda: nn.Sequential(nn.ZeroPad2d((1, 2, 0, 1)), nn.Conv2d(1, 2, 3))
    ),
    "spectral_norm": _rows(lambda: parametrizations.spectral_norm(nn.Linear(6, 5))),
    "weight_norm": _rows(lambda: parametrizations.weight_norm(nn.Linear(6, 5))),
    "tied_weights": _rows(TiedAutoencoder),
    "slices_assigned": _rows(lambda: Function(nn.Linear(6, 5), slices_assigned)),
    "division_by_number": _rows(lambda: Function(nn.Linear(6, 5), lambda x: x / 255)),
    "division_of_tensors": Construction(_seeded(Quotient), _random((6,), (5,))),
    "standardized": _images(3, Standardized),
    "normalized": _rows(lambda: Function(nn.Linear(6, 5), normalized)),
    "stack_split_where": _rows(lambda: Function(nn.Linear(6, 4), stack_split_where)),
    "negation_abs": _rows(lambda: Function(nn.Linear(6, 5), lambda x: -x.abs())),
    "sum_amax": _images(1, lambda: Function(_conv(1, 3), sum_and_amax)),
    "expand_repeat": _rows(lambda: Function(nn.Linear(6, 5), expand_and_repeat)),
}
