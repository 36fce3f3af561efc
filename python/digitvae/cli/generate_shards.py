"""``digitvae generate`` in shards: here or on a cluster, into a folder or an object store."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import click

from digitvae.base.errors import OutputError
from digitvae.cli.checking import refuse_problems
from digitvae.cli.progress import progress
from digitvae.cli.say import tell
from digitvae.generation.check import Output, Question
from digitvae.generation.executor import executor_of
from digitvae.output import manifest
from digitvae.output.shards import ShardedOutput, folder_and_format, open_shards
from digitvae.output.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from digitvae.engine.model import Model
    from digitvae.generation.executor import Cluster, Executor
    from digitvae.output.manifest import FileRecord, Origin
    from digitvae.output.shards import Shards
    from digitvae.output.spec import OutputSpec
    from digitvae.output.stores import Store

CLUSTER_SHARD_SIZE = 1_000_000
"""Images in a shard on a cluster, unless told: some seconds of one processor, 784 MB of uint8."""


class ShardPlan(NamedTuple):
    """How an output is made in shards.

    Attributes:
        shard_size: Images in a shard; ``None``: as it was begun.
        resume: Make what is missing.
        force: Replace what exists.
        again: How many shards to make again at the end, and to compare.
        cluster: Where; ``None``: here.
        threads: Worker threads.
    """

    shard_size: int | None
    resume: bool
    force: bool
    again: int
    cluster: Cluster | None
    threads: int | None


class Done(NamedTuple):
    """What was made.

    Attributes:
        what: What the number of images counts.
        images: How many were made.
        details: For the JSON object.
    """

    what: str
    images: int
    details: dict[str, object]


def place_of(output: str, asked_format: str | None) -> tuple[Store, str]:
    """Where the shards go, and their format."""
    open_store(output)  # an address without a name would be a path once its slashes are off
    place, kind = folder_and_format(output, asked_format)
    return open_store(place), kind


def generate_shards(
    store: Store, spec: OutputSpec, origin: Origin, model: Model, plan: ShardPlan, *, quiet: bool
) -> Done:
    """Make the shards of an output that are missing, and some of them twice."""
    wanted = ShardedOutput(store, spec, _shard_size(store, plan), origin)
    wanted.check()
    threads, cluster = plan.threads, plan.cluster
    with executor_of(wanted, origin, model, threads=threads, cluster=cluster) as executor:
        with (
            open_shards(
                wanted,
                resume=plan.resume,
                force=plan.force,
                threads=threads,
                changed=partial(_changed, executor, quiet=quiet),
            ) as shards,
            progress("generating", spec.count, quiet=quiet) as advance,
            _saying_how_to_go_on(shards, quiet=quiet),
        ):
            advance(spec.count - shards.missing_images)
            executor.make(shards, advance)
        made = len(shards.missing)
        again = 0
        if plan.again:
            output = Output.open(store)
            again = refuse_problems(
                output, executor, again=plan.again, only_again=True, quiet=quiet
            )
    what = f"digits, {made:,} of {wanted.number:,} shards," if made else "digits, already complete,"
    if again:
        what = f"{what} {again:,} made twice,"
    details: dict[str, object] = {
        "shard_size": wanted.shard_size,
        "shards": wanted.number,
        "shards_made": made,
        "shards_made_again": again,
    }
    return Done(what, shards.missing_images, details)


def _changed(executor: Executor, records: list[FileRecord], *, quiet: bool) -> Iterator[FileRecord]:
    """Those of some finished files that are no longer what they were, whoever reads them."""
    images = sum(record.count for record in records)
    questions = [Question(record, again=False) for record in records]
    with progress("checking", images, quiet=quiet) as advance:
        for question, wrong in executor.check(questions):
            if wrong is not None:
                yield question.record
            advance(question.record.count)


def _shard_size(store: Store, plan: ShardPlan) -> int:
    """The shard size that is asked for, or that an output was begun with."""
    if plan.shard_size is not None:
        return plan.shard_size
    size = None
    if plan.resume and _holds_manifest(store):
        size = manifest.read(store).asked.get("shard_size")
    if isinstance(size, int):
        return size
    if plan.cluster is not None:
        return CLUSTER_SHARD_SIZE
    raise click.UsageError(
        f"--resume completes an output in shards, and '{store}' is none yet: give --shard-size, too"
    )


def _holds_manifest(store: Store) -> bool:
    return store.exists() and any(entry.name == manifest.NAME for entry in store.entries())


@contextmanager
def _saying_how_to_go_on(shards: Shards, *, quiet: bool) -> Iterator[None]:
    """Where a run is interrupted, say what it leaves behind."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        with suppress(OutputError):  # so that what is finished is known to whoever goes on
            shards.save()
        if not quiet:
            tell(f"digitvae: interrupted: {shards.state}")
        raise
