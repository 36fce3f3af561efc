"""Fixtures for the tests of stores: an S3 server, and buckets in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.support.bucket import Bucket, forget_clients


@pytest.fixture(scope="package")
def _own_clients() -> Iterator[None]:
    """Clients made here know no other server than ours, and nobody else gets them."""
    forget_clients()
    yield
    forget_clients()


@pytest.fixture
def s3(s3: dict[str, str], _own_clients: None) -> dict[str, str]:
    """As everywhere, with clients of its own."""
    return s3


@pytest.fixture
def new_clients(s3: dict[str, str]) -> Iterator[None]:
    """Clients look at the environment again, which a test has changed, and after it again."""
    forget_clients()
    yield
    forget_clients()


@pytest.fixture
def bucket(s3: dict[str, str]) -> Bucket:
    """A bucket that holds nothing."""
    return Bucket(f"test-{uuid.uuid4().hex}")
