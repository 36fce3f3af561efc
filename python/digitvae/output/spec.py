"""What is asked of an output: what its manifest stores, and what resuming compares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from digitvae.base.arguments import MAX_COUNT, flag, whole
from digitvae.engine.sampling import LatentSource

_ITEM_BYTES = {"uint8": 1, "float32": 4}


class Layout(NamedTuple):
    """How a contact sheet is laid out.

    Attributes:
        columns: Images in a row; ``None``: as many as there are rows.
        scale: Side of the square that one pixel becomes.
        padding: Pixels around each image, before scaling.
        invert: Black on white instead of white on black.
    """

    columns: int | None = None
    scale: int = 2
    padding: int = 2
    invert: bool = False

    @classmethod
    def asked(
        cls, columns: int | None, scale: int | None, padding: int | None, *, invert: bool
    ) -> Layout | None:
        """The layout that such arguments ask for; ``None`` if they ask nothing.

        Raises:
            ValueError: A number is out of its range.
            TypeError: An argument is of another type.
        """
        numbers = {"columns": (columns, 1), "scale": (scale, 1), "padding": (padding, 0)}
        given = {
            name: whole(value, name, least, MAX_COUNT)
            for name, (value, least) in numbers.items()
            if value is not None
        }
        if not flag(invert, "invert") and not given:
            return None
        return cls(**given, invert=bool(invert))

    def columns_for(self, count: int) -> int:
        """Images in a row; by default the sheet is nearly square."""
        return math.isqrt(count - 1) + 1 if self.columns is None else self.columns

    def size_for(self, count: int, height: int, width: int) -> tuple[int, int]:
        """Width and height of the sheet in pixels before scaling, padding included."""
        columns = self.columns_for(count)
        rows = -(-count // columns)
        return (
            columns * (width + self.padding) + self.padding,
            rows * (height + self.padding) + self.padding,
        )


class Origin(NamedTuple):
    """What made the images: the same origin and index give the same image.

    Attributes:
        source: Which latents.
        bundle_sha256: Which bundle.
        dataset: What the bundle was trained on.
        digitvae: Version of this package.
        onnxruntime: Version of ONNX Runtime.
    """

    source: LatentSource
    bundle_sha256: str
    dataset: str
    digitvae: str
    onnxruntime: str

    def to_dict(self) -> dict[str, object]:
        """The fields of a manifest that tell of it."""
        return {
            "seed": self.source.seed,
            "prior": self.source.prior,
            "bundle_sha256": self.bundle_sha256,
            "dataset": self.dataset,
            "digitvae": self.digitvae,
            "onnxruntime": self.onnxruntime,
            "digits": list(self.source.digits) or None,
            "truncation": self.source.truncation,
        }

    @classmethod
    def from_dict(cls, asked: dict[str, Any]) -> Origin:
        """What fields of a manifest tell of; a KeyError names one that is missing."""
        source = LatentSource.asked(*(asked[n] for n in ("seed", "prior", "digits", "truncation")))
        names = ("bundle_sha256", "dataset", "digitvae", "onnxruntime")
        return cls(source, *(asked[name] for name in names))


@dataclass(frozen=True)
class OutputSpec:
    """One output: what it holds, and how it is laid out.

    Attributes:
        path: Where it goes: a file, a folder, a stream, or where its shards go.
        format: Key in ``FORMATS``.
        count: Number of images.
        dtype: ``"uint8"`` or ``"float32"``.
        first: Index of the first image.
        height: Rows of an image.
        width: Columns of an image.
        labels: Whether each image comes with a label.
        sheet: The layout of a contact sheet; ``None`` where none was asked for.
        test: Number of images of ``mnist``'s test set, which follow the others.
        shard_size: Images in a shard, but for the last one; ``None``: it is not in shards.
        origin: What makes the images, where that is to be told.
    """

    path: str
    format: str
    count: int
    dtype: str = "uint8"
    first: int = 0
    height: int = 28
    width: int = 28
    labels: bool = False
    sheet: Layout | None = None
    test: int = 0
    shard_size: int | None = None
    origin: Origin | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of all images together, but for those of a test set."""
        return self.count, self.height, self.width

    @property
    def total(self) -> int:
        """Number of all images, those of a test set included."""
        return self.count + self.test

    @property
    def image_bytes(self) -> int:
        """Bytes of one image, as it is passed to the sink."""
        return self.height * self.width * _ITEM_BYTES[self.dtype]

    @property
    def shards(self) -> int:
        """Number of shards."""
        return 1 if self.shard_size is None else -(-self.count // self.shard_size)

    def to_dict(self) -> dict[str, object]:
        """What a manifest tells of it: two outputs with the same answers are the same.

        That is neither the place, nor the layout of a sheet, which has no manifest.
        """
        return {
            "count": self.count,
            "first": self.first,
            "dtype": self.dtype,
            "format": self.format,
            "shard_size": self.shard_size,
            "height": self.height,
            "width": self.width,
            "labels": True if self.labels else None,
            **({"test": self.test} if self.test else {}),
            **({} if self.origin is None else self.origin.to_dict()),
        }

    @classmethod
    def from_dict(cls, path: str, asked: dict[str, Any]) -> OutputSpec:
        """What a manifest tells of an output in shards that an engine has made.

        Raises:
            KeyError: A field is missing.
            TypeError: A field is of another type.
            ValueError: A field makes no sense, or is not known.
        """
        for key in ("count", "height", "width", "shard_size"):
            if type(asked[key]) is not int or asked[key] < 1:
                raise ValueError(f"{key} is {asked[key]!r}")
        if not isinstance(asked["bundle_sha256"], str):
            raise TypeError(f"bundle_sha256 is {asked['bundle_sha256']!r}")
        names = ("format", "count", "dtype", "first", "height", "width", "shard_size")
        spec = cls(
            path=path,
            **{name: asked[name] for name in names},
            labels=bool(asked["labels"]),
            origin=Origin.from_dict(asked),
        )
        told, missing = spec.to_dict(), object()  # unlike None, which a manifest may say
        for key, value in asked.items():
            if value != told.get(key, missing):
                raise ValueError(f"{key} is {value!r}")
        return spec
