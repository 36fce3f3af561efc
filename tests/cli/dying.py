"""Runs of the command line, each in a process of its own, that die at a given change of the disk.

``python dying.py`` reads a list ``[STEP, WORDS…]`` as a line of JSON, and writes the exit code of
the command line; then the next. The process is forked from this one, which has imported everything
and used nothing. It dies without a word before the call STEP of those that make, flush, rename or
delete something; step 0 never comes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import digitvae.cli.commands
import digitvae.generation.check  # noqa: F401  # so that no process has to import it
from digitvae.cli.app import main
from digitvae.engine.runtime import open_in_background

STEPS = ["fsync", "link", "mkdir", "rename", "replace", "rmdir", "unlink"]


def counted(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        global steps_left  # noqa: PLW0603
        steps_left -= 1
        if steps_left == 0:
            os._exit(9)
        return original(*arguments, **options)

    return call


open_in_background().join()  # ONNX Runtime is open, and has no session yet
for line in sys.stdin:
    steps_left, *words = json.loads(line)
    child = os.fork()
    if child == 0:
        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        os._exit(main(words))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201
