"""Functions of rows around functions of rows: tiles, parts, one after another."""

from __future__ import annotations

from threading import Lock

import numpy as np

from digitvae.parity.networks import Float32, Function


def tiled(function: Function, tile_rows: int) -> Function:
    """Call a function on tiles of constant shape, the last one padded with zeros.

    This is what the native engine promises to compute, so it must give the same bits.
    """

    def call(rows: Float32) -> tuple[Float32, ...]:
        padded = np.zeros((-len(rows) % tile_rows + len(rows), *rows.shape[1:]), np.float32)
        padded[: len(rows)] = rows
        return tuple(output[: len(rows)] for output in in_parts(function, tile_rows)(padded))

    return call


def in_parts(function: Function, part_rows: int) -> Function:
    """Call a function on so many rows at a time, and on what is left."""

    def call(rows: Float32) -> tuple[Float32, ...]:
        parts = [function(rows[i : i + part_rows]) for i in range(0, len(rows), part_rows)]
        return tuple(np.concatenate(output) for output in zip(*parts, strict=True))

    return call


def composed(first: Function, second: Function) -> Function:
    """``second`` of the first output of ``first``."""
    return lambda rows: second(first(rows)[0])


def one_at_a_time(function: Function) -> Function:
    """Let one thread in: a module that keeps something while it computes is not made for two."""
    lock = Lock()

    def call(rows: Float32) -> tuple[Float32, ...]:
        with lock:
            return function(rows)

    return call


def in_unit_interval(function: Function) -> Function:
    """Take what lies up to 2⁻²³ above 1 for 1 and below 0 for 0, as the native engine does.

    ONNX Runtime's Sigmoid gives 1 + 2⁻²³ for 20 of the 314,573 float32 logits in [17.4, 18), and on
    aarch64, before 1.23, −2⁻²³ for negative ones; an intensity is at least 0 and at most 1.
    """
    zero, one, rounding = np.float32(0), np.float32(1), np.float32(2**-23)

    def clamp(x: Float32) -> Float32:
        x = np.where((x > one) & (x <= one + rounding), one, x)
        return np.where((x <= zero) & (x >= -rounding), zero, x)

    def call(rows: Float32) -> tuple[Float32, ...]:
        return tuple(clamp(x) for x in function(rows))

    return call
