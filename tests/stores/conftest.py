"""Fixtures for the tests of stores: an S3 server, and buckets in it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.cli.running import Runner
from tests.stores.bucket import Bucket, forget_clients
from tests.stores.s3_server import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def s3_environment() -> Iterator[dict[str, str]]:
    """An S3 server, and what has to be in the environment of those that use it."""
    with running_server() as environment:
        yield environment


@pytest.fixture(scope="package")
def _own_clients() -> Iterator[None]:
    """Clients made here know no other server than ours, and nobody else gets them."""
    forget_clients()
    yield
    forget_clients()


@pytest.fixture
def s3(
    s3_environment: dict[str, str], _own_clients: None, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """That environment is this process's own."""
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    return s3_environment


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


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Runner:
    """The command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Runner(capsys)
