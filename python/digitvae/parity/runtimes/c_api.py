"""The C API, called as C calls it: by its symbols, with its structures, through its status codes.

The Python module carries the functions of ``digitvae.h`` too, compiled from the same sources as the
C library, so that there is nothing else to install.
"""

from __future__ import annotations

import ctypes as c
import os
import weakref

import numpy as np
from numpy.typing import NDArray

from digitvae import _native
from digitvae.base.errors import RuntimeLibraryError
from digitvae.engine.runtime import open_runtime
from digitvae.parity.networks import DECODER, Float32, Function, Network
from digitvae.parity.runtimes.native import NATIVE
from digitvae.parity.runtimes.runtime import Export, Runtime

Labels = NDArray[np.int32]

PLACE = 3
C_API = "C API"
ABI_VERSION = 1

_FLOATS = c.POINTER(c.c_float)


class _OpenOptions(c.Structure):
    _fields_ = (("struct_size", c.c_size_t), ("ort_library", c.c_char_p))


class _RunOptions(c.Structure):
    _fields_ = (
        ("struct_size", c.c_size_t),
        ("threads", c.c_uint32),
        ("reserved", c.c_uint32),
        ("progress", c.c_void_p),
        ("progress_context", c.c_void_p),
    )


class _SampleOptions(c.Structure):
    _fields_ = (
        ("struct_size", c.c_size_t),
        ("seed", c.c_uint64),
        ("first", c.c_uint64),
        ("prior", c.c_void_p),
        ("digit", c.c_int32),
        ("threads", c.c_uint32),
        ("progress", c.c_void_p),
        ("progress_context", c.c_void_p),
        ("truncation", c.c_float),
        ("reserved", c.c_uint32),
    )


class CApiError(Exception):
    """A call that failed; the library's own message."""


class Handle:
    """A decoder, an encoder or a prior, open until :meth:`close`."""

    def __init__(self, kind: str, model: bytes) -> None:
        """Open a model.

        Args:
            kind: ``decoder``, ``encoder`` or ``prior``.
            model: The ONNX file's bytes.

        Raises:
            CApiError: What ``dvae_last_error`` says.
            RuntimeLibraryError: The library has another ABI.
        """
        self._library = c.CDLL(_native.__file__)
        self._library.dvae_last_error.restype = c.c_char_p
        self._library.dvae_abi_version.restype = c.c_uint32
        found = self._library.dvae_abi_version()
        if found != ABI_VERSION:
            raise RuntimeLibraryError(f"the C API has ABI {found}, expected {ABI_VERSION}")
        self._name = kind
        self._handle = c.c_void_p()
        options = _OpenOptions(c.sizeof(_OpenOptions), os.fsencode(open_runtime().path))
        open_memory = getattr(self._library, f"dvae_{kind}_open_memory")
        size = c.c_size_t(len(model))
        self._require(open_memory(model, size, c.byref(options), c.byref(self._handle)))

    def close(self) -> None:
        """Release the model; once more does nothing."""
        getattr(self._library, f"dvae_{self._name}_close")(self._handle)
        self._handle.value = None

    def decode(self, z: Float32, pixels: int) -> Float32:
        """``dvae_decode_f32``: latents [n, 40] to intensities [n, pixels]."""
        images = np.empty((len(z), pixels), np.float32)
        self._run("dvae_decode_f32", z, images)
        return images

    def encode(self, x: Float32, latents: int) -> tuple[Float32, Float32]:
        """``dvae_encode_f32``: images [n, 784] to (μ, log σ²), each [n, latents]."""
        mu, logvar = (np.empty((len(x), latents), np.float32) for _ in range(2))
        self._run("dvae_encode_f32", x, mu, logvar)
        return mu, logvar

    def latents(self, prior: Handle, count: int, dim: int) -> tuple[Float32, Labels]:
        """``dvae_latents`` of a decoder with a prior: draws 0 … count−1 of seed 0, of any class."""
        z, labels = np.empty((count, dim), np.float32), np.empty(count, np.int32)
        options = _SampleOptions(
            struct_size=c.sizeof(_SampleOptions),
            prior=prior._handle,
            digit=-1,
            threads=1,
            truncation=1.0,
        )
        arguments = (
            c.byref(options),
            c.c_size_t(count),
            z.ctypes.data_as(_FLOATS),
            c.c_size_t(z.nbytes),
            labels.ctypes.data_as(c.c_void_p),
        )
        self._require(self._library.dvae_latents(self._handle, *arguments))
        return z, labels

    def _run(self, function: str, rows: Float32, *outputs: Float32) -> None:
        given = np.ascontiguousarray(rows)
        options = _RunOptions(struct_size=c.sizeof(_RunOptions), threads=1)
        arguments = (
            given.ctypes.data_as(_FLOATS),
            c.c_size_t(len(given)),
            *(output.ctypes.data_as(_FLOATS) for output in outputs),
            c.c_size_t(outputs[0].nbytes),
            c.byref(options),
        )
        self._require(getattr(self._library, function)(self._handle, *arguments))

    def _require(self, status: int) -> None:
        if status != 0:
            raise CApiError((self._library.dvae_last_error() or b"").decode())


def c_api_function(network: Network, model: bytes, dims: dict[str, int]) -> Function:
    """Open a model through the C API, and wrap it as a function of NumPy arrays.

    Raises:
        CApiError: The model cannot be opened.
    """
    handle = Handle(network.name, model)
    pixels = dims["height"] * dims["width"]

    def call(rows: Float32) -> tuple[Float32, ...]:
        if network is DECODER:
            return (handle.decode(rows, pixels),)
        return handle.encode(rows, dims["latent"])

    weakref.finalize(call, handle.close)
    return call


def _load(export: Export) -> Function | None:
    if export.engine is None:
        return None
    dims = export.engine.bundle.manifest["dims"]
    return c_api_function(export.network, export.read("onnx"), dims)


_ABOUT = "`dvae_decode_f32`, `dvae_encode_f32`, called as C calls them"
RUNTIMES = (Runtime(C_API, _ABOUT, _load, file="onnx", must_equal=NATIVE, ours=True),)
