"""The networks that are compared, as every runtime has to present them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Function = Callable[[Float32], tuple[Float32, ...]]
"""Rows [n, …] to the network's outputs, each [n, …], in the order of ``Network.outputs``."""


@dataclass(frozen=True)
class Network:
    """One exported graph.

    Attributes:
        name: Stem of its files: ``decoder.onnx``, ``decoder.torchscript``, ``decoder.pt2``.
        input: Name of its input.
        outputs: Names of its outputs, in order.
        images: Whether its (first) output is an image of intensities in [0, 1].
    """

    name: str
    input: str
    outputs: tuple[str, ...]
    images: bool = False

    def widths(self, dims: dict[str, int]) -> dict[str, int]:
        """Columns of the input and of each output, from the ``dims`` of a manifest."""
        latent, pixels = dims["latent"], dims["height"] * dims["width"]
        return {name: pixels if name == "x" else latent for name in (self.input, *self.outputs)}


DECODER = Network("decoder", "z", ("x",), images=True)
ENCODER = Network("encoder", "x", ("mu", "logvar"))
NETWORKS = (DECODER, ENCODER)
"""The graphs that a bundle holds."""

RECONSTRUCTION = Network("reconstruction", "x", ("x",), images=True)
"""Decoder after encoder: an image to the image of its posterior's mean. Not a file of its own."""
