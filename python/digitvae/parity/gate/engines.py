"""Faulty native engines. No file can hold one, so that they take the place of the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from digitvae import _native
from digitvae.parity.statistics import to_pixels

if TYPE_CHECKING:
    from digitvae.engine.model import Model, Posterior

    Array = np.ndarray[Any, np.dtype[Any]]

_TILE = _native.TILE_ROWS


class FaultyEngine:
    """A native engine, but for one thing; everything else is the right one's."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def decode(self, z: Array, *, dtype: Any = "uint8", threads: int | None = None) -> Array:
        """Latents to images, faultily."""
        images = self._model.decode(z, dtype="float32", threads=threads)
        self.spoil(images, threads)
        if np.dtype(dtype) == np.uint8:
            return self.to_bytes(images)
        return images

    def to_bytes(self, images: Array) -> Array:
        """Intensities to bytes."""
        return to_pixels(images)

    def spoil(self, images: Array, threads: int | None) -> None:
        """Change float32 images [n, 28, 28] in place."""


class Truncating(FaultyEngine):
    """Takes 255·x for the byte without rounding it."""

    def to_bytes(self, images: Array) -> Array:
        """Round towards zero."""
        return (images * np.float32(255)).astype(np.uint8)


class WronglyPadded(FaultyEngine):
    """The last row of a tile that is not full gets the first one's image."""

    def spoil(self, images: Array, threads: int | None) -> None:
        """Copy the first row over the last."""
        if len(images) % _TILE:
            images[-1] = images[0]


class ThreadDependent(FaultyEngine):
    """One bit depends on the number of threads."""

    def spoil(self, images: Array, threads: int | None) -> None:
        """Raise one pixel by one unit in the last place."""
        if threads == 3:
            images[0, 14, 14] = np.nextafter(images[0, 14, 14], np.float32(2))


class PlaceDependent(FaultyEngine):
    """One bit depends on where in a call a row stands."""

    def spoil(self, images: Array, threads: int | None) -> None:
        """Raise one pixel of the first row by one unit in the last place."""
        images[0, 14, 14] = np.nextafter(images[0, 14, 14], np.float32(2))


class AboveOne(FaultyEngine):
    """A pixel brighter than white."""

    def spoil(self, images: Array, threads: int | None) -> None:
        """Set one to 1 + 2⁻²³."""
        images[0, 0, 0] = np.nextafter(np.float32(1), np.float32(2))


class NotANumber(FaultyEngine):
    """A pixel that is no number."""

    def spoil(self, images: Array, threads: int | None) -> None:
        """Set one to NaN."""
        images[-1, 3, 3] = np.nan


class Raising(FaultyEngine):
    """An engine that runs out of memory."""

    def spoil(self, images: Array, threads: int | None) -> None:
        """Raise."""
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


def disguised(engine: FaultyEngine) -> Model:
    """The same object, as what it pretends to be."""
    return cast("Model", engine)
