"""The servers, and clients of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.clients import BUCKET, s3_client
from tests.servers.moto import MotoServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def moto_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    """One moto for all; it starts in a second."""
    server = MotoServer(tmp_path_factory.mktemp("moto")).start()
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
