"""Shards made and checked by the cluster that this process is connected to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace

from digitvae.engine.model import Model
from digitvae.generation.audit import Question
from digitvae.generation.ray import workers
from digitvae.generation.ray.schedule import spread
from digitvae.generation.ray.workers import ShardWork, recipe_of
from digitvae.output.shards import Shards
from digitvae.output.spec import OutputSpec
from digitvae.output.stores import Folder, open_store


class RayExecutor:
    """A :class:`digitvae.generation.executor.Executor`: the machines of a cluster do the work.

    Args:
        spec: What they are shards of.
        model: The engine that the machines' own have to be like.
        threads: Threads, and processors, of a worker.
        same_bits: Whether to refuse machines whose processors round differently.
    """

    def __init__(
        self,
        spec: OutputSpec,
        model: Model,
        *,
        threads: int = 1,
        same_bits: bool = True,
    ) -> None:
        if isinstance(store := open_store(spec.path), Folder):  # workers are in other folders
            spec = replace(spec, path=str(store.path.absolute()))
        self._work = ShardWork(spec, recipe_of(model, same_bits=same_bits), threads)

    def make(self, shards: Shards, advance: Callable[[int], None]) -> None:
        """Make the missing shards, in whatever order."""
        work = self._work
        # Closed here and now, so that nothing is being written any more when the block ends.
        with closing(spread(workers.make, work, shards.missing, threads=work.threads)) as made:
            for index, record in made:
                shards.add(index, record)
                advance(record.count)

    def check(self, questions: Iterable[Question]) -> Iterator[tuple[Question, str | None]]:
        """Look at finished shards, in whatever order."""
        return spread(workers.check, self._work, questions, threads=self._work.threads)
