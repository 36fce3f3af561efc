"""A prefix in an object store: ``s3://BUCKET/…`` through s3fs, ``gs://BUCKET/…`` through gcsfs.

An object appears when all of it has arrived, and replaces another of its name at that moment, which
is all that shards need. Parts of objects that were never finished, because a machine died, are not
listed; the bucket's own rules remove them (``AbortIncompleteMultipartUpload``).

Where the store is and who asks is told in the environment, as to any other program that uses it
(``AWS_PROFILE``, ``AWS_ENDPOINT_URL``, ``GOOGLE_APPLICATION_CREDENTIALS`` …).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from digitvae.base.errors import DigitVAEError, OutputError
from digitvae.output.stores.store import Entry, exists_already
from digitvae.output.streams import Onward

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
_BLOCK_BYTES = 16 << 20
"""Sent or fetched at a time; an object may have 10,000 parts of it."""

_S3_ROUNDS = 2
"""How often s3fs has botocore ask, which tries three times, or AWS_MAX_ATTEMPTS.

By themselves they would try 25 times: six minutes until a server is told that takes questions and
never answers them. So it is a minute and a half, and some seconds where nothing listens. Once would
not do, since botocore does not notice where an answer breaks off half-way.
"""


@dataclass(frozen=True)
class Objects:
    """A :class:`digitvae.output.stores.Store` in an object store.

    Attributes:
        uri: ``SCHEME://BUCKET/NAME``, without a slash at the end.
    """

    uri: str
    locks = False

    def __post_init__(self) -> None:
        scheme, _, rest = self.uri.partition("://")
        bucket, _, name = rest.partition("/")
        name = name.strip("/")
        if not bucket or not name:
            raise ValueError(
                f"'{self.uri}' names no place in a bucket; write {scheme}://BUCKET/NAME"
            )
        object.__setattr__(self, "uri", f"{scheme}://{bucket}/{name}")
        self._system()

    def __str__(self) -> str:
        return self.uri

    def exists(self) -> bool:
        """Tell if there are objects under the prefix."""
        return bool(self.entries())

    def make(self, *, accept: bool) -> None:
        """A prefix needs no making."""
        if not accept and self.exists():
            raise exists_already(self)

    def check_space(self, needed: int, *, files: int) -> None:
        """An object store does not tell how much room it has."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """There are no locks. Two runs of the same would write the same."""
        yield

    def entries(self) -> list[Entry]:
        """All objects under the prefix."""
        with self._errors(self.uri, "read"):
            try:
                found = self._system().find(self._root, detail=True)
            except FileNotFoundError:
                return []
        start = f"{self._root}/"
        return sorted(
            Entry(path.removeprefix(start), int(about["size"]))
            for path, about in found.items()
            # What is called as the prefix itself is what consoles show an empty folder by.
            if path.startswith(start) and path != start
        )

    def of(self, name: str) -> str:
        """The address of an object."""
        return f"{self.uri}/{name}"

    @contextmanager
    def new_file(self, name: str) -> Iterator[BinaryIO]:
        """Send an object, part by part; it appears at the end."""
        with self._errors(self.of(name), "write"):
            file = self._system().open(self._path(name), "wb", block_size=_BLOCK_BYTES)

        def send(content: memoryview) -> None:
            with self._errors(self.of(name), "write"):
                file.write(content.cast("B"))

        try:
            yield Onward(send)  # type: ignore[misc]  # a RawIOBase is a BinaryIO
            with self._errors(self.of(name), "write"):
                file.close()
        except BaseException:
            # Closed, or left to the garbage collector, what has arrived would become an object.
            file.closed = True
            with suppress(Exception):
                file.discard()
            raise

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Fetch an object, part by part."""
        with (
            self._errors(self.of(name), "read"),
            self._system().open(self._path(name), "rb", block_size=_BLOCK_BYTES) as file,
        ):
            yield file

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        with self._errors(self.of(name), "write"), suppress(FileNotFoundError):
            self._system().rm_file(self._path(name))

    @property
    def _root(self) -> str:
        return self.uri.partition("://")[2]

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _system(self) -> Any:
        """The file system of fsspec, which keeps one of each kind in a process."""
        scheme = self.uri.partition("://")[0]
        options: dict[str, Any] = {}
        if scheme == "s3":
            options["config_kwargs"] = {"retries": {"mode": "standard"}}
        try:
            import fsspec

            # Listings must be what is there now, not what was there when somebody asked last.
            system = fsspec.filesystem(scheme, use_listings_cache=False, **options)
        except ImportError as error:
            raise OutputError(
                f"'{self}' needs {_PACKAGES[scheme]}: pip install 'digitvae[{scheme}]'"
            ) from error
        if scheme == "s3":
            system.retries = _S3_ROUNDS
        return system

    @contextmanager
    def _errors(self, what: str, doing: str) -> Iterator[None]:
        """Turn whatever a store answers inside the block into an :class:`OutputError`."""
        try:
            yield
        except (DigitVAEError, BrokenPipeError):
            raise
        except Exception as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            if reason == what.partition("://")[2]:  # all that fsspec says of what is not there
                reason = "there is no such object"
            raise OutputError(f"cannot {doing} '{what}': {reason}") from error
