"""The command line, but it dies without a word before a given change of the disk.

``python dying.py STEP WORDS…`` counts calls that make, flush, rename or delete something.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from digitvae.cli.app import main

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = ["fsync", "link", "mkdir", "rename", "replace", "rmdir", "unlink"]


def counted(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        global steps_left  # noqa: PLW0603
        steps_left -= 1
        if steps_left == 0:
            os._exit(9)
        return original(*arguments, **options)

    return call


steps_left = int(sys.argv[1])
for name in STEPS:
    setattr(os, name, counted(getattr(os, name)))
sys.exit(main(sys.argv[2:]))
