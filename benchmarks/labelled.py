"""What labelled digits cost beside those of N(0, I), as images and as latents alone.

    python -m benchmarks.labelled [--rounds 31] [--components 10] [--prior FILE]

One decoder draws from several priors, in turns, in one process. "Beside" is the median of what the
rounds say, each by itself: a machine's speed changes more from round to round than within one.

The shipped ``prior.onnx`` (or another, ``--prior``) is drawn from by the engine's optimized loop,
which users get, and by ONNX Runtime, node by node. The other priors are made up, with the same
interface and ``--components`` a class, each in another graph (:mod:`benchmarks.prior_graphs`), and
run by ONNX Runtime.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import prior_graphs
from benchmarks.machine import limited_to
from digitvae import _native
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import DECODER, PRIOR
from digitvae.engine.runtime import open_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DIGITS = 256 * _native.TILE_ROWS
CLASSES = 10


def made_up(components: int) -> dict[str, bytes]:
    """Priors by what their graphs do."""
    m = prior_graphs.mixture(CLASSES, components)
    choice = prior_graphs.choice_by_grid(m)
    properties = {
        "digitvae.schema": "digitvae-bundle/1",
        "digitvae.latent_dim": str(prior_graphs.LATENTS),
        "digitvae.labels": str(CLASSES),
        "digitvae.dataset": "mnist",
    }
    products = {
        "diagonal": prior_graphs.diagonal,
        "shared axes": prior_graphs.shared_axes,
        "a full factor for each component": prior_graphs.gather_row_times_matrix,
    }
    return {
        name: prior_graphs.prior(m, choice, product(m), properties)
        for name, product in products.items()
    }


def measure(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each, in turns, every other round from the last to the first."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 3):
        names = list(contenders)
        for name in names if number % 2 else reversed(names):
            start = time.perf_counter()
            contenders[name]()
            if number >= 3:  # by then the engine has chosen its forms
                times[name].append(time.perf_counter() - start)
    return times


def print_table(
    decoder: _native.Decoder, priors: dict[str, _native.Mixture], rounds: int, threads: int
) -> None:
    """Whole calls with so many threads."""
    images = np.empty((DIGITS, 28, 28), np.uint8)
    latents = np.empty((DIGITS, decoder.latent_dim), np.float32)
    labels = np.empty(DIGITS, np.int32)
    asked: dict[str, dict[str, Any]] = {
        "N(0, I)": {},
        "N(0, I), truncation 0.7": {"truncation": 0.7},
    }
    for name, prior in priors.items():
        asked[name] = {"prior": prior, "digits": range(CLASSES), "labels": labels}
    run: dict[str, Any] = {"seed": 0, "first": 0, "threads": threads}
    whole = {n: partial(decoder.sample, images, **run, **which) for n, which in asked.items()}
    alone = {n: partial(decoder.latents, latents, **run, **which) for n, which in asked.items()}
    of_images, of_latents = measure(whole, rounds), measure(alone, rounds)
    plain = of_images["N(0, I)"]
    print(
        f"| {DIGITS:,} digits, threads: {threads} | µs a digit | beside N(0, I) | latents alone |"
    )
    print("|---|---:|---:|---:|")
    for name, seconds in of_images.items():
        ratio = statistics.median(mine / its for mine, its in zip(seconds, plain, strict=True))
        digit, latent = (
            statistics.median(values) / DIGITS * 1e6 for values in (seconds, of_latents[name])
        )
        print(f"| {name} | {digit:.3f} | {ratio - 1:+.1%} | {latent:.3f} |")
    print()


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="What labelled digits cost beside N(0, I).")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--prior", type=Path, help="measure this prior.onnx, not the shipped one")
    asked = parser.parse_args()
    runtime, bundle = open_runtime(), Bundle.open()
    name = "the shipped mixture" if asked.prior is None else asked.prior.name
    content = bundle.read(PRIOR) if asked.prior is None else asked.prior.read_bytes()
    decoder = _native.Decoder(runtime, bundle.read(DECODER))
    priors = {
        name: _native.Mixture(runtime, content),
        f"{name}, by ONNX Runtime": _native.Mixture(runtime, content, optimized=False),
    }
    for graph, model in made_up(asked.components).items():
        priors[f"made up: {graph}"] = _native.Mixture(runtime, model)
    with limited_to(1):
        print_table(decoder, priors, asked.rounds, 1)
    print_table(decoder, priors, asked.rounds, _native.available_threads())


if __name__ == "__main__":
    main()
