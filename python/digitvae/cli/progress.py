"""A progress bar on stderr, for runs that last, on terminals."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from digitvae.base.text import printable
from digitvae.cli.say import tell

if TYPE_CHECKING:
    from rich.progress import Progress

_PATIENCE = 0.5
"""Seconds before a bar appears: importing rich for less would make people wait for the bar."""

_PAUSE = 0.1
"""Seconds between two looks of a bar. It has no thread of its own, which might not start."""


@contextmanager
def progress(what: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show how far a run of ``total`` steps is.

    Args:
        what: A word or two for the left of the bar.
        total: Number of steps.
        quiet: Show nothing. Nothing is shown either when stderr is not a terminal.

    Yields:
        A function to call with the number of steps just done.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _steps: None
        return
    began = time.monotonic()
    done = 0
    bar: Progress | None = None
    is_due = pacer()

    def advance(steps: int) -> None:
        nonlocal bar, done
        done += steps
        if bar is None and time.monotonic() - began > _PATIENCE and done < total:
            bar = _bar()
            bar.add_task(printable(what), total=total)
            bar.start()
        if bar is not None:
            bar.update(bar.task_ids[0], completed=done, refresh=is_due())

    try:
        yield advance
    finally:
        if bar is not None:
            bar.stop()


@contextmanager
def bars(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show the parts of a run, one bar after the other; and how to go on, where it is interrupted.

    Args:
        quiet: Show nothing.

    Yields:
        A function to call with what is done, the steps done, and the steps in all.
    """
    with ExitStack() as stack:
        current, before = "", 0
        advance: Callable[[int], None]

        def show(what: str, done: int, total: int) -> None:
            nonlocal current, before, advance
            if what != current:
                stack.close()
                advance = stack.enter_context(progress(what, total))
                current, before = what, 0
            advance(done - before)
            before = done

        try:
            yield show if not quiet else lambda _what, _done, _total: None
        except (KeyboardInterrupt, SystemExit) as error:
            for note in () if quiet else getattr(error, "__notes__", ()):
                tell(f"digitvae: interrupted: {note}")
            raise


@contextmanager
def steps() -> Iterator[Callable[[int, int, str], None]]:
    """Show the steps of work that finds out on its way how many there are.

    Yields:
        A function to call with the steps done, the steps in all, and what is done now. Nothing is
        shown when stderr is not a terminal.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _done, _total, _what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(), TextColumn("{task.description}", markup=False))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("")
        is_due = pacer()

        def show(done: int, total: int, what: str) -> None:
            bar.update(
                task, completed=done, total=total, description=printable(what), refresh=is_due()
            )

        yield show


def pacer() -> Callable[[], bool]:
    """A function that tells, now and then, that a bar is to be drawn again."""
    drawn = -_PAUSE

    def is_due() -> bool:
        nonlocal drawn
        now = time.monotonic()
        if now - drawn < _PAUSE:
            return False
        drawn = now
        return True

    return is_due


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,
    )
