"""Look for faults in a finished shard, and in an engine that is to make it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, NamedTuple, cast

from digitvae import __version__
from digitvae.engine.model import Model
from digitvae.generation.pipeline import Pipeline
from digitvae.output import manifest
from digitvae.output.manifest import FileRecord
from digitvae.output.shards import write_shard
from digitvae.output.spec import OutputSpec
from digitvae.output.stores import open_store
from digitvae.output.streams import Onward


class Question(NamedTuple):
    """A shard to look at.

    Attributes:
        record: What the manifest tells of it.
        again: Whether to make it again.
    """

    record: FileRecord
    again: bool


def other_version(digitvae: str, onnxruntime: str, model: Model) -> tuple[str, str, str] | None:
    """Find a part of an engine that has another version, so that its bytes may differ.

    Args:
        digitvae: The version that the bytes were made with, or are to be made with.
        onnxruntime: That of ONNX Runtime.
        model: The engine.

    Returns:
        Its name, its version there, and its version here; ``None`` if all are the same.
    """
    for what, there, here in (
        ("digitvae", digitvae, __version__),
        ("onnxruntime", onnxruntime, model.runtime_version),
    ):
        if there != here:
            return what, there, here
    return None


def problem(spec: OutputSpec, pipeline: Callable[[], Pipeline], question: Question) -> str | None:
    """Say what is wrong with one shard; ``None``: nothing.

    Args:
        spec: The output that it is part of.
        pipeline: Gives what makes its digits; not called unless it is to be made again.
        question: Which shard.

    Raises:
        OutputError: It is there, and cannot be read.
    """
    record = question.record
    if (wrong := manifest.problem(open_store(spec.path), record)) is not None:
        return wrong
    if not question.again:
        return None
    index = (record.first - spec.first) // (spec.shard_size or 1)
    try:
        nowhere = cast("BinaryIO", Onward(len))
        again = write_shard(spec, index, pipeline().fill, nowhere)
    except (TypeError, ValueError) as error:  # what the engine refuses is the manifest's
        return f"cannot be made as the manifest says: {error}"
    assert again is not None, "what goes nowhere cannot seek"
    if again.sha256 != record.sha256:
        return (
            "is what the manifest says, but made again it is another: the machine that made it, or "
            "this one, is broken, or their processors round differently"
        )
    return None
