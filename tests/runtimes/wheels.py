"""The libraries of ONNX Runtime's releases, out of the wheels of the Python package index."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PYTHON = "312"
"""All these releases have wheels for it. The library in a wheel is the same for every Python."""


def library(version: str) -> Path:
    """The shared library of a release, fetched into the user's cache if it is not there."""
    folder = _cache() / f"onnxruntime-{version}"
    path = folder / f"libonnxruntime.so.{version}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            unpacked = _unpack(_download(version, Path(temporary)), version)
            unpacked.rename(path)  # whole or not at all
    return path


def _cache() -> Path:
    """Where tools/ and cmake/ keep what they fetch."""
    for name, below in (("DIGITVAE_CACHE", "."), ("XDG_CACHE_HOME", "digitvae")):
        if os.environ.get(name):
            return Path(os.environ[name]) / below
    return Path.home() / ".cache" / "digitvae"


def _download(version: str, folder: Path) -> Path:
    machine = platform.machine()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += [
        f"onnxruntime=={version}",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(folder),
    ]
    command += ["--implementation", "cp", "--python-version", PYTHON, "--abi", f"cp{PYTHON}"]
    command += [f"--platform=manylinux_2_{glibc}_{machine}" for glibc in (27, 28)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LookupError(f"no wheel of onnxruntime {version} can be had: {done.stderr.strip()}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def _unpack(wheel: Path, version: str) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(f"onnxruntime/capi/libonnxruntime.so.{version}", wheel.parent))
