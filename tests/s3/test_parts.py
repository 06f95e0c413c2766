"""An object in parts is whole or not there, and never in the place of another one."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from swampd.domain.outcomes import Applied, Found, Missing, Rejected, Unknown
from swampd.domain.values import RemoteKey
from tests.contract.subjects import META, Pieces, applied
from tests.s3.conftest import PREFIX, Place
from tests.servers.clients import s3_client
from tests.servers.refusals import INTERNAL_ERROR, Denial, Match
from tests.servers.responder import Responder
from tests.servers.stores import environment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from swampd.ports import PartStore
    from swampd.stores.s3.store import S3Store
    from tests.servers.moto import MotoServer

    Scene = Callable[[S3Store, PartStore], Coroutine[None, None, None]]

KEY = RemoteKey(f"{PREFIX}/data/large ü")
PART = bytes(range(256)) * (5 << 12)
"""5 MiB, the least."""
TAIL = b"the end"


@pytest.fixture(params=["moto", "responder"])
def server(request: pytest.FixtureRequest) -> Iterator[MotoServer | Responder]:
    if request.param == "moto":
        yield request.getfixturevalue("moto")
        return
    with closing(Responder().start()) as responder:
        yield responder


@pytest.fixture
def place(server: MotoServer | Responder, tmp_path: Path) -> Place:
    bucket = f"parts-{uuid.uuid4()}"
    s3_client(server.url).create_bucket(Bucket=bucket)
    return Place(server.url, bucket, environment_of(tmp_path))


def play(place: Place, scene: Scene) -> None:
    async def run() -> None:
        store = place.open()
        parts = store.parts
        assert parts
        await scene(store, parts)
        await store.close()

    asyncio.run(run())


def test_parts_become_one_object_once_they_are_complete(place: Place) -> None:
    async def scene(store: S3Store, parts: PartStore) -> None:
        upload = await parts.begin(KEY, META)
        sent = [
            await parts.send(KEY, upload, number, body)
            for number, body in ((1, PART), (2, PART[::-1]), (3, TAIL))
        ]
        assert await store.get(KEY) == Missing()
        assert (await store.list(KEY)).rows == ()
        token = applied(await parts.complete(KEY, upload, sent))
        pieces = Pieces()
        found = await store.get(KEY, sink=pieces)
        assert found == Found(token, 2 * len(PART) + len(TAIL), META)
        assert b"".join(pieces.chunks) == PART + PART[::-1] + TAIL
        (row,) = (await store.list(KEY)).rows
        assert (row.token, row.size) == (token, 2 * len(PART) + len(TAIL))

    play(place, scene)


def test_a_part_may_be_sent_again_and_in_any_order(place: Place) -> None:
    async def scene(store: S3Store, parts: PartStore) -> None:
        upload = await parts.begin(KEY, {})
        last = await parts.send(KEY, upload, 2, TAIL)
        await parts.send(KEY, upload, 1, PART[::-1])
        first = await parts.send(KEY, upload, 1, PART)
        assert first == await parts.send(KEY, upload, 1, PART)
        applied(await parts.complete(KEY, upload, [first, last]))
        found = await store.get(KEY)
        assert isinstance(found, Found)
        assert found.body == PART + TAIL

    play(place, scene)


def test_what_is_there_is_not_replaced(place: Place) -> None:
    async def scene(store: S3Store, parts: PartStore) -> None:
        upload = await parts.begin(KEY, META)
        part = await parts.send(KEY, upload, 1, TAIL)
        token = applied(await store.create(KEY, b"first", {}))
        assert await parts.complete(KEY, upload, [part]) == Rejected()
        assert await store.get(KEY) == Found(token, 5, {}, b"first")

    play(place, scene)


def test_of_two_uploads_one_wins(place: Place) -> None:
    async def scene(store: S3Store, parts: PartStore) -> None:
        async def upload(body: bytes) -> object:
            name = await parts.begin(KEY, {})
            part = await parts.send(KEY, name, 1, body)
            return await parts.complete(KEY, name, [part])

        outcomes = await asyncio.gather(*(upload(b"%d" % number) for number in range(8)))
        won = [number for number, one in enumerate(outcomes) if isinstance(one, Applied)]
        assert len(won) == 1
        assert sum(one == Rejected() for one in outcomes) == 7
        found = await store.get(KEY)
        assert isinstance(found, Found)
        assert found.body == b"%d" % won[0]

    play(place, scene)


def test_what_is_thrown_away_cannot_be_completed(place: Place) -> None:
    async def scene(store: S3Store, parts: PartStore) -> None:
        upload = await parts.begin(KEY, {})
        part = await parts.send(KEY, upload, 1, TAIL)
        await parts.abort(KEY, upload)
        assert isinstance(await parts.complete(KEY, upload, [part]), Unknown)
        assert await store.get(KEY) == Missing()
        await parts.abort(KEY, upload)

    play(place, scene)


def test_what_is_complete_is_not_thrown_away(place: Place) -> None:
    async def scene(store: S3Store, parts: PartStore) -> None:
        upload = await parts.begin(KEY, META)
        part = await parts.send(KEY, upload, 1, TAIL)
        token = applied(await parts.complete(KEY, upload, [part]))
        await parts.abort(KEY, upload)
        assert await store.get(KEY) == Found(token, len(TAIL), META, TAIL)
        # A second answer to one that was lost: nobody can tell whether it was this one.
        again = await parts.complete(KEY, upload, [part])
        assert isinstance(again, Unknown | Rejected)

    play(place, scene)


def test_a_completion_that_fails_inside_is_unknown(
    server: MotoServer | Responder, place: Place
) -> None:
    async def scene(_: S3Store, parts: PartStore) -> None:
        upload = await parts.begin(KEY, {})
        part = await parts.send(KEY, upload, 1, TAIL)
        server.deny(Denial(Match("POST", query="uploadId"), INTERNAL_ERROR))
        outcome = await parts.complete(KEY, upload, [part])
        assert isinstance(outcome, Unknown)
        assert "InternalError" in outcome.reason

    play(place, scene)


def test_a_copy_carries_bytes_and_new_metadata(place: Place) -> None:
    target = RemoteKey(f"{PREFIX}/staged/copy ü")

    async def scene(store: S3Store, parts: PartStore) -> None:
        upload = await parts.begin(KEY, {"old": "1"})
        part = await parts.send(KEY, upload, 1, TAIL)
        applied(await parts.complete(KEY, upload, [part]))
        token = applied(await store.copy_to(KEY, target, None, META))
        assert await store.get(target) == Found(token, len(TAIL), META, TAIL)
        assert await store.copy_to(KEY, target, None, {}) == Rejected()
        other = applied(await store.put(target, b"other", {}))
        assert await store.copy_to(KEY, target, token, {}) == Rejected()
        applied(await store.copy_to(KEY, target, other, {}))
        found = await store.get(target)
        assert isinstance(found, Found)
        assert (found.body, found.metadata) == (TAIL, {})

    play(place, scene)
