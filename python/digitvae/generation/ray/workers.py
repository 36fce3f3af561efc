"""Make and check shards on the machines of a cluster, with one engine in each process."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digitvae import __version__
from digitvae.base.arguments import PixelType
from digitvae.base.errors import BundleError, ClusterError, DigitVAEError, OutputError
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import DECODER, ENCODER, MANIFEST, PRIOR
from digitvae.engine.model import Model, load
from digitvae.engine.sampling import LatentSource
from digitvae.generation.audit import Question, other_version, problem
from digitvae.generation.pipeline import Pipeline
from digitvae.generation.ray.cluster import ray_package
from digitvae.output import manifest
from digitvae.output.manifest import FileRecord
from digitvae.output.shards import make_shard
from digitvae.output.spec import OutputSpec
from digitvae.output.stores import is_missing, open_store

_TRIAL_DIGITS = 256
_NETWORKS = (DECODER, ENCODER, PRIOR)


@dataclass(frozen=True)
class EngineRecipe:
    """All that an engine needs, on whichever machine, to make the very same bytes.

    Attributes:
        bundle_sha256: Which bundle.
        files: Reference to the content of its files, by name, on the cluster; in a list, so that
            only who lacks the bundle fetches it.
        digitvae: Version of this package.
        onnxruntime: Version of ONNX Runtime.
        trial: SHA-256 of some digits, as float32, that the engine has to make.
    """

    bundle_sha256: str
    files: list[Any] = field(compare=False)
    digitvae: str
    onnxruntime: str
    trial: str | None


@dataclass(frozen=True)
class ShardWork:
    """All that the shards of an output have in common.

    Attributes:
        spec: The output, at a place that all machines can reach.
        engine: The engine to make them with.
        threads: Threads of a worker.
    """

    spec: OutputSpec
    engine: EngineRecipe
    threads: int


@dataclass(frozen=True)
class DataWork:
    """All that the blocks of a data set have in common.

    Attributes:
        engine: The engine to make them with.
        source: Which latents.
        first: Index of the first image of all.
        dtype: Type of their pixels.
    """

    engine: EngineRecipe
    source: LatentSource
    first: int
    dtype: PixelType


def recipe_of(model: Model, *, same_bits: bool) -> EngineRecipe:
    """The recipe of an engine of this machine. The bundle is put on the cluster.

    Args:
        model: The engine.
        same_bits: Whether other machines have to compute the same to the bit.

    Raises:
        BundleError: The bundle is not what it was when it was opened.
    """
    bundle = model.bundle
    content = {name: bundle.read(name) for name in (MANIFEST, *bundle.file_names)}
    return EngineRecipe(
        bundle_sha256=bundle.sha256,
        files=[ray_package().put(content)],
        digitvae=__version__,
        onnxruntime=model.runtime_version,
        trial=trial_of(model) if same_bits else None,
    )


def trial_of(model: Model) -> str:
    """SHA-256 of some digits: engines with the same have the same arithmetic."""
    memory = bytearray(_TRIAL_DIGITS * model.height * model.width * 4)
    model.sample_into(memoryview(memory).cast("f"), seed=0, threads=1)
    return hashlib.sha256(memory).hexdigest()


def make(work: ShardWork, index: int) -> FileRecord:
    """Make one shard, and tell of it.

    Raises:
        OutputError: It cannot be written.
        ClusterError: This machine would not make the same bytes, or not at the same place.
    """
    with _naming_this_machine():
        _refuse_other_place(work.spec, str(work.engine.files))
        return make_shard(work.spec, index, _pipeline(work).fill, threads=work.threads)


def check(work: ShardWork, question: Question) -> str | None:
    """Look at one shard; see :func:`digitvae.generation.audit.problem`."""
    with _naming_this_machine():
        _refuse_other_place(work.spec, str(work.engine.files))
        return problem(work.spec, functools.partial(_pipeline, work), question)


def sample(indices: dict[str, Any], work: DataWork) -> dict[str, Any]:
    """Some rows of a data set.

    Args:
        indices: ``id``, int64 [n]: which.
        work: What they are to be.

    Returns:
        ``image`` [n, 28, 28], ``index`` uint64 [n], and ``label`` int64 [n] if there are labels.
    """
    import numpy as np

    rows = indices["id"]
    model = _engine(work.engine)
    images = np.empty((len(rows), model.height, model.width), work.dtype)
    labels = np.empty(len(rows), np.int32) if work.source.prior == "mixture" else None
    # Runs of neighbours: whole blocks, unless somebody has taken rows out.
    starts = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
    for begin, end in itertools.pairwise(starts):
        part = None if labels is None else labels[begin:end]
        first = work.first + int(rows[begin])
        model.draw(work.source, first, images[begin:end], part, threads=1)
    columns = {"image": images, "index": rows.astype(np.uint64) + np.uint64(work.first)}
    if labels is not None:
        columns["label"] = labels.astype(np.int64)
    return columns


@functools.cache
def _engine(recipe: EngineRecipe) -> Model:
    """The engine of this process, which lives as long as the process does.

    Raises:
        ClusterError: This machine would not make the same bytes.
    """
    model = load(_bundle(recipe))
    if (other := other_version(recipe.digitvae, recipe.onnxruntime, model)) is not None:
        what, there, here = other
        raise ClusterError(
            f"this machine has {what} {here}, and the run was begun with {there}: install "
            "the same everywhere"
        )
    if recipe.trial is not None and trial_of(model) != recipe.trial:
        raise ClusterError(
            "this machine's processor rounds differently from the one that the run was begun on, "
            "so that some bytes would differ by one; begin it on a machine of this kind, or accept "
            "that with same_bits=False (--mixed-processors)"
        )
    return model


@functools.lru_cache(maxsize=1)
def _pipeline(work: ShardWork) -> Pipeline:
    """Get the pipeline of an output, whose memory is kept from one shard to the next.

    Raises:
        ClusterError: As for :func:`_engine`.
    """
    return Pipeline(_engine(work.engine), work.spec, work.threads)


@contextmanager
def _naming_this_machine() -> Iterator[None]:
    """Say in errors where they happened."""
    try:
        yield
    except DigitVAEError as error:
        raise type(error)(f"{error} [on {socket.gethostname()}, process {os.getpid()}]") from error


@functools.lru_cache(maxsize=1)
def _refuse_other_place(spec: OutputSpec, _run: str) -> None:
    """Refuse a place that is not the one in which a run was begun. Each looks at it once.

    Raises:
        ClusterError: It is another.
        OutputError: It cannot be seen now; another attempt may.
    """
    store = open_store(spec.path)
    what_to_do = (
        "all machines have to share it; or write to s3:// or gs://"
        if store.locks
        else "workers have the environment, such as AWS_…, that their 'ray start' had"
    )
    try:
        found = manifest.read(store).asked
    except OutputError as error:
        if not is_missing(error):
            raise
        raise ClusterError(
            f"'{store}' is not here what it is where the run was begun ({error}): {what_to_do}"
        ) from error
    if found != spec.to_dict():
        raise ClusterError(
            f"'{store}' is not here what it is where the run was begun (its manifest is "
            f"another's): {what_to_do}"
        )


@dataclass(frozen=True)
class _SentBundle(Bundle):
    """A bundle whose networks are in this process's memory, where nobody can change them.

    Attributes:
        content: Of the networks, by name, each of the manifest's size and SHA-256.
    """

    content: dict[str, bytes]

    def read(self, name: str) -> bytes:
        """The content of a network; of nothing else."""
        return self.content[name] if name in self.content else super().read(name)


def _bundle(recipe: EngineRecipe) -> Bundle:
    """The bundle of a recipe: the shipped one, or what the run was begun with.

    Raises:
        ClusterError: What was sent is another.
        BundleError: It is damaged.
    """
    with contextlib.suppress(BundleError):
        if (shipped := Bundle.open()).sha256 == recipe.bundle_sha256:
            shipped.check_files()
            return shipped
    # A folder of nobody else's, under a name that nobody can guess, and only while it is looked at:
    # Ray ends workers without letting them tidy up.
    with tempfile.TemporaryDirectory(prefix="digitvae-") as folder:
        for name, content in ray_package().get(recipe.files[0]).items():
            Path(folder, name).write_bytes(content)
        sent = Bundle.open(folder)
        if sent.sha256 != recipe.bundle_sha256:
            raise ClusterError(
                f"the bundle that was sent has SHA-256 {sent.sha256}, and the run was begun with "
                f"{recipe.bundle_sha256}: begin it again"
            )
        networks = {name: sent.read(name) for name in sent.file_names if name in _NETWORKS}
    return _SentBundle(sent.path, sent.manifest, sent.sha256, networks)
