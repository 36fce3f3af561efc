"""The library, built and installed once for all tests of its package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from digitvae.runtime import packaged_library

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "cpp" / "examples"
DECODER = ROOT / "export" / "mnist" / "decoder.onnx"


def library_version() -> str:
    """Of the C library, a constant; that of the Python package comes from git's tags."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.search(r"^project\(digitvae VERSION (\S+)", text, re.MULTILINE)
    assert found is not None
    return found[1]


def run(
    *command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end, whatever that is. `env` adds to this process's environment."""
    return subprocess.run(
        command,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        capture_output=True,
        check=False,
        timeout=300,
    )


def must_run(
    *command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> bytes:
    """Run a program that must succeed, and return what it printed."""
    done = run(*command, env=env, cwd=cwd)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")
    return done.stdout


class Installed(NamedTuple):
    """A prefix that the library was installed to, and the build it came from."""

    prefix: Path
    build: Path

    @property
    def shared_library(self) -> Path:
        """What programs load."""
        return self.prefix / "lib" / "libdigitvae.so"

    def cmake_build(self, source: Path, build: Path, *options: str) -> Path:
        """Build a project that finds the package in the prefix; returns the build folder."""
        must_run(
            "cmake",
            "-S",
            source,
            "-B",
            build,
            "-G",
            "Ninja",
            f"-DCMAKE_PREFIX_PATH={self.prefix}{_sdl()}",
            "-DCMAKE_BUILD_TYPE=Release",
            "-DCMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror",
            "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror",
            *options,
        )
        must_run("cmake", "--build", build)
        return build


def _sdl() -> str:
    """Where `make tools` puts SDL2 on machines that have none."""
    bin_folder = must_run("sh", ROOT / "tools" / "fetch-tools.sh", "--print-path").decode().strip()
    return f";{Path(bin_folder).parent / 'sdl2'}"


def install_library(folder: Path, *options: str) -> Installed:
    """Build the library as a user would, and install it to ``folder/prefix``."""
    build, prefix = folder / "build", folder / "prefix"
    must_run(
        "cmake",
        "-S",
        ROOT,
        "-B",
        build,
        "-G",
        "Ninja",
        "-DCMAKE_BUILD_TYPE=Release",
        "-DDIGITVAE_BUILD_TESTS=OFF",
        f"-DCMAKE_INSTALL_PREFIX={prefix}",
        "-DCMAKE_INSTALL_LIBDIR=lib",
        *options,
    )
    must_run("cmake", "--build", build)
    must_run("cmake", "--install", build)
    return Installed(prefix, build)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The library with ONNX Runtime opened at run time, in a prefix that was moved once."""
    made = install_library(tmp_path_factory.mktemp("library") / "first place")
    moved = tmp_path_factory.mktemp("moved") / "with a space"
    shutil.move(made.prefix, moved)
    return Installed(moved, made.build)


@pytest.fixture(scope="session")
def ort_library() -> Path:
    """The ONNX Runtime library of the Python package."""
    found = packaged_library()
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def find_onnx_runtime(monkeypatch: pytest.MonkeyPatch, ort_library: Path) -> None:
    """Programs open the ONNX Runtime of the Python package."""
    monkeypatch.setenv("DIGITVAE_ORT_LIBRARY", str(ort_library))
