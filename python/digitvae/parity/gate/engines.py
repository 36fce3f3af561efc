"""Faulty native engines. No file can hold one, so that they take the place of the right one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from digitvae import _native
from digitvae.engine.model import Model, Posterior
from digitvae.parity.compare.statistics import to_pixels
from digitvae.parity.gate.edits import Array

_TILE = _native.TILE_ROWS


class FaultyEngine:
    """A native engine, but for one thing; everything else is the right one's.

    Args:
        model: The right one.
        spoil: Changes float32 images [n, height, width] in place, given the number of threads.
        to_bytes: Turns intensities into bytes.
    """

    def __init__(
        self,
        model: Model,
        spoil: Callable[[Array, int | None], None] = lambda *_: None,
        to_bytes: Callable[[Array], Array] = to_pixels,
    ) -> None:
        self._model = model
        self._spoil = spoil
        self._to_bytes = to_bytes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def decode(self, z: Array, *, dtype: Any = "uint8", threads: int | None = None) -> Array:
        """Latents to images, faultily."""
        images = self._model.decode(z, dtype="float32", threads=threads)
        self._spoil(images, threads)
        return self._to_bytes(images) if np.dtype(dtype) == np.uint8 else images


def truncated(images: Array) -> Array:
    """Take 255·x for the byte without rounding it."""
    return (images * np.float32(255)).astype(np.uint8)


def wrongly_padded(images: Array, _threads: int | None) -> None:
    """Give the last row of a tile that is not full the first one's image."""
    if len(images) % _TILE:
        images[-1] = images[0]


def place_dependent(images: Array, _threads: int | None) -> None:
    """Raise one pixel of a call's first row by one unit in the last place."""
    images[0, 14, 14] = np.nextafter(images[0, 14, 14], np.float32(2))


def thread_dependent(images: Array, threads: int | None) -> None:
    """Do so if there are three threads."""
    if threads == 3:
        place_dependent(images, threads)


def above_one(images: Array, _threads: int | None) -> None:
    """Make a pixel brighter than white: 1 + 2⁻²³."""
    images[0, 0, 0] = np.nextafter(np.float32(1), np.float32(2))


def not_a_number(images: Array, _threads: int | None) -> None:
    """Make a pixel NaN."""
    images[-1, 3, 3] = np.nan


def raising(_images: Array, _threads: int | None) -> None:
    """Run out of memory."""
    raise MemoryError("no memory for the tiles")


class OffByOne(FaultyEngine):
    """A counter that begins with 1: image i is image i + 1 of the specification."""

    def sample(self, n: int, *, seed: int = 0, first: int = 0, dtype: Any = "uint8") -> Array:
        """Sample the neighbours."""
        return self._model.sample(n, seed=seed, first=first + 1, dtype=dtype)

    def latents(self, n: int, *, seed: int = 0, first: int = 0) -> Array:
        """The neighbours' latents."""
        return self._model.latents(n, seed=seed, first=(first + 1) % (2**64 - n))


class HalfOfLogvar(FaultyEngine):
    """Takes standard deviations for variances."""

    def encode(self, x: Array, *, threads: int | None = None) -> Posterior:
        """Halve log σ²."""
        posterior = self._model.encode(x, threads=threads)
        return posterior._replace(logvar=posterior.logvar * np.float32(0.5))
