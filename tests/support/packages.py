"""The C library as a package: built, installed, used by other projects; and its guide."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
RELEASE = ROOT / "build" / "release"
EXAMPLES = ROOT / "cpp" / "examples"
DECODER = ROOT / "export" / "mnist" / "decoder.onnx"
FIRST_PLACE = "first place"
# The guide's own programs: what docs/embedding.md shows is what is built here.
GUIDE = ROOT / "docs" / "embedding.md"

CROSS = [
    "-DCMAKE_FIND_ROOT_PATH=/nonexistent/sysroot",
    "-DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY",
    "-DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY",
    "-DCMAKE_FIND_ROOT_PATH_MODE_PACKAGE=ONLY",
]
"""What toolchain files for another machine say: look for these in its root alone."""


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
    """A prefix that the library was installed to."""

    prefix: Path

    @property
    def libraries(self) -> Path:
        """``lib``, or what the system calls it."""
        (found,) = self.prefix.glob("lib*")
        return found

    @property
    def shared_library(self) -> Path:
        """What programs load."""
        return self.libraries / "libdigitvae.so"

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


def build_and_install(build: Path, prefix: Path) -> Installed:
    """Bring the library in a configured build folder up to date, and install it to a prefix."""
    cache = (build / "CMakeCache.txt").read_text(encoding="utf-8")
    cmake = re.search(r"^CMAKE_COMMAND:INTERNAL=(.*)$", cache, re.MULTILINE)
    assert cmake is not None
    must_run(cmake[1], "--build", build, "--target", "digitvae", "digitvae_static")
    must_run(cmake[1], "--install", build, "--prefix", prefix)
    return Installed(prefix)


def code_of_guide(language: str, holding: str) -> str:
    """The first block of code of the guide in `language` that holds a text."""
    blocks = GUIDE.read_text(encoding="utf-8").split(f"```{language}\n")[1:]
    return next(code for code in (block.split("```")[0] for block in blocks) if holding in code)
