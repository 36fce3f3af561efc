"""The library, installed once for all tests of its package from the build of `make build-cpp`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from digitvae.engine.runtime import packaged_library
from tests.support.once import made_once
from tests.support.packages import (
    FIRST_PLACE,
    RELEASE,
    ROOT,
    Installed,
    build_and_install,
    must_run,
)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The library with ONNX Runtime opened at run time, in a prefix that was moved once."""

    def install(folder: Path) -> None:
        if not (RELEASE / "CMakeCache.txt").exists():
            must_run("cmake", "--preset", "release", cwd=ROOT)
        build_and_install(RELEASE, folder / FIRST_PLACE)
        shutil.move(folder / FIRST_PLACE, folder / "with a space")

    return Installed(made_once(tmp_path_factory, "installed", install) / "with a space")


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
