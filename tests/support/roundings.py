"""What float32 can make of a sum, and enclosures to check it against."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from digitvae.parity.truth.enclosure import Enclosure

# Magnitudes whose products neither overflow nor stay subnormal only, zeros and subnormals too.
numbers = st.floats(-(2.0**50), 2.0**50, width=32)
shares = st.floats(0.0, 1.0, width=32)
orders = st.randoms(use_true_random=False)


def known(value: ArrayLike, error: ArrayLike, variance: ArrayLike = 0.0) -> Enclosure:
    """Values known up to an error, of that variance."""
    exact = torch.from_numpy(np.array(value, np.float64))
    narrow = (np.broadcast_to(np.array(v, np.float32), exact.shape) for v in (error, variance))
    return Enclosure(exact, *(torch.from_numpy(v.copy()) for v in narrow))


def given_to_all(x: ArrayLike) -> Enclosure:
    return Enclosure.exact(torch.from_numpy(np.array(x, np.float32)))


def error_of(found: Enclosure) -> Fraction:
    return Fraction(found.error.item())


def summed_in_random_order(
    products: list[tuple[float, float]], bias: float, order: random.Random, *, fused: bool
) -> float:
    """Evaluate b + Σ w·x in float32 along a random binary tree, or as a random chain of FMAs."""
    if fused:
        chain = list(products)
        order.shuffle(chain)
        total = np.float32(bias)
        for w, x in chain:
            total = to_float32(Fraction(float(total)) + Fraction(w) * Fraction(x))
        return float(total)
    nodes = [np.float32(bias), *(np.float32(w) * np.float32(x) for w, x in products)]
    while len(nodes) > 1:
        order.shuffle(nodes)
        a, b = nodes.pop(), nodes.pop()
        nodes.append(np.float32(a + b))
    return float(nodes[0])


def to_float32(value: Fraction) -> np.float32:
    """Round a fraction to the nearest float32: a guess by float64, then the best neighbour."""
    guess = np.float32(float(value))
    candidates = [guess, np.nextafter(guess, np.float32(-np.inf)), np.nextafter(guess, np.inf)]
    return min(candidates, key=lambda c: abs(Fraction(float(c)) - value))


def moved_within(x: float, error: float, order: random.Random) -> float:
    """A float32 that is no farther than ``error`` from x."""
    moved = float(np.float32(x + order.uniform(-1.0, 1.0) * error))
    return moved if abs(Fraction(moved) - Fraction(x)) <= Fraction(error) else x
