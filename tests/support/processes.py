"""Programs that run beside a test."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def started(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Run a program beside the block, as ``subprocess.Popen`` does, which waits for its end.

    If the block fails, the program is killed: a test that has failed does not wait for what may
    take hours.
    """
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def assert_ctrl_c_stops(script: str, *, after: float) -> None:
    """A Python program that says "go" is interrupted so many seconds later, and says "stopped"."""
    with started([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == "stopped\n"
    assert process.returncode == 0
