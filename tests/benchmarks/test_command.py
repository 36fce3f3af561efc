"""``python -m benchmarks.generation``: what it prints, writes and refuses, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmarks.generation import __main__ as command
from benchmarks.generation.results import Results
from benchmarks.generation.tables import tables

from tests.support.processes import started

LATENCY = ("--quick", "--only", "latency", "--contenders", "ours", "--threads", "1")


@pytest.fixture(autouse=True)
def in_tmp_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)


def test_it_prints_markdown_and_writes_all_times(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main([*LATENCY, "--rounds", "2", "--json", "a.json"])
    printed, complaints = capsys.readouterr()
    assert complaints == ""
    results = Results.from_json((tmp_path / "a.json").read_text())
    assert printed == "".join(table.markdown() + "\n" for table in tables(results))
    assert "**One digit into uint8 memory" in printed
    assert results.settings["rounds"] == 2
    assert [len(one.seconds) for one in results.latency] == [100]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]

    command.main(["--from", "a.json"])
    assert capsys.readouterr().out == printed

    values = json.loads((tmp_path / "a.json").read_text())
    values["outcomes"][0].update(status="refused", detail="it is wrong")
    (tmp_path / "a.json").write_text(json.dumps(values))
    with pytest.raises(SystemExit, match="digitvae refused: it is wrong"):
        command.main(["--from", "a.json"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--contenders", "ours,theirs"], "'theirs' is none of ours, onnxruntime"),
        (["--threads", "100000"], "processors"),
        (["--threads", "1,two"], "--threads: invalid"),
        (["--only", "everything"], "everything"),
        (["--rounds", "0"], "not positive"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(words)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--json", "nowhere/a.json"], "nowhere"),
        (["--plot", "there.png"], "exists"),
        (["--folder", "nowhere"], "nowhere"),
        (["--bundle", "nowhere"], "nowhere"),
        (["--from", "there.png"], "has no results: this is not JSON"),
    ],
)
def test_a_place_that_will_not_do_is_told_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str], message: str
) -> None:
    monkeypatch.setattr(command, "measure", None)
    (tmp_path / "there.png").write_text("precious")
    with pytest.raises(SystemExit, match=message):
        command.main(words)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def stopped(process: int) -> list[Path]:
    """Contenders that have had a turn: they wait for the next one."""
    folders = []
    for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        folder = Path("/proc", child)
        if "State:\tT" in (folder / "status").read_text():
            folders.append(folder)
    return folders


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_everybody_and_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    words = ["-m", "benchmarks.generation", "--contenders", "ours", "--rounds", "1000"]
    root = str(Path(command.__file__).parents[2])
    with started(
        [sys.executable, *words, "--only", "warm", "--json", str(tmp_path / "a.json")],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + 60
        while not (workers := stopped(process.pid)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no contender had a turn"
            time.sleep(0.005)
        process.send_signal(number)
        assert process.communicate(timeout=30) == (b"", b"")
        assert process.returncode == code
    assert not any(folder.exists() for folder in workers)
    assert not list(tmp_path.iterdir())
