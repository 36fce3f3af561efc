"""Generate, decode, encode and interpolate with a bundle, through the native engine.

Nothing here imports torch, and NumPy is imported only by what returns arrays, so that a program
that fills its own buffers (``digitvae generate``) starts in a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, overload

from digitvae import _native
from digitvae.base.arguments import (
    MAX_COUNT,
    MAX_INDEX,
    PixelType,
    PriorName,
    as_array,
    check_count,
    check_first,
    check_threads,
    check_truncation,
    output,
    pixel_type,
    whole,
)
from digitvae.bundle.folder import Bundle
from digitvae.engine.networks import Networks
from digitvae.engine.runtime import open_runtime
from digitvae.engine.sampling import LATENT_STREAM, POSTERIOR_STREAM, LatentSource

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Buffer, Unpack

    Array = npt.NDArray[Any]
    FloatArray = npt.NDArray[np.float32]
    Labels = npt.NDArray[np.int32]

    class SourceOptions(TypedDict, total=False):
        """Which latents a method draws, for type checkers."""

        seed: int
        first: int
        prior: PriorName
        digit: int | Sequence[int] | None
        truncation: float

    class LatentOptions(SourceOptions, total=False):
        """What ``Model.latents`` takes beside the count."""

        out: FloatArray | None

    class SampleOptions(SourceOptions, total=False):
        """What ``Model.sample`` and ``Model.stream`` take beside the count."""

        dtype: PixelType
        threads: int | None
        out: Array | None


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


class Model:
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

    def __init__(self, bundle: Bundle, runtime: _native.Runtime) -> None:
        self.bundle = bundle
        self._networks = Networks(bundle, runtime)

    def __repr__(self) -> str:
        dataset = self._networks.decoder.dataset
        return f"<digitvae.Model {dataset}, {self.latent_dim} latents, {self.bundle.path}>"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as the bundle's path: another process loads it again."""
        return load, (str(self.bundle.path),)

    @property
    def latent_dim(self) -> int:
        """Number of latents."""
        return self._networks.decoder.latent_dim

    @property
    def height(self) -> int:
        """Rows of an image."""
        return self._networks.height

    @property
    def width(self) -> int:
        """Columns of an image."""
        return self._networks.width

    @property
    def pixels(self) -> int:
        """Pixels of an image."""
        return self._networks.pixels

    @property
    def labels(self) -> int:
        """Number of classes that the bundle's mixture knows (10).

        Raises:
            BundleError: The bundle has no mixture.
        """
        return self._networks.mixture.labels

    @property
    def runtime_version(self) -> str:
        """Version of the ONNX Runtime library in use."""
        return self._networks.runtime.version

    @property
    def runtime_path(self) -> str:
        """Path or name by which the ONNX Runtime library was opened."""
        return self._networks.runtime.path

    @overload
    def sample(
        self, n: int, *, return_labels: Literal[False] = ..., **options: Unpack[SampleOptions]
    ) -> Array: ...
    @overload
    def sample(
        self, n: int, *, return_labels: Literal[True], **options: Unpack[SampleOptions]
    ) -> tuple[Array, Labels]: ...
    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        first: int = 0,
        prior: PriorName = "standard",
        digit: int | Sequence[int] | None = None,
        truncation: float = 1.0,
        return_labels: bool = False,
        dtype: PixelType = "uint8",
        threads: int | None = None,
        out: Array | None = None,
    ) -> Array | tuple[Array, Labels]:
        """Generate images ``first … first+n−1`` of a seed.

        Args:
            n: Number of images, at least 1.
            seed: 0 … 2⁶⁴−1.
            first: Index of the first image, 0 … 2⁶⁴−n.
            prior: ``"standard"``, z ~ N(0, I), or ``"mixture"``.
            digit: A class, or several to take in turn; ``None``: any.
            truncation: 0 … 1, what the noise is multiplied by.
            return_labels: Whether to return the classes, too; of the mixture only.
            dtype: ``"uint8"`` or ``"float32"``.
            threads: Worker threads; default: all available.
            out: Array [n, 28, 28] of that dtype to fill.

        Returns:
            [n, 28, 28] of ``dtype``; with labels, a pair of that and int32 [n].

        Raises:
            ValueError: An argument is out of its range, or ``out`` does not fit.
            BundleError: The mixture is asked for, and the bundle has none.
        """
        n = check_count(n)
        source = LatentSource.asked(seed, prior, digit, truncation)
        images = output(out, (n, self.height, self.width), dtype)
        labels = _new_labels(n) if return_labels else None
        self.draw(source, first, images, labels, threads=threads)
        return images if labels is None else (images, labels)

    def sample_into(
        self,
        buffer: Buffer,
        *,
        labels: Buffer | None = None,
        seed: int = 0,
        first: int = 0,
        prior: PriorName = "standard",
        digit: int | Sequence[int] | None = None,
        truncation: float = 1.0,
        threads: int | None = None,
    ) -> None:
        """Generate into memory of the caller's, without NumPy.

        Args:
            buffer: Writable and C-contiguous: bytes (784 an image) or float32 values; its size
                says how many images.
            labels: Writable and C-contiguous, of format ``"i"``: int32, one for each image, of
                the mixture only.
            seed: As for :meth:`sample`.
            first: As for :meth:`sample`.
            prior: As for :meth:`sample`.
            digit: As for :meth:`sample`.
            truncation: As for :meth:`sample`.
            threads: As for :meth:`sample`.

        Raises:
            ValueError: The buffer is not a whole number of images, or of another format.
            BundleError: As for :meth:`sample`.
        """
        source = LatentSource.asked(seed, prior, digit, truncation)
        self.draw(source, first, buffer, labels, threads=threads)

    def check(self, source: LatentSource) -> None:
        """Refuse a source that this bundle does not have.

        Raises:
            ValueError: The mixture has no such digit.
            BundleError: The mixture is asked for, and the bundle has none.
        """
        self._networks.arguments(source)

    def draw(
        self,
        source: LatentSource,
        first: int,
        images: Buffer,
        labels: Buffer | None = None,
        *,
        threads: int | None = None,
    ) -> None:
        """Generate images ``first`` … of a source; otherwise as :meth:`sample_into`.

        Args:
            source: Which latents.
            first: Index of the first image, 0 … 2⁶⁴−n.
            images: As ``buffer`` of :meth:`sample_into`.
            labels: As for :meth:`sample_into`.
            threads: As for :meth:`sample`.
        """
        view = memoryview(images)
        first = check_first(first, max(view.nbytes // view.itemsize // self._networks.pixels, 1))
        arguments = self._networks.arguments(source, labelled=labels is not None)
        workers = check_threads(threads)
        self._networks.decoder.sample(
            view, seed=source.seed, first=first, threads=workers, labels=labels, **arguments
        )

    @overload
    def stream(
        self,
        n: int,
        *,
        chunk: int = ...,
        return_labels: Literal[False] = ...,
        **options: Unpack[SampleOptions],
    ) -> Iterator[Array]: ...
    @overload
    def stream(
        self,
        n: int,
        *,
        chunk: int = ...,
        return_labels: Literal[True],
        **options: Unpack[SampleOptions],
    ) -> Iterator[tuple[Array, Labels]]: ...
    def stream(
        self,
        n: int,
        *,
        chunk: int = 65536,
        seed: int = 0,
        first: int = 0,
        prior: PriorName = "standard",
        digit: int | Sequence[int] | None = None,
        truncation: float = 1.0,
        return_labels: bool = False,
        dtype: PixelType = "uint8",
        threads: int | None = None,
        out: Array | None = None,
    ) -> Iterator[Array] | Iterator[tuple[Array, Labels]]:
        """Generate ``n`` images as an iterator of chunks, in constant memory.

        Args:
            n: Number of images in all.
            chunk: Images in a chunk; the last one may be shorter.
            seed: As for :meth:`sample`.
            first: As for :meth:`sample`.
            prior: As for :meth:`sample`.
            digit: As for :meth:`sample`.
            truncation: As for :meth:`sample`.
            return_labels: Whether to yield pairs of images and labels.
            dtype: As for :meth:`sample`.
            threads: As for :meth:`sample`.
            out: Array [chunk, 28, 28] to use for every chunk; each step then overwrites the last.

        Yields:
            [≤ chunk, 28, 28] of ``dtype``; together exactly ``sample(n, …)``.
        """
        n, chunk = check_count(n), check_count(chunk, "chunk")
        source = LatentSource.asked(seed, prior, digit, truncation)
        first = check_first(first, n)
        check_threads(threads)
        dtype = pixel_type(dtype)
        self._networks.arguments(source, labelled=return_labels)
        grid = (self.height, self.width)
        buffer = None if out is None else output(out, (chunk, *grid), dtype)

        def chunks() -> Iterator[Any]:
            for start in range(0, n, chunk):
                count = min(chunk, n - start)
                part = None if buffer is None else buffer[:count]
                images = output(part, (count, *grid), dtype)
                labels = _new_labels(count) if return_labels else None
                self.draw(source, first + start, images, labels, threads=threads)
                yield images if labels is None else (images, labels)

        return chunks()

    @overload
    def latents(
        self, n: int, *, return_labels: Literal[False] = ..., **options: Unpack[LatentOptions]
    ) -> FloatArray: ...
    @overload
    def latents(
        self, n: int, *, return_labels: Literal[True], **options: Unpack[LatentOptions]
    ) -> tuple[FloatArray, Labels]: ...
    def latents(
        self,
        n: int,
        *,
        seed: int = 0,
        first: int = 0,
        prior: PriorName = "standard",
        digit: int | Sequence[int] | None = None,
        truncation: float = 1.0,
        return_labels: bool = False,
        out: FloatArray | None = None,
    ) -> FloatArray | tuple[FloatArray, Labels]:
        """The latents behind :meth:`sample`; those of N(0, I) are specified to the bit.

        ``docs/random-numbers.md`` is the specification: the same bits in C++, NumPy, JavaScript.

        Args:
            n: Number of latents, at least 1.
            seed: As for :meth:`sample`.
            first: As for :meth:`sample`.
            prior: As for :meth:`sample`.
            digit: As for :meth:`sample`.
            truncation: As for :meth:`sample`.
            return_labels: As for :meth:`sample`.
            out: float32 [n, latent_dim] to fill.

        Returns:
            float32 [n, latent_dim]; with labels, a pair of that and int32 [n].

        Raises:
            ValueError: As for :meth:`sample`.
            BundleError: As for :meth:`sample`.
        """
        n = check_count(n)
        source = LatentSource.asked(seed, prior, digit, truncation)
        first = check_first(first, n)
        arguments = self._networks.arguments(source, labelled=return_labels)
        z: FloatArray = output(out, (n, self.latent_dim), "float32")
        if not arguments:
            self._fill_normal(z, seed=source.seed, first=first, stream=LATENT_STREAM)
            return z
        labels = _new_labels(n) if return_labels else None
        self._networks.decoder.latents(
            z, seed=source.seed, first=first, threads=0, labels=labels, **arguments
        )
        return z if labels is None else (z, labels)

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
        self._networks.decoder.decode(latents, images, threads=check_threads(threads))
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
        self._networks.encoder.encode(images, mu, logvar, threads=check_threads(threads))
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
        self._networks.decoder.decode(path, images, threads=check_threads(threads))
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
        seed = whole(seed, "seed", 0, MAX_INDEX)
        first = check_first(first, n)
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

    def _fill_normal(self, z: FloatArray, *, seed: int, first: int, stream: int) -> None:
        _native.fill_standard_normal(z, dim=self.latent_dim, seed=seed, first=first, stream=stream)


def _new_labels(n: int) -> Labels:
    import numpy as np

    return np.empty(n, np.int32)
