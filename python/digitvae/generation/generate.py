"""Write any number of digits: a seed, a bundle, and where to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from digitvae import __version__
from digitvae.base.arguments import (
    MAX_COUNT,
    MAX_INDEX,
    PixelType,
    PriorName,
    check_cluster,
    check_count,
    check_progress,
    check_threads,
    flag,
    path_text,
    pixel_type,
    whole,
)
from digitvae.bundle.folder import Bundle
from digitvae.engine.model import Model, load
from digitvae.engine.sampling import LatentSource
from digitvae.generation.pipeline import Pipeline, Progress, nothing, steps
from digitvae.output.descriptors import is_uri
from digitvae.output.formats import FORMATS, format_of
from digitvae.output.sink import open_output
from digitvae.output.spec import Layout, Origin, OutputSpec

if TYPE_CHECKING:
    from digitvae.generation.executor import Executor
    from digitvae.output.manifest import FileRecord
    from digitvae.output.stores import Store

CLUSTER_SHARD_SIZE = 1_000_000
"""Images in a shard on a cluster, unless told: some seconds of one processor, 784 MB of uint8."""


class Generated(NamedTuple):
    """An output that has been made.

    Attributes:
        spec: What was asked for, with all that was left to defaults.
        bundle: The bundle that has made it.
        images: Number of images made by this call, without the test set; images that an earlier
            run had made are not counted.
        shards_made: How many shards were made.
        shards_made_again: How many of all were made a second time, and were the same.
    """

    spec: OutputSpec
    bundle: Bundle
    images: int
    shards_made: int = 0
    shards_made_again: int = 0


def generate(
    path: str | Path,
    count: int,
    *,
    seed: int = 0,
    first: int = 0,
    prior: PriorName | None = None,
    digit: int | Sequence[int] | None = None,
    truncation: float = 1.0,
    dtype: PixelType = "uint8",
    format: str | None = None,  # noqa: A002 (the word of the command line)
    test: int | None = None,
    columns: int | None = None,
    scale: int | None = None,
    padding: int | None = None,
    invert: bool = False,
    shard_size: int | None = None,
    resume: bool = False,
    force: bool = False,
    again: int | None = None,
    bundle: str | Path | Bundle | Model | None = None,
    threads: int | None = None,
    cluster: str | None = None,
    same_bits: bool = True,
    progress: Progress = nothing,
) -> Generated:
    """Write digits ``first … first+count−1`` of a seed, as ``digitvae generate`` does.

    The output appears whole or not at all; one in shards, shard by shard. Memory does not grow with
    the count. NumPy is not needed.

    Args:
        path: A file or folder, or ``"-"`` for standard output. In shards: a folder, or an address
            such as ``s3://bucket/digits.tar``; an extension of the format is taken off.
        count: Number of digits, at least 1.
        seed: 0 … 2⁶⁴−1.
        first: Index of the first image, 0 … 2⁶⁴−count.
        prior: ``"standard"``, z ~ N(0, I), or ``"mixture"``, whose images have labels; they are
            written where the format can hold them. Default: standard, or the mixture if a digit
            is given.
        digit: A class, or several that the images take in turn (which implies
            ``prior="mixture"``).
        truncation: 0 … 1, what the noise is multiplied by.
        dtype: ``"uint8"``, or ``"float32"`` from 0 to 1, where the format can hold it.
        format: Key in ``digitvae.output.FORMATS``; by default the path decides.
        test: ``mnist``: images of the test set, which follow the others; default: a seventh.
        columns: As for :func:`digitvae.output.open_sink`.
        scale: As for :func:`digitvae.output.open_sink`.
        padding: As for :func:`digitvae.output.open_sink`.
        invert: As for :func:`digitvae.output.open_sink`.
        shard_size: Write files of so many images each, with a manifest.
        resume: Make what is missing of an output in shards; where there is nothing, begin.
        force: Replace what exists.
        again: How many shards to make twice, by chance, and to compare.
        bundle: A bundle's folder, or a model that is loaded; ``None``: the one that is shipped.
        threads: Worker threads; default: all available, and one for each worker of a cluster.
        cluster: Address of a Ray cluster that makes the shards (of 1,000,000 images unless told);
            ``"auto"``: ``RAY_ADDRESS``, or on this machine.
        same_bits: Whether to refuse machines of the cluster whose processors round differently.
        progress: Called, again and again, with what is done (``"generating"`` or ``"checking"``),
            the images done, and the images in all.

    Raises:
        ValueError: An argument is out of its range, or the format cannot hold what is asked; or an
            output to be resumed was begun for another request.
        TypeError: An argument is of another type.
        OutputError: The output exists, or cannot be written, or will not fit; or a shard that was
            made twice is not the same.
        BundleError: The bundle cannot be used, or has no mixture and one is asked for.
        ClusterError: The cluster, or a machine of it, will not do.
    """
    place, count, dtype = path_text(path), check_count(count, "count"), pixel_type(dtype)
    first = whole(first, "first", 0, MAX_INDEX)
    sheet = Layout.asked(columns, scale, padding, invert=invert)
    test = None if test is None else whole(test, "test", 0, MAX_COUNT)
    if shard_size is not None:
        shard_size = whole(shard_size, "shard_size", 1, MAX_COUNT)
    resume, force = flag(resume, "resume"), flag(force, "force")
    threads = check_threads(threads) or None
    check_progress(progress)
    twice = 0 if again is None else whole(again, "again", 0, MAX_COUNT)
    same_bits = _same_bits(same_bits, cluster, twice)
    if digit is not None and isinstance(prior, str) and prior == "standard":
        raise ValueError(
            f"digit is {digit!r} and prior is 'standard', which knows no digits: --digit needs "
            "--prior mixture"
        )
    source = LatentSource.asked(seed, "standard" if prior is None else prior, digit, truncation)
    in_shards = resume or shard_size is not None or cluster is not None
    if in_shards:
        from digitvae.output.shards import folder_and_format
        from digitvae.output.stores import open_store

        open_store(place)  # an address without a name would be a path once its slashes are off
        place, kind = folder_and_format(place, format)
        store = open_store(place)
        place = str(store)
    else:
        if again is not None:
            raise ValueError(
                "again (--again) makes shards twice: give shard_size (--shard-size), too"
            )
        if is_uri(place):
            raise ValueError(
                f"'{path}' is an address, where outputs go in shards: give shard_size "
                "(--shard-size)"
            )
        kind = format_of(place, format)
    model = bundle if isinstance(bundle, Model) else load(bundle)
    model.check(source)
    spec = OutputSpec(
        path=place,
        format=kind,
        count=count,
        dtype=dtype,
        first=first,
        height=model.height,
        width=model.width,
        labels=source.prior == "mixture" and FORMATS[kind].labels,
        sheet=sheet,
        test=FORMATS[kind].test_images(count) if test is None else test,
        origin=Origin(
            source=source,
            bundle_sha256=model.bundle.sha256,
            dataset=model.bundle.manifest["dataset"],
            digitvae=__version__,
            onnxruntime=model.runtime_version,
        ),
    )
    if not in_shards:
        pipeline = Pipeline(model, spec, threads)
        with open_output(spec, force=force, threads=threads) as sink:
            advance = steps(progress, "generating", spec.total)
            pipeline.fill(first, spec.total, sink, advance)
        return Generated(spec, model.bundle, count)
    if shard_size is None:
        shard_size = _shard_size(store, resume=resume, cluster=cluster)
    spec = replace(spec, shard_size=shard_size)
    from digitvae.generation.executor import executor_of
    from digitvae.output.shards import check_shards

    check_shards(spec)  # before a cluster is asked
    with executor_of(
        spec, model, threads=threads, cluster=cluster, same_bits=same_bits
    ) as executor:
        images, made = _make(
            spec, executor, resume=resume, force=force, threads=threads, progress=progress
        )
        if twice:
            from digitvae.generation.check import refuse_problems
            from digitvae.output import manifest

            found = manifest.read(store)
            twice = refuse_problems(
                spec, found, executor, again=twice, only_again=True, progress=progress
            )
    return Generated(spec, model.bundle, images, made, twice)


def _same_bits(same_bits: object, cluster: object, twice: int) -> bool:
    """Check what is asked of a cluster's machines, and tell if they must round alike."""
    check_cluster(cluster)
    if flag(same_bits, "same_bits"):
        return True
    if twice:
        raise ValueError(
            "again (--again) compares bytes, which same_bits=False (--mixed-processors) lets "
            "differ: give one of them"
        )
    if cluster is None:
        raise ValueError(
            "same_bits is False (--mixed-processors), which is for a cluster: name it by cluster "
            "(--engine ray), too"
        )
    return False


