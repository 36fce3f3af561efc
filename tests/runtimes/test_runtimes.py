"""Releases of ONNX Runtime, from the oldest that is supported: the same digits, attacks refused."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from digitvae.engine.runtime import ENVIRONMENT_VARIABLE, packaged_library
from tests.native.hostile_models import OF_THE_RUNTIME
from tests.runtimes import probe, wheels
from tests.support.packages import ROOT

VERSIONS = os.environ.get("RUNTIMES", "").split()
SAME_BITS = platform.machine() == "x86_64"
"""Elsewhere, kernels of different releases may round differently."""


def ask(what: str, library: Path, answer: Path) -> Path:
    """Run the probe with that library."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtimes.probe", what, str(answer)],
        env=os.environ | {ENVIRONMENT_VARIABLE: str(library)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return answer


def digits(library: Path, folder: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(ask("digits", library, folder / "digits.npz")) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, npt.NDArray[Any]]:
    """What the installed release computes."""
    library = packaged_library()
    assert library is not None
    return digits(library, tmp_path_factory.mktemp("installed"))


@pytest.mark.parametrize("version", VERSIONS)
def test_its_digits_are_those_of_the_installed_release(
    version: str, expected: dict[str, npt.NDArray[Any]], tmp_path: Path
) -> None:
    found = digits(wheels.library(version), tmp_path)
    assert str(found.pop("version")) == version
    assert found.keys() == expected.keys() - {"version"}
    for name, values in found.items():
        if SAME_BITS:
            assert values.tobytes() == expected[name].tobytes(), name
        elif values.dtype == np.uint8:
            apart = np.abs(values.astype(int) - expected[name])
            assert apart.max() <= 1, name
        else:
            np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_hostile_model_reaches_it(version: str, tmp_path: Path) -> None:
    answer = ask("hostile", wheels.library(version), tmp_path / "hostile.json")
    said = json.loads(answer.read_text(encoding="utf-8"))
    assert [name for name, words in said.items() if words == probe.TAKEN] == []
    assert [name for name, words in said.items() if OF_THE_RUNTIME.match(words)] == []
    assert probe.SECRET.decode()[:9] not in "".join(said.values())
