"""Inputs of models that are not ours, of which only the shape is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitvae.base.errors import ParityError
from digitvae.parity.inputs.generated import generated
from digitvae.parity.inputs.sets import InputSet, batches, constants, in_blocks
from digitvae.parity.networks import Float32
from digitvae.parity.report.report import first_line

_BATCHES = (1, 2, 3, 7, 16)
_ONE_HOTS = 32
_BLOCK_VALUES = 400_000
_CONSTANTS = (0.0, 1.0, -1.0, 10.0, -10.0, 1e-45, 1.1754942e-38)


def typical_inputs(
    path: Path | None, shape: tuple[int, ...], count: int, *, limit: int | None
) -> Float32:
    """The rows of a file, or draws from N(0, I), float32 [n, …].

    Args:
        path: A ``.npy`` file, or ``None``.
        shape: Of one row.
        count: Draws, where there is no file.
        limit: Rows of the file to take at most.

    Raises:
        ParityError: The file cannot be used.
    """
    if path is None:
        rng = np.random.default_rng(0)
        return rng.standard_normal((count, *shape), np.float32)
    rows = _read(path)
    if rows.dtype != np.float32 or rows.shape[1:] != shape or not len(rows):
        raise ParityError(
            f"{path} is {rows.dtype} {list(rows.shape)}, expected float32 [n, "
            f"{', '.join(map(str, shape))}]"
        )
    if not np.isfinite(rows).all():
        raise ParityError(f"{path} has values that are not finite")
    chosen: Float32 = np.ascontiguousarray(rows[:limit])
    return chosen


def shape_in(path: Path) -> tuple[int, ...]:
    """The shape of one row of a file, whatever its type.

    Raises:
        ParityError: It cannot be read.
    """
    return tuple(_read(path).shape[1:])


def _read(path: Path) -> NDArray[Any]:
    try:
        # np.load would take archives too, and leave those that are damaged open.
        with path.open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ParityError(f"cannot read {path}: {first_line(error)}") from error


def input_sets(typical: Float32, generated_count: int, batch: int | None) -> list[InputSet]:
    """Typical rows, batches of them, edges, and what hypothesis makes.

    Args:
        typical: float32 [n, …].
        generated_count: Rows for hypothesis to make.
        batch: Rows in each call, if the model allows no other number.
    """
    shape = typical.shape[1:]
    width = int(np.prod(shape))
    size = batch or max(1, _BLOCK_VALUES // max(1, width))
    rows, names = constants(shape, _CONSTANTS)
    for index in np.linspace(0, width - 1, min(width, _ONE_HOTS)).astype(int):
        row = np.zeros(width, np.float32)
        row[index] = 1.0
        rows.append(row.reshape(shape))
        names.append(f"only value {index} is 1")
    edges = np.stack(rows)
    made = generated(shape, generated_count, -10.0, 10.0)
    sets = [
        InputSet("typical inputs", _blocks(typical, size, batch), typical=True),
        InputSet("extreme inputs", _blocks(edges, size, batch), typical=False, names=tuple(names)),
        # A value that is not a number can hide among others, and a largest of all rows as well.
        _alone(edges, names, batch or 1),
        replace(made, blocks=_blocks(np.concatenate(made.blocks), size, batch)),
    ]
    if batch is None:
        sets.insert(1, batches(typical, _BATCHES))
    return [given for given in sets if given.count]


def _alone(edges: Float32, names: Sequence[str], batch: int) -> InputSet:
    """Each edge in a call of its own; where that takes more rows, all of them are it."""
    blocks = in_blocks(np.repeat(edges, batch, axis=0), batch)
    repeated = tuple(name for name in names for _ in range(batch))
    return InputSet("extreme inputs, alone", blocks, typical=False, names=repeated)


def resized(rows: Float32, axes: Sequence[int], size: int) -> Float32:
    """Rows made shorter or longer along some axes; what there is begins again where it ends."""
    for axis in axes:
        rows = rows.take(np.arange(size) % rows.shape[axis], axis)
    return np.ascontiguousarray(rows)


def sizes_of_axes(rows: Float32, axes: Sequence[int], name: str, sizes: Sequence[int]) -> InputSet:
    """A block of rows for each size of the axes that the file calls by one name.

    Args:
        rows: float32 [n, …].
        axes: Which axes, counted with the batch.
        name: How the file calls them.
        sizes: How many values.
    """
    blocks = tuple(resized(rows, axes, size) for size in sizes)
    listed = ", ".join(map(str, sizes))
    of = tuple(f"{name} {size}" for size in sizes)
    return InputSet(f"{name} of {listed}", blocks, typical=True, separate=True, of=of)


def both_sides(typical: Float32, batch: int | None) -> list[InputSet]:
    """Typical rows made large and small, and of one sign, one call each: where branches part."""
    size = batch or 1
    given = typical[: 8 * size]
    with np.errstate(over="ignore"):
        made = {
            "typical inputs times 1000": given * np.float32(1000),
            "typical inputs times 0.001": given * np.float32(0.001),
            "typical inputs, positive": np.abs(given),
            "typical inputs, negative": -np.abs(given),
        }
    return [
        InputSet(name, _blocks(rows, size, batch), typical=False) for name, rows in made.items()
    ]


def _blocks(rows: Float32, size: int, batch: int | None) -> tuple[Float32, ...]:
    """Blocks; where the batch is fixed, what does not fill one is left out."""
    if batch is not None:
        rows = rows[: len(rows) // batch * batch]
    return in_blocks(rows, size)
