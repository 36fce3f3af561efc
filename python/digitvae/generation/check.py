"""Whether an output of several files still is what its manifest says, and what the engine makes."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from digitvae import __version__
from digitvae.base.errors import OutputError
from digitvae.output import manifest
from digitvae.output.earlier_run import is_shard
from digitvae.output.formats import FORMATS
from digitvae.output.manifest import Origin
from digitvae.output.shards import ShardedOutput, write_shard
from digitvae.output.spec import OutputSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from typing_extensions import Buffer

    from digitvae.engine.model import Model
    from digitvae.generation.maker import DigitMaker
    from digitvae.output.manifest import FileRecord, Manifest
    from digitvae.output.stores import Store


@dataclass(frozen=True)
class Output:
    """An output that is there.

    Attributes:
        store: Where it is.
        manifest: What it says of itself.
        shards: What it is to be.
        origin: What has made its images.
    """

    store: Store
    manifest: Manifest
    shards: ShardedOutput
    origin: Origin

    @classmethod
    def open(cls, store: Store) -> Output:
        """Read the manifest of an output in shards.

        Raises:
            OutputError: There is none, or one that makes no sense, or of an output of another kind.
        """
        found = manifest.read(store)
        asked = found.asked
        try:
            kind = str(asked["format"])
            if not FORMATS[kind].shards:
                raise OutputError(
                    f"'{store}' is not in shards but a {FORMATS[kind].what}, which is not checked"
                )
            spec, size, origin = _spec(store, asked)
            shards = ShardedOutput(store, spec, size, origin)
            shards.check()
            _refuse_other_files(shards, found)
        except (KeyError, TypeError, ValueError) as error:
            raise OutputError(
                f"'{store.of(manifest.NAME)}' makes no sense ({type(error).__name__}: {error})"
            ) from error
        return cls(store, found, shards, origin)

    @property
    def missing(self) -> int:
        """How many shards have not been finished."""
        return self.shards.number - len(self.manifest.files)

    def unlisted(self) -> list[str]:
        """Names of what is there, but for the manifest and what it lists, sorted.

        Raises:
            OutputError: The place cannot be read, or holds what anybody would take for a shard.
        """
        listed = {manifest.NAME, *(record.name for record in self.manifest.files)}
        others = [each.name for each in self.store.entries() if each.name not in listed]
        for name in others:
            if is_shard(name):
                raise OutputError(
                    f"'{self.store}' holds '{name}', which its manifest does not list and which "
                    "nobody can vouch for: move it away"
                )
        return others

    def questions(self, again: int) -> list[Question]:
        """All finished shards; so many of them, by chance, are to be made again, too."""
        files = self.manifest.files
        chosen = {*random.sample(range(len(files)), min(again, len(files)))}
        return [Question(record, place in chosen) for place, record in enumerate(files)]


def other_version(digitvae: str, onnxruntime: str, model: Model) -> tuple[str, str, str] | None:
    """What of an engine has another version, so that its bytes may differ; ``None``: nothing.

    Args:
        digitvae: The version that the bytes were made with, or are to be made with.
        onnxruntime: That of ONNX Runtime.
        model: The engine.

    Returns:
        What it is, its version there, and its version here.
    """
    for what, there, here in (
        ("digitvae", digitvae, __version__),
        ("onnxruntime", onnxruntime, model.runtime_version),
    ):
        if there != here:
            return what, there, here
    return None


class Question(NamedTuple):
    """Which shard to look at, and how closely.

    Attributes:
        record: What the manifest tells of it.
        again: Whether to make it again.
    """

    record: FileRecord
    again: bool


def problem(
    output: ShardedOutput, maker: Callable[[], DigitMaker], question: Question
) -> str | None:
    """What is wrong with one shard; ``None``: nothing.

    Args:
        output: What it is part of.
        maker: Gives what makes its digits; not called unless one is to be made again.
        question: Which shard.

    Raises:
        OutputError: It is there, and cannot be read.
    """
    record = question.record
    if (wrong := manifest.problem(output.store, record)) is not None:
        return wrong
    return _problem_again(output, record, maker()) if question.again else None


def _problem_again(output: ShardedOutput, record: FileRecord, maker: DigitMaker) -> str | None:
    """What is wrong with a shard that is what the manifest says, compared with the engine's."""
    try:
        again = _made_again(output, record, maker)
    except (TypeError, ValueError) as error:  # what the engine refuses is the manifest's
        return f"cannot be made as the manifest says: {error}"
    if again != record.sha256:
        return (
            "is what the manifest says, but made again it is another: the machine that made it, or "
            "this one, is broken, or their processors round differently"
        )
    return None


def _made_again(output: ShardedOutput, record: FileRecord, maker: DigitMaker) -> str:
    """SHA-256 of a shard that is made again, and written nowhere."""
    index = (record.first - output.whole.first) // output.shard_size
    again = write_shard(output, index, maker.fill, cast("BinaryIO", _Nowhere()))
    if again is None:
        raise AssertionError("what goes nowhere cannot seek")
    return again.sha256


class _Nowhere(io.RawIOBase):
    """Takes everything, front to back."""

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        return memoryview(data).nbytes


def _spec(store: Store, asked: dict[str, Any]) -> tuple[OutputSpec, int, Origin]:
    """What was asked for, from what a manifest tells of it."""
    for key in ("count", "shard_size", "height", "width"):
        if type(asked[key]) is not int or asked[key] < 1:
            raise ValueError(f"{key} is {asked[key]!r}")
    if not isinstance(asked["bundle_sha256"], str):
        raise TypeError(f"bundle_sha256 is {asked['bundle_sha256']!r}")
    spec = OutputSpec(
        path=str(store),
        format=asked["format"],
        count=asked["count"],
        dtype=asked["dtype"],
        first=asked["first"],
        height=asked["height"],
        width=asked["width"],
        labels=bool(asked["labels"]),
    )
    origin = Origin(**{field.name: asked[field.name] for field in fields(Origin)})
    told = manifest.what_is_asked(spec, origin, shard_size=asked["shard_size"])
    if told != asked:
        missing = object()  # unlike None, which a manifest may say
        other = next(key for key in asked if asked[key] != told.get(key, missing))
        raise ValueError(f"{other} is {asked[other]!r}")
    return spec, asked["shard_size"], origin


def _refuse_other_files(output: ShardedOutput, found: Manifest) -> None:
    """Refuse a manifest whose files are not the shards of what it says was asked for."""
    numbers = []
    for record in found.files:
        index, rest = divmod(record.first - output.whole.first, output.shard_size)
        if rest or not 0 <= index < output.number or record.name != output.name(index):
            raise ValueError(f"it lists '{record.name}' from {record.first:,}")
        if record.count != output.shard(index).count:
            raise ValueError(f"'{record.name}' is to hold {record.count:,} images")
        numbers.append(index)
    if len(set(numbers)) != len(numbers):
        raise ValueError("it lists a file twice")
    if found.complete and len(numbers) != output.number:
        raise ValueError(f"it is complete with {len(numbers):,} of {output.number:,} files")