def _make(
    spec: OutputSpec,
    executor: Executor,
    *,
    resume: bool,
    force: bool,
    threads: int | None,
    progress: Progress,
) -> tuple[int, int]:
    """Make the shards of an output that are missing, and tell how many images and shards."""
    from digitvae.output.shards import open_shards

    changed = partial(_changed, executor, progress)
    with open_shards(spec, resume=resume, force=force, threads=threads, changed=changed) as shards:
        missing = shards.missing_images
        advance = steps(progress, "generating", spec.count)
        advance(spec.count - missing)
        executor.make(shards, advance)
    return missing, len(shards.missing)


def _changed(
    executor: Executor, progress: Progress, records: list[FileRecord]
) -> Iterator[FileRecord]:
    """Those of some finished files that are no longer what they were, whoever reads them."""
    from digitvae.generation.audit import Question

    advance = steps(progress, "checking", sum(record.count for record in records))
    for question, wrong in executor.check([Question(record, again=False) for record in records]):
        if wrong is not None:
            yield question.record
        advance(question.record.count)


def _shard_size(store: Store, *, resume: bool, cluster: str | None) -> int:
    """The shard size of an output that was begun, or one for a cluster."""
    from digitvae.output import manifest

    size = None
    if resume and store.exists() and any(each.name == manifest.NAME for each in store.entries()):
        size = manifest.read(store).asked.get("shard_size")
    if isinstance(size, int):
        return size
    if cluster is not None:
        return CLUSTER_SHARD_SIZE
    raise ValueError(
        f"resume (--resume) completes an output in shards, and '{store}' is none yet: give "
        "shard_size (--shard-size), too"
    )
