"""Packages that some commands need beside the product's own."""

from __future__ import annotations

import importlib.util
import os

from digitvae.base.errors import DigitVAEError

PARITY_NEEDS = ("onnx", "hypothesis", "threadpoolctl")
"""Packages that verifying a bundle imports beside PyTorch."""

SPINS = "16000"
"""PyTorch's threads look so often for each other before they sleep, instead of 300,000 times.

Threads that wait by spinning take the processor from the one that is waited for as soon as anything
else runs. So many spins bridge the gaps between the operations of a step, and no more
(docs/training.md).
"""


def require_torch(also: tuple[str, ...] = ()) -> None:
    """Require PyTorch, and limit how long its idle threads spin. Call before it is imported.

    Raises:
        DigitVAEError: It is missing, or another of the packages that training installs.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    missing = [
        name for name in ("torch", "safetensors", *also) if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise DigitVAEError(
            f"this command needs {' and '.join(missing)}, which the product itself does not: "
            "pip install 'digitvae[train]'"
        )
