"""A bundle in the native engine: its networks, the rarer ones opened when they are needed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from digitvae import _native
from digitvae.base.arguments import check_digits, check_prior, check_truncation
from digitvae.base.errors import BundleError
from digitvae.bundle.names import DECODER, ENCODER, PRIOR

if TYPE_CHECKING:
    from digitvae.bundle.folder import Bundle


class Sessions:
    """The networks of a bundle and what they say of themselves. Safe for many threads at a time.

    Args:
        bundle: The bundle; its decoder is opened at once.
        runtime: ONNX Runtime.

    Raises:
        BundleError: The decoder is missing, damaged, or not the manifest's.
    """

    def __init__(self, bundle: Bundle, runtime: _native.Runtime) -> None:
        self.bundle = bundle
        self._runtime = runtime
        self._lock = threading.Lock()
        self._encoder: _native.Encoder | None = None
        self._prior: _native.Prior | None = None
        self._decoder = _native.Decoder(runtime, bundle.read(DECODER))
        _check_network(bundle, DECODER, self._decoder)

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
    def labels(self) -> int:
        """Number of classes that the bundle's mixture knows (10).

        Raises:
            BundleError: The bundle has no mixture.
        """
        return self._open_prior().labels

    @property
    def runtime_version(self) -> str:
        """Version of the ONNX Runtime library in use."""
        return self._runtime.version

    @property
    def runtime_path(self) -> str:
        """Path or name by which the ONNX Runtime library was opened."""
        return self._runtime.path

    def _source(
        self, prior: object, digit: object, truncation: object, *, labelled: bool = False
    ) -> dict[str, Any]:
        """Arguments of the native module that say where latents come from; none for all of N(0, I).

        Raises:
            ValueError: An argument is out of its range; labels are wanted of N(0, I).
            TypeError: An argument is of another type.
            BundleError: The mixture is asked for, and the bundle has none.
        """
        kind = check_prior(prior, digit)
        share = check_truncation(truncation)
        if kind == "mixture":
            mixture = self._open_prior()
            digits = check_digits(digit, mixture.labels)
            return {"prior": mixture, "digits": digits, "truncation": share}
        if labelled:
            raise ValueError(
                "labels are asked of N(0, I), which knows no classes; "
                "add prior='mixture', or a digit"
            )
        return {} if share == 1 else {"truncation": share}

    def _open_encoder(self) -> _native.Encoder:
        with self._lock:
            if self._encoder is None:
                encoder = _native.Encoder(self._runtime, self.bundle.read(ENCODER))
                _check_network(self.bundle, ENCODER, encoder)
                self._encoder = encoder
            return self._encoder

    def _open_prior(self) -> _native.Prior:
        with self._lock:
            if self._prior is None:
                self._prior = _load_prior(self.bundle, self._runtime)
            return self._prior


def _load_prior(bundle: Bundle, runtime: _native.Runtime) -> _native.Prior:
    if PRIOR not in bundle.file_names:
        raise BundleError(
            f"{bundle.path} has no {PRIOR}: only prior='standard', without a digit, can be drawn "
            "from; digitvae export makes bundles that have one"
        )
    prior = _native.Prior(runtime, bundle.read(PRIOR))
    said = (prior.latent_dim, prior.dataset)
    listed = (bundle.latent_dim, bundle.manifest.get("dataset"))
    if said != listed:
        raise BundleError(
            f"{bundle.path / PRIOR} says latent, dataset = {said}, the manifest says {listed}: "
            "they are not of one model"
        )
    return prior


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
