"""All formats of outputs, each in a file that says everything about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from digitvae.base.arguments import MAX_INDEX
from digitvae.base.errors import OutputError
from digitvae.output.descriptors import called, is_stream
from digitvae.output.formats.arrays import NPY, NPZ, RAW
from digitvae.output.formats.folder import FOLDER
from digitvae.output.formats.format import Format, Writer
from digitvae.output.formats.idx import IDX, IDX_GZ
from digitvae.output.formats.mnist import MNIST
from digitvae.output.formats.parquet import PARQUET
from digitvae.output.formats.sheet import PNG
from digitvae.output.formats.tar import TAR
from digitvae.output.spec import OutputSpec

__all__ = ["FORMATS", "Format", "Writer", "able", "check", "format_of"]

# To add a format: a file beside this one, with its Writer and its Format; the Format here; a
# row in the table of docs/command-line.md; a reader in tests/support/readers.py. Help, completion,
# messages and the parameters of tests are made from this list. Importing the file must be cheap:
# import in the Writer what writing takes.
FORMATS = {one.name: one for one in (NPY, NPZ, IDX, IDX_GZ, PNG, PARQUET, TAR, RAW, FOLDER, MNIST)}
"""By name, in the order of help."""


def able(to: Callable[[Format], bool]) -> str:
    """Names of the formats that can do something, for messages."""
    return ", ".join(name for name, each in FORMATS.items() if to(each))


def format_of(path: str | Path, asked: str | None = None) -> str:
    """The key in ``FORMATS`` for a path.

    The extension decides, unless a format is asked for. No extension, or a slash at the end,
    means a folder of PNGs; standard output, pipes and devices get bare numbers.

    Raises:
        ValueError: The extension or the format asked for is unknown.
    """
    text = str(path)
    if not text:
        raise ValueError("the output path is empty")
    if asked is not None:
        if asked not in [*FORMATS]:  # a list, which takes anything
            raise ValueError(f"format: unknown format {asked!r}; known: {', '.join(FORMATS)}")
        if not FORMATS[asked].extension and is_stream(text):
            raise ValueError(f"a folder ({asked}) cannot be written to {called(text)}")
        return asked
    name = text.rpartition("/")[2]
    # A dot at the start hides a file, it does not begin an extension; '.' and '..' are folders.
    if "." not in name.lstrip("."):
        return RAW.name if is_stream(text) else FOLDER.name
    extensions = {each.extension: key for key, each in FORMATS.items() if each.extension}
    # Longest first, so that .idx.gz is not looked up as .gz.
    for extension in sorted(extensions, key=len, reverse=True):
        if name.lower().endswith(extension):
            return extensions[extension]
    raise ValueError(
        f"'{path}': unknown extension; known: {', '.join(extensions)}. A name without extension, "
        "or with '/' at the end, means a folder of PNGs; format (--format) overrides it"
    )


def check(spec: OutputSpec) -> Format:
    """Refuse what the format cannot do, before anything is made.

    Returns:
        The format.

    Raises:
        ValueError: A number is out of its range, or nothing of this format can hold it.
        OutputError: The package that writes the format is not installed.
    """
    kind = FORMATS[spec.format]
    if spec.count < 1:
        raise ValueError(f"count is {spec.total}, expected at least {2 if spec.test else 1}")
    last = spec.first + spec.total - 1
    if spec.first < 0 or last > MAX_INDEX:
        raise ValueError(
            f"first is {spec.first} and the last index {last:,}: indices are 0 to 2**64 - 1"
        )
    if spec.dtype not in NPY.pixels:
        raise ValueError(f"dtype is {spec.dtype!r}, expected 'uint8' or 'float32'")
    if spec.dtype not in kind.pixels:
        others = able(lambda one: spec.dtype in one.pixels)
        raise ValueError(
            f"{kind.name} holds {kind.pixels[0]} only; formats for {spec.dtype}: {others}"
        )
    if spec.labels and not kind.labels:
        raise ValueError(
            f"{kind.name} holds no labels; formats for labels: {able(lambda one: one.labels)}"
        )
    for other in FORMATS.values():
        if other.own is not None and other is not kind and getattr(spec, other.own[0]):
            raise ValueError(f"{other.own[1]} for the format {other.name}, a {other.what}")
    kind.check(spec)
    if kind.package is not None:
        from importlib.util import find_spec

        package, extra = kind.package
        if find_spec(package) is None:
            raise OutputError(
                f"writing {kind.name} needs {package}: pip install 'digitvae[{extra}]'"
            )
    return kind
