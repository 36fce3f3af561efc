"""Generate, decode, encode and interpolate with a bundle, through the native engine.

Nothing here imports torch, and NumPy is imported only by what returns arrays, so that a program
that fills its own buffers (``digitvae generate``) starts in a fraction of the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from digitvae import _native
from digitvae.base.arguments import (
    MAX_COUNT,
    PixelType,
    as_array,
    check_count,
    check_range,
    check_threads,
    check_truncation,
    output,
    whole,
)
from digitvae.bundle.folder import Bundle
from digitvae.engine.runtime import open_runtime
from digitvae.engine.sampling import POSTERIOR_STREAM, Sampler

if TYPE_CHECKING:
    from pathlib import Path

    from digitvae.engine.sampling import Array, FloatArray

InterpolationMethod = Literal["lerp", "slerp"]


class Posterior(NamedTuple):
    """The approximate posterior q(z|x) = N(mu, exp(logvar)), diagonal.

    Attributes:
        mu: Means, float32 [n, latent_dim] (or [latent_dim] for one image).
        logvar: Natural logarithms of the variances, of the same shape.
    """

    mu: FloatArray
    logvar: FloatArray


def load(
    bundle: str | Path | Bundle | None = None, *, ort_library: str | Path | None = None
) -> Model:
    """Load a bundle into the native engine.

    Args:
        bundle: A bundle's folder; ``None`` for the one that ships with the package.
        ort_library: The ONNX Runtime shared library. By default ``DIGITVAE_ORT_LIBRARY``, then
            the installed ``onnxruntime`` package, then the system loader.

    Raises:
        BundleError: The bundle is missing, incomplete, foreign, or tampered with.
        RuntimeLibraryError: ONNX Runtime is missing or too old.
    """
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    return Model(opened, open_runtime(ort_library))


class Model(Sampler):
    """A trained VAE, ready to use. Safe to call from many threads at the same time.

    Images are [28, 28], uint8 (round-half-even of 255·x) or float32 in [0, 1]; latents are
    float32. Image ``i`` of seed ``s`` is the same to the bit whatever the count, chunk, number
    of threads, process or machine's core count (on one kind of processor and one version of
    ONNX Runtime; its latents are the same everywhere). Ctrl-C interrupts every call, within
    a long run of a model before its next operator.

    ``threads`` is the number of worker threads, by default all processors this process may use.
    ``out`` is a C-contiguous array of the result's shape and dtype, which is filled and returned.

    Where latents are drawn, ``prior`` is ``"standard"``, N(0, I), or ``"mixture"``, the
    class-conditional mixture of a bundle that has a ``prior.onnx``: digits with labels.
    ``digit`` asks for a class (and so for the mixture): one, or a sequence that the images take
    in turn, image ``i`` the entry ``i`` mod its length. ``truncation``, 0 … 1, multiplies the
    noise: 1 leaves it, 0 gives the means, in between are plainer digits. ``return_labels=True``
    returns the classes, too, int32 [n].

    ``os.fork()`` waits until no thread is inside ONNX Runtime, a millisecond or so; then the
    child can use the model. It waits for a second at most: where a run of a model takes longer,
    calls in the child raise ``RuntimeLibraryError``.
    """

    def __repr__(self) -> str:
        dataset = self._decoder.dataset
        return f"<digitvae.Model {dataset}, {self.latent_dim} latents, {self.bundle.path}>"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as the bundle's path: another process loads it again."""
        return load, (str(self.bundle.path),)

    def decode(
        self,
        z: FloatArray,
        *,
        dtype: PixelType = "uint8",
        threads: int | None = None,
        out: Array | None = None,
    ) -> Array:
        """Decode latents into images.

        Args:
            z: float32 [n, latent_dim], or [latent_dim] for one image; finite and within ±1e20.
            dtype: ``"uint8"`` or ``"float32"``.
            threads: Worker threads; default: all available.
            out: Array of the result's shape and dtype to fill.

        Returns:
            [n, 28, 28] of ``dtype`` ([28, 28] for one).

        Raises:
            TypeError: z is not a float32 array.
            ValueError: z has another shape, or a value that is NaN, infinite or beyond ±1e20
                (the message names the first such row).
        """
        latents, batch = self._as_latents(z, "z")
        images = output(out, (*batch, self.height, self.width), dtype)
        self._decoder.decode(latents, images, threads=check_threads(threads))
        return images

    def encode(
        self, x: Array, *, threads: int | None = None, out: Posterior | None = None
    ) -> Posterior:
        """Encode images into their approximate posterior.

        Args:
            x: uint8, or float32 in [0, 1]; [n, 28, 28] or [n, 784], or [28, 28] or [784] for one.
            threads: Worker threads; default: all available.
            out: Two float32 arrays of the result's shape to fill.

        Raises:
            TypeError: x is not a uint8 or float32 array.
            ValueError: x has another shape, or a value outside [0, 1].
        """
        images, batch = self._as_images(x)
        shape = (*batch, self.latent_dim)
        mu, logvar = (output(one, shape, "float32") for one in out or (None, None))
        self._open_encoder().encode(images, mu, logvar, threads=check_threads(threads))
        return Posterior(mu, logvar)

    def interpolate(
        self,
        a: FloatArray,
        b: FloatArray,
        steps: int = 16,
        *,
        method: InterpolationMethod = "lerp",
        dtype: PixelType = "uint8",
        threads: int | None = None,
        out: Array | None = None,
    ) -> Array:
        """Decode the path from latents ``a`` to latents ``b``, both ends included.

        Args:
            a: float32 [latent_dim], or [n, latent_dim] for n paths at once.
            b: Of the same shape.
            steps: Images on each path, at least 2.
            method: ``"lerp"`` (straight line) or ``"slerp"`` (great circle; Shoemake 1985).
            dtype: ``"uint8"`` or ``"float32"``.
            threads: Worker threads; default: all available.
            out: Array of the result's shape and dtype to fill.

        Returns:
            [steps, 28, 28], or [n, steps, 28, 28].

        Raises:
            TypeError: a or b is not a float32 array.
            ValueError: Shapes differ, a value is not finite, steps < 2, an unknown method, or
                slerp between opposite directions, or with values beyond ±1e20.
        """
        import numpy as np

        from_rows, batch = self._as_latents(a, "a")
        to_rows, other_batch = self._as_latents(b, "b")
        if batch != other_batch:
            raise ValueError(f"a has shape {np.shape(a)}, b has shape {np.shape(b)}: not the same")
        if method not in ("lerp", "slerp"):
            raise ValueError(f"method is {method!r}, expected 'lerp' or 'slerp'")
        steps = whole(steps, "steps", 2, MAX_COUNT)
        images = output(out, (*batch, steps, self.height, self.width), dtype)
        path = np.empty((*batch, steps, self.latent_dim), np.float32)
        _native.interpolate(
            from_rows,
            to_rows,
            path,
            dim=self.latent_dim,
            steps=steps,
            spherical=method == "slerp",
        )
        self._decoder.decode(path, images, threads=check_threads(threads))
        return images

    def variations(
        self,
        x: Array,
        n: int,
        *,
        seed: int = 0,
        first: int = 0,
        truncation: float = 1.0,
        dtype: PixelType = "uint8",
        threads: int | None = None,
        out: Array | None = None,
    ) -> Array:
        """Images like one image: decoded draws from its posterior, z = μ + exp(½ log σ²)·t·ε.

        Args:
            x: One image, uint8, or float32 in [0, 1]: [28, 28] or [784].
            n: Number of images, at least 1.
            seed: Seed of the noise ε, which is stream 2 of ``docs/random-numbers.md``.
            first: Index of the first image, 0 … 2⁶⁴−n.
            truncation: t, 0 … 1: how far from the reconstruction, which 0 gives n times.
            dtype: As for :meth:`sample`.
            threads: As for :meth:`sample`.
            out: Array [n, 28, 28] of that dtype to fill.

        Returns:
            [n, 28, 28] of ``dtype``.

        Raises:
            TypeError: x is not a uint8 or float32 array.
            ValueError: x is not one image or has a value outside [0, 1], or another argument is
                out of its range.
        """
        import numpy as np

        n = check_count(n)
        seed, first = check_range(seed, first, n)
        share = np.float32(check_truncation(truncation))
        check_threads(threads)
        image, batch = self._as_images(x)
        if batch:
            raise ValueError(f"x has shape {image.shape}, expected one image")
        images = output(out, (n, self.height, self.width), dtype)
        mu, logvar = self.encode(image, threads=threads)
        eps = np.empty((n, self.latent_dim), np.float32)
        self._fill_normal(eps, seed=seed, first=first, stream=POSTERIOR_STREAM)
        z: FloatArray = mu + np.exp(np.float32(0.5) * logvar) * (share * eps)
        return self.decode(z, dtype=dtype, threads=threads, out=images)

    def _as_images(self, x: object) -> tuple[Array, tuple[int, ...]]:
        images = as_array(x, "x", ("uint8", "float32"))
        shape: tuple[int, ...] = images.shape
        grid = (self.height, self.width)
        if shape[-2:] == grid and len(shape) in (2, 3):
            return images, shape[:-2]
        if shape[-1:] == (self.pixels,) and len(shape) in (1, 2):
            return images, shape[:-1]
        raise ValueError(
            f"x has shape {shape}, expected [n, {self.height}, {self.width}] or [n, {self.pixels}]"
        )

    def _as_latents(self, z: object, name: str) -> tuple[FloatArray, tuple[int, ...]]:
        latents = as_array(z, name, ("float32",))
        if latents.ndim not in (1, 2) or latents.shape[-1] != self.latent_dim:
            raise ValueError(
                f"{name} has shape {latents.shape}, expected [n, {self.latent_dim}] or "
                f"[{self.latent_dim}]"
            )
        return latents, latents.shape[:-1]
