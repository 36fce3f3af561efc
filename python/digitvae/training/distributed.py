"""Training in several processes at once, each on its part of every batch.

``torchrun`` starts them and tells each its rank. The gradients of a step are averaged over the
processes by :class:`torch.nn.parallel.DistributedDataParallel` (Li et al., *PyTorch Distributed*,
VLDB 2020) through gloo, so that every process takes the step that one process would take on the
whole batch, but for the order in which float32 adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes of a run, as one of them sees them; by default this one alone.

    Attributes:
        rank: Which one this is, from 0. The first one writes and talks.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """This process writes the files and talks to the user."""
        return self.rank == 0

    def part(self, rows: int) -> slice:
        """This process's share of so many rows: as large as the others', or one larger."""
        return slice(rows * self.rank // self.size, rows * (self.rank + 1) // self.size)

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model, so wrapped that ``backward`` averages the gradients of all processes."""
        if self.size == 1:
            return model
        return DistributedDataParallel(model)

    def shared(self, make: Callable[[], T]) -> T:
        """Call ``make`` in the first process, and return its result in every process."""
        if self.size == 1:
            return make()
        values: list[Any] = [make() if self.is_first else None]
        dist.broadcast_object_list(values, src=0)
        value: T = values[0]
        return value

    def sums(self, values: Sequence[float]) -> list[float]:
        """Sums over the processes, in float64."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        return [float(value) for value in total]

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Let the first process do the block before the others: it fills a cache, they read it."""
        if self.size > 1 and not self.is_first:
            dist.barrier()
        yield
        if self.size > 1 and self.is_first:
            dist.barrier()


@contextmanager
def joined() -> Iterator[Group]:
    """Join the other processes that ``torchrun`` has started; without it, be alone."""
    if not dist.is_torchelastic_launched():
        yield Group()
        return
    dist.init_process_group("gloo")
    try:
        yield Group(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
