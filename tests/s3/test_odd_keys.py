"""What others spell oddly in the bucket is listed and read as it stands there."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from swampd.domain.outcomes import Applied, Found, Missing, Unchanged
from swampd.domain.values import RemoteKey
from swampd.errors import KeyRefused
from tests.contract.subjects import STRANGE, Pieces
from tests.s3.conftest import PREFIX, Place
from tests.servers.clients import BUCKET, s3_client
from tests.servers.responder import Responder
from tests.servers.stores import environment_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ODD = [
    "a//b",
    "a/b",
    "a/./b",
    "a/../b",
    "..",
    "../..",
    ".",
    "/lead",
    "//",
    "trail/",
    "tab\tx",
    "line\nend",
    "return\rend",
    "bell\x07",
    "null\x00x",
    "del\x7f",
    "c1\x85",
    "\u2028",
    "x" * (1024 - len(PREFIX) - 1),
    "é" * ((1024 - len(PREFIX) - 1) // 2),
    "<Code>NoSuchKey</Code>",
    "&amp;&#x7;",
]


def full(name: str) -> RemoteKey:
    return RemoteKey(f"{PREFIX}/{name}")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """moto cannot hold them all."""
    with closing(Responder(buckets=[BUCKET]).start()) as server:
        client = s3_client(server.url)
        for name in ODD:
            client.put_object(Bucket=BUCKET, Key=full(name), Body=name.encode())
        yield Place(server.url, BUCKET, environment_of(tmp_path))


def test_a_listing_tells_them_as_they_are_and_in_order(place: Place) -> None:
    async def run() -> None:
        store = place.open()
        page = await store.list(RemoteKey(f"{PREFIX}/"))
        assert [row.key for row in page.rows] == sorted(map(full, ODD), key=str.encode)
        for row in page.rows:
            rest = await store.list(RemoteKey(f"{PREFIX}/"), row.key)
            assert [after.key for after in rest.rows] == [
                after.key for after in page.rows if after.key.encode() > row.key.encode()
            ]
        await store.close()

    asyncio.run(run())


def test_each_can_be_read_in_every_way(place: Place) -> None:
    async def run() -> None:
        store = place.open()
        for name in ODD:
            key, body = full(name), name.encode()
            found = await store.get(key)
            assert isinstance(found, Found)
            assert (found.body, found.size) == (body, len(body))
            assert await store.get(key, if_token=found.token) == found
            assert await store.get_if_changed(key, found.token) == Unchanged()
            head = await store.head(key)
            assert isinstance(head, Found)
            assert (head.token, head.size) == (found.token, len(body))
            pieces = Pieces()
            assert isinstance(await store.get(key, sink=pieces), Found)
            assert b"".join(pieces.chunks) == body
        await store.close()

    asyncio.run(run())


def test_each_can_be_written_taken_away_and_missed(place: Place) -> None:
    async def run() -> None:
        store = place.open()
        for name in ODD:
            key = full(name)
            assert not isinstance(await store.create(key, b"x", {}), Applied)
            assert isinstance(await store.put(key, b"new", {}), Applied)
            assert isinstance(await store.delete(key), Applied)
            assert await store.get(key) == Missing()
            assert await store.get_if_changed(key, STRANGE) == Missing()
            assert await store.head(key) == Missing()
            assert isinstance(await store.create(key, b"x", {}), Applied)
        page = await store.list(RemoteKey(""))
        assert len(page.rows) == len(ODD)
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("key", ["", "x" * 1025, "é" * 513, "lone \ud800 surrogate"])
def test_a_key_that_cannot_be_is_refused_before_it_is_sent(place: Place, key: str) -> None:
    async def run() -> None:
        store, bad = place.open(), RemoteKey(key)
        parts = store.parts
        assert parts
        for asked in (
            *(store.get(bad), store.head(bad), store.get_if_changed(bad, STRANGE)),
            *(store.put(bad, b"", {}), store.create(bad, b"", {}), store.delete(bad)),
            *(store.replace(bad, b"", STRANGE, {}), store.delete_if(bad, STRANGE)),
            *(store.copy_to(bad, full("a"), None, {}), store.copy_to(full("a"), bad, None, {})),
            parts.begin(bad, {}),
        ):
            with pytest.raises(KeyRefused):
                await asked
        await store.close()

    asyncio.run(run())
