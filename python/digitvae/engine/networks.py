"""A bundle in the native engine: its networks, the rarer ones opened when needed."""

from __future__ import annotations

import threading
from typing import Any

from digitvae import _native
from digitvae.base.arguments import check_digits
from digitvae.base.errors import BundleError
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import DECODER, ENCODER, PRIOR
from digitvae.engine.sampling import LatentSource


class Networks:
    """The networks of a bundle, each opened once. Safe for many threads at a time.

    Args:
        bundle: The bundle; its decoder is opened at once.
        runtime: ONNX Runtime.

    Raises:
        BundleError: The decoder is missing, damaged, or not the manifest's.
    """

    def __init__(self, bundle: Bundle, runtime: _native.Runtime) -> None:
        self.runtime = runtime
        self._bundle = bundle
        self._lock = threading.Lock()
        self._encoder: _native.Encoder | None = None
        self._prior: _native.Prior | None = None
        self.decoder = _native.Decoder(runtime, bundle.read(DECODER))
        _check_network(bundle, DECODER, self.decoder)

    @property
    def encoder(self) -> _native.Encoder:
        """The encoder; BundleError where it is missing, damaged, or not the manifest's."""
        with self._lock:
            if self._encoder is None:
                encoder = _native.Encoder(self.runtime, self._bundle.read(ENCODER))
                _check_network(self._bundle, ENCODER, encoder)
                self._encoder = encoder
            return self._encoder

    @property
    def prior(self) -> _native.Prior:
        """The mixture; BundleError where there is none, or it is not the manifest's."""
        with self._lock:
            if self._prior is None:
                self._prior = _load_prior(self._bundle, self.runtime)
            return self._prior

    def arguments(self, source: LatentSource, *, labelled: bool = False) -> dict[str, Any]:
        """A source as the native module takes it, but for the seed; nothing for all of N(0, I).

        Args:
            source: The source.
            labelled: Whether labels are wanted.

        Raises:
            ValueError: The mixture has no such digit; labels are wanted of N(0, I).
            BundleError: The mixture is asked for, and the bundle has none.
        """
        if source.prior == "mixture":
            digits = check_digits(source.digits or None, self.prior.labels)
            return {"prior": self.prior, "digits": digits, "truncation": source.truncation}
        if labelled:
            raise ValueError(
                "labels are asked of N(0, I), which knows no classes; "
                "add prior='mixture', or a digit"
            )
        return {} if source.truncation == 1 else {"truncation": source.truncation}


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
