"""Reaching a Ray cluster, and saying plainly why not."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from digitvae.base.errors import ClusterError

_REACH_SECONDS = 5.0
_HOW_TO_START = (
    "start one with 'ray start --head', and name it with cluster (--address HOST:6379) from other "
    "machines"
)


def ray_package() -> Any:
    """The package ``ray``.

    Raises:
        ClusterError: It is not installed.
    """
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ClusterError(
            f"generating on a cluster needs Ray ({error}): pip install 'digitvae[ray]'"
        ) from error
    return ray


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be connected to a cluster inside the block. Where we are already, stay so.

    Args:
        address: ``auto`` (``RAY_ADDRESS``, or a cluster on this machine), or ``HOST:PORT``.

    Raises:
        ClusterError: Ray is not installed, or there is no cluster, or no answer, or it is lost.
    """
    if "ray" not in sys.modules and _is_for_this_machine_alone(address):
        # Otherwise Ray takes 127.0.0.1 for the machine's address elsewhere, where nobody answers.
        # It reads this when it is imported.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    ray = ray_package()
    if ray.is_initialized():
        with _cluster_errors(ray):
            yield
        return
    _refuse_silent(address)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        # Ray would write to standard output, where results go, of every worker that it replaces.
        try:
            with _own_signals():
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError as error:
            if told := _resolved(address):  # somebody listens there
                raise ClusterError(
                    f"the Ray cluster at '{told}' cannot be joined ({_in_a_line(error)}): it may "
                    "ask for a token, which its user has in ~/.ray/auth_token, or run another "
                    "version of Ray"
                ) from error
            raise ClusterError(_no_cluster(address, _in_a_line(error))) from error
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            raise ClusterError(f"the Ray cluster cannot be used: {_in_a_line(error)}") from error
        try:
            with _cluster_errors(ray):
                yield
        finally:
            leave()


def leave() -> None:
    """Leave the cluster, which ends the workers that work for this process.

    What nobody uses any more is collected first, because a reference to an object of the cluster
    that another thread lets go of in the quarter of a second that this takes ends the process (Ray
    2.60). Those that errors hold are often let go of by whichever thread collects.

    Without its head there is no cluster to leave: Ray would wait for it, and end this process.
    """
    if not head_answers():
        return  # or it has been left already
    gc.collect()
    ray_package().shutdown()


def head_answers() -> bool:
    """Tell if the head of the cluster that this process is connected to can be reached."""
    ray = ray_package()
    if not ray.is_initialized():  # to ask for its context would begin a cluster
        return False
    address = ray.get_runtime_context().gcs_address
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS).close()
    except OSError:
        return False
    return True


def workers_that_fit(threads: int) -> int:
    """Number of workers, of so many processors each, that the machines have room for now."""
    machines = [node["Resources"] for node in ray_package().nodes() if node["Alive"]]
    return sum(int(machine.get("CPU", 0)) // threads for machine in machines)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Undo what the block does to signals: Ray would end on SIGTERM, with a trace of its stack."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        if handler is not None:
            signal.signal(number, handler)


@contextmanager
def _cluster_errors(ray: Any) -> Iterator[None]:
    """Turn what Ray has to say of itself inside the block into a :class:`ClusterError`."""
    try:
        yield
    except ray.exceptions.RayError as error:
        told = str(error).strip().splitlines()
        raise ClusterError(
            f"the cluster failed: {told[0] if told else type(error).__name__}"
        ) from error
    except SystemExit as error:
        # Ray's own, which would end the command without a word. Signals end commands by codes
        # above 128 (digitvae.cli.app).
        if isinstance(error.code, int) and error.code > 128:
            raise
        raise ClusterError(
            f"the cluster failed: Ray wanted this process to end ({error.code!r}), as it does when "
            "the head of the cluster has died"
        ) from error


def _refuse_silent(address: str) -> None:
    """Refuse an address that nobody answers at. Ray itself would try for minutes."""
    told = _resolved(address)
    if not told:
        return  # Ray says at once that there is none
    try:
        place = urlsplit(f"//{told}")
        host, port = place.hostname, place.port
    except ValueError as error:
        raise ClusterError(_no_cluster(told, str(error))) from error
    if host is None or port is None:
        raise ClusterError(_no_cluster(told, "expected auto or HOST:PORT"))
    try:
        socket.create_connection((host, port), timeout=_REACH_SECONDS).close()
    except OSError as error:
        raise ClusterError(_no_cluster(told, error.strerror or str(error))) from error


def _resolved(address: str) -> str:
    """``HOST:PORT`` of an address; nothing if it is ``auto`` and there is no cluster."""
    told = address
    if told == "auto":
        told = os.environ.get("RAY_ADDRESS", "auto")
    return _last_on_this_machine() if told in ("", "auto") else told


def _is_for_this_machine_alone(address: str) -> bool:
    """Tell if the cluster was begun here, as one that listens to nobody else (`make cluster`)."""
    told = _resolved(address)
    return told.startswith("127.0.0.1:") and told == _last_on_this_machine()


def _last_on_this_machine() -> str:
    """Address of the cluster that was last begun here, as ``ray.init`` documents it."""
    try:
        folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
        note = Path(folder, "ray", "ray_current_cluster")
        return note.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _no_cluster(address: str, reason: str) -> str:
    if address == "auto":
        return f"there is no Ray cluster on this machine: {_HOW_TO_START}"
    return f"there is no Ray cluster at '{address}' ({reason}): {_HOW_TO_START}"


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
