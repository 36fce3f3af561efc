"""The bundle's parameters as NumPy arrays, without a package for their format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from digitvae.base.errors import BundleError
from digitvae.bundle.names import WEIGHTS

if TYPE_CHECKING:
    import numpy.typing as npt

    from digitvae.bundle.folder import Bundle


def read_weights(bundle: Bundle) -> dict[str, npt.NDArray[np.float32]]:
    """All tensors of ``weights.safetensors``, whose SHA-256 is checked first.

    The format is the size of a JSON header (8 bytes, little-endian), the header, the values.

    Raises:
        BundleError: The bundle has no such file, or it is not what it should be.
    """
    content = bundle.read(WEIGHTS)
    try:
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start])
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            if entry["dtype"] != "F32":
                raise ValueError(f"{name} is {entry['dtype']}, expected F32")
            first, last = entry["data_offsets"]
            values = np.frombuffer(content[start + first : start + last], "<f4")
            tensors[name] = values.reshape(entry["shape"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{bundle.path / WEIGHTS} cannot be read: {error}") from error
    return tensors
