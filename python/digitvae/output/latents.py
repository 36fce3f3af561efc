"""Write latents as ``.npy`` or ``.npz``, or to standard output."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from digitvae.base.atomic import check_space, new_file, output_errors
from digitvae.output.descriptors import is_stream
from digitvae.output.formats.arrays import npy_header
from digitvae.output.streams import open_stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FORMATS = ("npy", "npz")


def latent_format(path: str | Path, asked: str | None = None) -> str:
    """``"npy"`` or ``"npz"``, by the extension of a path unless one is asked for.

    Standard output, pipes and devices get ``"npy"``: latents have no fixed width, so that bare
    numbers would not tell their shape.

    Raises:
        ValueError: The extension or the format asked for is another.
    """
    name = Path(path).suffix.lower().removeprefix(".") if asked is None else asked
    if asked is None and not name and is_stream(path):
        return "npy"
    if name not in _FORMATS:
        raise ValueError(f"'{path}': latents are written as .npy or .npz; see format (--format)")
    return name


def save_latents(
    path: str | Path,
    arrays: Mapping[str, NDArray[np.float32]],
    *,
    format: str | None = None,  # noqa: A002 (the word of the command line)
    force: bool = False,
) -> None:
    """Write float32 arrays; the file appears whole or not at all.

    Args:
        path: A file, or ``"-"`` for standard output.
        arrays: By name. A ``.npy`` file holds one array, whatever its name.
        format: ``"npy"`` or ``"npz"``; by default the path decides.
        force: Replace what exists.

    Raises:
        ValueError: Unknown format, or several arrays for a ``.npy`` file.
        OutputError: The file exists, or cannot be written, or will not fit.
    """
    kind = latent_format(path, format)
    if kind == "npy" and len(arrays) != 1:
        raise ValueError(f"a .npy file holds one array, not {', '.join(arrays)}; use .npz")
    if is_stream(path):
        target = open_stream(path)
    else:
        check_space(Path(path), sum(array.nbytes for array in arrays.values()))
        target = new_file(Path(path), force=force)
    with target as file, output_errors(path):
        (_write_npy if kind == "npy" else _write_npz)(file, arrays)


def _write_npy(file: BinaryIO, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    for array in arrays.values():
        # Not numpy.save: on a full disk its exception does not say that the disk is full.
        file.write(npy_header(array.shape, "float32"))
        file.write(array.data)


def _write_npz(file: BinaryIO, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    from zipfile import ZipFile

    # Stored: deflate takes a tenth off Gaussian float32, for fifty times the time.
    with ZipFile(file, "w") as zipped:
        for name, array in arrays.items():
            with zipped.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write_npy(member, {name: array})  # type: ignore[arg-type]
