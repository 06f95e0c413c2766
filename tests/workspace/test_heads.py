"""What readers and writers of heads make of merges, races and answers that never came."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from swampd.clock import SystemClock
from swampd.domain import codec, heads
from swampd.domain.codec import DecodedHead
from swampd.domain.heads import HeadKind, Stamp
from swampd.domain.outcomes import Rejected
from swampd.domain.values import CachePath, Epoch, Nonce, Scope, Wid
from swampd.errors import DamagedObject, LockLost, StoreUnavailable
from swampd.indexing import ledger, rows
from swampd.indexing.writing import HeadWriter
from swampd.workspace import Asker
from tests.places.place import MANIFESTS
from tests.workspace.machines import machine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from swampd.domain.heads import Head
    from tests.places.place import Place
    from tests.workspace.machines import Machine

D = Scope("d")
CHILD = Scope("data/a")
FIRST = CachePath("d/f000")
X = CachePath("data/a/x")
AGES_MS = 100 * 24 * 3600 * 1000


def fill(one: Machine, folder: str, first: int, last: int) -> None:
    """So many files of bytes that do not compress."""
    for number in range(first, last):
        one.write(f"{folder}/f{number:03}", os.urandom(40))


def let_ages_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tombstone so far is old enough to be forgotten."""
    real = SystemClock.wall_ms
    monkeypatch.setattr(SystemClock, "wall_ms", lambda self: real(self) + AGES_MS)


async def head_of(one: Machine, scope: Scope) -> Head:
    """The head as this machine has it."""
    known = await one.workspace.reader.known(scope)
    assert known is not None
    return known.head


async def row(one: Machine, path: CachePath) -> Any:
    """What this machine has of a path."""
    return await one.workspace.ports.journal.read(lambda tx: rows.remote(tx, path))


async def deleted_and_settled(one: Machine, path: str) -> None:
    """A delete is committed, and its tombstone swept."""
    (one.cache / path).unlink()
    await one.push("d")
    await one.until_free(D)
    assert await one.workspace.desks.settle(D) == 1
    await one.until_free(D)


# --- tombstones that are forgotten --------------------------------------------------------------


