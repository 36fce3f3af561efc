"""Fixtures for the tests of the benchmark."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from benchmarks.generation.contenders import Contender
from benchmarks.generation.measure import Settings
from benchmarks.generation.results import Limit, Outcome, Results, Series

Odd = Callable[[str], Contender]

TINY = Settings(
    threads=(1,),
    rounds=2,
    sizes=(1, 65),
    counts=(1, 3000),
    turn_seconds=0.001,
    latency_calls=3,
    fma_seconds=0.01,
    write_mib=1,
)


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Odd:
    """A contender that does something wrong."""

    def make(behaviour: str) -> Contender:
        monkeypatch.setenv("ODD", behaviour)
        return Contender("odd", "the odd one", "tests.benchmarks.odd_contenders:prepare")

    return make


@pytest.fixture
def results() -> Results:
    """Results of a machine of round numbers: a digit takes 1,000 operations."""
    return Results(
        machine={
            "processor": "Imaginary",
            "processors": 2,
            "system": "Linux",
            "python": "3.12.0",
            "load_before": 0.25,
        },
        settings={},
        operations_a_digit=1000,
        outcomes=[
            Outcome("ours", "digitvae", versions={"digitvae": "1.0"}, deviation={"1": 1e-7}),
            Outcome("torch", "torch eager", settings={"1": "batches of 64"}),
            Outcome("jax", "JAX", "not installed", "pip install jax"),
        ],
        limits=[
            Limit("fma", 1, [0.9e9, 1e9]),
            Limit("fma", 2, [2e9]),
            Limit("page cache", 1, [784e6]),
            Limit("disk", 1, [78.4e6]),
        ],
        warm=[
            Series("ours", 1, 1, [2e-6, 2e-6, 2e-6]),
            Series("ours", 100, 1, [100e-6, 125e-6, 200e-6]),
            Series("ours", 100, 2, [62.5e-6]),
            Series("torch", 1, 1, [1e-6, 1e-6, 1e-6]),
            Series("torch", 100, 1, [250e-6, 250e-6, 250e-6]),
            Series("torch", 100, 2, [250e-6]),
        ],
        latency=[
            Series("ours", 1, 1, [20e-6] * 98 + [30e-6, 40e-6]),
            Series("torch", 1, 1, [80e-6]),
        ],
        process=[Series("ours", 10_000, 2, [0.1]), Series("torch", 10_000, 2, [1.5])],
    )
