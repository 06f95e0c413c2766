"""The product's own store on a server under test."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from swampd.domain.datastores import CloudEnvironment, S3Settings
from swampd.stores.s3.store import S3Store
from tests.servers.clients import BUCKET, REGION, credentials_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def settings_for(url: str, bucket: str = BUCKET, **more: Any) -> S3Settings:
    """A bucket at this endpoint, in the path of URLs."""
    given: dict[str, Any] = {"region": REGION, "force_path_style": True, **more}
    return S3Settings(bucket, endpoint=url, **given)


def environment_of(home: Path, access_key: str = "tester") -> CloudEnvironment:
    """A person with one key in a file in this folder."""
    return CloudEnvironment(shared_credentials_file=str(credentials_file(home, access_key)))


@contextmanager
def s3_store(
    url: str, home: Path, bucket: str = BUCKET, access_key: str = "tester", **more: Any
) -> Iterator[S3Store]:
    """A connection to a bucket, for a person with one key."""
    store = S3Store(settings_for(url, bucket, **more), environment_of(home, access_key))
    try:
        yield store
    finally:
        asyncio.run(store.close())
