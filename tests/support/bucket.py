"""Buckets as tests look at them: through boto3, not through what is tested."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

import boto3
import s3fs


def forget_clients() -> None:
    """Have the next store look at the environment again: fsspec keeps clients for a process."""
    s3fs.S3FileSystem.clear_instance_cache()


@functools.cache
def _client(endpoint: str) -> Any:
    return boto3.client("s3", endpoint_url=endpoint)


class Bucket:
    """A bucket of the server in the environment; it is made."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.client = _client(os.environ["AWS_ENDPOINT_URL"])
        self.client.create_bucket(Bucket=name)

    def uri(self, place: str = "digits") -> str:
        """The address of a place in it."""
        return f"s3://{self.name}/{place}"

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def keep_versions(self) -> None:
        """Have the server keep whatever is written from now on."""
        self.client.put_bucket_versioning(
            Bucket=self.name, VersioningConfiguration={"Status": "Enabled"}
        )

    def versions(self) -> set[tuple[str, str]]:
        """Everything that was written, by key and a name for each time."""
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.name)
        found = (version for page in pages for version in page.get("Versions", []))
        return {(version["Key"], version["VersionId"]) for version in found}

    def about(self) -> dict[str, Mapping[str, Any]]:
        """What the server tells of all its objects, by key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {about["Key"]: about for page in pages for about in page.get("Contents", [])}

    def keys(self) -> list[str]:
        return sorted(self.about())

    def tree(self, place: str = "digits") -> dict[str, bytes]:
        """All objects under a place, by their names there."""
        start = f"{place}/"
        return {key[len(start) :]: self.get(key) for key in self.keys() if key.startswith(start)}

    def uploads(self) -> list[str]:
        """Keys of objects that were begun in parts, and neither finished nor given up."""
        found = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return [upload["Key"] for upload in found]
