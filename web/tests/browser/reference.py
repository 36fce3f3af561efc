"""What the native engine, and the NumPy reference of the random numbers, make of the same requests.

    python web/tests/browser/reference.py OUT latents
    python web/tests/browser/reference.py OUT images BUNDLE
    python web/tests/browser/reference.py OUT grey FILE.png

writes bare little-endian numbers into files of OUT, named by request, for the tests of the browser.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import digitvae as dv
from digitvae import _native
from digitvae.parity.checks import random_reference as reference

ROWS, DIM = 5000, 40
LATENTS = {  # seed, stream, first: 1,000,000 numbers in all
    "zero": (0, 0, 0),
    "large-seed": (2**64 - 1, 0, 2**63),
    "index-carries": (0x0123456789ABCDEF, 0, 2**32 - ROWS // 2),
    "index-wraps": (7, 2, 2**64 - ROWS // 2),
    "posterior": (2**32 + 5, 2, 123_456_789_012),
}
REQUESTS: dict[str, dict[str, Any]] = {
    "standard": {"seed": 7},
    "standard-truncated": {"seed": 2**64 - 1, "first": 2**40, "truncation": 0.7},
    "mixture": {"seed": 7, "prior": "mixture"},
    "mixture-digits": {"seed": 3, "first": 5, "digit": [3, 8, 1], "truncation": 0.35},
}
COUNT = 1000


def write(folder: Path, name: str, values: Any) -> None:
    """One file of numbers."""
    (folder / name).write_bytes(np.ascontiguousarray(values).tobytes())


def write_latents(folder: Path) -> None:
    """Noise and mixture choices, by both."""
    model = dv.load()
    for name, (seed, stream, first) in LATENTS.items():
        numpy = reference.standard_normal(seed, stream, first, ROWS, DIM)
        write(folder, f"{name}.numpy", numpy)
        native = np.full((ROWS, DIM), np.nan, np.float32)
        if stream == 0:
            model.latents(ROWS, seed=seed, first=first, out=native)
        else:
            _native.fill_standard_normal(native, dim=DIM, seed=seed, first=first, stream=stream)
        write(folder, f"{name}.native", native)
        write(folder, f"{name}.mixture", reference.mixture_uniform(seed, first, ROWS))


def write_images(folder: Path, bundle: str) -> None:
    """Latents, images and labels of every request that the bundle can meet, and variations."""
    model = dv.load(bundle)
    for name, request in REQUESTS.items():
        mixed = name.startswith("mixture")
        if mixed and not (Path(bundle) / "prior.onnx").exists():
            continue
        write(folder, f"{name}.float32", model.sample(COUNT, dtype="float32", **request))
        write(folder, f"{name}.uint8", model.sample(COUNT, **request))
        write(folder, f"{name}.latents", model.latents(COUNT, **request))
        if mixed:
            labels = model.sample(COUNT, return_labels=True, **request)[1]
            write(folder, f"{name}.labels", labels)
    image = model.sample(1, seed=7)[0]
    posterior = model.encode(image)
    write(folder, "posterior.mu", posterior.mu)
    write(folder, "posterior.logvar", posterior.logvar)
    around = model.variations(image, 100, seed=2**63 + 1, truncation=0.8, dtype="float32")
    write(folder, "variations.float32", around)


def write_grey(folder: Path, file: str) -> None:
    """The pixels of a PNG, which must be grey and opaque."""
    from PIL import Image

    picture = np.asarray(Image.open(file).convert("RGBA"))
    assert (picture[..., 3] == 255).all()
    assert (picture[..., 0] == picture[..., 1]).all()
    assert (picture[..., 0] == picture[..., 2]).all()
    write(folder, "grey.size", np.array(picture.shape[:2], np.int32))
    write(folder, "grey.pixels", picture[..., 0])


if __name__ == "__main__":
    out, what, *rest = sys.argv[1:]
    if what == "latents":
        write_latents(Path(out))
    elif what == "images":
        write_images(Path(out), *rest)
    else:
        write_grey(Path(out), *rest)
