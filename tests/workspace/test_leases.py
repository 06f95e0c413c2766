"""What a lease allows and says, with faults at the store: damaged, lost, given back."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from swampd.domain import leases
from swampd.domain.levels import Want
from swampd.domain.values import Scope
from swampd.errors import LockLost, LockTimeout
from swampd.locking.holds import Owner
from swampd.locking.lease import Loss
from swampd.workspace import Asker
from tests.places.place import lock_key
from tests.workspace.machines import intercept, intercept_each_creation, machine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.place import Place
    from tests.workspace.machines import Machine

DATA = Scope("data")


def test_who_merely_waits_for_a_scope_does_not_have_it(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            b.write("data/x/f", b"1")
            hold = await b.workspace.lock(["data/x"], b.asker)
            await a.pull()
            a.write("data/x/f2", b"2")
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(
                    a.workspace.push(["data/x"], Asker(a.owner, wait_s=20.0))
                )
                while not a.workspace.keeper.queue.active():
                    await a.workspace.ports.clock.sleep(0.01)
                with pytest.raises(LockTimeout):
                    await a.workspace.lock(["data"], Asker(a.owner, wait_s=1.5), pull=False)
                await b.workspace.release(hold)
                assert (await waiting).failed == {}

    asyncio.run(main())


def test_nothing_is_sent_under_a_lease_that_is_being_given_back(
    tmp_path: Path, place: Place
) -> None:
    sent_while_going: list[str] = []

    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("data/f", b"1")
            await a.push()
            hold = await a.workspace.lock(["data"], a.asker)
            lease, begun = hold.leases[DATA], asyncio.Event()

            async def slow(key: str, _body: bytes) -> None:
                if "/_control/" not in f"/{key}":
                    if lease.going:
                        sent_while_going.append(key)
                    begun.set()
                    await a.workspace.ports.clock.sleep(0.5)

            intercept_each_creation(a, slow)
            for number in range(200):
                a.write(f"data/n{number}", b"%d" % number)
            async with asyncio.TaskGroup() as group:
                pushing = group.create_task(a.workspace.push(["data"], a.asker))
                await begun.wait()
                await a.workspace.release(hold)
                assert isinstance((await pushing).failed[DATA], LockLost)

    asyncio.run(main())
    assert sent_while_going == []


def test_a_damaged_record_below_a_gate_is_waited_out(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "DEFAULT_TTL_MS", 2000)

    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            place.write_foreign(lock_key("data/x"), b"garbage")
            asker = Asker(a.owner, wait_s=20.0)
            await a.workspace.release(await a.workspace.lock(["data"], asker, pull=False))
            seen = await a.workspace.book.look(Scope("data/x"))
            assert seen is not None
            assert seen.record is not None
            assert seen.is_free
            assert seen.record.in_doubt is not None

    asyncio.run(main())


def test_a_damaged_record_that_is_taken_over_stays_in_doubt(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "DEFAULT_TTL_MS", 2000)

    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            place.write_foreign(lock_key("out"), b"garbage")
            grant = await a.workspace.keeper.take((Want(Scope("out")),), owner="test", wait_s=20.0)
            assert grant.leases[Scope("out")].in_doubt
            a.workspace.keeper.give_back(grant)

    asyncio.run(main())


async def lose(one: Machine, scope: str) -> None:
    """A hold of this machine's user on a scope, lost."""
    hold = await one.workspace.lock([scope], one.asker, ttl_ms=2000, pull=False)
    lease, clock = hold.leases[Scope(scope)], one.workspace.ports.clock
    late = True

    async def delay(key: str, _body: bytes) -> None:
        if late and "/locks/" in key:
            await clock.sleep(3.0)

    intercept(one, "replace", delay)
    while lease.loss is None:
        await clock.sleep(0.05)
    late = False


@pytest.mark.parametrize("scope", ["data", "data/x"])
def test_a_push_below_a_lost_gate_is_told_once(tmp_path: Path, place: Place, scope: str) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("data/x/f", b"1")
            await lose(a, "data")
            with pytest.raises(LockLost):
                await a.push(scope)
            await a.push(scope)

    asyncio.run(main())


def test_the_next_lock_after_a_loss_is_told_once(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            await lose(a, "data")
            with pytest.raises(LockLost):
                await a.workspace.lock(["data"], a.asker, pull=False)
            hold = await a.workspace.lock(["data"], a.asker, pull=False)
            a.write("data/g", b"2")
            assert (await a.push("data")).done[DATA].sent == 1
            await a.workspace.release(hold)

    asyncio.run(main())


def test_a_daemon_that_is_going_down_takes_no_lock(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            workspace = a.workspace
        async with asyncio.timeout(5):
            with pytest.raises(Exception, match="going down"):
                await workspace.keeper.take((Want(DATA),), owner=Owner("x").key, wait_s=5.0)

    asyncio.run(main())


def interrupt_creations(one: Machine, after: int, then: Any) -> list[int]:
    """Call `then` once so many of a batch may be sent; the numbers of those that are."""
    store = one.store._store
    real, told = store.create_each, threading.Lock()
    sent: list[int] = []

    async def create_each(creations: Any, may_send: Any) -> Any:
        def asked(number: int) -> bool:
            if len(sent) == after and told.acquire(blocking=False):
                then()
            may = may_send(number)
            if may:
                sent.append(number)
            return bool(may)

        return await real(creations, asked)

    store.create_each = create_each
    return sent


def test_of_many_that_are_sent_together_none_goes_once_the_lease_is_lost(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("data/f", b"1")
            await a.push()
            hold = await a.workspace.lock(["data"], a.asker)
            lease = hold.leases[DATA]
            loop = asyncio.get_running_loop()
            sent = interrupt_creations(a, 5, lambda: lapse(lease, loop))
            for number in range(100):
                a.write(f"data/n{number}", b"%d" % number)
            failed = (await a.workspace.push(["data"], a.asker)).failed[DATA]
            assert isinstance(failed, LockLost)
            assert len(sent) == 5
            assert lease.unanswered <= 5
            there = [number for number in range(100) if place.find(f"data/n{number}")]
            assert len(there) == 5

    asyncio.run(main())


def lapse(lease: Any, loop: asyncio.AbstractEventLoop) -> None:
    """As the deadline does, from a thread."""
    lost = threading.Event()

    def act() -> None:
        lease._lose(Loss.LAPSED)
        lost.set()

    loop.call_soon_threadsafe(act)
    assert lost.wait(5.0)
