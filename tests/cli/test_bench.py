"""``digitvae bench``: what it prints and writes, what it refuses, and how it is interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from digitvae.bench.results import Results
from digitvae.bench.tables import tables
from tests.support.processes import started
from tests.support.running import PROGRAM, Runner, assert_explained

if TYPE_CHECKING:
    from collections.abc import Iterator

LATENCY = ("bench", "--quick", "--only", "latency", "--contenders", "ours", "--threads", 1)


@pytest.fixture
def no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring is not come to."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("it began to measure")

    monkeypatch.setattr("digitvae.bench.run.run", refuse)


def test_it_prints_markdown_and_writes_all_times(run: Runner, tmp_path: Path) -> None:
    result = run(*LATENCY, "--rounds", 2, "--json", "a.json")
    assert result.code == 0, result.err
    assert result.err == ""
    results = Results.from_json((tmp_path / "a.json").read_text())
    assert result.out == "".join(table.markdown() + "\n" for table in tables(results))
    assert "**One digit into uint8 memory" in result.out
    assert results.settings["rounds"] == 2
    assert [len(one.seconds) for one in results.latency] == [100]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]

    again = run("bench", "--from", "a.json")
    assert (again.code, again.out) == (0, result.out)


def test_who_computes_something_else_is_the_failure_of_the_run(run: Runner, tmp_path: Path) -> None:
    result = run(*LATENCY, "--rounds", 1, "--json", "a.json")
    assert result.code == 0
    values = json.loads((tmp_path / "a.json").read_text())
    values["outcomes"][0].update(status="refused", detail="it is wrong")
    (tmp_path / "a.json").write_text(json.dumps(values))
    again = run("bench", "--from", "a.json")
    assert again.code == 1
    assert "digitvae refused: it is wrong" in again.err
    assert "| digitvae | refused: it is wrong |" in again.out


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--contenders", "ours,theirs"], "'theirs' is none of ours, onnxruntime"),
        (["--contenders", ""], "'' is none of"),
        (["--threads", "0"], "not in the range 1 to"),
        (["--threads", "100000"], "processors"),
        (["--threads", "1,two"], "'two' is not a whole number"),
        (["--only", "everything"], "everything"),
        (["--rounds", "0"], "not in the range"),
        (["5"], "unexpected extra argument"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(run: Runner, words: list[str], message: str) -> None:
    assert_explained(run("bench", *words), 2, message)


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_what_cannot_be_written_is_told_before_anything_is_measured(
    run: Runner, tmp_path: Path, option: str
) -> None:
    (tmp_path / "there.png").write_text("precious")
    assert_explained(run("bench", option, "nowhere/a.png"), 1, "nowhere/a.png")
    assert_explained(run("bench", option, "there.png"), 1, "--force")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.usefixtures("no_run")
def test_a_folder_or_a_bundle_that_is_not_there_is_told_before_anything_is_measured(
    run: Runner,
) -> None:
    assert_explained(run("bench", "--folder", "nowhere"), 1, "nowhere")
    assert_explained(run("bench", "--bundle", "nowhere"), 1, "nowhere")


@pytest.mark.usefixtures("no_run")
def test_a_plot_without_matplotlib_is_told_with_the_remedy(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert_explained(run("bench", "--plot", "a.png"), 1, "pip install 'digitvae[bench]'")


def test_a_file_that_holds_no_results_is_refused(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert_explained(run("bench", "--from", "a.json"), 1, "schema is None")
    assert_explained(run("bench", "--from", "b.json"), 1, "b.json")


def waiting_workers(process: int) -> Iterator[Path]:
    """Contenders that have had a turn: they are stopped until the next one."""
    # Of either, the folder goes away with the thread or the process.
    gone = suppress(FileNotFoundError, ProcessLookupError)
    for task in Path(f"/proc/{process}/task").iterdir():
        children = ""
        with gone:
            children = (task / "children").read_text()
        for child in children.split():
            folder, state = Path("/proc", child), ""
            with gone:
                state = (folder / "status").read_text()
            if "State:\tT" in state:
                yield folder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_everybody_and_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    words = ["bench", "--contenders", "ours", "--rounds", "1000", "--json", "a.json"]
    with started(
        [*PROGRAM, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 30
        while not (workers := list(waiting_workers(process.pid))):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no contender had a turn"
            time.sleep(0.005)
        process.send_signal(number)
        assert process.communicate(timeout=30) == (b"", b"")
        assert process.returncode == code
    assert not any(folder.exists() for folder in workers)
    assert not list(tmp_path.iterdir())
