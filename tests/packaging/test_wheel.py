"""The product as users get it: the sdist and the wheel of ``make wheel``, where nothing else is."""

from __future__ import annotations

import email
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
import zipfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pytest

import digitvae as dv
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import DECODER, MANIFEST, PRIOR
from tests.support.packages import ROOT, library_version

# Not for users of the sources, or not part of them.
JUNK = {".git", ".ci", "build", "dist", "runs", ".venv"}
LENT = "DIGITVAE_TEST_LENT"
KEPT_BACK = {".git_archival.txt", ".gitattributes", ".pre-commit-config.yaml", ".gitignore"}
PAGE = "python/digitvae/explorer/page"
JUNK_KINDS = {".so", ".o", ".pyc", ".whl"}

needs_page = pytest.mark.skipif(
    not (ROOT / PAGE / "index.html").exists(),
    reason="the page of `digitvae explore` (needs Node.js >= 20.19: https://nodejs.org, then "
    "`make web`)",
)

USER_PROGRAM = """\
import numpy as np
import digitvae as dv

model: dv.Model = dv.load()
images = model.sample(3, seed=0)
reveal_type(images)
images, labels = model.sample(3, digit=[1, 2], return_labels=True)
posterior: dv.Posterior = model.encode(images)
version: str = dv.__version__
model.sample("three")
wrong: int = dv.__version__
"""


