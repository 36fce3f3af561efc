"""What this machine could do at most: float32 multiply-adds, and bytes to a disk.

The first is a compiled loop of fused multiply-adds on registers, the limit of any dense network.
The second writes random bytes into a new file in pieces of 1 MiB.
"""

from __future__ import annotations

import os
import tempfile
import time
from typing import TYPE_CHECKING

from digitvae import _native
from digitvae.bench.processors import limited_to

if TYPE_CHECKING:
    from pathlib import Path

    from digitvae.bundle.folder import Bundle

_MIB = 1 << 20


def operations_a_digit(bundle: Bundle) -> int:
    """Float32 operations that the decoder takes for one digit, a multiply-add being two."""
    dims = bundle.manifest["dims"]
    return int(2 * dims["hidden"] * (dims["latent"] + dims["height"] * dims["width"]))


def fma_rate(seconds: float, threads: int) -> float:
    """Float32 operations a second in fused multiply-adds.

    Args:
        seconds: How long to measure; the best tenth counts.
        threads: Threads, on as many processors.

    Raises:
        RuntimeError: The processor has no such instructions that are known here.
    """
    with limited_to(threads):
        return _native.fma_peak(seconds, threads) * 1e9


def write_rate(folder: Path, mib: int, *, sync: bool) -> float:
    """Bytes a second into a new file, which is removed again.

    Args:
        folder: Where.
        mib: Size of the file in MiB.
        sync: Wait until they are on the disk.
    """
    piece = os.urandom(_MIB)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".digitvae-", buffering=0) as file:
        start = time.perf_counter()
        for _ in range(mib):
            file.write(piece)
        if sync:
            os.fsync(file.fileno())
        return mib * _MIB / (time.perf_counter() - start)