def test_a_reader_forgets_with_the_head_and_deletes(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            fill(a, "d", 0, 120)
            await a.push()
            await b.pull()
            await deleted_and_settled(a, FIRST)
            let_ages_pass(monkeypatch)
            fill(a, "d", 200, 330)
            await a.push()
            assert (await head_of(a, D)).forgotten_seq == 2
            pulled = (await b.pull("d")).done[D]
            assert pulled.deleted == 1
            assert not (b.cache / FIRST).exists()
            assert await row(b, FIRST) is None

    asyncio.run(main())


def test_a_declared_scope_begins_without_what_was_forgotten(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            fill(a, "d/s", 0, 120)
            await a.push("d")
            await b.pull()
            await deleted_and_settled(a, "d/s/f000")
            let_ages_pass(monkeypatch)
            fill(a, "d/s", 200, 330)
            await a.push("d")
            await a.until_free(D)
            await b.workspace.release(await b.workspace.lock(["d/s"], b.asker))
            pulled = await a.pull()
            assert pulled.done[Scope("d/s")].held == {}
            assert await row(a, CachePath("d/s/f000")) is None

    asyncio.run(main())


def test_a_path_that_is_made_again_while_its_tombstone_is_forgotten_stays(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            fill(a, "d", 0, 120)
            await a.push()
            await deleted_and_settled(a, FIRST)
            fill(a, "d", 200, 330)
            await a.push()
            let_ages_pass(monkeypatch)
            a.write(FIRST, b"again")
            fill(a, "d", 400, 700)
            await a.push()
            assert FIRST in (await head_of(a, D)).delta
            assert await row(a, FIRST) == (await head_of(a, D)).delta[FIRST]
            assert (await a.pull("d")).done[D].whole
            a.write("d/more", b"1")
            assert (await a.push("d")).done[D].sent == 1

    asyncio.run(main())


# --- answers that never came, and refusals ------------------------------------------------------


@pytest.mark.parametrize("in_time", [True, False])
def test_after_a_cut_off_commit_the_hold_goes_on(
    tmp_path: Path, place: Place, *, in_time: bool
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("d/f", b"1")
            await a.push()
            hold = await a.workspace.lock(["d"], a.asker)
            sent = asyncio.Event()
            late: list[Any] = []
            real = a.store._store.replace

            async def replace(key: str, *args: Any) -> Any:
                if "/heads/" not in key:
                    return await real(key, *args)
                if in_time:
                    await real(key, *args)
                late.append((key, *args))
                sent.set()
                return await asyncio.Event().wait()

            a.write("d/f", b"2")
            a.store._store.replace = replace
            pushing = asyncio.create_task(a.workspace.push(["d"], a.asker))  # noqa: TID251
            await sent.wait()
            pushing.cancel()
            with suppress(asyncio.CancelledError):
                await pushing
            a.store._store.replace = real
            a.write("d/g", b"3")
            assert (await a.push("d")).done[D].seq == (3 if in_time else 2)
            assert await real(*late[0]) == Rejected()
            assert (await a.pull("d")).done[D].whole
            await a.workspace.release(hold)

    asyncio.run(main())


def test_a_hold_that_was_superseded_is_lost_at_its_next_commit(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("d/f", b"1")
            await a.push()
            hold = await a.workspace.lock(["d"], a.asker)
            await claim_as_another(a, D)
            a.write("d/f", b"2")
            with pytest.raises(LockLost, match="is of epoch"):
                await a.push("d")
            await a.workspace.release(hold)

    asyncio.run(main())


async def claim_as_another(one: Machine, scope: Scope) -> None:
    """Somebody writes a higher epoch into the head."""
    key = one.workspace.ports.keys.head(scope)
    found = await one.store._store.get(key)
    decoded = codec.decode_head(found.body, scope)
    assert isinstance(decoded, DecodedHead)
    stamp = Stamp(Epoch(decoded.head.epoch + 1), Nonce("9" * 32), Wid("9" * 32), "another")
    claim = heads.restamped(decoded.head, stamp, HeadKind.CLAIM)
    await one.store._store.replace(key, codec.encode_head(claim), found.token, {})


# --- declared, and its head not there yet -------------------------------------------------------


async def declared_only(one: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """`data/a` is declared by one that stops before it creates the head."""

    async def stop(*_: object) -> None:
        raise StoreUnavailable("stopped", "try again")

    one.write(X, b"1")
    await one.push("data")
    with monkeypatch.context() as patch:
        patch.setattr(HeadWriter, "create_child", stop)
        with pytest.raises(StoreUnavailable):
            await one.workspace.lock(["data/a"], Asker(one.owner, wait_s=0.0))
    await one.until_free(CHILD)
    await one.until_free(Scope("data"))


def once_after_get(one: Machine, part: str, then: Callable[[], Awaitable[object]]) -> None:
    """After the next GET of such a key, and before its caller has the answer, this happens."""
    store = one.store._store
    real = store.get

    async def get(key: str, **options: Any) -> Any:
        found = await real(key, **options)
        if part in key:
            store.get = real
            await then()
        return found

    store.get = get


@pytest.mark.parametrize("part", ["/manifests/", "/heads/data%2Fa"])
def test_a_commit_on_a_new_scope_while_a_reader_finds_none(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            await declared_only(a, monkeypatch)
            await b.pull()
            b.write(X, b"two")

            once_after_get(b, part, lambda: b.push("data/a"))
            known = await b.workspace.reader.refresh(CHILD)
            assert known is not None
            assert await row(b, X) == known.head.delta[X]
            assert (b.cache / X).read_bytes() == b"two"
            assert (await b.pull()).done[CHILD].whole
            assert not await b.workspace.ports.journal.read(ledger.halts)

    asyncio.run(main())


def test_a_lost_manifest_of_a_new_scope_is_named_and_the_others_go_on(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            await declared_only(a, monkeypatch)
            for manifest in place.keys(MANIFESTS):
                place.delete(manifest)
            a.write("other/y", b"2")
            await a.push("other")
            pulled = await b.workspace.pull(None, b.asker)
            assert [type(error) for error in pulled.failed.values()] == [DamagedObject]
            assert (b.cache / "other/y").read_bytes() == b"2"
            with pytest.raises(DamagedObject):
                await b.workspace.lock(["data/a"], b.asker)

    asyncio.run(main())


def test_a_manifest_that_is_lost_before_the_first_head_is_named(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            await declared_only(a, monkeypatch)
            await b.pull()

            async def lose() -> None:
                for manifest in place.keys(MANIFESTS):
                    place.delete(manifest)

            once_after_get(b, "/manifests/", lose)
            with pytest.raises(DamagedObject):
                await b.workspace.lock(["data/a"], b.asker)

    asyncio.run(main())


def test_a_first_head_that_another_created_meanwhile_is_taken_at_the_next_try(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest may be gone by then: that head has moved on from it."""

    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            await declared_only(a, monkeypatch)
            await b.pull()

            async def create() -> None:
                stamp = Stamp(Epoch(1), Nonce("9" * 32), Wid("9" * 32), "another")
                parent = await head_of(b, Scope("data"))
                head = heads.fresh(parent.datastore_id, CHILD, stamp)
                head = msgspec.structs.replace(head, seq=parent.seq, delta={X: await row(b, X)})
                key = b.workspace.ports.keys.head(CHILD)
                await b.store._store.create(key, codec.encode_head(head), {})
                for manifest in place.keys(MANIFESTS):
                    place.delete(manifest)

            once_after_get(b, "/manifests/", create)
            with pytest.raises(StoreUnavailable, match="created meanwhile"):
                await b.workspace.lock(["data/a"], Asker(b.owner, wait_s=0.0))
            await b.workspace.release(await b.workspace.lock(["data/a"], b.asker))

    asyncio.run(main())


# --- what the delta of a parent holds -----------------------------------------------------------


def test_what_a_declared_scope_took_over_leaves_the_delta_of_its_parent(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            for content in (b"1", b"22"):
                a.write(X, content)
                a.write("data/y", content)
                await a.push("data")
            await b.pull()
            assert X in (await head_of(a, Scope("data"))).delta
            await a.workspace.release(await a.workspace.lock(["data/a"], a.asker))
            written = place.head()
            assert list(written["delta"]) == ["data/y"]
            pulled = await b.pull()
            assert all(done.whole for done in pulled.done.values())
            assert (b.cache / X).read_bytes() == b"22"
            b.write(X, b"333")
            await b.push()
            await a.pull()
            assert (a.cache / X).read_bytes() == b"333"

    asyncio.run(main())
