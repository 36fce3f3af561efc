"""What labelled digits cost beside those of N(0, I), in whole calls of ``Model.sample``.

    python -m benchmarks.labelled [--rounds 31] [--components 10] [--prior FILE]

Medians, in turns, in one process. The priors have the interface of ``prior.onnx`` and as many
components a class, with made-up numbers, each in another graph (:mod:`benchmarks.prior_graphs`);
``--prior`` measures a ``prior.onnx`` in their place, and without it one of the shipped bundle is
measured, too, if there is one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import digitvae as dv
from benchmarks import prior_graphs
from digitvae import _native
from digitvae.bench.processors import limited_to
from digitvae.bundle import MANIFEST, PRIOR, describe_files, shipped_path, write_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

DIGITS = 256 * _native.TILE_ROWS
CLASSES = 10


def with_prior(prior: bytes, folder: Path) -> dv.Model:
    """The shipped bundle with that prior."""
    bundle = shutil.copytree(shipped_path(), folder)
    (bundle / PRIOR).write_bytes(prior)
    manifest = json.loads((bundle / MANIFEST).read_bytes())
    files = describe_files(bundle, {*manifest["files"], PRIOR})
    write_manifest(bundle, manifest | {"files": files})
    return dv.load(bundle)


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


def measure(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, in turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 3):
        for name, make in contenders.items():
            start = time.perf_counter()
            make()
            if number >= 3:  # by then the engine has chosen its form
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def print_table(models: dict[str, dv.Model], rounds: int, threads: int) -> None:
    """Whole calls with so many threads."""
    out = np.empty((DIGITS, 28, 28), np.uint8)
    some = next(iter(models.values()))
    options: dict[str, Any] = {"threads": threads, "out": out}
    contenders: dict[str, Callable[[], object]] = {
        "N(0, I)": lambda: some.sample(DIGITS, **options),
        "N(0, I), truncation 0.7": lambda: some.sample(DIGITS, truncation=0.7, **options),
    }
    for name, model in models.items():
        asked = options | {"digit": range(CLASSES), "return_labels": True}
        contenders[f"mixture: {name}"] = partial(model.sample, DIGITS, **asked)
    times = measure(contenders, rounds)
    plain = times["N(0, I)"]
    print(f"| {DIGITS:,} digits, threads: {threads} | µs a digit | beside N(0, I) |")
    print("|---|---:|---:|")
    for name, seconds in times.items():
        print(f"| {name} | {seconds / DIGITS * 1e6:.3f} | {seconds / plain - 1:+.1%} |")
    print()


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="What labelled digits cost beside N(0, I).")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--prior", type=Path, help="measure this prior.onnx")
    asked = parser.parse_args()
    if asked.prior is not None:
        priors = {asked.prior.name: asked.prior.read_bytes()}
    else:
        priors = made_up(asked.components)
        shipped = dv.load().bundle
        if PRIOR in shipped.file_names:
            priors["the shipped bundle's"] = shipped.read(PRIOR)
    with tempfile.TemporaryDirectory() as folder:
        models = {
            name: with_prior(prior, Path(folder) / str(number))
            for number, (name, prior) in enumerate(priors.items())
        }
        with limited_to(1):
            print_table(models, asked.rounds, 1)
        print_table(models, asked.rounds, _native.available_threads())


if __name__ == "__main__":
    main()
