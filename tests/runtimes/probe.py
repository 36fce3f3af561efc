"""What a release of ONNX Runtime does, in a process of its own: no two of them need get along.

    python -m tests.runtimes.probe digits FILE.npz      what it computes, in arrays
    python -m tests.runtimes.probe hostile FILE.json    what is said to each hostile model

DIGITVAE_ORT_LIBRARY names the release.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import digitvae as dv
from digitvae import _native
from digitvae.base.errors import BundleError
from digitvae.bundle.names import DECODER, PRIOR
from digitvae.engine.runtime import open_runtime
from tests.native import hostile_models

Array = npt.NDArray[Any]

TAKEN = "taken"
SECRET = b"swordfish " * 100
READERS: dict[str, Any] = {
    "decoder": _native.Decoder,
    "encoder": _native.Encoder,
    "prior": _native.Mixture,
}


def digits() -> dict[str, Array]:
    """Digits of both kinds of pixels, both priors and both variants, posteriors and a path."""
    model = dv.load()
    found: dict[str, Array] = {"version": np.array(model.runtime_version)}
    for dtype in ("uint8", "float32"):
        for seed, first, count in ((0, 0, 1000), (7, 12345, 300), (2**64 - 1, 2**64 - 3, 3)):
            name = f"{dtype}, seed {seed}, {count} from {first}"
            found[name] = model.sample(count, seed=seed, first=first, dtype=dtype)
        found[f"{dtype}, mixture"] = model.sample(500, seed=3, prior="mixture", dtype=dtype)
        found[f"{dtype}, digits"] = model.sample(500, seed=3, digit=[3, 8], dtype=dtype)
    images = found["uint8, seed 0, 1000 from 0"]
    found["mu"], found["logvar"] = model.encode(images)
    mu = found["mu"]
    found["interpolated"] = model.interpolate(mu[:5], mu[5:10], steps=16, method="slerp")
    found["variations"] = model.variations(images[0], 20, seed=1)
    runtime = open_runtime()
    for optimized in (False, True):
        decoder = _native.Decoder(runtime, model.bundle.read(DECODER), optimized=optimized)
        prior = _native.Mixture(runtime, model.bundle.read(PRIOR), optimized=optimized)
        for rows in (1, _native.TILE_ROWS):
            x = np.empty((rows, 784), np.float32)
            decoder.sample(x, seed=5, first=0, threads=2, prior=prior)
            found[f"optimized {optimized}, {rows} rows"] = x
        found[f"optimized {optimized}"] = np.array(
            [decoder.is_optimized(_native.TILE_ROWS), prior.is_optimized]
        )
    return found


def hostile() -> dict[str, str]:
    """The error that loading each hostile model ends with, or `TAKEN`."""
    runtime = open_runtime()
    said = {}
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "secret"
        secret.write_bytes(SECRET)
        for role in hostile_models.ROLES:
            for name, make in hostile_models.MODELS.items():
                try:
                    READERS[role](runtime, make(role, secret))
                except BundleError as refusal:
                    said[f"{role}: {name}"] = str(refusal)
                else:
                    said[f"{role}: {name}"] = TAKEN
    return said


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["digits", file]:
            np.savez(file, **digits())  # type: ignore[arg-type]  # its other parameter is a flag
        case ["hostile", file]:
            Path(file).write_text(json.dumps(hostile()), encoding="utf-8")
