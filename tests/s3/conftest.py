"""A bucket of one test's own, and stores that are opened on it as the product opens them."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from swampd.chance import SystemRng
from swampd.domain.layout import Keys
from swampd.layouts import require_layout, set_up
from swampd.stores.s3.store import S3Store
from tests.servers.clients import s3_client
from tests.servers.stores import environment_of, settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from swampd.domain.datastores import CloudEnvironment
    from swampd.domain.layout import Layout
    from swampd.layouts import Made
    from tests.servers.moto import MotoServer

PREFIX = "team/notes"
KEYS = Keys(PREFIX)


class Place:
    """A bucket at an endpoint, and who one is to it."""

    def __init__(self, url: str, bucket: str, environment: CloudEnvironment) -> None:
        self.url = url
        self.bucket = bucket
        self.environment = environment

    def open(self, **more: Any) -> S3Store:
        settings = settings_for(self.url, self.bucket, prefix=PREFIX, **more)
        return S3Store(settings, self.environment)

    def set_up(self, **more: Any) -> Made:
        """What `swampctl datastore setup` asks."""
        one, two = self.open(**more), self.open(**more)

        async def run() -> Made:
            try:
                return await set_up(one, two, KEYS, SystemRng())
            finally:
                await one.close()
                await two.close()

        return asyncio.run(run())

    def find_layout(self, **more: Any) -> Layout:
        """What the opening of a workspace asks."""
        store = self.open(**more)

        async def run() -> Layout:
            try:
                return await require_layout(store, KEYS)
            finally:
                await store.close()

        return asyncio.run(run())


@pytest.fixture
def moto(moto_process: MotoServer) -> Iterator[MotoServer]:
    """moto, whose rules are gone afterwards."""
    yield moto_process
    moto_process.deny()


@pytest.fixture
def place(moto: MotoServer, tmp_path: Path) -> Place:
    """An empty bucket, for a person who may do all."""
    bucket = f"s3-{uuid.uuid4()}"
    s3_client(moto.url).create_bucket(Bucket=bucket)
    return Place(moto.url, bucket, environment_of(tmp_path))
