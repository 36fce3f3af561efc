"""``digitvae explore``: starting, opening a browser, ending."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
import webbrowser
from pathlib import Path

import pytest

from digitvae.cli.commands import explore as command
from digitvae.explorer import files
from tests.support.processes import started
from tests.support.running import PROGRAM, Runner, assert_explained

# The program with a page of one file, whether the real one has been built or not.
WITH_PAGE = """
import sys
from pathlib import Path
from digitvae.explorer import files
files.page_files.__defaults__ = (Path(sys.argv.pop(1)),)
from digitvae.cli.app import program
from tests.support.processes import started
program()
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>page</title>")
    return folder


@pytest.fixture
def has_page(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.page_files, "__defaults__", (page,))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_it_serves_until_it_is_told_to_end(page: Path, number: signal.Signals, code: int) -> None:
    words = ["env", "--default-signal=HUP", sys.executable, "-c", WITH_PAGE, str(page), "explore"]
    with started(
        [*words, "--no-browser", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["command"] == "explore"
        assert told["url"] == f"http://127.0.0.1:{told['port']}/"
        with urllib.request.urlopen(told["url"], timeout=10) as answer:
            assert b"page" in answer.read()
        with urllib.request.urlopen(told["url"] + "bundle/manifest.json", timeout=10) as answer:
            assert json.load(answer)["schema"] == "digitvae-bundle/1"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (code, b"", b"")


def test_it_needs_neither_torch_nor_onnxruntime_nor_numpy(page: Path) -> None:
    code = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from digitvae.bundle.folder import Bundle\n"
        "from digitvae.cli.commands import explore\n"
        "from digitvae.explorer.files import bundle_files, page_files\n"
        "from digitvae.explorer.server import ExplorerServer\n"
        f"table = {{**page_files(Path({str(page)!r})), **bundle_files(Bundle.open())}}\n"
        "ExplorerServer(table).server_close()\n"
        "heavy = {'torch', 'onnxruntime', 'numpy', 'digitvae._native'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_missing_page_is_explained(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.page_files, "__defaults__", (tmp_path / "nowhere",))
    assert_explained(run("explore", "--no-browser"), 1, "`make web` builds it")


@pytest.mark.usefixtures("has_page")
def test_a_bad_bundle_is_explained_before_anything_is_served(run: Runner, tmp_path: Path) -> None:
    assert_explained(run("explore", "--bundle", tmp_path / "no"), 1, "there is no bundle at")
    (tmp_path / "manifest.json").write_text("{}")
    assert_explained(run("explore", "--bundle", tmp_path), 1, "names no schema")


@pytest.mark.usefixtures("has_page")
def test_a_taken_port_is_explained(run: Runner) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("explore", "--no-browser", "--port", port)
    assert_explained(result, 1, f"cannot listen on port {port}")


@pytest.mark.parametrize("port", ["-1", "65536", "web"])
def test_ports_are_numbers_of_ports(run: Runner, port: str) -> None:
    assert_explained(run("explore", "--port", port), 2, "--port")


@pytest.mark.parametrize(
    ("screen", "starts", "said"),
    [
        ("DISPLAY", True, []),
        ("BROWSER", False, ["no browser could be started: open http://127.0.0.1:4321/"]),
        (None, True, ["no screen here", "ssh -L 4321:127.0.0.1:4321"]),
    ],
)
def test_the_browser_is_sent_to_the_page_where_there_is_a_screen(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    screen: str | None,
    starts: bool,
    said: list[str],
) -> None:
    opened: list[str] = []
    done = threading.Event()

    def open_it(url: str) -> bool:
        opened.append(url)
        threading.Timer(0.1, done.set).start()
        return starts

    monkeypatch.setattr(webbrowser, "open", open_it)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    if screen is not None:
        monkeypatch.setenv(screen, "something")
    command._open_browser("http://127.0.0.1:4321/")
    assert screen is None or done.wait(10)
    assert opened == ([] if screen is None else ["http://127.0.0.1:4321/"])
    err = capsys.readouterr().err
    assert all(words in err for words in said)
    assert bool(err) == bool(said)


def test_the_program_reads_its_words_as_people_write_them() -> None:
    """`--help` lists what there is; the rest is held by the tests above."""
    done = subprocess.run(
        [*PROGRAM, "explore", "--help"], capture_output=True, check=True, env=os.environ
    )
    for word in (b"--bundle", b"--port", b"--no-browser", b"--json"):
        assert word in done.stdout
