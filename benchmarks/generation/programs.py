"""Programs that one would write to put N digits into a .npy of uint8 without digitvae.

Each function is one, run as ``python programs.py NAME BUNDLE N OUT.npy`` in a new interpreter. It
makes batches of 1,000 digits with all processors, into memory that is there before.
"""

from __future__ import annotations

import sys
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Images = npt.NDArray[np.uint8]

BATCH = 1000
KINDS = ("weight", "bias")


def with_onnxruntime(bundle: Path, images: Images) -> None:
    """The onnxruntime package: one session."""
    from onnxruntime import InferenceSession

    session = InferenceSession(bundle / "decoder.onnx", providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH]
        (x,) = session.run(None, {"z": generator.standard_normal((len(part), 40), np.float32)})
        part[...] = np.rint(x * np.float32(255), out=x)


def with_openvino(bundle: Path, images: Images) -> None:
    """OpenVINO, in float32."""
    from openvino import compile_model

    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    decoder = compile_model(bundle / "decoder.onnx", "CPU", precision)
    generator = np.random.default_rng(0)
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH]
        x = decoder(generator.standard_normal((len(part), 40), np.float32))[0]
        part[...] = np.rint(x * np.float32(255))


def with_jax(bundle: Path, images: Images) -> None:
    """JAX: one compiled function, the weights from safetensors."""
    from jax import Array, jit, nn, random
    from jax import numpy as jnp
    from safetensors.numpy import load_file

    weights = load_file(bundle / "weights.safetensors")

    @partial(jit, static_argnums=1)
    def step(key: Array, rows: int) -> Array:
        z = random.normal(key, (rows, 40))
        hidden = nn.relu(z @ weights["decoder.hidden.weight"].T + weights["decoder.hidden.bias"])
        logits = hidden @ weights["decoder.output.weight"].T + weights["decoder.output.bias"]
        return jnp.rint(nn.sigmoid(logits) * 255).astype(jnp.uint8)

    key = random.key(0)
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH]
        key, drawn = random.split(key)
        part[...] = step(drawn, len(part))


def with_torch(bundle: Path, images: Images) -> None:
    """PyTorch as it comes: a module and its weights."""
    from safetensors.torch import load_file
    from torch import nn

    weights = load_file(bundle / "weights.safetensors")
    decoder = nn.Sequential(nn.Linear(40, 512), nn.ReLU(), nn.Linear(512, 784), nn.Sigmoid())
    places = {"0": "decoder.hidden", "2": "decoder.output"}
    decoder.load_state_dict(
        {f"{i}.{kind}": weights[f"{n}.{kind}"] for i, n in places.items() for kind in KINDS}
    )
    _decode_with_torch(decoder, images)


def with_torchscript(bundle: Path, images: Images) -> None:
    """TorchScript, loaded from a file."""
    from torch import jit

    warnings.filterwarnings("ignore", category=DeprecationWarning)  # of TorchScript itself
    _decode_with_torch(jit.load(bundle / "decoder.torchscript").eval(), images)  # type: ignore[no-untyped-call]


def _decode_with_torch(decoder: Any, images: Images) -> None:
    from torch import from_numpy, inference_mode, randn

    with inference_mode():
        for start in range(0, len(images), BATCH):
            part = from_numpy(images[start : start + BATCH])
            part.copy_(decoder(randn(len(part), 40)).mul_(255).round_())


if __name__ == "__main__":
    name, folder, count, out = sys.argv[1:]
    digits = np.empty((int(count), 784), np.uint8)
    globals()[f"with_{name}"](Path(folder), digits)
    np.save(out, digits.reshape(-1, 28, 28))
