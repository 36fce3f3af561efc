"""Where the ONNX Runtime library comes from, and what is said when it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

import digitvae as dv
from digitvae.engine.runtime import (
    ENVIRONMENT_VARIABLE,
    open_in_background,
    open_runtime,
    packaged_library,
)
from tests.support.running import too_old_runtime


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)


def test_the_library_of_the_installed_package_is_the_default() -> None:
    library = packaged_library()
    assert library is not None
    assert library.parent == Path(onnxruntime.__file__).parent / "capi"
    runtime = open_runtime()
    assert runtime.path == str(library)
    assert runtime.version == onnxruntime.__version__


def test_the_environment_comes_before_the_package_and_the_argument_before_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    library = packaged_library()
    assert library is not None
    copy = shutil.copy(library, tmp_path / "copy.so")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(copy))
    assert open_runtime().path == str(copy)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "/nonexistent.so")
    assert open_runtime(copy).path == str(copy)
    assert dv.load(ort_library=library).runtime_path == str(library)


def test_a_library_asked_for_is_the_only_one_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(dv.RuntimeLibraryError, match=r"/nonexistent/one\.so"):
        dv.load(ort_library="/nonexistent/one.so")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "/nonexistent/two.so")
    with pytest.raises(dv.RuntimeLibraryError, match=r"/nonexistent/two\.so"):
        dv.load()


def test_a_library_that_is_something_else_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "libonnxruntime.so"
    text.write_text("not a library", encoding="utf-8")
    with pytest.raises(dv.RuntimeLibraryError, match="cannot open"):
        open_runtime(text)
    with pytest.raises(dv.RuntimeLibraryError, match="is not the ONNX Runtime library"):
        open_runtime("libm.so.6")


def test_a_library_that_is_too_old_is_refused_with_both_versions(tmp_path: Path) -> None:
    library = too_old_runtime(tmp_path / "old.so")
    with pytest.raises(
        dv.RuntimeLibraryError, match=r"is version 1\.4\.0, too old: digitvae needs 1\.20 or newer"
    ):
        dv.load(ort_library=library)


def test_without_any_library_the_message_says_what_to_do() -> None:
    script = (
        "import sys, digitvae.engine.runtime as r\n"
        "r.packaged_library = lambda: None\n"
        "r._SYSTEM_NAMES = ('libdoes-not-exist.so',)\n"
        "try: r.open_runtime()\n"
        "except Exception as error: sys.stdout.write(f'{type(error).__name__}: {error}')"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert said.stdout.startswith("RuntimeLibraryError: no ONNX Runtime library was found")
    assert "pip install onnxruntime" in said.stdout
    assert ENVIRONMENT_VARIABLE in said.stdout
    assert "libdoes-not-exist.so" in said.stdout


def test_the_module_prints_the_path_for_shells() -> None:
    for module in ("digitvae.engine.runtime", "digitvae.runtime"):  # and by its earlier name
        command = [sys.executable, "-m", module]
        said = subprocess.run(command, check=True, capture_output=True, text=True)
        assert said.stdout == f"{packaged_library()}\n"


def test_onnx_runtime_is_told_to_keep_to_itself_unless_the_user_decided(tmp_path: Path) -> None:
    program = "import digitvae, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}

    def said(**decided: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", program],
            env={**environment, **decided},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    assert said() == "1"
    assert said(ORT_DISABLE_TELEMETRY="0") == "0"


def test_generating_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    """ONNX Runtime would leave an identifier and a database there (not on what it takes for CI)."""
    environment = {k: v for k, v in os.environ.items() if k not in {"ORT_DISABLE_TELEMETRY", "CI"}}
    environment |= {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    (tmp_path / "home").mkdir()
    subprocess.run(
        [sys.executable, "-m", "digitvae.cli.app", "generate", "1", "-o", tmp_path / "digit.png"],
        env=environment,
        check=True,
    )
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["digit.png", "home"]


def test_what_was_opened_in_the_background_is_opened_again_at_once() -> None:
    open_in_background().join()
    assert open_runtime().version == onnxruntime.__version__


def test_a_failure_in_the_background_is_told_when_it_matters(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "/missing/libonnxruntime.so")
    open_in_background().join()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(dv.RuntimeLibraryError, match=r"/missing/libonnxruntime\.so"):
        open_runtime()
