"""The search for ONNX Runtime's headers: its order, and its one message when all ways fail."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.packages import CROSS, ROOT

HEADER = "#define ORT_API_VERSION {}\n"

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(headers LANGUAGES NONE)
include("{module}")
"""
ANY_TOOLCHAIN = pytest.mark.parametrize("toolchain", [[], CROSS], ids=["native", "cross"])


class Machine:
    """A machine without system packages, whose cache, environment and network a test decides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.url = "file:///nonexistent/onnxruntime.tgz"
        self.root: Path | None = None
        self.sha256 = "0" * 64

    def put_header(self, folder: Path, api: int) -> Path:
        folder.mkdir(parents=True)
        (folder / "onnxruntime_c_api.h").write_text(HEADER.format(api), encoding="utf-8")
        return folder

    def configure(
        self, toolchain: Sequence[str] = (), module: str = "OnnxRuntimeHeaders"
    ) -> subprocess.CompletedProcess[str]:
        source = self.folder / "source"
        source.mkdir()
        text = PROJECT.format(module=(ROOT / "cmake" / f"{module}.cmake").as_posix())
        (source / "CMakeLists.txt").write_text(text, encoding="utf-8")
        environment = {k: v for k, v in os.environ.items() if k != "ONNXRUNTIME_ROOT"}
        environment["DIGITVAE_CACHE"] = str(self.cache)
        if self.root is not None:
            environment["ONNXRUNTIME_ROOT"] = str(self.root)
        cmake, make = shutil.which("cmake"), shutil.which("make")
        assert cmake is not None
        return subprocess.run(
            [
                cmake,
                "-S",
                source,
                "-B",
                self.folder / "build",
                f"-DCMAKE_MAKE_PROGRAM={make}",
                f"-DDIGITVAE_ORT_RELEASE_URL={self.url}",
                f"-DDIGITVAE_ORT_RELEASE_SHA256={self.sha256}",
                "-DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF",
                "-DCMAKE_FIND_USE_SYSTEM_ENVIRONMENT_PATH=OFF",
                *toolchain,
            ],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@ANY_TOOLCHAIN
def test_the_root_asked_for_comes_before_the_cache(
    machine: Machine, tmp_path: Path, toolchain: list[str]
) -> None:
    machine.put_header(machine.cache / "onnxruntime" / "include", 21)
    machine.root = tmp_path / "release"
    machine.put_header(machine.root / "include", 23)
    result = machine.configure(toolchain)
    assert result.returncode == 0, result.stderr
    assert "(API 23, ONNXRUNTIME_ROOT)" in result.stdout


def test_a_root_without_the_header_is_an_error_even_if_the_cache_has_it(
    machine: Machine, tmp_path: Path
) -> None:
    machine.put_header(machine.cache / "onnxruntime" / "include", 21)
    machine.root = tmp_path / "elsewhere"
    result = machine.configure()
    assert result.returncode != 0
    assert f"ONNXRUNTIME_ROOT is {machine.root}" in " ".join(result.stderr.split())


@ANY_TOOLCHAIN
def test_the_cache_comes_before_the_network(machine: Machine, toolchain: list[str]) -> None:
    machine.put_header(machine.cache / "onnxruntime" / "include", 21)
    result = machine.configure(toolchain)
    assert result.returncode == 0, result.stderr
    assert "(API 21, cache filled by make headers)" in result.stdout


def archive_of_a_release(machine: Machine, folder: Path) -> Path:
    machine.put_header(folder / "onnxruntime-linux-x64" / "include", 24)
    archive = folder / "onnxruntime.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder / "onnxruntime-linux-x64", "onnxruntime-linux-x64")
    machine.url = archive.as_uri()
    return archive


@ANY_TOOLCHAIN
def test_a_release_archive_with_the_pinned_hash_is_used(
    machine: Machine, tmp_path: Path, toolchain: list[str]
) -> None:
    archive = archive_of_a_release(machine, tmp_path / "mirror")
    machine.sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    result = machine.configure(toolchain)
    assert result.returncode == 0, result.stderr
    assert "(API 24, release 1." in result.stdout


def test_a_release_archive_with_another_hash_is_refused(machine: Machine, tmp_path: Path) -> None:
    archive_of_a_release(machine, tmp_path / "mirror")
    result = machine.configure()
    assert result.returncode != 0
    assert "SHA-256 is" in " ".join(result.stderr.split())


def test_a_root_inside_the_other_machine_s_root_is_found_by_its_name_there(
    machine: Machine, tmp_path: Path
) -> None:
    machine.put_header(tmp_path / "sysroot" / "opt" / "ort" / "include", 23)
    machine.root = Path("/opt/ort")
    result = machine.configure([f"-DCMAKE_FIND_ROOT_PATH={tmp_path}/sysroot", *CROSS[1:]])
    assert result.returncode == 0, result.stderr
    assert "(API 23, ONNXRUNTIME_ROOT)" in result.stdout


@ANY_TOOLCHAIN
def test_the_library_is_found_in_the_root_asked_for(
    machine: Machine, tmp_path: Path, ort_library: Path, toolchain: list[str]
) -> None:
    (tmp_path / "release" / "lib").mkdir(parents=True)
    (tmp_path / "release" / "lib" / "libonnxruntime.so.1").symlink_to(ort_library)
    machine.root = tmp_path / "release"
    of_a_language = [  # which this project has none of
        f"-DCMAKE_READELF={shutil.which('readelf')}",
        "-DCMAKE_FIND_LIBRARY_PREFIXES=lib",
        "-DCMAKE_FIND_LIBRARY_SUFFIXES=.so",
    ]
    result = machine.configure([*of_a_language, *toolchain], module="OnnxRuntimeLibrary")
    assert result.returncode == 0, result.stderr
    assert f"to be linked: {ort_library.resolve()}" in result.stdout


@ANY_TOOLCHAIN
def test_the_header_of_catch2_is_found_in_the_cache(machine: Machine, toolchain: list[str]) -> None:
    header = machine.cache / "catch2" / "include" / "catch2" / "catch.hpp"
    header.parent.mkdir(parents=True)
    header.touch()
    result = machine.configure(toolchain, module="Catch2Header")
    assert result.returncode == 0, result.stderr
    assert f"Catch2: {machine.cache}/catch2/include" in result.stdout


def test_when_nothing_works_one_message_names_the_three_ways(machine: Machine) -> None:
    result = machine.configure()
    assert result.returncode != 0
    said = " ".join(result.stderr.split())
    assert said.count("CMake Error") == 1
    assert "1. set ONNXRUNTIME_ROOT" in said
    assert f"2. run `make headers` in the source tree: it fills {machine.cache}/onnxruntime" in said
    assert f"3. let this build download {machine.url}" in said
