"""Who makes and checks the shards of an output: this process, or a cluster."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from digitvae.engine.model import Model
    from digitvae.generation.check import Question
    from digitvae.output.manifest import Origin
    from digitvae.output.shards import ShardedOutput, Shards


class Cluster(NamedTuple):
    """A Ray cluster, and what is expected of it.

    Attributes:
        address: As for :func:`digitvae.generation.ray.cluster.connected`.
        same_bits: Whether to refuse machines whose processors round differently.
    """

    address: str
    same_bits: bool = True


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
        """Look at finished shards; see :func:`digitvae.generation.check.problem`.

        Yields:
            Questions with their answers, as they come.
        """


@contextmanager
def executor_of(
    output: ShardedOutput,
    origin: Origin,
    model: Model,
    *,
    threads: int | None = None,
    cluster: Cluster | None = None,
) -> Iterator[Executor]:
    """Who makes and checks the shards of an output inside the block.

    Args:
        output: The output.
        origin: What makes its images.
        model: The engine.
        threads: Worker threads. Default: as many as processors; one for each worker of a cluster.
        cluster: Where; ``None``: here.

    Raises:
        ClusterError: As for :func:`digitvae.generation.ray.cluster.connected`.
    """
    if cluster is None:
        yield _Here(output, origin, model, threads)
        return
    from digitvae.generation.ray.cluster import connected
    from digitvae.generation.ray.executor import RayExecutor

    with connected(cluster.address):
        same_bits = cluster.same_bits
        yield RayExecutor(output, origin, model, threads=threads or 1, same_bits=same_bits)


class _Here:
    """This process, one shard after the other."""

    def __init__(
        self, output: ShardedOutput, origin: Origin, model: Model, threads: int | None
    ) -> None:
        from digitvae.generation.maker import DigitMaker

        self._output = output
        self._maker = DigitMaker(model, output.whole, origin, threads)

    def make(self, shards: Shards, advance: Callable[[int], None]) -> None:
        for index in shards.missing:
            shards.make(index, partial(self._maker.fill, advance=advance))

    def check(self, questions: Iterable[Question]) -> Iterator[tuple[Question, str | None]]:
        from digitvae.generation.check import problem

        for question in questions:
            yield question, problem(self._output, lambda: self._maker, question)
