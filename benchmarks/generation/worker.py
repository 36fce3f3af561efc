"""A contender in a process of its own, which runs in its turns only.

The process, ``python -m benchmarks.generation.worker MODULE:FUNCTION BUNDLE THREADS``, reads
requests from standard input and answers on what was standard output, one JSON value a line:
``["prepare"]``, ``["check"]``, ``["time", digits, seconds, most]``. An answer is ``{"result": …}``
or ``{"error": "…"}``. What libraries print goes to standard error.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, cast

from benchmarks.machine import keep_to
from digitvae.base.errors import DigitVAEError
from digitvae.bundle.folder import Bundle

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from benchmarks.generation.contenders import Contender, Prepared

_ROOT = Path(__file__).parents[2]
_SHOWN_OF_STDERR = 500  # characters
_PR_SET_PDEATHSIG = 1
_WARM_UP = 1000  # digits at most


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
        words = (contender.prepare, str(bundle.resolve()), str(threads))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.generation.worker", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=_ROOT,
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
            self._stderr.seek(0)
            text = self._stderr.read().decode(errors="replace").strip()
            raise ContenderError(f"its process ended: {text[-_SHOWN_OF_STDERR:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise ContenderError(answer["error"])
        return answer["result"]


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


class _Server:
    """Answers the requests for one contender, each by the method of its name."""

    def __init__(self, prepare: str, bundle: Bundle, threads: int) -> None:
        self._arguments = (prepare, bundle, threads)
        self._prepared: Prepared | None = None

    def prepare(self) -> dict[str, object]:
        name, bundle, threads = self._arguments
        self._prepared = prepared = resolve_name(name)(bundle, threads)
        return {"versions": prepared.versions, "settings": prepared.settings}

    def check(self) -> dict[str, object]:
        from benchmarks.generation import correctness

        prepared, bundle = self._ready, self._arguments[1]
        return {
            "deviation": correctness.deviation(prepared, bundle),
            "problem": correctness.problem(prepared, bundle),
        }

    def time(self, digits: int, seconds: float, most: int | None) -> list[float]:
        generate = self._ready.generate
        generate(min(digits, _WARM_UP))
        times: list[float] = []
        gc.disable()  # as timeit does: its pauses belong to nobody
        try:
            end = time.perf_counter() + seconds
            now = 0.0
            while now < end and len(times) != most:
                start = time.perf_counter()
                generate(digits)
                now = time.perf_counter()
                times.append(now - start)
        finally:
            gc.enable()
        return times

    @property
    def _ready(self) -> Prepared:
        if self._prepared is None:
            raise RuntimeError("not prepared")
        return self._prepared


def main() -> None:
    """Serve until standard input ends."""
    # Whoever started this process stops it between its turns, and a stopped process would never
    # notice that nobody is left to go on.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    prepare, bundle, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    keep_to(threads)  # before any library counts the processors
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        server = _Server(prepare, Bundle.open(bundle), threads)
        for line in sys.stdin:
            what, *arguments = json.loads(line)
            try:
                answer = {"result": getattr(server, what)(*arguments)}
            except Exception as error:  # frameworks have exceptions of their own
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
