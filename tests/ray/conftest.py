"""A Ray cluster of two nodes, with a processor each, and an S3 that its workers can reach."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

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
            for name, value in s3_environment.items():
                patch.setenv(name, value)
            cluster = Cluster(initialize_head=True, head_node_args=NODE)
            cluster.add_node(**NODE)
            cluster.wait_for_nodes()
        try:
            yield cluster
        finally:
            cluster.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture
def on_cluster(cluster: Any, s3_environment: dict[str, str]) -> dict[str, str]:
    """The environment of a program that is to use the cluster."""
    return {**os.environ, **s3_environment, "RAY_ADDRESS": cluster.address}


@pytest.fixture
def connected(cluster: Any) -> Iterator[Any]:
    """This process, connected to the cluster: the package ``ray``."""
    from digitvae.ray.cluster import connected, ray_package

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with connected(cluster.address):
            yield ray_package()
