"""How many processors a process computes on."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def available() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def keep_to(count: int) -> None:
    """Let this thread, and every thread that it starts from now on, use so many processors only."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


@contextmanager
def limited_to(count: int) -> Iterator[None]:
    """Keep to so many processors for a while."""
    before = os.sched_getaffinity(0)
    keep_to(count)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
