"""Text of others, made safe to show: names, metadata and messages that come from files.

Such text may hold escape sequences that rewrite a terminal, line ends that forge lines of ours, and
marks that reverse the order of what follows.
"""

from __future__ import annotations

STDOUT = "-"
"""The path that stands for standard output."""


def printable(text: str, *, keep: str = "") -> str:
    r"""A text in one line, in which each character that is not printed is spelled out, as ``\x1b``.

    These are all controls (line ends among them), marks of direction, separators other than the
    blank, and characters that nobody has assigned.

    Args:
        text: Anything.
        keep: Characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode()
        for char in text
    )
