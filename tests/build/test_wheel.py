"""The product as users get it: a wheel in an environment that has never seen torch."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import digitvae as dv
from digitvae.bundle import MANIFEST, Bundle

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "-w", folder, cwd=folder)
    (found,) = folder.glob("digitvae-*.whl")
    return found


@pytest.mark.slow
def test_the_wheel_holds_the_product_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "digitvae/bundles/mnist/decoder.onnx" in names
    # With its model card and evaluation, if it has them: a bundle lacks nothing that it lists.
    bundled = {f"digitvae/bundles/mnist/{name}" for name in (MANIFEST, *Bundle.open().file_names)}
    assert bundled <= set(names)
    assert "digitvae/classifiers/mnist.onnx" in names
    assert "digitvae/py.typed" in names
    assert any(name.startswith("digitvae/_native.") and name.endswith(".so") for name in names)
    top = {name.split("/")[0] for name in names}
    assert top == {"digitvae", f"digitvae-{dv.__version__}.dist-info"}


@pytest.mark.slow
def test_generate_works_in_a_fresh_environment_without_torch(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "fresh", cwd=tmp_path)
    binaries = tmp_path / "fresh" / "bin"
    run(binaries / "pip", "install", "--quiet", wheel, cwd=tmp_path)
    installed = run(binaries / "pip", "list", "--format", "freeze", cwd=tmp_path)
    assert "torch" not in installed
    run(binaries / "digitvae", "generate", "300", "--seed", "5", "-o", "digits.npy", cwd=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "digits.npy"), dv.load().sample(300, seed=5))
    run(binaries / "digitvae", "generate", "12", "-o", "sheet.png", cwd=tmp_path)
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    refused = subprocess.run(
        [binaries / "digitvae", "train", "--out", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "digitvae[train]" in refused.stderr
    assert "Traceback" not in refused.stderr
