"""A contender in a process of its own, which runs in its turns only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, cast

from digitvae.base.errors import DigitVAEError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from digitvae.bench.contenders import Contender

_SHOWN_OF_STDERR = 500  # characters


class ContenderError(DigitVAEError):
    """A contender cannot be loaded, or fails at its work."""


class Worker:
    """Starts the process of a contender; a context manager that ends it.

    Between requests the process is stopped, so that threads that wait for work by spinning cannot
    take the processors from whose turn it is.
    """

    def __init__(self, contender: Contender, bundle: Path, threads: int) -> None:
        """Start the process.

        Args:
            contender: Who.
            bundle: Folder of the bundle to decode with.
            threads: Threads and processors that it may use.
        """
        self.contender = contender
        self.threads = threads
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        words = (contender.module, str(bundle), str(threads))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "digitvae.bench.serve", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, **environment(threads)},
            start_new_session=True,  # Ctrl-C is for the parent, who ends this process
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._stderr.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def prepare(self) -> dict[str, Any]:
        """Load the contender and find its best settings.

        Returns:
            ``{"versions": {package: version}, "settings": text}``.

        Raises:
            ContenderError: It cannot be loaded.
        """
        return cast("dict[str, Any]", self._ask("prepare"))

    def check(self) -> dict[str, Any]:
        """Compare what it computes with the truth.

        Returns:
            ``{"deviation": largest of a pixel, "problem": text, empty if it is right}``.

        Raises:
            ContenderError: It fails.
        """
        return cast("dict[str, Any]", self._ask("check"))

    def time(self, digits: int, seconds: float, most: int | None = None) -> list[float]:
        """Generate again and again.

        Args:
            digits: Digits of each call.
            seconds: How long; at least one call is made.
            most: Calls at most, if there is a limit.

        Returns:
            Seconds of each call.

        Raises:
            ContenderError: It fails.
        """
        return cast("list[float]", self._ask("time", digits, seconds, most))

    def _ask(self, *request: object) -> object:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        self._process.send_signal(signal.SIGCONT)
        try:
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: the answer is missing too
        line = stdout.readline()
        self._process.send_signal(signal.SIGSTOP)
        if not line:
            raise ContenderError(f"its process ended: {self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ContenderError(answer["error"])
        return answer["result"]

    def _last_words(self) -> str:
        self._stderr.seek(0)
        text = self._stderr.read().decode(errors="replace").strip()
        return text[-_SHOWN_OF_STDERR:] or "without a word"


def environment(threads: int) -> dict[str, str]:
    """What tells all frameworks to use so many threads of the CPU, and nobody about it."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
        "ORT_DISABLE_TELEMETRY": "1",
    }
