"""A Ray cluster of two nodes, with a processor each, and an S3 that its workers can reach."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from digitvae.generation.ray.cluster import _own_signals, leave

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 200 << 20, "include_dashboard": False}


@pytest.fixture(scope="package")
def cluster(s3_environment: dict[str, str]) -> Iterator[Any]:
    """The cluster. Tests that kill a node kill one that they have added."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        from ray.cluster_utils import Cluster

        with pytest.MonkeyPatch.context() as patch:
            # Nodes hand the environment that they are started with on to their workers.
            patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
            patch.setenv("RAY_health_check_period_ms", "500")  # a dead node is noticed soon
            for name, value in s3_environment.items():
                patch.setenv(name, value)
            cluster = Cluster(initialize_head=True, head_node_args=NODE)
            cluster.add_node(**NODE)
            cluster.wait_for_nodes()
        try:
            yield cluster
        finally:
            disconnect()
            cluster.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture
def on_cluster(cluster: Any, s3_environment: dict[str, str]) -> dict[str, str]:
    """The environment of a program that is to use the cluster."""
    return {**os.environ, **s3_environment, "RAY_ADDRESS": cluster.address}


@pytest.fixture
def connected(cluster: Any) -> Any:
    """This process, connected to the cluster: the package ``ray``.

    It stays so from test to test, and so do its workers, unless a test ends the connection.
    """
    import ray

    if not ray.is_initialized():
        with warnings.catch_warnings(), _own_signals(), pytest.MonkeyPatch.context() as patch:
            warnings.simplefilter("ignore")
            patch.chdir(Path(__file__).parents[3])  # from where workers import functions of tests
            ray.init(cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    return ray


@pytest.fixture
def unconnected() -> None:
    """This process, connected to no cluster."""
    disconnect()


def disconnect() -> None:
    import ray

    if ray.is_initialized():
        leave()
