"""Contents too large to hold in memory: in parts, copied on the server, never other bytes."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from swampd.clock import SystemClock
from swampd.domain.leases import HORIZON_S
from swampd.domain.metadata import PayloadMark
from swampd.domain.outcomes import Applied
from swampd.domain.sizes import SIZES
from swampd.domain.states import PathState
from swampd.domain.values import CachePath, Epoch, Scope, Sha256, Token, Wid
from swampd.errors import BadRequest, LockLost, Stopping, StoreUnavailable
from swampd.ports import Lacking
from swampd.stores.retrying import Again, RetryingStore
from swampd.syncing import large
from swampd.syncing.asking import Asking
from swampd.syncing.conflicts import Side
from swampd.syncing.pushing import PushKind
from swampd.syncing.requests import PlainKeys
from tests.places.choice import bucket_only, folder_only, on_each
from tests.servers.access_log import read_log
from tests.workspace.machines import Machine, machine, shown, two_machines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from swampd.ports import PartStore, Sink
    from tests.places.bucket import BucketPlace
    from tests.places.place import Place

SIZE = 17 * 1024 * 1024 + 5
PATH = CachePath("data/disk.img")
WID = Wid("1" * 32)


def content(seed: int) -> bytes:
    return hashlib.shake_128(b"%d" % seed).digest(SIZE)


def scratch(one: Machine) -> list[str]:
    return [file.name for file in (one.cache / ".swampd/tmp").iterdir()]


async def uploads(one: Machine) -> list[Any]:
    return await one.workspace.ports.journal.read(
        lambda tx: list(tx.execute("SELECT upload, key FROM upload"))
    )


def parts_on_server(place: BucketPlace) -> list[Any]:
    return place.client.list_multipart_uploads(Bucket=place.bucket).get("Uploads", [])


@on_each
@pytest.mark.parametrize("copies", [True, False])
def test_a_large_file_travels_and_is_replaced(tmp_path: Path, place: Place, copies: bool) -> None:  # noqa: FBT001
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            if not copies and a.store.parts is not None:
                a.store.narrow(Lacking(server_copy=True))
            for seed in (1, 2):
                a.write(PATH, content(seed))
                await a.push()
                assert place.read(PATH) == content(seed)
                await b.pull()
                assert (b.cache / PATH).read_bytes() == content(seed)
            assert scratch(a) == scratch(b) == []
            assert await uploads(a) == []

    asyncio.run(main())


@on_each
def test_both_sides_of_a_large_conflict_are_kept_and_no_sealed_copy_is_left(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with two_machines(tmp_path, place) as (a, b):
            a.write(PATH, content(1))
            await a.push()
            b.write(PATH, content(2))
            await b.pull()
            await b.workspace.desks.resolver.resolve(PATH, Side.BOTH)
            here = [file.read_bytes() for file in (b.cache / "data").iterdir()]
            assert sorted(here) == sorted([content(1), content(2)])
            assert scratch(a) == scratch(b) == []

    asyncio.run(main())


@bucket_only
def test_a_large_file_is_sent_in_parts_and_copied_on_the_server(
    tmp_path: Path, place: BucketPlace
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write(PATH, content(1))
            await a.push()
            sent = [
                row
                for row in read_log(place.log.read_bytes())
                if row.bucket == place.bucket and "partNumber" in row.query
            ]
            assert len(sent) == -(-SIZE // SIZES.part)
            assert parts_on_server(place) == []
            a.write(PATH, content(2))
            await a.push()
            assert a.store.operations["copy_to"] == 1
            assert a.store.operations["replace"] < 10

    asyncio.run(main())


@bucket_only
def test_what_is_sent_is_what_was_hashed(
    tmp_path: Path, place: BucketPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            real = a.workspace.ports.tree.sealed_part

            def other_bytes(body: Any, start: int, size: int) -> bytes:
                return bytes(byte ^ (start > 0) for byte in real(body, start, size)[:size])

            monkeypatch.setattr(a.workspace.ports.tree, "sealed_part", other_bytes)
            a.write(PATH, content(1))
            with pytest.raises(BadRequest, match="not what was hashed"):
                await a.push()
            assert place.find(PATH) is None
            assert scratch(a) == []
            await a.workspace.background.abort_uploads()
            assert (parts_on_server(place), await uploads(a)) == ([], [])
            monkeypatch.undo()
            await a.push()
            assert place.read(PATH) == content(1)

    asyncio.run(main())


class Interrupted:
    """Parts whose completion never comes to an answer; `lands`: it lands all the same."""

    def __init__(self, parts: PartStore, *, lands: bool) -> None:
        self._parts = parts
        self._lands = lands
        self.begin, self.send, self.abort = parts.begin, parts.send, parts.abort

    async def complete(self, key: Any, upload: str, parts: Any) -> Any:
        if self._lands:
            await self._parts.complete(key, upload, parts)
        raise Stopping("the daemon died here", "")


class Away:
    """Parts of a store that goes away behind the first one, and answers again at the third asking;
    so does the completion."""

    def __init__(self, parts: PartStore) -> None:
        self._parts = parts
        self.begin, self.abort = parts.begin, parts.abort
        self.sent: list[int] = []
        self.refused = 0

    async def send(self, key: Any, upload: str, number: int, body: bytes) -> str:
        if number > 1:
            self._refuse(2)
        self.sent.append(number)
        return await self._parts.send(key, upload, number, body)

    async def complete(self, key: Any, upload: str, parts: Any) -> Any:
        self._refuse(4)
        return await self._parts.complete(key, upload, parts)

    def _refuse(self, times: int) -> None:
        if self.refused < times:
            self.refused += 1
            raise StoreUnavailable("no route", "")


@bucket_only
def test_no_part_that_the_store_has_is_sent_again_after_an_outage(
    tmp_path: Path, place: BucketPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            store = a.store._store
            away = Away(store.parts)
            monkeypatch.setattr(type(store), "parts", property(lambda _: away))
            a.write(PATH, content(1))
            await a.push()
            monkeypatch.undo()
            assert place.read(PATH) == content(1)
            assert sorted(away.sent) == [1, 2, 3]
            assert away.refused == 4
            assert parts_on_server(place) == []

    asyncio.run(main())


class NeverTakesAPart:
    """Parts of a store that is away, and whose lease is lost with the first refusal."""

    def __init__(self) -> None:
        self.refused = 0

    async def begin(self, *_: Any) -> str:
        return "upload"

    async def send(self, *_: Any) -> str:
        self.refused += 1
        raise StoreUnavailable("no route", "")

    def demand(self) -> None:
        if self.refused:
            raise LockLost("lapsed", "")


@folder_only
def test_no_part_is_sent_again_once_the_lease_is_lost(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            parts, ports = NeverTakesAPart(), a.workspace.ports
            store = a.store._store
            monkeypatch.setattr(type(store), "parts", property(lambda _: parts))
            sync = dataclasses.replace(
                a.workspace.desks.sync, store=RetryingStore(store, Again(ports.clock, ports.rng))
            )
            with ports.tree.write_tmp("x", x=False) as sink:
                sink(b"x" * 100)
            sealed = ports.tree.seal_tmp("x", 100, Sha256("0" * 64))
            with pytest.raises(LockLost):
                await large.create(sync, parts.demand, ports.keys.payload(PATH), sealed, {})
            assert parts.refused == 1

    asyncio.run(main())


@bucket_only
def test_a_full_disk_leaves_a_committed_file_to_be_mirrored_later(
    tmp_path: Path, place: BucketPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.store.narrow(Lacking(server_copy=True))
            a.write(PATH, content(1))
            await a.push()
            a.write(PATH, content(2))
            monkeypatch.setattr(a.workspace.ports.tree, "write_tmp", full_after_the_first)
            pushed = (await a.push()).done[Scope("data")]
            assert (pushed.kind, pushed.mirror_pending) == (PushKind.COMMITTED, 1)
            state, detail = (await shown(a))[PATH]
            assert state is PathState.UNSETTLED
            assert "No space left" in detail
            assert place.read(PATH) == content(1)
            monkeypatch.undo()
            await a.workspace.desks.settle(Scope("data"))
            assert place.read(PATH) == content(2)
            assert await shown(a) == {}
            assert scratch(a) == []

    asyncio.run(main())


@bucket_only
def test_a_cache_that_is_gone_takes_nothing_back_of_a_commit(
    tmp_path: Path, place: BucketPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.store.narrow(Lacking(server_copy=True))
            a.write(PATH, content(1))
            await a.push()
            a.write(PATH, content(2))

            def gone(*_: Any) -> None:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

            monkeypatch.setattr(a.workspace.ports.tree, "seal_tmp", gone)
            pushed = (await a.push()).done[Scope("data")]
            assert (pushed.kind, pushed.mirror_pending) == (PushKind.COMMITTED, 1)

    asyncio.run(main())


@contextmanager
def full_after_the_first(_: str, *, x: bool) -> Iterator[Sink]:
    assert not x
    taken: list[int] = []

    def sink(chunk: bytes) -> None:
        if taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken.append(len(chunk))

    yield sink


class SlowParts:
    """Parts that take long; what the journal says of the request when it is completed."""

    def __init__(self, one: Machine) -> None:
        self._journal = one.workspace.ports.journal
        self.clock = Shifted()
        self.sent_at = 0.0

    async def begin(self, *_: Any) -> str:
        return "upload"

    async def send(self, *_: Any) -> str:
        self.clock.by += 0.95 * HORIZON_S
        return "part"

    async def complete(self, *_: Any) -> Applied:
        ((self.sent_at,),) = await self._journal.read(
            lambda tx: list(tx.execute("SELECT sent_at FROM request"))
        )
        return Applied(Token("t"))


class Shifted(SystemClock):
    """A clock that can be set forward."""

    by = 0.0

    def now(self) -> float:
        return super().now() + self.by


@folder_only
@pytest.mark.parametrize("batch", [True, False])
def test_a_request_is_as_young_as_the_completion_of_its_upload(
    tmp_path: Path,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    batch: bool,  # noqa: FBT001
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            parts, tree = SlowParts(a), a.workspace.ports.tree
            monkeypatch.setattr(type(a.store._store), "parts", property(lambda _: parts))
            sync = dataclasses.replace(a.workspace.desks.sync, clock=parts.clock)
            with tree.write_tmp("x", x=False) as sink:
                sink(b"x" * 100)
            digest = Sha256(hashlib.sha256(b"x" * 100).hexdigest())
            sealed, mark = tree.seal_tmp("x", 100, digest), PayloadMark(WID, Epoch(1), digest)
            async with a.workspace.desks._lease(Scope("data"), Asking("test", 5.0)) as lease:
                plain = PlainKeys(sync, lease)
                if batch:
                    ids = await plain.begin([plain.intent("put", PATH, WID, digest)])
                    await plain.create(PATH, sealed, mark, *ids)
                    await plain.end(ids, ids)
                else:
                    await plain.create_one(PATH, sealed, mark)
            assert parts.sent_at >= parts.clock.now() - 5.0

    asyncio.run(main())


@bucket_only
@pytest.mark.parametrize("lands", [True, False])
def test_an_upload_that_a_crash_left_is_aborted(
    tmp_path: Path,
    place: BucketPlace,
    monkeypatch: pytest.MonkeyPatch,
    lands: bool,  # noqa: FBT001
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            store, key = a.store._store, a.workspace.ports.keys.payload
            body = tmp_path / "body"
            body.write_bytes(content(3))
            sealed = a.workspace.ports.tree.seal_tmp("x", SIZE, sha(body))
            monkeypatch.setattr(
                a.workspace.ports.tree, "sealed_part", lambda _, at, size: part(body, at, size)
            )
            broken = Interrupted(store.parts, lands=lands)
            monkeypatch.setattr(type(store), "parts", property(lambda _: broken))
            with pytest.raises(Stopping):
                await large.create(
                    a.workspace.desks.sync,
                    lambda: None,
                    key(CachePath("data/f")),
                    sealed,
                    {"a": "b"},
                )
            monkeypatch.undo()
            assert len(await uploads(a)) == 1
        assert len(parts_on_server(place)) == (0 if lands else 1)
        async with machine(tmp_path, "a", place) as a:
            assert (await a.workspace.background.what_is_open()).anything
            await a.workspace.background.abort_uploads()
            assert (parts_on_server(place), await uploads(a)) == ([], [])
            assert not (await a.workspace.background.what_is_open()).anything
        assert place.find("data/f") == (content(3) if lands else None)

    asyncio.run(main())


def part(body: Path, start: int, size: int) -> bytes:
    return body.read_bytes()[start : start + size]


def sha(body: Path) -> Any:
    return hashlib.sha256(body.read_bytes()).hexdigest()
