"""A variational autoencoder of handwritten digits, with a native generator.

>>> import digitvae as dv
>>> model = dv.load()
>>> model.sample(3, seed=0).shape
(3, 28, 28)

Importing this package is cheap: it loads neither torch nor onnxruntime nor numpy. It sets the
environment variable ``ORT_DISABLE_TELEMETRY`` to 1 unless it is set: official builds of ONNX
Runtime from 1.29 on otherwise keep an identifier in the home folder and report usage over the
network.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from digitvae.base import moved
from digitvae.base.errors import (
    BundleError,
    ClusterError,
    DataError,
    DigitVAEError,
    ExplorerError,
    OutputError,
    ParityError,
    RuntimeLibraryError,
    TrainingError,
)

if TYPE_CHECKING:
    from digitvae.bundle.folder import Bundle
    from digitvae.engine.model import Model, Posterior, load
    from digitvae.generation.check import check
    from digitvae.generation.generate import generate

moved.install()
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, when ONNX Runtime starts

try:
    from digitvae._version import __version__  # written when it was built, from git's tags
except ImportError:  # the source tree, imported as it is
    __version__ = "1.0.0.dev0"

__all__ = [
    "Bundle",
    "BundleError",
    "ClusterError",
    "DataError",
    "DigitVAEError",
    "ExplorerError",
    "Model",
    "OutputError",
    "ParityError",
    "Posterior",
    "RuntimeLibraryError",
    "TrainingError",
    "__version__",
    "check",
    "generate",
    "load",
]

_LAZY = {
    "Bundle": "digitvae.bundle.folder",
    "Model": "digitvae.engine.model",
    "Posterior": "digitvae.engine.model",
    "check": "digitvae.generation.check",
    "generate": "digitvae.generation.generate",
    "load": "digitvae.engine.model",
}


def __getattr__(name: str) -> object:
    """Import the engine when it is first asked for (PEP 562)."""
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
