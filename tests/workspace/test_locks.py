"""Locks of several local clients of one daemon: nobody waits for somebody who waits for him."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from swampd.domain.levels import Want
from swampd.domain.scopes import Covers
from swampd.domain.values import Scope
from swampd.errors import LockBusy, LockLost
from swampd.locking.holds import Owner
from swampd.workspace import Asker
from tests.workspace.machines import machine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.place import Place
    from tests.workspace.machines import Machine


async def until_held(on: Machine, scope: Scope) -> None:
    """Until the lock record of a scope says held."""
    for _ in range(1000):
        seen = await on.workspace.book.look(scope)
        if seen is not None and not seen.is_free:
            return
        await on.workspace.ports.clock.sleep(0.01)
    raise AssertionError(f"nobody holds {scope}")


FIRST = Owner("first")
SECOND = Owner("second")
LONG_S = 50.0


async def until_waited_for(on: Machine, scope: str) -> None:
    """Until some client of this daemon waits for a gate on this scope."""
    queue = on.workspace.keeper.queue
    for _ in range(1000):
        if any(
            want.scope == scope and want.tree and not turn.granted.is_set()
            for turn in queue._turns
            for want in turn.wants
        ):
            return
        await on.workspace.ports.clock.sleep(0.005)
    raise AssertionError(f"nobody waits for {scope}")


def test_a_gate_over_what_one_holds_is_refused_when_another_waits_for_it(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            held = await a.workspace.lock(["data/a"], Asker(FIRST, wait_s=LONG_S))
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(
                    a.workspace.lock(["data"], Asker(SECOND, wait_s=LONG_S))
                )
                await until_waited_for(a, "data")
                async with asyncio.timeout(5):
                    with pytest.raises(LockBusy):
                        await a.workspace.lock(["data"], Asker(FIRST, wait_s=LONG_S))
                await a.workspace.release(held)
                await a.workspace.release(await waiting)

    asyncio.run(main())


def test_a_gate_over_what_one_holds_is_had_when_nobody_is_in_the_way(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            below = await a.workspace.lock(["data/a"], Asker(FIRST, wait_s=LONG_S))
            gate = await a.workspace.lock(["data"], Asker(FIRST, wait_s=LONG_S))
            assert gate.leases[Scope("data")].record.covers is Covers.TREE
            await a.workspace.release(gate)
            await a.workspace.release(below)

    asyncio.run(main())


def test_a_second_lock_that_must_declare_does_not_wait_for_its_top_level(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        top = Want(Scope("data"))
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            held = await a.workspace.lock(["data/a"], Asker(FIRST, wait_s=LONG_S))
            other = await b.workspace.keeper.take((top,), owner="declares", wait_s=LONG_S)
            async with asyncio.timeout(10):
                with pytest.raises(LockBusy):
                    await a.workspace.lock(["data/c"], Asker(FIRST, wait_s=LONG_S))
            b.workspace.keeper.give_back(other)
            await a.workspace.release(held)

    asyncio.run(main())


def test_what_lingers_is_given_back_too_when_a_gate_is_met(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            held = await a.workspace.lock(["data"], Asker(FIRST, wait_s=LONG_S))
            async with asyncio.TaskGroup() as group, asyncio.timeout(20):
                gate = group.create_task(b.workspace.lock(["*"], Asker(SECOND, wait_s=LONG_S)))
                await until_held(b, Scope("*"))
                await a.workspace.release(held)  # the lease lingers, and is used again
                both = group.create_task(
                    a.workspace.lock(["data", "out"], Asker(FIRST, wait_s=LONG_S))
                )
                await b.workspace.release(await gate)
                await a.workspace.release(await both)

    asyncio.run(main())


def test_who_holds_something_does_not_wait_for_a_gate_that_waits_for_it(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            held = await a.workspace.lock(["data/a"], Asker(FIRST, wait_s=LONG_S))
            async with asyncio.TaskGroup() as group, asyncio.timeout(20):
                gate = group.create_task(b.workspace.lock(["*"], Asker(SECOND, wait_s=LONG_S)))
                await until_held(b, Scope("*"))
                with pytest.raises(LockBusy):
                    await a.workspace.lock(["out"], Asker(FIRST, wait_s=LONG_S))
                await a.workspace.release(held)
                await b.workspace.release(await gate)

    asyncio.run(main())


def test_nor_for_another_client_of_its_daemon_who_waits_for_it(
    tmp_path: Path, place: Place
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            held = await a.workspace.lock(["data/a"], Asker(FIRST, wait_s=LONG_S))
            async with asyncio.TaskGroup() as group, asyncio.timeout(20):
                gate = group.create_task(a.workspace.lock(["*"], Asker(SECOND, wait_s=LONG_S)))
                await until_waited_for(a, "*")
                with pytest.raises(LockBusy):
                    await a.workspace.lock(["out"], Asker(FIRST, wait_s=LONG_S))
                await a.workspace.release(held)
                await a.workspace.release(await gate)

    asyncio.run(main())


def test_work_under_a_lease_ends_at_once_when_it_is_lost(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        want = Want(Scope("data"))
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            grant = await a.workspace.keeper.take(
                (want,), owner="worker", wait_s=LONG_S, ttl_ms=2000
            )
            lease = grant.leases[want.scope]
            async with asyncio.TaskGroup() as group:
                working = asyncio.Event()

                async def work() -> None:
                    async with lease.guarding():
                        working.set()
                        await asyncio.Event().wait()

                async def breaks() -> None:
                    await working.wait()
                    await b.workspace.book.break_lock(want.scope, lease.epoch, now=True)

                group.create_task(breaks())
                with pytest.raises(LockLost):
                    await asyncio.wait_for(work(), 10)
            a.workspace.keeper.give_back(grant)

    asyncio.run(main())


def test_an_error_of_guarded_work_comes_out_as_it_is(tmp_path: Path, place: Place) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            grant = await a.workspace.keeper.take(
                (Want(Scope("data")),), owner="worker", wait_s=LONG_S
            )
            with pytest.raises(ZeroDivisionError):
                async with grant.leases[Scope("data")].guarding():
                    raise ZeroDivisionError
            a.workspace.keeper.give_back(grant)

    asyncio.run(main())
