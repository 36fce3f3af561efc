"""Make and check the shards of an output in this process, or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from digitvae.engine.model import Model
from digitvae.generation.audit import Question, problem
from digitvae.generation.pipeline import Pipeline
from digitvae.output.shards import Shards
from digitvae.output.spec import OutputSpec


class Executor(Protocol):
    """Makes and checks shards of one output."""

    def make(self, shards: Shards, advance: Callable[[int], None]) -> None:
        """Make the missing shards.

        Args:
            shards: Of :func:`digitvae.output.shards.open_shards`.
            advance: Called with the number of images, when some are made.

        Raises:
            OutputError: A shard cannot be written.
            ClusterError: The cluster, or a machine of it, will not do.
        """

    def check(self, questions: Iterable[Question]) -> Iterator[tuple[Question, str | None]]:
        """Look at finished shards; see :func:`digitvae.generation.audit.problem`.

        Yields:
            Questions with their answers, as they come.
        """


@contextmanager
def executor_of(
    spec: OutputSpec,
    model: Model,
    *,
    threads: int | None = None,
    cluster: str | None = None,
    same_bits: bool = True,
) -> Iterator[Executor]:
    """Get the executor of an output for the time of the block.

    Args:
        spec: The output.
        model: The engine.
        threads: Worker threads. Default: as many as processors; one for each worker of a cluster.
        cluster: Address of a Ray cluster; ``None``: here.
        same_bits: Whether to refuse machines of it whose processors round differently.

    Raises:
        ClusterError: As for :func:`digitvae.generation.ray.cluster.connected`.
    """
    if cluster is None:
        yield _Here(spec, model, threads)
        return
    from digitvae.generation.ray.cluster import connected
    from digitvae.generation.ray.executor import RayExecutor

    with connected(cluster):
        yield RayExecutor(spec, model, threads=threads or 1, same_bits=same_bits)


class _Here:
    """This process, one shard after the other."""

    def __init__(self, spec: OutputSpec, model: Model, threads: int | None) -> None:
        self._spec = spec
        self._pipeline = Pipeline(model, spec, threads)

    def make(self, shards: Shards, advance: Callable[[int], None]) -> None:
        for index in shards.missing:
            shards.make(index, partial(self._pipeline.fill, advance=advance))

    def check(self, questions: Iterable[Question]) -> Iterator[tuple[Question, str | None]]:
        for question in questions:
            yield question, problem(self._spec, lambda: self._pipeline, question)
