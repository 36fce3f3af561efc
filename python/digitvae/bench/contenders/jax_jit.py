"""JAX: random numbers, network, scaling and rounding in one compiled function.

XLA takes as many threads as there are processors that the process may use.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from digitvae.bench.contenders import Prepared
from digitvae.bench.contenders.trial import BATCHES, fastest
from digitvae.bench.weights import read_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from digitvae.bundle.folder import Bundle

_SIDE = 28


def prepare(bundle: Bundle, threads: int) -> Prepared:  # noqa: ARG001 (limited by processors)
    """Try batch sizes and JAX's generators of random bits."""
    weights = {name: jnp.asarray(value) for name, value in read_weights(bundle).items()}

    def decode(z: Any) -> Any:
        hidden = jax.nn.relu(
            z @ weights["decoder.hidden.weight"].T + weights["decoder.hidden.bias"]
        )
        return jax.nn.sigmoid(
            hidden @ weights["decoder.output.weight"].T + weights["decoder.output.bias"]
        )

    @partial(jax.jit, static_argnums=1)
    def step(key: Any, rows: int) -> Any:
        key, drawn = jax.random.split(key)
        x = decode(jax.random.normal(drawn, (rows, bundle.latent_dim)))
        return key, jnp.rint(x * 255).astype(jnp.uint8)

    candidates = {
        f"batches of {batch}, {bits} bits": _generator(step, batch, bits)
        for bits in ("rbg", "threefry2x32")
        for batch in BATCHES
    }
    settings, generate = fastest(candidates)
    checked = jax.jit(decode)
    return Prepared(
        generate=generate,
        decode=lambda z: np.asarray(checked(z)),
        versions={"jax": jax.__version__, "numpy": np.__version__},
        settings=settings,
    )


def _generator(step: Callable[[Any, int], Any], batch: int, bits: str) -> Callable[[int], Any]:
    key = jax.random.key(0, impl=bits)

    def generate(n: int) -> Any:
        nonlocal key
        if n <= batch:  # JAX's own memory, new for each call
            key, part = step(key, n)
            return np.asarray(part).reshape(n, _SIDE, _SIDE)
        images = np.empty((n, _SIDE * _SIDE), np.uint8)
        for start in range(0, n, batch):
            key, part = step(key, min(batch, n - start))
            images[start : start + batch] = part
        return images.reshape(n, _SIDE, _SIDE)

    return generate
