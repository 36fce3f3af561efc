"""The program as a whole: what it imports, how it ends, and how it says that something failed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import digitvae as dv
from digitvae.cli import app as program
from digitvae.cli import commands
from tests.support.processes import started
from tests.support.running import PROGRAM, Runner, assert_explained, run_program

COMMANDS = commands.NAMES


def test_help_names_every_command(run: Runner) -> None:
    result = run("--help")
    assert result.code == 0
    assert {file.stem for file in Path(commands.__file__).parent.glob("[a-z]*.py")} == {*COMMANDS}
    assert all(f"\n  {command} " in result.out for command in COMMANDS)


def test_without_a_command_help_is_printed_in_its_lines(run: Runner) -> None:
    assert "\n  generate " in "".join(run()[1:])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Runner, command: str) -> None:
    result = run(command, "--help")
    assert result.code == 0
    assert f"Usage: digitvae {command}" in result.out
    assert ("--json" in result.out) == (command != "completion")


def test_the_version_is_that_of_the_package(run: Runner) -> None:
    assert run("--version") == (0, f"digitvae {dv.__version__}\n", "")


@pytest.mark.parametrize("words", [["frobnicate"], ["--frobnicate"], ["generate", "--frobnicate"]])
def test_what_is_not_known_is_wrong_usage(run: Runner, words: list[str]) -> None:
    assert_explained(run(*words), 2, "frobnicate")


@pytest.mark.parametrize(
    "words",
    [
        ["generate", "5", "-o", "a.npy", "--json"],
        ["generate", "5", "-o", "a.idx.gz"],
        ["--help"],
        ["info"],
        ["completion", "bash"],
    ],
)
def test_nothing_large_is_imported_that_is_not_needed(tmp_path: Path, words: list[str]) -> None:
    code = (
        "import sys; from digitvae.cli.app import main; code = main(sys.argv[1:]);"
        "sys.stderr.write(' '.join(sys.modules)); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, check=True
    )
    modules = {name.partition(".")[0] for name in done.stderr.decode().split()}
    assert "digitvae" in modules
    assert not modules & {"torch", "onnx", "onnxruntime", "numpy", "PIL", "rich", "ctypes"}


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (dv.DataError("the file is bad"), 1, "the file is bad"),
        (dv.ParityError("it differs"), 1, "it differs"),
        (ValueError("n is -1"), 2, "n is -1"),
        (TypeError("z is a list"), 2, "z is a list"),
        (FileNotFoundError(2, "No such file", "some/file"), 1, "some/file: No such file"),
        (OSError(28, "No space left"), 1, "standard output: No space left"),
        (MemoryError(), 1, "out of memory"),
        (MemoryError("2 GiB asked for"), 1, "out of memory: 2 GiB asked for"),
        (ModuleNotFoundError("no", name="torch"), 1, "needs torch: pip install 'digitvae[train]'"),
        (ModuleNotFoundError("no", name="onnx.x"), 1, "pip install 'digitvae[train]'"),
        (ModuleNotFoundError("No module named 'x'", name="x"), 1, "No module named 'x'"),
        (RuntimeError("oh"), 1, "RuntimeError: oh (DIGITVAE_DEBUG=1 shows where)"),
        (KeyError("k"), 1, "KeyError: 'k'"),
    ],
)
def test_every_failure_has_its_exit_code_and_one_line(
    run: Runner, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, message: str
) -> None:
    def fail(_words: list[str]) -> None:
        raise error

    monkeypatch.setattr(program, "_run", fail)
    monkeypatch.delenv("DIGITVAE_DEBUG", raising=False)
    result = run("generate", 5)
    assert_explained(result, code, message)
    assert result.err.startswith("digitvae: error: ")
    assert result.err.count("\n") == 1
    monkeypatch.setenv("DIGITVAE_DEBUG", "1")
    with pytest.raises(type(error)):
        run("generate", 5)


def test_interruptions_and_broken_pipes_need_no_comment(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, code in ((KeyboardInterrupt(), 130), (BrokenPipeError(32, "Broken pipe"), 1)):

        def fail(_words: list[str], error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr(program, "_run", fail)
        assert run("generate", 5) == (code, "", "")


def test_the_program_runs_in_other_threads_and_leaves_signals_as_they_were(run: Runner) -> None:
    before = signal.getsignal(signal.SIGTERM)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(program.main(["generate", "5"])))
    thread.start()
    thread.join()
    assert run("--version").code == 0
    assert codes == [0]
    assert signal.getsignal(signal.SIGTERM) is before


def hide(package: str) -> Callable[[list[str]], subprocess.CompletedProcess[bytes]]:
    """A way to run the program where a package is not installed."""
    code = (
        f"import sys; sys.modules[{package!r}] = None;"
        "from digitvae.cli.app import main; sys.exit(main(sys.argv[1:]))"
    )
    return lambda words: subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, check=False
    )


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("torch", ["train", "--out", "run"]),
        ("torch", ["export", "run", "--out", "bundle"]),
        ("torch", ["verify"]),
        ("onnx", ["export", "run", "--out", "bundle"]),
        ("onnx", ["verify"]),
    ],
)
def test_a_missing_optional_package_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = hide(package)(words)
    assert done.returncode == 1
    assert b"pip install 'digitvae[train]'" in done.stderr
    assert b"Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["torch", "onnx", "PIL", "rich"])
def test_generating_does_without_packages_it_does_not_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = hide(package)(["generate", "5", "-o", "a.npz", "--json"])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["count"] == 5


def test_a_reader_that_has_had_enough_ends_the_program_quietly() -> None:
    with started(
        [*PROGRAM, "generate", "1_000_000", "-o", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(10)) == 10
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["info"],
        ["generate", "3", "-o", "a.npy"],
        *(["generate", "3", "-o", "-", "--format", kind] for kind in ("raw", "npz", "tar")),
    ],
)
def test_results_that_nobody_reads_end_the_program_quietly(
    tmp_path: Path, words: list[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*PROGRAM, *words], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == b""


@pytest.mark.parametrize(
    "words",
    [
        ["info"],
        ["generate", "3", "-o", "-"],
        ["generate", "3", "-o", "-", "--format", "npz"],
        ["generate", "3"],
    ],
)
def test_a_full_disk_behind_standard_output_is_told(tmp_path: Path, words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*PROGRAM, *words], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert done.stderr.startswith(b"digitvae: error: ")
    assert done.stderr.count(b"\n") == 1


def test_a_full_disk_in_mid_run_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000000, 1000000));"
        "from digitvae.cli.app import main; sys.exit(main(sys.argv[1:]))"
    )
    (tmp_path / "a.npy").write_text("precious")
    done = subprocess.run(
        [sys.executable, "-c", code, "generate", "20000", "-o", "a.npy", "--force"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr == (
        b"digitvae: error: cannot write 'a.npy': File too large: free some space or write less\n"
    )
    assert [file.read_text() for file in tmp_path.iterdir()] == ["precious"]


def test_a_name_that_is_not_utf_8_can_be_written_and_reported(tmp_path: Path) -> None:
    name = tmp_path / "d\udcff.npy"
    done = run_program("generate", 3, "-o", name, env={"PYTHONUTF8": "1"})
    assert done.returncode == 0, done.stderr
    assert b"\\udcff.npy: 3 digits" in done.stdout
    assert name.exists()
