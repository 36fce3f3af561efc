"""How far a run is, for whoever wants to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[str, int, int], None]


def nothing(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""


def steps(progress: Progress, what: str, total: int) -> Callable[[int], None]:
    """Begin a part of a run, and get a function to call with the number of images just done.

    Args:
        progress: Called with what is done, the images done, and the images in all; with 0 at once.
        what: What is done: ``"generating"`` or ``"checking"``.
        total: Images in all.
    """
    done = 0

    def advance(images: int) -> None:
        nonlocal done
        done += images
        progress(what, done, total)

    advance(0)
    return advance
