"""The sizes of a model, where a test needs some and it does not matter which."""

from __future__ import annotations

from digitvae.training.loop import TrainConfig

DIMS = TrainConfig().dims
