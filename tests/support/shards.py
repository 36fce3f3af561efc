"""A small output in shards, made without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from digitvae.engine.sampling import LatentSource
from digitvae.output import FORMATS, Sink
from digitvae.output.shards import open_shards
from digitvae.output.spec import Origin, OutputSpec
from tests.support.images import some_images

KINDS = [name for name, kind in FORMATS.items() if kind.shards]
COUNT, SIZE = 23, 5
SHARDS = 5
ORIGIN = Origin(
    source=LatentSource(seed=7, digits=(1, 7), truncation=0.5),
    bundle_sha256="ab" * 32,
    dataset="mnist",
    digitvae="1",
    onnxruntime="2",
)
IMAGES = some_images(COUNT)


def wanted(folder: Path | str, kind: str = "npy", *, size: int = SIZE, **more: Any) -> OutputSpec:
    count = more.pop("count", COUNT)
    return OutputSpec(str(folder), kind, count, shard_size=size, origin=ORIGIN, **more)


def fill(first: int, count: int, sink: Sink) -> None:
    """As the engine would: the images depend on nothing but their indices."""
    for start in range(first, first + count, 2):
        sink.write(memoryview(IMAGES[start : min(start + 2, first + count)]))


def make(output: OutputSpec, number: int | None = None, **options: Any) -> list[int]:
    """Make the first ``number`` of the missing shards; the numbers of those that are made."""
    with open_shards(output, **options) as shards:
        made = shards.missing[:number]
        for index in made:
            shards.make(index, fill)
        return made


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())
