"""The servers, and clients of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.clients import BUCKET, s3_client
from tests.servers.responder import Responder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.moto import MotoServer


@pytest.fixture
def responder() -> Iterator[Responder]:
    """A responder with an empty bucket."""
    server = Responder(buckets=[BUCKET]).start()
    yield server
    server.close()


@pytest.fixture
def moto(moto_process: MotoServer) -> Iterator[MotoServer]:
    """moto with an empty bucket, no rules, and a log that begins here."""
    client = s3_client(moto_process.url)
    client.create_bucket(Bucket=BUCKET)
    moto_process.reset()
    yield moto_process
    moto_process.deny()
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    client.delete_bucket(Bucket=BUCKET)
