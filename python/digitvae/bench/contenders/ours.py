"""This package: ``Model.sample``, whose random numbers are specified to the bit."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import digitvae as dv
from digitvae.bench.contenders import Prepared

if TYPE_CHECKING:
    from digitvae.bundle.folder import Bundle


def prepare(bundle: Bundle, threads: int) -> Prepared:
    """Load the native engine; there is nothing to choose."""
    model = dv.load(bundle)
    seeds = count()
    return Prepared(
        generate=lambda n: model.sample(n, seed=next(seeds), threads=threads),
        decode=lambda z: model.decode(z, dtype="float32", threads=threads).reshape(len(z), -1),
        versions={"digitvae": dv.__version__, "libonnxruntime": model.runtime_version},
    )
