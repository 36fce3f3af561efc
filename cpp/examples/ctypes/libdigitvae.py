"""As much of digitvae.h as `digits.py` needs, with nothing but Python's standard library.

What is done here with ctypes, any language does that can call C.
"""

from __future__ import annotations

import ctypes as c
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ABI_VERSION = 1
INVALID_ARGUMENT = 1


class OpenOptions(c.Structure):
    """dvae_open_options."""

    _fields_ = (("struct_size", c.c_size_t), ("ort_library", c.c_char_p))


class SampleOptions(c.Structure):
    """dvae_sample_options."""

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


class Info(c.Structure):
    """dvae_info."""

    _fields_ = (
        ("struct_size", c.c_size_t),
        ("latent_dim", c.c_size_t),
        ("height", c.c_size_t),
        ("width", c.c_size_t),
        ("labels", c.c_size_t),
        ("dataset", c.c_char_p),
        ("runtime_version", c.c_char_p),
        ("runtime_library", c.c_char_p),
    )


# dvae_chunk_u8: context, first, count, images, labels.
ChunkCallback = c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_uint64, c.c_size_t, c.c_void_p, c.c_void_p)

# Undeclared, ctypes would take every argument and result for an int, and cut pointers in half.
PROTOTYPES = {
    "dvae_abi_version": (c.c_uint32, ()),
    "dvae_last_error": (c.c_char_p, ()),
    "dvae_decoder_open": (c.c_int32, (c.c_char_p, c.POINTER(OpenOptions), c.POINTER(c.c_void_p))),
    "dvae_decoder_info": (c.c_int32, (c.c_void_p, c.POINTER(Info))),
    "dvae_decoder_close": (None, (c.c_void_p,)),
    "dvae_stream_u8": (
        c.c_int32,
        (c.c_void_p, c.POINTER(SampleOptions), c.c_uint64, c.c_size_t, ChunkCallback, c.c_void_p),
    ),
}


class DigitvaeError(Exception):
    """A call that failed: its status, and the library's message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def load(name: str) -> c.CDLL:
    """The library of this name or path, its functions declared.

    Raises:
        OSError: It cannot be loaded, or is not libdigitvae of our ABI.
    """
    library = c.CDLL(name)
    for function, (result, arguments) in PROTOTYPES.items():
        if not hasattr(library, function):
            raise OSError(f"{name} is not libdigitvae: it has no {function}")
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    if library.dvae_abi_version() != ABI_VERSION:
        raise OSError(f"{name} has ABI {library.dvae_abi_version()}, expected {ABI_VERSION}")
    return library


class Decoder:
    """An open decoder, to be closed after its last use.

    Raises:
        DigitvaeError: The model or ONNX Runtime cannot be used.
    """

    def __init__(self, library: c.CDLL, model: Path, ort_library: Path | None = None) -> None:
        self._library = library
        self._handle = c.c_void_p()
        options = OpenOptions(struct_size=c.sizeof(OpenOptions))
        if ort_library is not None:  # else NULL: the library looks for it
            options.ort_library = os.fsencode(ort_library)
        self._check(library.dvae_decoder_open(os.fsencode(model), options, self._handle))
        info = Info(struct_size=c.sizeof(Info))
        self._check(library.dvae_decoder_info(self._handle, info))
        self.height: int = info.height
        self.width: int = info.width

    def close(self) -> None:
        """Release the decoder; once more does nothing."""
        self._library.dvae_decoder_close(self._handle)
        self._handle.value = None

    def stream(
        self,
        count: int,
        consume: Callable[[bytes], None],
        *,
        seed: int = 0,
        first: int = 0,
        threads: int = 0,
        chunk: int = 0,
    ) -> None:
        """Hand images first ... first + count - 1 of a seed to `consume`, `chunk` at a time.

        Raises:
            DigitvaeError: An argument is out of range, or the model or ONNX Runtime failed.
            BaseException: What `consume` raised, which ends the stream.
        """
        pixels = self.height * self.width
        failures: list[BaseException] = []

        def call(_context: int, _first: int, rows: int, images: int, _labels: int) -> int:
            try:
                consume(c.string_at(images, rows * pixels))  # a copy: the library's are gone soon
            except BaseException as failure:  # kept while C unwinds; ctypes would print and drop it
                failures.append(failure)
            return len(failures)

        options = SampleOptions(
            struct_size=c.sizeof(SampleOptions),
            seed=seed,
            first=first,
            digit=-1,
            threads=threads,
            truncation=1.0,
        )
        callback = ChunkCallback(call)  # has a name to live as long as the call
        status = self._library.dvae_stream_u8(self._handle, options, count, chunk, callback, None)
        if failures:
            raise failures[0]
        self._check(status)

    def _check(self, status: int) -> None:
        if status != 0:
            raise DigitvaeError(status, self._library.dvae_last_error().decode(errors="replace"))
