"""Nothing is sent whose right to be sent may be gone; and what decides never waits for contents."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from swampd.domain.outcomes import Applied, Found
from swampd.domain.values import RemoteKey, Token
from swampd.errors import CredentialsRefused, StoreUnavailable
from swampd.ports import Creation
from swampd.stores.s3.credentials import Chain
from tests.s3.conftest import KEYS, PREFIX, Place
from tests.servers.canned import NEVER, Canned, refuse, reply
from tests.servers.clients import BUCKET, credentials_file
from tests.servers.refusals import EXPIRED_TOKEN
from tests.servers.slow import Slow
from tests.servers.stores import environment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from swampd.stores.s3.store import S3Store
    from tests.servers.canned import Heard

    Write = Callable[[S3Store], Coroutine[Any, Any, Any]]

DATA = RemoteKey(f"{PREFIX}/data/a")
DONE = reply(200, ETag='"new"')
WRITES: dict[str, Write] = {
    "create of bytes": lambda store: store.create(DATA, b"x", {}),
    "create of a lock": lambda store: store.create(KEYS.layout, b"x", {}),
    "replace": lambda store: store.replace(KEYS.layout, b"x", Token("t"), {}),
    "put": lambda store: store.put(DATA, b"x", {}),
    "delete": lambda store: store.delete_if(DATA, Token("t")),
    "copy": lambda store: store.copy_to(DATA, DATA, None, {}),
    "a part": lambda store: store.parts.send(DATA, "u", 1, b"x"),  # type: ignore[union-attr]
}
writes = pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))


@writes
def test_a_refused_write_is_the_callers_to_send_again(tmp_path: Path, write: Write) -> None:
    async def run(server: Canned) -> None:
        store = Place(server.url, BUCKET, environment_of(tmp_path, "old1")).open()
        credentials_file(tmp_path, "new2")
        with pytest.raises(CredentialsRefused):
            await write(store)
        assert len(server.heard) == 1
        await store.close()

    with closing(Canned(refuse(EXPIRED_TOKEN)).start()) as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("others", [1, 0])
@writes
def test_a_write_that_had_to_wait_for_credentials_is_sent_only_when_they_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write, others: int
) -> None:
    async def run(server: Canned) -> None:
        store = Place(server.url, BUCKET, environment_of(tmp_path)).open()
        await store.get(DATA)
        before = len(server.heard)
        real = Chain.frozen

        def renewed(chain: Chain) -> Any:
            chain.generation += others
            return real(chain)

        monkeypatch.setattr(Chain, "frozen", renewed)
        if others:
            with pytest.raises(StoreUnavailable, match="nothing was sent"):
                await write(store)
        else:
            await asyncio.gather(write(store), return_exceptions=True)
        assert len(server.heard) == before + 1 - others
        await store.close()

    with closing(Canned(DONE).start()) as server:
        asyncio.run(run(server))


def create_each(store: S3Store) -> Coroutine[Any, Any, Any]:
    return store.create_each([Creation(DATA, b"x", {})], lambda _: True)


@pytest.mark.parametrize("write", [*WRITES.values(), create_each], ids=[*WRITES, "create of each"])
def test_who_is_gone_when_the_credentials_come_sends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    asked, go_on, over = threading.Event(), threading.Event(), threading.Event()
    real = Chain.frozen

    def slow(chain: Chain) -> Any:
        asked.set()
        assert go_on.wait(10.0)
        try:
            return real(chain)
        finally:
            over.set()

    async def run(server: Canned) -> None:
        store = Place(server.url, BUCKET, environment_of(tmp_path)).open()
        monkeypatch.setattr(Chain, "frozen", slow)
        task = asyncio.get_running_loop().create_task(write(store))
        assert await asyncio.to_thread(asked.wait, 10.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        assert await asyncio.to_thread(over.wait, 10.0)
        monkeypatch.undo()
        await store.get(DATA)  # its thread is through by now
        assert [heard.method for heard in server.heard] == ["GET"]
        await store.close()

    settings = {"push_concurrency": 1, "pull_concurrency": 1}
    with closing(Canned(DONE).start()) as server:
        monkeypatch.setattr(Place, "open", _open_with(Place.open, settings))
        asyncio.run(run(server))


def _open_with(real: Any, more: dict[str, Any]) -> Any:
    return lambda place: real(place, **more)


def test_a_lock_is_renewed_while_contents_take_every_thread(tmp_path: Path) -> None:
    def answer(heard: Heard) -> bytes | None:
        return DONE if "layout.json" in heard.target else NEVER

    async def run(server: Canned) -> None:
        place = Place(server.url, BUCKET, environment_of(tmp_path))
        store = place.open(push_concurrency=2, pull_concurrency=2)
        async with asyncio.TaskGroup() as group:
            transfers = [
                group.create_task(store.create(RemoteKey(f"{DATA}{n}"), b"x", {})) for n in range(6)
            ]
            await asyncio.to_thread(server.tally.wait, "heard", 2)
            async with asyncio.timeout(10.0):
                assert isinstance(await store.replace(KEYS.layout, b"x", Token("t"), {}), Applied)
                assert isinstance(await store.get(KEYS.layout), Found)
            assert len([heard for heard in server.heard if "data/a" in heard.target]) == 2
            for transfer in transfers:
                transfer.cancel()
        await store.close()

    with closing(Canned(answer).start()) as server:
        asyncio.run(run(server))


def test_a_slow_line_is_no_time_out_as_long_as_bytes_flow(tmp_path: Path) -> None:
    size, seconds = 3_000_000, 3.0

    async def run(server: Slow) -> None:
        place = Place(server.url, BUCKET, environment_of(tmp_path))
        store = place.open(request_timeout_ms=1000)
        assert isinstance(await store.create(DATA, b"x" * size, {}), Applied)
        found = await store.get(DATA)
        assert isinstance(found, Found)
        assert found.size == size
        await store.close()

    with closing(Slow(size / seconds).start()) as server:
        asyncio.run(run(server))
