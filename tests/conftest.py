"""Fixtures for more than one folder of tests. Training and exporting happen once a session."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

import digitvae as dv
from digitvae.bundle.folder import shipped_path
from digitvae.bundle.names import PRIOR
from digitvae.data.sets import Split
from tests.support.bundles import altered
from tests.support.once import made_once
from tests.support.running import Runner
from tests.support.s3_server import running_server

TINY_IMAGES = 4096

SPREAD = {
    "tests/docs/test_code_blocks.py",
    "tests/parity/test_gate.py",
    "tests/parity/test_honest_exports.py",
}
"""Modules of long tests whose fixtures cost little: any process takes any of them."""

# Tests never assert wall time.
hypothesis.settings.register_profile("digitvae", deadline=None)
hypothesis.settings.load_profile("digitvae")

# Sooner than commands have it: tests run next to programs that they have started, and threads that
# spin take the processor from them (docs/training.md, "Time").
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
if "PYTEST_XDIST_WORKER" in os.environ:  # then other processes have the other processors
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A thread of Ray reports how it is used, outlives the test, and logs failures with tracebacks. To
# format one Python parses the line, and CPython 3.11 cannot do that on two threads at a time
# ("AST constructor recursion depth mismatch"): torch.onnx.export, which parses, too, failed for it.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

# Whoever starts the tests in the background has them ignore Ctrl-C, and so would every program that
# they start. Some of them are there to be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that take longest, so that all processes end at about one time."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])  # those of a module stay together, in their order


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process a module at a time, for its fixtures, or a test of one in ``SPREAD``."""
    from xdist.scheduler import LoadScopeScheduling

    class ByModule(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.partition("::")[0]
            if module.startswith("tests/generation/ray/"):
                return "tests/generation/ray"  # which shares a cluster
            return nodeid if module in SPREAD else module

    config.option.loadscopereorder = False
    return ByModule(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was not tested on this machine, and how to get it."""
    skipped = terminalreporter.getreports("skipped")
    reasons = {str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple)}
    if reasons:
        told = "; ".join(sorted(reason.removeprefix("Skipped: ") for reason in reasons))
        terminalreporter.write_line(f"not tested: {told}")


@pytest.fixture(scope="session")
def mnist() -> dict[str, Split]:
    """The real MNIST, from the cache that `digitvae data` fills."""
    from digitvae.data import sets as data

    return data.load("mnist")


@pytest.fixture(scope="session")
def model() -> dv.Model:
    """The shipped bundle in the native engine."""
    return dv.load()


@pytest.fixture(scope="session")
def labelled_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped bundle with a small prior of ten classes, two components each."""
    from cpp.fuzz.make_corpus import PRIOR as SMALL_PRIOR

    folder = tmp_path_factory.mktemp("labelled") / "bundle"
    return altered(shipped_path(), folder, {PRIOR: SMALL_PRIOR.read_bytes()})


@pytest.fixture(scope="session")
def unlabelled_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped bundle without a prior."""
    return altered(shipped_path(), tmp_path_factory.mktemp("unlabelled") / "bundle", {PRIOR: None})


@pytest.fixture(scope="session")
def labelled(labelled_bundle: Path) -> dv.Model:
    """That bundle in the native engine."""
    return dv.load(labelled_bundle)


@pytest.fixture(scope="session")
def tiny_run(mnist: dict[str, Split], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of one ELBO epoch on 4,096 images: real, small, not collapsed."""
    from digitvae.training.loop import TrainConfig, train

    subset = {"train": mnist["train"].head(TINY_IMAGES), "test": mnist["test"].head(TINY_IMAGES)}
    config = TrainConfig(epochs=1, limit=TINY_IMAGES)
    return made_once(
        tmp_path_factory, "tiny_run", lambda folder: train(config, folder, data=subset)
    )


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That run, exported. Tests that damage a bundle damage a copy."""
    # By a process of its own: tests/export has another hash seed, and gets the same bytes.
    env = os.environ | {"PYTHONHASHSEED": "1"}
    command = [sys.executable, "-m", "digitvae.cli.app", "export", str(tiny_run), "--quick"]

    def export(folder: Path) -> None:
        subprocess.run([*command, "--out", str(folder)], check=True, capture_output=True, env=env)

    return made_once(tmp_path_factory, "tiny_bundle", export)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Runner:
    """The command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Runner(capsys)


@pytest.fixture(scope="session")
def s3_environment() -> Iterator[dict[str, str]]:
    """An S3 server, and what has to be in the environment of those that use it."""
    with running_server() as environment:
        yield environment


@pytest.fixture
def s3(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """That environment is this process's own."""
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    return s3_environment
