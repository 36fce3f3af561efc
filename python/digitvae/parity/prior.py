"""Parity of ``prior.onnx``: its levels of optimization, the reference evaluator and the C API.

What it computes from the specified random numbers must be the same to the bit through the C API and
through ONNX Runtime in Python, and the label everywhere. Whether it is what PyTorch computes is
looked at in ``prior_forms``.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from digitvae import _native
from digitvae.bundle.names import DECODER as DECODER_FILE
from digitvae.bundle.names import PRIOR
from digitvae.engine.runtime import open_runtime
from digitvae.engine.sampling import LATENT_STREAM
from digitvae.parity.random_reference import (
    mixture_latents,
    mixture_uniform,
    standard_normal,
)
from digitvae.parity.report import Check, first_line
from digitvae.parity.runtimes import onnx
from digitvae.parity.runtimes.c_api import Handle
from digitvae.parity.statistics import bits_differ, deviation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from digitvae.bundle.folder import Bundle
    from digitvae.parity.networks import Float32

_ROWS = 1000
_ANY = -1
_OUTPUTS = ["z", "label"]
_LARGEST = 1e20
"""Latents beyond it are refused by the decoder."""


def mixture_draws(bundle: Bundle, count: int) -> Float32:
    """Latents 0 … count−1 of seed 0 from the bundle's mixture, any class, float32 [count, 40].

    Raises:
        ValueError: The prior computes what no decoder can take.
        Exception: What ONNX Runtime raises.
    """
    session = onnx.load_session(bundle.read(PRIOR), "mixture")
    z: Float32 = session.run(_OUTPUTS, _given(count, bundle.latent_dim))[0]
    if z.dtype != np.float32 or z.shape != (count, bundle.latent_dim):
        raise ValueError(f"{PRIOR} computes {z.dtype} {list(z.shape)}")
    if not np.abs(z).max(initial=0.0) <= _LARGEST:
        raise ValueError(f"{PRIOR} computes latents that are no numbers, or beyond ±{_LARGEST:g}")
    return z


def check_prior_runtimes(bundle: Bundle) -> list[Check]:
    """Compare everything that runs the prior on draws of any class."""
    given = _given(_ROWS, bundle.latent_dim)
    try:
        content = bundle.read(PRIOR)
        model = onnx.load_model(content, "mixture")
        z, labels = onnx.load_session(content, "mixture").run(_OUTPUTS, given)
        plain = onnx.load_session(content, "mixture", level=onnx.OFF).run(_OUTPUTS, given)
        reference: Any = ReferenceEvaluator(model).run(_OUTPUTS, given)
        with (
            closing(Handle("decoder", bundle.read(DECODER_FILE))) as decoder,
            closing(Handle("prior", content)) as prior,
        ):
            native = decoder.latents(prior, _ROWS, bundle.latent_dim)
        specified = z, labels
        if _native.Prior(open_runtime(), content, optimized=True).is_optimized:
            tables = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
            specified = mixture_latents(tables, **given)
    except Exception as error:  # each runtime has its own exceptions; all mean the same here
        return [Check(PRIOR, "runs in every runtime", "failed", first_line(error))]
    others = (plain, reference, native)
    wrong_labels = sum(int(np.count_nonzero(other != labels)) for _, other in others)
    wrong = bits_differ(native[0], specified[0])
    limit = latent_limit(z)
    farthest = max(float(deviation(other, z).max()) for other, _ in others)
    return [
        Check.none_differ(
            PRIOR,
            "gives the same labels in every runtime",
            wrong_labels,
            len(others) * len(labels),
        ),
        Check.none_differ(
            PRIOR,
            "gives the specified latents through the C API, bit for bit",
            wrong,
            z.size,
        ),
        Check(
            PRIOR,
            "gives the same latents natively, without optimization and in the ONNX reference",
            "passed" if farthest <= limit else "failed",
            f"largest difference {farthest:.1e}, limit {limit:.1e}",
        ),
    ]


def _given(count: int, dim: int) -> dict[str, NDArray[Any]]:
    return {
        "u": mixture_uniform(0, 0, count),
        "digit": np.full(count, _ANY, np.int64),
        "eps": standard_normal(0, LATENT_STREAM, 0, count, dim),
    }


def latent_limit(z: NDArray[np.floating]) -> float:
    """How far latents [n, d] may be off: sums of d products and a mean, each rounded twice."""
    return float(2.0 * z.shape[1] * 2.0**-24 * max(1.0, float(np.abs(z).max())))
