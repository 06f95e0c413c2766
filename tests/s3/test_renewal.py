"""Credentials are renewed in their file while requests run: work goes on."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from swampd.domain.outcomes import Applied, Found
from swampd.domain.values import RemoteKey
from swampd.errors import CredentialsRefused, StoreUnavailable
from swampd.stores.s3 import credentials
from tests.s3.conftest import KEYS, PREFIX, Place
from tests.servers.clients import credentials_file
from tests.servers.refusals import EXPIRED_TOKEN, Denial, Match
from tests.servers.stores import environment_of

if TYPE_CHECKING:
    from pathlib import Path

    from swampd.stores.s3.store import S3Store
    from tests.servers.moto import MotoServer

WORKERS = 8


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain may be looked up again without waiting."""
    monkeypatch.setattr(credentials, "LEAST_BETWEEN", timedelta(0))


class Workers:
    """Each one writes and reads, by both libraries, until it is told to end."""

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self.rounds = [0] * WORKERS
        self.ends = False

    async def work(self, number: int) -> None:
        while not self.ends:
            key = RemoteKey(f"{PREFIX}/data/{uuid.uuid4()}")
            await self._create(key)
            assert isinstance(await self._store.get(key), Found)
            lock = KEYS.probe(uuid.uuid4().hex)  # type: ignore[arg-type]
            await self._create(lock)
            assert isinstance(await self._store.head(lock), Found)
            self.rounds[number] += 1

    async def _create(self, key: RemoteKey) -> None:
        """A write that is not sent for its credentials' sake is sent again, as the engine does."""
        while True:
            with suppress(CredentialsRefused, StoreUnavailable):
                assert isinstance(await self._store.create(key, b"x", {}), Applied)
                return

    async def some_rounds(self) -> None:
        """Until everybody has done some more."""
        before = list(self.rounds)
        while any(now < then + 2 for now, then in zip(self.rounds, before, strict=True)):
            await asyncio.to_thread(lambda: None)


def test_nobody_notices(place: Place, moto: MotoServer, tmp_path: Path) -> None:
    place.environment = environment_of(tmp_path, "old1")
    store = place.open()

    async def run() -> None:
        workers = Workers(store)
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(workers.work(number))
            for old, new in (("old1", "new2"), ("new2", "new3")):
                await workers.some_rounds()
                credentials_file(tmp_path, new)
                moto.deny(Denial(Match(access_key=old), EXPIRED_TOKEN))
                await workers.some_rounds()
                assert store._chain.identity()[1] == f"access key ...{new}"
            workers.ends = True
        assert store._chain.generation == 3
        await store.close()

    moto.reset()
    asyncio.run(run())
    signers = [row.access_key for row in moto.requests() if row.bucket == place.bucket]
    assert set(signers) == {"old1", "new2", "new3"}
    refused = [row for row in moto.requests() if row.status == 400]
    assert 2 <= len(refused) <= 4 * WORKERS


def test_until_they_are_renewed_each_request_is_refused_once(
    place: Place, moto: MotoServer, tmp_path: Path
) -> None:
    place.environment = environment_of(tmp_path, "old1")
    moto.deny(Denial(Match(access_key="old1"), EXPIRED_TOKEN))
    moto.reset()

    async def run() -> None:
        store = place.open()
        key = RemoteKey(f"{PREFIX}/data/a")
        for _ in range(3):
            with pytest.raises(CredentialsRefused):
                await store.create(key, b"x", {})
        assert len(moto.requests()) == 3
        credentials_file(tmp_path, "new2")
        with pytest.raises(CredentialsRefused):
            await store.create(key, b"x", {})
        assert isinstance(await store.create(key, b"x", {}), Applied)
        assert [row.access_key for row in moto.requests()[3:]] == ["old1", "new2"]
        assert store.identity()
        await store.close()

    asyncio.run(run())
