"""MNIST and Fashion-MNIST, found, checked, and if need be fetched; and data sets of one's own.

Files live where torchvision keeps them: ``ROOT/MNIST/raw/train-images-idx3-ubyte`` and so on. The
ROOT is the one given, else the environment variable ``DIGITVAE_DATA``, else the user's cache
folder. A folder that the caller names may also hold the files directly, and compressed (``.gz``).
Nothing is used before its SHA-256 (of the uncompressed file) was checked.

A data set of one's own is a folder with IDX files of the names that MNIST's have, of images of any
one size, under any name that is not taken. Nothing is known of its SHA-256.

This module must not import torch: generating and parity checks use it too.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import os
import re
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from digitvae.base.atomic import write_whole
from digitvae.base.errors import DataError, OutputError
from digitvae.base.files import open_regular
from digitvae.data import idx

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from digitvae.data.sources import Source

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileSpec:
    """One uncompressed IDX file: its name, its size in bytes, its SHA-256 in hexadecimal."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class DatasetSpec:
    """A data set: its name here, torchvision's name (class and folder), and its four files."""

    name: str
    torchvision: str
    files: tuple[FileSpec, ...]

    def file(self, split: str, kind: str) -> FileSpec:
        """The file of a split ("train" or "test") that holds ``kind`` ("images" or "labels")."""
        start = f"{_PREFIX[split]}-{kind}"
        return next(file for file in self.files if file.name.startswith(start))


