"""One version for the C library, written in four files, and git's tags for the Python package."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import digitvae as dv
from tests.support.packages import ROOT, library_version

FILES = (
    "cpp/include/digitvae/digitvae.h",
    "pyproject.toml",
    "python/digitvae/__init__.py",
)
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(digitvae VERSION {version} LANGUAGES NONE)
include({root}/cmake/CheckVersions.cmake)
message(STATUS "ABI ${{DIGITVAE_ABI_VERSION}}")
"""


class Sources:
    """A copy of the files that name the version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
        self.set_cmake(library_version())

    def set_cmake(self, version: str) -> None:
        text = PROJECT.format(version=version, root=ROOT.as_posix())
        (self.folder / "CMakeLists.txt").write_text(text, encoding="utf-8")

    def edit(self, name: str, before: str, after: str) -> None:
        text = (self.folder / name).read_text(encoding="utf-8")
        assert text.count(before) == 1
        (self.folder / name).write_text(text.replace(before, after), encoding="utf-8")

    def configure(self, *options: str) -> subprocess.CompletedProcess[str]:
        make = f"-DCMAKE_MAKE_PROGRAM={shutil.which('make')}"
        return subprocess.run(
            ["cmake", "-S", self.folder, "-B", self.folder / "build", make, *options],
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def test_the_package_is_not_older_than_the_last_release_nor_newer_than_the_library() -> None:
    # X.Y.Z; X.Y.Z.devN before the first tag; X.Y.Z.post1.devN after one.
    found = re.match(r"(\d+)\.(\d+)\.(\d+)(?=$|\.dev|\.post)", dv.__version__)
    assert found is not None
    assert tuple(map(int, found.groups())) <= tuple(map(int, library_version().split(".")))


@pytest.mark.parametrize(
    "of_the_tag",
    [None, "{}", "{}.dev140+g8a6d086b5", "{}.post1.dev3+g8a6d086b5.d20260101", "0.1.post1.dev2"],
)
def test_the_sources_agree(sources: Sources, of_the_tag: str | None) -> None:
    version = (of_the_tag or "").format(library_version())
    done = sources.configure(f"-DSKBUILD_PROJECT_VERSION_FULL={version}" if version else "-DX=1")
    assert done.returncode == 0, done.stderr
    assert "ABI 1" in done.stdout


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("cpp/include/digitvae/digitvae.h", "DVAE_VERSION_MAJOR 1", "DVAE_VERSION_MAJOR 9"),
        ("pyproject.toml", 'fallback_version = "1.', 'fallback_version = "9.'),
        ("python/digitvae/__init__.py", '__version__ = "1.', '__version__ = "9.'),
    ],
)
def test_a_version_that_was_forgotten_is_an_error(
    sources: Sources, name: str, before: str, after: str
) -> None:
    sources.edit(name, before, after)
    done = sources.configure()
    assert done.returncode != 0
    assert "The versions disagree" in done.stderr
    assert Path(name).name in done.stderr


def test_a_tag_of_a_version_that_the_sources_do_not_have_is_an_error(sources: Sources) -> None:
    done = sources.configure("-DSKBUILD_PROJECT_VERSION_FULL=9.1.0")
    assert done.returncode != 0
    assert "This is release 9.1.0 by git's tag" in done.stderr
