"""Find and open the ONNX Runtime shared library, without importing onnxruntime."""

from __future__ import annotations

import contextlib
import os
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from digitvae.base.errors import RuntimeLibraryError

if TYPE_CHECKING:
    from digitvae._native import Runtime

ENVIRONMENT_VARIABLE = "DIGITVAE_ORT_LIBRARY"
_SYSTEM_NAMES = ("libonnxruntime.so.1", "libonnxruntime.so", "libonnxruntime.dylib")


def packaged_library() -> Path | None:
    """The shared library inside the installed ``onnxruntime`` package, if there is one."""
    spec = find_spec("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        return None
    for folder in spec.submodule_search_locations:
        for pattern in ("libonnxruntime.so*", "libonnxruntime.*.dylib"):
            found = sorted((Path(folder) / "capi").glob(pattern))
            if found:
                return found[-1]
    return None


def open_runtime(library: str | Path | None = None) -> Runtime:
    """Open the ONNX Runtime shared library.

    In this order: the given path, ``DIGITVAE_ORT_LIBRARY``, the installed ``onnxruntime``
    package, the system loader. A path that was asked for (by argument or environment) is the
    only one tried.

    Raises:
        RuntimeLibraryError: None was found, or the one asked for is missing, not ONNX Runtime,
            or too old (the message names both versions).
    """
    from digitvae._native import Runtime

    asked_for = library if library is not None else os.environ.get(ENVIRONMENT_VARIABLE)
    if asked_for:
        return Runtime(os.fspath(asked_for))
    packaged = packaged_library()
    if packaged is not None:
        return Runtime(str(packaged))
    reasons = []
    for name in _SYSTEM_NAMES:
        try:
            return Runtime(name)
        except RuntimeLibraryError as error:
            reasons.append(str(error))
    raise RuntimeLibraryError(
        "no ONNX Runtime library was found. Install it with `pip install onnxruntime`, or set "
        f"{ENVIRONMENT_VARIABLE} to a libonnxruntime file. The system loader said: "
        + "; ".join(reasons)
    )


def open_in_background() -> Thread:
    """Begin to open the library on another thread, so that `open_runtime` finds it open.

    ONNX Runtime takes as long to load as a command's Python modules do, and on another processor.
    Whatever fails here fails again in `open_runtime`, which tells it. Where the system starts no
    more threads, nothing is begun.
    """

    def keep_open() -> None:
        with contextlib.suppress(Exception):
            _opened_early.append(open_runtime())

    thread = Thread(target=keep_open, name="open ONNX Runtime")
    with contextlib.suppress(RuntimeError):
        thread.start()
    return thread


_opened_early: list[Runtime] = []
"""Keeps what `open_in_background` opened from being closed again."""


if __name__ == "__main__":  # `python -m digitvae.engine.runtime`: the path, for shells and ctest
    import sys

    sys.stdout.write(open_runtime().path + "\n")
