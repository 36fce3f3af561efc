"""Digits with JAX: one compiled function, batches of 1,000, the weights from safetensors."""

import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file

bundle, count, out = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
weights = load_file(bundle / "weights.safetensors")


@partial(jax.jit, static_argnums=1)
def step(key: jax.Array, rows: int) -> jax.Array:
    """So many digits, as bytes."""
    z = jax.random.normal(key, (rows, 40))
    hidden = jax.nn.relu(z @ weights["decoder.hidden.weight"].T + weights["decoder.hidden.bias"])
    logits = hidden @ weights["decoder.output.weight"].T + weights["decoder.output.bias"]
    return jnp.rint(jax.nn.sigmoid(logits) * 255).astype(jnp.uint8)


images = np.empty((count, 784), np.uint8)
key = jax.random.key(0)
for start in range(0, count, 1000):
    key, drawn = jax.random.split(key)
    images[start : start + 1000] = step(drawn, min(1000, count - start))
np.save(out, images.reshape(-1, 28, 28))
