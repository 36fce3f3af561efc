"""The process of one contender: ``python -m digitvae.bench.serve MODULE BUNDLE THREADS``.

Reads requests from standard input and answers on what was standard output, one JSON value a line:
``["prepare"]``, ``["check"]``, ``["time", digits, seconds, most]``. An answer is ``{"result": …}``
or ``{"error": "…"}``. What libraries print goes to standard error.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from digitvae.bench.processors import keep_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from digitvae.bench.contenders import Prepared
    from digitvae.bundle.folder import Bundle

_PR_SET_PDEATHSIG = 1
_WARM_UP = 1000  # digits at most


class Server:
    """Answers the requests for one contender."""

    def __init__(self, module: str, bundle: Bundle, threads: int) -> None:
        self._module = module
        self._bundle = bundle
        self._threads = threads
        self._prepared: Prepared | None = None

    def answer(self, request: list[Any]) -> object:
        """Do what is asked for."""
        what, *arguments = request
        known: dict[str, Callable[..., object]] = {
            "prepare": self._prepare,
            "check": self._check,
            "time": self._time,
        }
        return known[what](*arguments)

    def _prepare(self) -> dict[str, object]:
        self._prepared = import_module(self._module).prepare(self._bundle, self._threads)
        return {"versions": self._ready.versions, "settings": self._ready.settings}

    def _check(self) -> dict[str, object]:
        from digitvae.bench import correctness

        return {
            "deviation": correctness.deviation(self._ready, self._bundle),
            "problem": correctness.problem(self._ready, self._bundle),
        }

    def _time(self, digits: int, seconds: float, most: int | None) -> list[float]:
        """Seconds of each call, one after the other, until the time or ``most`` calls are up."""
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
    module, bundle, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    keep_to(threads)  # before any library counts the processors
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        from digitvae.bundle.folder import Bundle

        server = Server(module, Bundle.open(bundle), threads)
        for line in sys.stdin:
            try:
                answer = {"result": server.answer(json.loads(line))}
            except Exception as error:  # frameworks have exceptions of their own
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
