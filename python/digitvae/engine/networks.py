"""A bundle in the native engine: its networks, the rarer ones opened when needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from digitvae import _native
from digitvae.base.arguments import check_digits
from digitvae.base.errors import BundleError
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import DECODER, ENCODER, PRIOR
from digitvae.engine.sampling import LatentSource

Network = TypeVar("Network", _native.Decoder, _native.Encoder, _native.Mixture)


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
        self._opened: dict[str, Any] = {}
        self.decoder = self._open(DECODER, _native.Decoder)
        self.height, self.width = self.decoder.height, self.decoder.width
        self.pixels = self.height * self.width

    @property
    def encoder(self) -> _native.Encoder:
        """The encoder; BundleError where it is missing, damaged, or not the manifest's."""
        return self._open(ENCODER, _native.Encoder)

    @property
    def mixture(self) -> _native.Mixture:
        """The mixture; BundleError where there is none, or it is not the manifest's."""
        if PRIOR not in self._opened and PRIOR not in self._bundle.file_names:
            raise BundleError(
                f"{self._bundle.path} has no {PRIOR}: only prior='standard', without a digit, can "
                "be drawn from; digitvae export makes bundles that have one"
            )
        return self._open(PRIOR, _native.Mixture)

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
            mixture, digits = self.mixture, source.digits
            if digits:
                check_digits(digits, mixture.labels)
            return {"prior": mixture, "digits": digits, "truncation": source.truncation}
        if labelled:
            raise ValueError(
                "labels are asked of N(0, I), which knows no classes; "
                "add prior='mixture', or a digit"
            )
        return {} if source.truncation == 1 else {"truncation": source.truncation}

    def _open(self, name: str, kind: Callable[[_native.Runtime, bytes], Network]) -> Network:
        """Open a network the first time; what it says of itself must be what the manifest says."""
        if name in self._opened:  # which takes no lock: one digit takes 20 µs in all
            return self._opened[name]  # type: ignore[no-any-return]
        with self._lock:
            if name not in self._opened:
                network: Any = kind(self.runtime, self._bundle.read(name))
                manifest = self._bundle.manifest
                listed = {**manifest["dims"], "dataset": manifest.get("dataset")}
                says = {"latent": network.latent_dim, "dataset": network.dataset}
                if name != PRIOR:  # which makes no images
                    says |= {"height": network.height, "width": network.width}
                wanted = {key: listed[key] for key in says}
                if says != wanted:
                    raise BundleError(
                        f"{self._bundle.path / name} says {says}, the manifest says {wanted}: "
                        "they are not of one model"
                    )
                self._opened[name] = network
            opened: Network = self._opened[name]
            return opened
