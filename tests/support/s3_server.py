"""A server that speaks S3, on this machine, for as long as tests need it."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

HOST = "127.0.0.1"
_PATIENCE = 60.0
"""Seconds that a busy machine may take to start the server."""
_PAGE = 7
"""Objects in an answer to what there is, 1,000 elsewhere: who does not turn pages is found out."""


def unused_port() -> int:
    """A port at which nothing listens, for now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def environment(port: int) -> dict[str, str]:
    """What clients of an S3 at a port have in their environment.

    The keys are anything: the server knows nobody, and asks nobody, unless told to.
    """
    return {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",  # else whoever has no keys asks the network for them
        "NO_PROXY": HOST,
    }


@contextmanager
def running_server() -> Iterator[dict[str, str]]:
    """Run an S3 server, which holds nothing, in a process of its own.

    Yields:
        The environment of its clients.
    """
    port = unused_port()
    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    with (
        TemporaryFile() as said,
        subprocess.Popen(
            command,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": str(_PAGE)},
        ) as process,
    ):
        try:
            deadline = time.monotonic() + _PATIENCE
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    raise RuntimeError(f"no S3 server: {said.read().decode(errors='replace')}")
                time.sleep(0.05)
            yield environment(port)
        finally:
            process.kill()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/")  # the list of all buckets
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
