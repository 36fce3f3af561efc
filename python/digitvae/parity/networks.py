"""The two networks of a bundle, as every runtime has to present them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]
    Function = Callable[[Float32], tuple[Float32, ...]]
    """Rows [n, k] to the network's outputs, each [n, m], in the order of ``Network.outputs``."""


@dataclass(frozen=True)
class Network:
    """One exported graph.

    Attributes:
        name: Stem of its files: ``decoder.onnx``, ``decoder.torchscript``, ``decoder.pt2``.
        input: Name of its input.
        outputs: Names of its outputs, in order.
        layers: Names of its layers in the PyTorch module.
    """

    name: str
    input: str
    outputs: tuple[str, ...]
    layers: tuple[str, ...]

    def widths(self, dims: dict[str, int]) -> dict[str, int]:
        """Columns of the input and of each output, from the ``dims`` of a manifest."""
        latent, pixels = dims["latent"], dims["height"] * dims["width"]
        return {name: pixels if name == "x" else latent for name in (self.input, *self.outputs)}


DECODER = Network("decoder", "z", ("x",), ("hidden", "output"))
ENCODER = Network("encoder", "x", ("mu", "logvar"), ("hidden", "fc_mu", "fc_logvar"))
NETWORKS = (DECODER, ENCODER)
