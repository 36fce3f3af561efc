"""The random-number specification (docs/random-numbers.md) once more, in plain NumPy.

Written from the document alone and kept free of anything clever: it is what the native generator
is compared with, bit for bit. All arithmetic is IEEE 754 float64 with + − × ÷ √ only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Doubles = npt.NDArray[np.float64]

MASK = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)


def philox4x32_10(counter: list[Words], key: tuple[int, int]) -> list[Words]:
    """Four 32-bit words for each counter; everything is held in uint64."""
    c0, c1, c2, c3 = counter
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(10):
        product0 = np.uint64(0xD2511F53) * c0
        product1 = np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (product1 >> SHIFT) ^ c1 ^ k0,
            product1 & MASK,
            (product0 >> SHIFT) ^ c3 ^ k1,
            product0 & MASK,
        )
        k0 = (k0 + np.uint64(0x9E3779B9)) & MASK
        k1 = (k1 + np.uint64(0xBB67AE85)) & MASK
    return [c0, c1, c2, c3]


def uniform(words: Words) -> Doubles:
    """The midpoint of the w-th of 2³² cells of [0, 1]."""
    return (words.astype(np.float64) + 0.5) * 2.0**-32


def natural_log(u: Doubles) -> Doubles:
    """The specified ln, of numbers in (0, 1)."""
    mantissa, exponent = np.frexp(u)  # mantissa in [0.5, 1)
    m, e = mantissa * 2.0, exponent.astype(np.float64) - 1.0
    high = m >= np.sqrt(2.0)
    m, e = np.where(high, m * 0.5, m), np.where(high, e + 1.0, e)
    s = (m - 1.0) / (m + 1.0)
    t = s * s
    series = np.full_like(t, 1.0 / 21.0)
    for denominator in (19, 17, 15, 13, 11, 9, 7, 5, 3, 1):
        series = series * t + 1.0 / denominator
    return e * 0.6931471805599453 + (2.0 * s) * series


def cos_sin_of_turn(words: Words) -> tuple[Doubles, Doubles]:
    """The specified cosine and sine of (w + ½)·2⁻³² turns."""
    quarter = ((words + np.uint64(1 << 29)) & MASK) >> np.uint64(30)
    rest = words.astype(np.int64) - (quarter << np.uint64(30)).astype(np.int64)
    rest = np.where(rest > 1 << 31, rest - (1 << 32), rest)
    a = ((rest.astype(np.float64) + 0.5) * 2.0**-32) * 6.283185307179586
    t = a * a
    sine = np.full_like(t, -1.0 / 1307674368000.0)
    for coefficient in (
        1.0 / 6227020800.0,
        -1.0 / 39916800.0,
        1.0 / 362880.0,
        -1.0 / 5040.0,
        1.0 / 120.0,
        -1.0 / 6.0,
    ):
        sine = sine * t + coefficient
    sine = sine * t * a + a
    cosine = np.full_like(t, 1.0 / 20922789888000.0)
    for coefficient in (
        -1.0 / 87178291200.0,
        1.0 / 479001600.0,
        -1.0 / 3628800.0,
        1.0 / 40320.0,
        -1.0 / 720.0,
        1.0 / 24.0,
        -0.5,
        1.0,
    ):
        cosine = cosine * t + coefficient
    choices = quarter.astype(np.intp)
    return (
        np.choose(choices, [cosine, -sine, -cosine, sine]),
        np.choose(choices, [sine, cosine, -sine, -cosine]),
    )


def normal_pairs(radius_words: Words, angle_words: Words) -> tuple[Doubles, Doubles]:
    """Box–Muller: two normals from two words."""
    radius = np.sqrt(-2.0 * natural_log(uniform(radius_words)))
    cosine, sine = cos_sin_of_turn(angle_words)
    return radius * cosine, radius * sine


def standard_normal(
    seed: int, stream: int, first: int, count: int, dim: int
) -> npt.NDArray[np.float32]:
    """float32 [count, dim]: row i is a function of (seed, stream, first + i) alone."""
    blocks = (dim + 3) // 4
    low, high = (np.repeat(words, blocks) for words in _index_words(first, count))
    block = np.tile(np.arange(blocks, dtype=np.uint64), count)
    words = philox4x32_10(
        [block, np.full_like(block, stream), low, high], (seed & 0xFFFFFFFF, seed >> 32)
    )
    z0, z1 = normal_pairs(words[0], words[1])
    z2, z3 = normal_pairs(words[2], words[3])
    rows = np.stack([z0, z1, z2, z3], axis=1).astype(np.float32).reshape(count, 4 * blocks)
    return np.ascontiguousarray(rows[:, :dim])


def mixture_latents(
    tables: Mapping[str, npt.NDArray[Any]],
    u: npt.NDArray[np.float32],
    digit: npt.NDArray[np.int64],
    eps: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Latents float32 [n, d] and labels int64 [n], from the tables of ``prior.onnx`` by name.

    Every product and every sum is rounded to float32, in the order of the specification.
    """
    first, thresholds, factors = tables["first"], tables["thresholds"], tables["factors"]
    labels = len(first)
    drawn = (u[:, None] >= tables["class_thresholds"]).sum(axis=1)
    label = np.where(digit < 0, drawn, digit)
    row = np.where(digit < 0, labels + drawn, digit)
    component = first[label] + (u[:, None] >= thresholds[row]).sum(axis=1)
    rank = factors.shape[1]
    terms = eps[:, :rank, None] * factors[component]
    z = np.zeros_like(eps)
    ends = [*range(4, rank + 1, 4), *([rank // 2 * 2] if rank % 4 >= 2 else []), rank]
    begin = 0
    for end in ends:
        if begin < end:
            z += reduce(np.add, (terms[:, r] for r in range(begin, end)))
        begin = end
    return tables["means"][component] + z, label


def mixture_uniform(seed: int, first: int, count: int) -> npt.NDArray[np.float32]:
    """float32 [count] in [0, 1): which component of a mixture row i takes."""
    low, high = _index_words(first, count)
    zero, one = np.zeros_like(low), np.ones_like(low)
    words = philox4x32_10([zero, one, low, high], (seed & 0xFFFFFFFF, seed >> 32))
    return ((words[0] >> np.uint64(8)).astype(np.float64) * 2.0**-24).astype(np.float32)


def _index_words(first: int, count: int) -> tuple[Words, Words]:
    """The low and the high words of the indexes first … first + count − 1, modulo 2⁶⁴."""
    index = np.array([(first + i) % 2**64 for i in range(count)], np.uint64)
    return index & MASK, index >> SHIFT
