"""Check that an output in shards is what its manifest says, and what the engine makes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple

from digitvae.base.arguments import (
    MAX_COUNT,
    check_cluster,
    check_progress,
    check_threads,
    path_text,
    whole,
)
from digitvae.base.errors import BundleError, OutputError
from digitvae.bundle.folder import Bundle
from digitvae.engine.model import Model, load
from digitvae.generation.audit import Question, other_version
from digitvae.generation.executor import Executor, executor_of
from digitvae.generation.pipeline import Progress, nothing, steps
from digitvae.output import manifest
from digitvae.output.earlier_run import is_shard, shard_name
from digitvae.output.formats import FORMATS
from digitvae.output.manifest import Manifest
from digitvae.output.shards import check_shards, shard
from digitvae.output.spec import OutputSpec
from digitvae.output.stores import Store, is_missing, open_store

_MOST_TOLD = 5


class Checked(NamedTuple):
    """An output that is as it should be.

    Attributes:
        shards: Number of its shards.
        bytes: Their size.
        made_again: How many of them were made again.
        not_looked_at: Names of other files beside them, of which nothing is said.
    """

    shards: int
    bytes: int
    made_again: int
    not_looked_at: list[str]


def check(
    path: str | Path,
    *,
    again: int = 1,
    bundle: str | Path | Bundle | Model | None = None,
    threads: int | None = None,
    cluster: str | None = None,
    progress: Progress = nothing,
) -> Checked:
    """Check that every shard of an output has the SHA-256 that its manifest says.

    Some are made again, too: files that are as they were written may have been made by a broken
    machine.

    Args:
        path: A folder or an address such as ``s3://bucket/digits``, written in shards.
        again: How many shards to make again, by chance, and to compare.
        bundle: The bundle that it was made with; as for :func:`digitvae.generate`.
        threads: As for :func:`digitvae.generate`.
        cluster: As for :func:`digitvae.generate`.
        progress: As for :func:`digitvae.generate`.

    Raises:
        ValueError: An argument is out of its range.
        TypeError: An argument is of another type.
        OutputError: It is not in shards, not complete, not what it should be (the message names the
            first shards that are not), or was made with other versions than these.
        BundleError: The bundle cannot be used, or is not the one that it was made with.
        ClusterError: The cluster cannot be used.
    """
    again, threads = whole(again, "again", 0, MAX_COUNT), check_threads(threads) or None
    check_cluster(cluster)
    check_progress(progress)
    store = open_store(path_text(path))
    spec, found = _open(store)
    origin = spec.origin
    assert origin is not None
    missing = spec.shards - len(found.files)
    if missing:
        raise OutputError(
            f"'{path}' is not complete: {missing:,} of {spec.shards:,} shards are "
            "still to be made, by the command that began it, with resume (--resume)"
        )
    others = _unlisted(store, found)
    model = bundle if isinstance(bundle, Model) else load(bundle)
    if again and model.bundle.sha256 != origin.bundle_sha256:
        raise BundleError(
            f"'{path}' was made with the bundle {origin.bundle_sha256[:12]}…, and "
            f"'{model.bundle.path}' is {model.bundle.sha256[:12]}…: name the other with "
            "bundle (--bundle), or make nothing again with again=0 (--again 0)"
        )
    other = other_version(origin.digitvae, origin.onnxruntime, model)
    if again and other is not None:
        what, there, here = other
        raise OutputError(
            f"'{path}' was made with {what} {there}, and this is {here}, whose bytes may "
            "differ: install that version, or make nothing again with again=0 (--again 0)"
        )
    with executor_of(spec, model, threads=threads, cluster=cluster) as executor:
        made_again = refuse_problems(spec, found, executor, again=again, progress=progress)
    size = sum(record.bytes for record in found.files)
    return Checked(spec.shards, size, made_again, others)


def refuse_problems(
    spec: OutputSpec,
    found: Manifest,
    executor: Executor,
    *,
    again: int,
    only_again: bool = False,
    progress: Progress = nothing,
) -> int:
    """Look at the finished shards of an output, and refuse it if there is anything wrong with one.

    Args:
        spec: The output.
        found: Its manifest.
        executor: Who looks.
        again: How many of them to make again, too, by chance.
        only_again: Look at no others.
        progress: Told of the images that were looked at.

    Returns:
        How many were made again.

    Raises:
        OutputError: Names the first that are not what they should be.
    """
    files = found.files
    chosen = {*random.sample(range(len(files)), min(again, len(files)))}
    questions = [
        Question(record, place in chosen)
        for place, record in enumerate(files)
        if place in chosen or not only_again
    ]
    wrong = []
    advance = steps(progress, "checking", sum(question.record.count for question in questions))
    for question, problem in executor.check(questions):
        if problem is not None:
            wrong.append((question.record.name, problem))
        advance(question.record.count)
    if wrong:
        wrong.sort()
        more = [f"and {len(wrong) - _MOST_TOLD:,} others"] if len(wrong) > _MOST_TOLD else []
        raise OutputError(
            f"{len(wrong):,} of {len(questions):,} shards of '{spec.path}' are not what they "
            "should be. Delete what was changed, and have it and what is missing made by the "
            f"command that made them, with resume (--resume):",
            *(f"{name}: {problem}" for name, problem in wrong[:_MOST_TOLD]),
            *more,
        )
    return len(chosen)


def _open(store: Store) -> tuple[OutputSpec, Manifest]:
    """Read the manifest of an output in shards.

    Raises:
        OutputError: There is none, or one that makes no sense, or of an output of another kind.
    """
    try:
        found = manifest.read(store)
    except OutputError as error:
        if not is_missing(error):
            raise
        raise OutputError(f"there is no output in shards at '{store}': {error}") from error
    try:
        kind = FORMATS[found.asked["format"]]
        if not kind.shards:
            raise OutputError(f"'{store}' is not in shards but a {kind.what}, which is not checked")
        spec = OutputSpec.from_dict(str(store), found.asked)
        check_shards(spec)
        _refuse_other_files(spec, found)
    except (KeyError, TypeError, ValueError) as error:
        raise OutputError(
            f"'{store.of(manifest.NAME)}' makes no sense ({type(error).__name__}: {error})"
        ) from error
    return spec, found


def _refuse_other_files(spec: OutputSpec, found: Manifest) -> None:
    """Refuse a manifest whose files are not the shards of what it says was asked for."""
    parts = {shard_name(spec, index): shard(spec, index) for index in range(spec.shards)}
    for record in found.files:
        part = parts.get(record.name)
        if part is None or record.first != part.first:
            raise ValueError(f"it lists '{record.name}' from {record.first:,}")
        if record.count != part.count:
            raise ValueError(f"'{record.name}' is to hold {record.count:,} images")
    number = len(found.files)
    if len({record.name for record in found.files}) != number:
        raise ValueError("it lists a file twice")
    if found.complete and number != spec.shards:
        raise ValueError(f"it is complete with {number:,} of {spec.shards:,} files")


def _unlisted(store: Store, found: Manifest) -> list[str]:
    """Names of what is there, but for the manifest and what it lists, sorted.

    Raises:
        OutputError: The place cannot be read, or holds what anybody would take for a shard.
    """
    listed = {manifest.NAME, *(record.name for record in found.files)}
    others = [each.name for each in store.entries() if each.name not in listed]
    for name in others:
        if is_shard(name):
            raise OutputError(
                f"'{store}' holds '{name}', which its manifest does not list and which "
                "nobody can vouch for: move it away"
            )
    return others
