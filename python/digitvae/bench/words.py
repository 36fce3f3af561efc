"""Numbers in words."""

from __future__ import annotations


def count(number: int, what: str = "thread") -> str:
    """A number of things: ``1 thread``, ``2 threads``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
