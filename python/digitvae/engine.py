"""Generate, decode, encode and interpolate with a bundle, through the native engine.

Nothing here imports torch, and NumPy is imported only by what returns arrays, so that a program
that fills its own buffers (``digitvae generate``) starts in a fraction of the time.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from digitvae import _native
from digitvae.arguments import (
    MAX_COUNT,
    PixelType,
    as_array,
    check_count,
    check_range,
    check_threads,
    output,
    pixel_type,
    whole,
)
from digitvae.bundle import DECODER, ENCODER, Bundle
from digitvae.errors import BundleError
from digitvae.runtime import open_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Buffer

    Array = npt.NDArray[Any]
    FloatArray = npt.NDArray[np.float32]

InterpolationMethod = Literal["lerp", "slerp"]

LATENT_STREAM = 0
POSTERIOR_STREAM = 2


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


class Model:
    """A trained VAE, ready to use. Safe to call from many threads at the same time.

    Images are [28, 28], uint8 (round-half-even of 255·x) or float32 in [0, 1]; latents are
    float32. Image ``i`` of seed ``s`` is the same to the bit whatever the count, chunk, number
    of threads, process or machine's core count (on one kind of processor and one version of
    ONNX Runtime; its latents are the same everywhere). Ctrl-C interrupts every call.

    ``threads`` is the number of worker threads, by default all processors this process may use.
    ``out`` is a C-contiguous array of the result's shape and dtype, which is filled and returned.
    """

    def __init__(self, bundle: Bundle, runtime: _native.Runtime) -> None:
        self.bundle = bundle
        self._runtime = runtime
        self._decoder = _native.Decoder(runtime, bundle.read(DECODER))
        self._encoder: _native.Encoder | None = None
        self._encoder_lock = threading.Lock()
        _check_network(bundle, DECODER, self._decoder)

    def __repr__(self) -> str:
        dataset = self._decoder.dataset
        return f"<digitvae.Model {dataset}, {self.latent_dim} latents, {self.bundle.path}>"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as the bundle's path: another process loads it again."""
        return load, (str(self.bundle.path),)

    @property
    def latent_dim(self) -> int:
        """Number of latents (40)."""
        return self._decoder.latent_dim

    @property
    def height(self) -> int:
        """Rows of an image (28)."""
        return self._decoder.height

    @property
    def width(self) -> int:
        """Columns of an image (28)."""
        return self._decoder.width

    @property
    def pixels(self) -> int:
        """Pixels of an image (784)."""
        return self.height * self.width

    @property
    def runtime_version(self) -> str:
        """Version of the ONNX Runtime library in use."""
        return self._runtime.version

    @property
    def runtime_path(self) -> str:
        """Path or name by which the ONNX Runtime library was opened."""
        return self._runtime.path

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        first: int = 0,
        dtype: PixelType = "uint8",
        threads: int | None = None,
        out: Array | None = None,
    ) -> Array:
        """Generate images ``first … first+n−1`` of a seed, with z ~ N(0, I).

        Args:
            n: Number of images, at least 1.
            seed: 0 … 2⁶⁴−1.
            first: Index of the first image, 0 … 2⁶⁴−n.
            dtype: ``"uint8"`` or ``"float32"``.
            threads: Worker threads; default: all available.
            out: Array [n, 28, 28] of that dtype to fill.

        Returns:
            [n, 28, 28] of ``dtype``.

        Raises:
            ValueError: An argument is out of its range, or ``out`` does not fit.
        """
        n = check_count(n)
        seed, first = check_range(seed, first, n)
        images = output(out, (n, self.height, self.width), dtype)
        self._decoder.sample(images, seed=seed, first=first, threads=check_threads(threads))
        return images

    def sample_into(
        self, buffer: Buffer, *, seed: int = 0, first: int = 0, threads: int | None = None
    ) -> None:
        """Generate into memory of the caller's, without NumPy.

        Args:
            buffer: Writable and C-contiguous: bytes (784 an image) or float32 values; its size
                says how many images.
            seed: As for :meth:`sample`.
            first: As for :meth:`sample`.
            threads: As for :meth:`sample`.

        Raises:
            ValueError: The buffer is not a whole number of images, or of another format.
        """
        view = memoryview(buffer)
        count = view.nbytes // view.itemsize // self.pixels
        seed, first = check_range(seed, first, max(count, 1))
        self._decoder.sample(view, seed=seed, first=first, threads=check_threads(threads))

    def stream(
        self,
        n: int,
        *,
        chunk: int = 65536,
        seed: int = 0,
        first: int = 0,
        dtype: PixelType = "uint8",
        threads: int | None = None,
        out: Array | None = None,
    ) -> Iterator[Array]:
        """Generate ``n`` images as an iterator of chunks, in constant memory.

        Args:
            n: Number of images in all.
            chunk: Images in a chunk; the last one may be shorter.
            seed: As for :meth:`sample`.
            first: As for :meth:`sample`.
            dtype: As for :meth:`sample`.
            threads: As for :meth:`sample`.
            out: Array [chunk, 28, 28] to use for every chunk; each step then overwrites the last.

        Yields:
            [≤ chunk, 28, 28] of ``dtype``; together exactly ``sample(n, …)``.
        """
        n, chunk = check_count(n), check_count(chunk, "chunk")
        seed, first = check_range(seed, first, n)
        check_threads(threads)
        dtype = pixel_type(dtype)
        shape = (chunk, self.height, self.width)
        buffer = None if out is None else output(out, shape, dtype)

        def chunks() -> Iterator[Array]:
            for start in range(0, n, chunk):
                count = min(chunk, n - start)
                target = None if buffer is None else buffer[:count]
                yield self.sample(
                    count, seed=seed, first=first + start, dtype=dtype, threads=threads, out=target
                )

        return chunks()

    def latents(
        self, n: int, *, seed: int = 0, first: int = 0, out: FloatArray | None = None
    ) -> FloatArray:
        """The latents behind :meth:`sample`: z ~ N(0, I), specified to the bit.

        ``docs/random-numbers.md`` is the specification: the same bits in C++, NumPy, JavaScript.

        Args:
            n: Number of latents, at least 1.
            seed: As for :meth:`sample`.
            first: As for :meth:`sample`.
            out: float32 [n, latent_dim] to fill.

        Returns:
            float32 [n, latent_dim].
        """
        n = check_count(n)
        seed, first = check_range(seed, first, n)
        z = output(out, (n, self.latent_dim), "float32")
        _native.fill_standard_normal(
            z, dim=self.latent_dim, seed=seed, first=first, stream=LATENT_STREAM
        )
        return z

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
        images = as_array(x, "x", ("uint8", "float32"))
        shape: tuple[int, ...] = images.shape
        grid = (self.height, self.width)
        if shape[-2:] == grid and len(shape) in (2, 3):
            batch = shape[:-2]
        elif shape[-1:] == (self.pixels,) and len(shape) in (1, 2):
            batch = shape[:-1]
        else:
            raise ValueError(
                f"x has shape {shape}, expected [n, {self.height}, {self.width}] or "
                f"[n, {self.pixels}]"
            )
        shape = (*batch, self.latent_dim)
        mu, logvar = (output(one, shape, "float32") for one in out or (None, None))
        self._load_encoder().encode(images, mu, logvar, threads=check_threads(threads))
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

    def _load_encoder(self) -> _native.Encoder:
        with self._encoder_lock:
            if self._encoder is None:
                encoder = _native.Encoder(self._runtime, self.bundle.read(ENCODER))
                _check_network(self.bundle, ENCODER, encoder)
                self._encoder = encoder
            return self._encoder

    def _as_latents(self, z: object, name: str) -> tuple[FloatArray, tuple[int, ...]]:
        latents = as_array(z, name, ("float32",))
        if latents.ndim not in (1, 2) or latents.shape[-1] != self.latent_dim:
            raise ValueError(
                f"{name} has shape {latents.shape}, expected [n, {self.latent_dim}] or "
                f"[{self.latent_dim}]"
            )
        return latents, latents.shape[:-1]


def _check_network(bundle: Bundle, name: str, network: _native.Decoder | _native.Encoder) -> None:
    """What a network says of itself must be what the manifest says."""
    manifest = bundle.manifest
    dims = manifest["dims"]
    said = (network.latent_dim, network.height, network.width, network.dataset)
    listed = (dims["latent"], dims["height"], dims["width"], manifest.get("dataset"))
    if said != listed:
        raise BundleError(
            f"{bundle.path / name} says latent, height, width, dataset = {said}, the manifest "
            f"says {listed}: they are not of one model"
        )
