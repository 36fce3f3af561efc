"""The runtimes that are compared, one module for each kind.

Loading goes through :meth:`digitvae.bundle.folder.Bundle.read`, so that no file is parsed before
its SHA-256 was found to be the manifest's; TorchScript and ``.pt2`` go through :mod:`.trusted`.
"""

from __future__ import annotations

from digitvae.parity.runtimes.load import Loaded, load_all
from digitvae.parity.runtimes.names import EAGER, NATIVE, RUNTIMES

__all__ = ["EAGER", "NATIVE", "RUNTIMES", "Loaded", "load_all"]
