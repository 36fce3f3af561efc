"""Draws from the prior: images and latents of a seed, with labels where a mixture gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from digitvae import _native
from digitvae.base.arguments import (
    PixelType,
    PriorName,
    check_count,
    check_range,
    check_threads,
    output,
    pixel_type,
)
from digitvae.engine.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypedDict

    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Buffer, Unpack

    Array = npt.NDArray[Any]
    FloatArray = npt.NDArray[np.float32]
    Labels = npt.NDArray[np.int32]

    class LatentOptions(TypedDict, total=False):
        """What ``Model.latents`` takes beside the count, for type checkers."""

        seed: int
        first: int
        prior: PriorName
        digit: int | Sequence[int] | None
        truncation: float
        out: FloatArray | None

    class SampleOptions(TypedDict, total=False):
        """What ``Model.sample`` and ``Model.stream`` take beside the count, for type checkers."""

        seed: int
        first: int
        prior: PriorName
        digit: int | Sequence[int] | None
        truncation: float
        dtype: PixelType
        threads: int | None
        out: Array | None


LATENT_STREAM = 0
POSTERIOR_STREAM = 2
"""Streams of random numbers (docs/random-numbers.md)."""


class Sampler(Sessions):
    """What of :class:`digitvae.Model` draws from the prior; its docstring holds here."""

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
        seed, first = check_range(seed, first, n)
        source = self._source(prior, digit, truncation, labelled=return_labels)
        images = output(out, (n, self.height, self.width), dtype)
        workers = check_threads(threads)
        if not return_labels:
            self._decoder.sample(images, seed=seed, first=first, threads=workers, **source)
            return images
        labels = _new_labels(n)
        self._decoder.sample(
            images, seed=seed, first=first, threads=workers, labels=labels, **source
        )
        return images, labels

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
        view = memoryview(buffer)
        count = view.nbytes // view.itemsize // self.pixels
        seed, first = check_range(seed, first, max(count, 1))
        source = self._source(prior, digit, truncation, labelled=labels is not None)
        if labels is not None:
            source["labels"] = labels
        self._decoder.sample(view, seed=seed, first=first, threads=check_threads(threads), **source)

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
        seed, first = check_range(seed, first, n)
        check_threads(threads)
        dtype = pixel_type(dtype)
        self._source(prior, digit, truncation, labelled=return_labels)
        shape = (chunk, self.height, self.width)
        buffer = None if out is None else output(out, shape, dtype)

        def chunks() -> Iterator[Any]:
            for start in range(0, n, chunk):
                count = min(chunk, n - start)
                options: SampleOptions = {
                    "seed": seed,
                    "first": first + start,
                    "prior": prior,
                    "digit": digit,
                    "truncation": truncation,
                    "dtype": dtype,
                    "threads": threads,
                    "out": None if buffer is None else buffer[:count],
                }
                if return_labels:
                    yield self.sample(count, return_labels=True, **options)
                else:
                    yield self.sample(count, **options)

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
        seed, first = check_range(seed, first, n)
        source = self._source(prior, digit, truncation, labelled=return_labels)
        z: FloatArray = output(out, (n, self.latent_dim), "float32")
        if not source:
            self._fill_normal(z, seed=seed, first=first, stream=LATENT_STREAM)
            return z
        if not return_labels:
            self._decoder.latents(z, seed=seed, first=first, threads=0, **source)
            return z
        labels = _new_labels(n)
        self._decoder.latents(z, seed=seed, first=first, threads=0, labels=labels, **source)
        return z, labels

    def _fill_normal(self, z: FloatArray, *, seed: int, first: int, stream: int) -> None:
        _native.fill_standard_normal(z, dim=self.latent_dim, seed=seed, first=first, stream=stream)


def _new_labels(n: int) -> Labels:
    import numpy as np

    return np.empty(n, np.int32)
