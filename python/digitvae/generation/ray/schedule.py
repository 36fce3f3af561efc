"""Work on a cluster: few tasks at a time, in whatever order they end, and none left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from digitvae.base.errors import ClusterError, DigitVAEError, OutputError
from digitvae.generation.ray.cluster import head_answers, leave, ray_package, workers_that_fit

Job = TypeVar("Job")
Item = TypeVar("Item")
Result = TypeVar("Result")

ATTEMPTS = 6
"""How often an item is tried, on whichever machine, before the run gives up."""
_IN_FLIGHT_PER_WORKER = 2
"""One that is worked on, and one so that a worker need not wait for the next."""
_LOOK_SECONDS = 1.0
"""Between looks at how large the cluster is by now."""
_PATIENCE_SECONDS = 60.0
"""For a cluster without a processor to spare to get one: machines may be on their way."""
_HEAD_SECONDS = 20.0
"""For the head of the cluster to answer again. After a minute, Ray would end this process."""
_GOING_SECONDS = 1.0
"""For workers to be gone, when the run is ended."""


def spread(
    function: Callable[[Job, Item], Result], job: Job, items: Iterable[Item], *, threads: int
) -> Generator[tuple[Item, Result], None, None]:
    """Call a function for every item, on the processors of the cluster.

    Args:
        function: What to call, with ``job`` and an item: a function of a module, which all machines
            have. It may be called more than once for one item, at the same time even.
        job: What is the same for all items; sent once.
        items: What to call it with.
        threads: Processors that one call takes.

    Yields:
        Items with their results, as they come.

    Raises:
        DigitVAEError: What the function raised.
        ClusterError: The cluster is too small, or has lost its head, or calls were lost time and
            again.
    """
    ray = ray_package()
    task = ray.remote(function).options(
        num_cpus=threads, max_retries=ATTEMPTS - 1, retry_exceptions=[OutputError]
    )
    waiting = iter(items)
    running: dict[Any, Item] = {}
    shared = ray.put(job)
    most, looked = 0, -_LOOK_SECONDS
    had_room = had_head = time.monotonic()
    try:
        while True:
            if time.monotonic() - looked > _LOOK_SECONDS:
                looked = time.monotonic()
                if head_answers():
                    had_head = looked
                    room = workers_that_fit(threads)
                    most = _IN_FLIGHT_PER_WORKER * max(1, room)
                    if room:
                        had_room = looked
                    elif looked - had_room > _PATIENCE_SECONDS:
                        raise ClusterError(
                            f"no machine of the cluster has {threads} processors, which a worker "
                            "needs: start Ray with more (--num-cpus), or take fewer threads "
                            "(--threads)"
                        )
                elif looked - had_head > _HEAD_SECONDS:
                    raise ClusterError(
                        "the cluster failed: its head has not answered for "
                        f"{_HEAD_SECONDS:.0f} seconds; start another cluster"
                    )
            while len(running) < most:
                try:
                    item = next(waiting)
                except StopIteration:
                    break
                running[task.remote(shared, item)] = item
            if not running:
                return
            for reference in _ended(ray, list(running)):
                yield running.pop(reference), _result(ray, reference)
    finally:
        if running:
            _end_workers()


def _ended(ray: Any, references: list[Any]) -> list[Any]:
    """Those that have ended, at least one, unless it takes longer than a second."""
    first, others = ray.wait(references, num_returns=1, timeout=_LOOK_SECONDS)
    if not first or not others:
        return list(first)
    more, _ = ray.wait(others, num_returns=len(others), timeout=0)
    return [*first, *more]


def _result(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, DigitVAEError):
            raise cause from None
        last = str(error).strip().splitlines()[-1]
        raise ClusterError(f"a worker failed: {last}") from error


def _end_workers() -> None:
    """End the workers that are at it, by leaving the cluster.

    To cancel tasks would be kinder, but ends this process now and then: Ray finds that a task has
    ended which it has just forgotten (2.60; three of forty times).
    """
    with _silent_stderr():
        leave()
        time.sleep(_GOING_SECONDS)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep from users what Ray's C++ writes to the descriptor itself, of tasks that are lost."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