class Distribution(NamedTuple):
    """What ``make wheel`` leaves in ``dist/``."""

    sdist: Path
    wheel: Path

    @property
    def version(self) -> str:
        """As the name of the wheel has it."""
        return self.wheel.name.split("-")[1]


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        command, cwd=cwd, env=environment | (env or {}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    folder = tmp_path_factory.mktemp("dist")
    run("sh", ROOT / "tools" / "build-wheel.sh", sys.executable, folder, cwd=folder)
    (sdist,) = folder.glob("digitvae-*.tar.gz")
    (wheel,) = folder.glob("digitvae-*.whl")
    return Distribution(sdist, wheel)


class Fresh:
    """An environment with the wheel and what it depends on, on a machine without compilers."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        run(sys.executable, "-m", "venv", "fresh", cwd=folder)
        self.binaries = folder / "fresh" / "bin"
        self.python = self.binaries / "python"
        self("python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:", str(wheel))

        # Where it is told to, it finds the packages of this environment behind its own: torch is
        # gigabytes.
        (site,) = (folder / "fresh").glob("lib/python*/site-packages")
        lend = (
            f"import os, sys; sys.path += [os.environ['{LENT}']] if '{LENT}' in os.environ else []"
        )
        (site / "lent.pth").write_text(lend + "\n", encoding="utf-8")

    def __call__(self, program: str, *words: str, lent: bool = False) -> str:
        # Nothing but the environment on PATH: neither compilers nor cmake.
        env = {"PATH": str(self.binaries)} | ({LENT: sysconfig.get_path("purelib")} if lent else {})
        return run(self.binaries / program, *words, cwd=self.folder, env=env)


@pytest.fixture(scope="module")
def fresh(dist: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    return Fresh(tmp_path_factory.mktemp("machine"), dist.wheel)


@pytest.mark.slow
def test_the_wheel_holds_the_product_and_nothing_else(dist: Distribution) -> None:
    names = zipfile.ZipFile(dist.wheel).namelist()
    assert "digitvae/bundles/mnist/decoder.onnx" in names
    # With its model card and evaluation, if it has them: a bundle lacks nothing that it lists.
    bundled = {f"digitvae/bundles/mnist/{name}" for name in (MANIFEST, *Bundle.open().file_names)}
    assert bundled <= set(names)
    assert "digitvae/classifiers/mnist.onnx" in names
    assert {"digitvae/py.typed", "digitvae/_native.pyi", "digitvae/_version.pyi"} <= set(names)
    assert "digitvae/bundle/card.md.jinja" in names
    assert any(name.startswith("digitvae/_native.") and name.endswith(".so") for name in names)
    top = {name.split("/")[0] for name in names}
    assert top == {"digitvae", f"digitvae-{dist.version}.dist-info"}


@pytest.mark.slow
def test_the_wheel_is_for_other_machines_too(dist: Distribution) -> None:
    # auditwheel has looked at every symbol, and no library had to be put in.
    tag = re.search(r"-manylinux_2_(\d+)_x86_64\.whl$", dist.wheel.name)
    assert tag is not None, dist.wheel.name
    glibc = os.confstr("CS_GNU_LIBC_VERSION")
    assert glibc is not None
    assert int(tag[1]) <= max(34, int(glibc.split(".")[1]))


@pytest.mark.slow
def test_the_sdist_holds_the_sources_and_nothing_else(dist: Distribution) -> None:
    with tarfile.open(dist.sdist) as archive:
        paths = [PurePosixPath(name) for name in archive.getnames()]
        information = archive.extractfile(f"{paths[0].parts[0]}/PKG-INFO")
        assert information is not None
        assert email.message_from_bytes(information.read())["Version"] == dist.version
    assert {path.parts[0] for path in paths} == {f"digitvae-{dist.version}"}
    names = {str(path.relative_to(f"digitvae-{dist.version}")) for path in paths}
    assert {
        *("LICENSE", "README.md", "CMakeLists.txt", "Makefile", "pyproject.toml"),
        *("cmake/CheckVersions.cmake", "tools/fetch-headers.sh", "tools/build-wheel.sh"),
        *("cpp/include/digitvae/digitvae.h", "cpp/tests/CMakeLists.txt"),
        *("export/mnist/decoder.onnx", "export/classifiers/mnist.onnx", "tests/conftest.py"),
    } <= names
    assert not {path.split("/")[0] for path in names} & JUNK
    assert not [name for name in names if PurePosixPath(name).suffix in JUNK_KINDS]
    if (ROOT / ".git").exists():
        tracked = set(run("git", "ls-files", cwd=ROOT).splitlines())
        folders = {str(folder) for name in tracked for folder in Path(name).parents}
        others = names - tracked - folders
        assert {name for name in others if not name.startswith(PAGE)} == {"PKG-INFO"}
        assert {name for name in tracked - names if name.split("/")[0] not in JUNK} <= KEPT_BACK
    assert dist.sdist.stat().st_size < 30_000_000


@needs_page
@pytest.mark.slow
def test_both_hold_the_page(dist: Distribution) -> None:
    assert "digitvae/explorer/page/index.html" in zipfile.ZipFile(dist.wheel).namelist()
    with tarfile.open(dist.sdist) as archive:
        assert f"digitvae-{dist.version}/{PAGE}/index.html" in archive.getnames()


@pytest.mark.slow
def test_the_package_and_the_library_tell_their_versions(dist: Distribution, fresh: Fresh) -> None:
    assert fresh("digitvae", "--version") == f"digitvae {dist.version}\n"
    ask = (
        "import ctypes, digitvae._native as n; version = ctypes.CDLL(n.__file__).dvae_version;"
        "version.restype = ctypes.c_char_p; print(version().decode())"
    )
    assert fresh("python", "-c", ask) == f"{library_version()}\n"


@pytest.mark.slow
def test_generate_works_in_a_fresh_environment_without_torch(fresh: Fresh) -> None:
    assert "torch" not in fresh("pip", "list", "--format", "freeze")
    place = fresh("python", "-c", "import digitvae; print(digitvae.__file__)")
    assert Path(place.strip()).is_relative_to(fresh.folder)
    words = ("generate", "300", "--seed", "5", "-o")
    fresh("digitvae", *words, "digits.npy")
    run(sys.executable, "-m", "digitvae", *words, fresh.folder / "built.npy", cwd=ROOT)
    made = (fresh.folder / "digits.npy").read_bytes()
    assert made == (fresh.folder / "built.npy").read_bytes()
    digits = np.load(fresh.folder / "digits.npy")
    np.testing.assert_array_equal(digits, dv.load().sample(300, seed=5))
    fresh("digitvae", "generate", "--digit", "0-9", "--per-digit", "2", "-o", "sheet.png")
    assert (fresh.folder / "sheet.png").stat().st_size > 1000
    fresh("digitvae", "encode", "digits.npy", "-o", "latents.npz")
    fresh("digitvae", "decode", "latents.npz", "-o", "again.npy")
    assert np.load(fresh.folder / "again.npy").shape == (300, 28, 28)
    fresh("digitvae", "info", "--check")


@pytest.mark.slow
def test_what_needs_torch_says_how_to_get_it(fresh: Fresh) -> None:
    refused = subprocess.run(
        [fresh.binaries / "digitvae", "train", "--out", "run"],
        cwd=fresh.folder,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "digitvae[train]" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
def test_with_torch_the_wheel_verifies_and_evaluates(fresh: Fresh) -> None:
    both = (  # in one process: each would import torch
        "import torch, digitvae; from digitvae.cli.app import main; print(digitvae.__file__);"
        "print(main(['verify', '--quick']));"
        "print(main(['evaluate', '--quick', '--draws', '200']))"
    )
    place, said = fresh("python", "-c", both, lent=True).split("\n", 1)
    assert Path(place).is_relative_to(fresh.folder)
    verified, evaluated = re.split(r"^0\n", said, flags=re.MULTILINE)[:-1]
    assert "checks passed" in verified
    assert "nats" in evaluated


@needs_page
@pytest.mark.slow
def test_explore_serves_the_page_and_the_shipped_bundle(fresh: Fresh) -> None:
    page = fresh("python", "-c", "import digitvae.explorer.files as f; print(len(f.page_files()))")
    assert int(page) > 3
    with subprocess.Popen(
        [fresh.binaries / "digitvae", "explore", "--no-browser", "--json"],
        cwd=fresh.folder,
        env={"PATH": str(fresh.binaries)},
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            with urllib.request.urlopen(url, timeout=30) as answer:
                assert b"<title>" in answer.read()
            for name in (DECODER, PRIOR):
                with urllib.request.urlopen(f"{url}bundle/{name}", timeout=30) as answer:
                    assert answer.read() == Bundle.open().read(name)
        finally:
            server.send_signal(signal.SIGINT)


@pytest.mark.slow
def test_programs_are_checked_against_the_types_of_the_wheel(fresh: Fresh) -> None:
    program = fresh.folder / "program.py"
    program.write_text(USER_PROGRAM, encoding="utf-8")
    mypy = (sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", "cache")
    done = subprocess.run(
        [*mypy, "--python-executable", fresh.python, "--python-version", "3.12", program.name],
        cwd=fresh.folder,
        env={k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MYPYPATH")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    told = [re.sub(r"^program\.py:(\d+): (\w+): .*", r"\1 \2", x) for x in done.stdout.splitlines()]
    wrong = {word for word in told if word.endswith(" error")}
    assert wrong == {"10 error", "11 error"}, done.stdout
    assert 'program.py:6: note: Revealed type is "numpy.ndarray[' in done.stdout
