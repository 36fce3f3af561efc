"""Digits by many machines, through Ray: shards of an output, or a ``ray.data.Dataset``.

>>> import digitvae.generation.ray
>>> digits = digitvae.generation.ray.dataset(1_000_000, seed=7, digit=range(10))
>>> for batch in digits.iter_torch_batches(batch_size=256):
...     train(batch["image"], batch["label"])

Image i of a seed depends on nothing else, so the work splits anywhere, and whatever dies is done
again elsewhere: the bytes are those of one machine. ``docs/scale.md`` has what it costs.
"""

from __future__ import annotations

from digitvae.generation.ray.dataset import dataset

__all__ = ["dataset"]