class Split(NamedTuple):
    """Part of a data set: images uint8 [n, height, width] (0 is background), labels uint8 [n]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def head(self, n: int) -> Split:
        """The first ``n`` images with their labels (all, if there are fewer); views, no copies."""
        return Split(self.images[:n], self.labels[:n])


_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PREFIX = {"train": "train", "test": "t10k"}


def _files(
    train_images: str, train_labels: str, test_images: str, test_labels: str
) -> tuple[FileSpec, ...]:
    return (
        FileSpec("train-images-idx3-ubyte", 47_040_016, train_images),
        FileSpec("train-labels-idx1-ubyte", 60_008, train_labels),
        FileSpec("t10k-images-idx3-ubyte", 7_840_016, test_images),
        FileSpec("t10k-labels-idx1-ubyte", 10_008, test_labels),
    )


DATASETS = {
    "mnist": DatasetSpec(
        "mnist",
        "MNIST",
        _files(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion-mnist": DatasetSpec(
        "fashion-mnist",
        "FashionMNIST",
        _files(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
}


def load(
    name: str = "mnist",
    root: str | Path | None = None,
    splits: Iterable[str] = ("train", "test"),
    *,
    say: Callable[[str], None] = _log.warning,
) -> dict[str, Split]:
    """Read a data set, fetching it into the cache when it is not there yet.

    Args:
        name: "mnist" or "fashion-mnist", or one of your own for the files in ``root``.
        root: a folder that holds the files already; nothing is fetched into it or changed in it.
            ``None``: the cache folder (see ``cache_root``).
        splits: which of "train" and "test" to read.
        say: called with one line when something is fetched or found damaged.

    Returns:
        ``{split: Split}`` in the order asked for.

    Raises:
        ValueError: unknown split, or unknown name without ``root``.
        DataError: a file is missing from ``root`` or is not the file it should be; or nothing
            can be fetched.
    """
    check_name(name, root)
    splits = tuple(splits)
    for split in splits:
        if split not in _PREFIX:
            raise ValueError(f"split: {split!r}; expected train or test")
    folder = cache_root() if root is None else Path(root)
    read = partial(_split, DATASETS[name]) if name in DATASETS else _own_split
    try:
        return {split: read(split, folder) for split in splits}
    except DataError:  # missing or damaged: fetch says which
        if root is not None:
            raise
        fetch(name, say=say)
        return {split: read(split, folder) for split in splits}


def fetch(
    name: str = "mnist",
    root: str | Path | None = None,
    *,
    say: Callable[[str], None] = _log.warning,
    sources: Iterable[Source] | None = None,
) -> Path:
    """Make sure that all four files are there and right; fetch those that are not.

    Two processes may do this at once: files appear whole, by a rename, and are the same whoever
    fetched them.

    Args:
        name: "mnist" or "fashion-mnist".
        root: a folder of the caller's: what it lacks is added, what it has is never replaced.
            ``None``: the cache folder, where a damaged file is named and replaced.
        say: called with one line at a time about what is going on.
        sources: where to look, in order; ``None``: those of ``digitvae.data.sources``.

    Returns:
        The root, for ``load`` or for torchvision's ``root=``.

    Raises:
        ValueError: unknown name.
        DataError: a file in ``root`` is wrong, every source failed, or the folder cannot be
            written.
    """
    spec = _spec(name)
    folder = cache_root() if root is None else Path(root)
    missing: list[FileSpec] = []
    for file in spec.files:
        place = _find(spec, file, folder)
        if place is None:
            missing.append(file)
            continue
        try:
            _verified(place, file)
        except DataError as error:
            if root is not None:
                raise
            say(f"{error}; fetching it again")
            missing.append(file)
    if missing:
        _obtain(spec, missing, folder, say, sources)
    return folder


def cache_root() -> Path:
    """The folder of the data sets: ``DIGITVAE_DATA`` if set, else in the user's cache folder.

    Raises:
        DataError: Neither is known: the user has no home folder.
    """
    try:
        if chosen := os.environ.get("DIGITVAE_DATA"):
            return Path(chosen).expanduser()
        if sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        elif sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        else:
            # The XDG specification: a relative path is invalid and to be ignored.
            told = os.environ.get("XDG_CACHE_HOME", "")
            base = Path(told) if told.startswith("/") else Path.home() / ".cache"
    except (RuntimeError, KeyError) as error:  # as in containers, where users have no name either
        raise DataError(
            "there is no place for data sets, for this user has no home folder: set DIGITVAE_DATA "
            "to a folder"
        ) from error
    return base / "digitvae" / "data"


def check_name(name: str, root: str | Path | None) -> None:
    """Refuse what names no data set.

    Args:
        name: Of a known one, or a new one of lower-case letters, digits, dots, hyphens and
            underscores.
        root: The folder of its files, without which no other than the known ones can be had.

    Raises:
        ValueError: It is unknown, or cannot be a name.
    """
    if name not in DATASETS and (root is None or not _NAME.fullmatch(name)):
        raise ValueError(
            f"dataset: {name!r}; expected one of {', '.join(DATASETS)}, or a short lower-case name "
            "for IDX files of your own, with their folder (--data DIR)"
        )


def _spec(name: str) -> DatasetSpec:
    if name not in DATASETS:
        raise ValueError(f"dataset: {name!r}; expected one of {', '.join(DATASETS)}")
    return DATASETS[name]


def _find(spec: DatasetSpec, file: FileSpec, root: Path) -> Path | None:
    """The place of a file under ``root``, in the order of the layouts that are understood."""
    for folder in (root / spec.torchvision / "raw", root):
        for place in (folder / file.name, folder / f"{file.name}.gz"):
            if place.exists():
                return place
    return None


def _own_split(split: str, root: Path) -> Split:
    """A split of a data set of which only the names of the files are known."""
    arrays = []
    for file in (DATASETS["mnist"].file(split, kind) for kind in ("images", "labels")):
        place = root / file.name
        arrays.append(idx.read(place if place.exists() else place.with_name(f"{file.name}.gz")))
    images, labels = arrays
    if images.ndim != 3 or not images[:1].size or labels.shape != images.shape[:1]:
        raise DataError(
            f"{root}: {split} images {list(images.shape)}, labels {list(labels.shape)}; expected "
            "[n, height, width] and [n], n ≥ 1"
        )
    return Split(images, labels)


def _split(spec: DatasetSpec, split: str, root: Path) -> Split:
    arrays = []
    for file in (spec.file(split, "images"), spec.file(split, "labels")):
        place = _find(spec, file, root)
        if place is None:
            raise DataError(
                f"{root}: has no {file.name}[.gz], neither directly nor in {spec.torchvision}/raw; "
                f"`digitvae data --dataset {spec.name} --data {root}` fetches what is missing"
            )
        arrays.append(idx.parse(io.BytesIO(_verified(place, file)), file.name))
    return Split(*arrays)


def _verified(place: Path, file: FileSpec) -> bytes:
    """The uncompressed bytes of a file, once its size and SHA-256 were found right."""
    # One byte more than expected is enough to know that a file is too long.
    try:
        with open_regular(place) as raw:
            if place.suffix == ".gz":
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    content = unpacked.read(file.bytes + 1)
            else:
                content = raw.read(file.bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{place}: cannot be read: {error}") from error
    if len(content) < file.bytes:
        raise DataError(f"{place}: truncated: {len(content):,} of {file.bytes:,} bytes")
    digest = hashlib.sha256(content).hexdigest()
    if len(content) > file.bytes or digest != file.sha256:
        known = {f.sha256: spec.name for spec in DATASETS.values() for f in spec.files}
        if digest in known:
            raise DataError(f"{place}: is a file of {known[digest]}, not the one expected here")
        long = "longer than that" if len(content) > file.bytes else f"SHA-256 {digest}"
        raise DataError(
            f"{place}: not the original: expected {file.bytes:,} bytes of SHA-256 {file.sha256}, "
            f"found {long}"
        )
    return content


def _obtain(
    spec: DatasetSpec,
    missing: list[FileSpec],
    root: Path,
    say: Callable[[str], None],
    sources: Iterable[Source] | None,
) -> None:
    """Ask each source in turn until no file of ``missing`` is left."""
    from digitvae.data.sources import SOURCES, Unavailable

    tried: list[str] = []
    target = root / spec.torchvision / "raw"
    try:
        target.mkdir(parents=True, exist_ok=True)
        for source in SOURCES if sources is None else sources:
            if spec.name not in source.datasets:
                continue
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=root) as scratch:
                say(f"fetching {spec.name} from {source.title}")
                try:
                    source.deliver(spec.torchvision, Path(scratch))
                except Unavailable as error:
                    tried.append(f"{source.title}: {error}")
                    continue
                missing = _install(missing, Path(scratch), target, source.title, tried)
            if not missing:
                return
    except (OSError, OutputError) as error:
        raise DataError(
            f"{root}: cannot store {spec.name} there: {error}; DIGITVAE_DATA names another place"
        ) from error
    raise DataError(
        f"{spec.name}: {', '.join(f.name for f in missing)} cannot be fetched. Tried:",
        *(f"- {reason}" for reason in tried),
        "Put the four IDX files (plain or .gz) into a folder and name it with --data DIR, or set "
        "DIGITVAE_DATA to a folder that torchvision has filled.",
    )


def _install(
    wanted: list[FileSpec], scratch: Path, target: Path, title: str, tried: list[str]
) -> list[FileSpec]:
    """Move what a source delivered into place, if it is right; returns what is still missing."""
    left: list[FileSpec] = []
    for file in wanted:
        delivered = [*scratch.rglob(file.name), *scratch.rglob(f"{file.name}.gz")]
        try:
            if not delivered:
                raise DataError(f"{file.name} was not in the delivery")
            content = _verified(delivered[0], file)
        except DataError as error:
            tried.append(f"{title}: {str(error).removeprefix(f'{scratch}{os.sep}')}")
            left.append(file)
            continue
        write_whole(target / file.name, content)
    return left
