"""Settling while the store is away: it holds up nobody, sends nothing without the lease, and is
taken up again."""

from __future__ import annotations

import asyncio
from itertools import chain, repeat
from typing import Any

import pytest

from swampd.domain.leases import DEFAULT_TTL_MS, HORIZON_S, lifetime_s
from swampd.domain.states import Halt
from swampd.domain.values import Scope
from swampd.errors import LockLost, StoreDenied, StoreUnavailable, SwampdError
from swampd.indexing import rows
from swampd.reporting import report
from swampd.syncing.background import SETTLE_OTHERS_S
from swampd.workspace import Asker
from tests.workspace.outages import Desk, now, scenario

DELETED = 60
SCOPE = Scope("d")
LIFETIME_S = lifetime_s(DEFAULT_TTL_MS)


async def with_deletes(a: Desk) -> None:
    """Deletes that are committed, and not swept yet."""
    files = [f"d/{number:04}" for number in range(DELETED)]
    for path in (*files, "d/kept"):
        a.write(path, b"x")
    await a.push()
    for path in files:
        a.node.tree.delete(path)
    a.wire.away_after("head", 1, 10.0)
    done = await a.workspace.push(["d"], Asker(a.owner), allow_deletes=True)
    pushed: Any = done.done[SCOPE]
    assert (pushed.deleted, pushed.mirror_pending) == (DELETED, DELETED)
    await a.life.delay(12.0)
    a.wire.reset()


async def pending(a: Desk) -> int:
    return len(await a.workspace.ports.journal.read(lambda tx: rows.pending_in(tx, SCOPE)))


def test_a_settlement_ends_with_the_first_key_that_the_store_does_not_answer_for() -> None:
    async def play(a: Desk) -> None:
        await with_deletes(a)
        a.wire.away_after("head", 3, 60.0)
        a.wire.refusal_s = 10.0
        began = now()
        with pytest.raises(StoreUnavailable):
            await a.workspace.desks.settle(SCOPE)
        assert now() - began < 15.0
        assert a.wire.count("head", "d/") == 3
        assert await pending(a) == DELETED

    scenario(play)


def test_a_push_is_not_held_up_by_a_settlement_that_waits() -> None:
    async def play(a: Desk) -> None:
        await with_deletes(a)
        a.wire.away_after("head", 1, 300.0)
        a.wire.refusal_s = 10.0
        settling = asyncio.get_running_loop().create_task(a.workspace.desks.settle(SCOPE))
        await a.life.delay(5.0)
        a.write("d/new", b"x")
        began = now()
        with pytest.raises(SwampdError):
            await a.push("d", wait_s=2.0)
        assert now() - began < LIFETIME_S
        with pytest.raises(StoreUnavailable):
            await settling

    scenario(play)


def test_a_settlement_is_cut_off_when_its_lease_is_lost() -> None:
    async def play(a: Desk) -> None:
        await with_deletes(a)
        a.wire.away_after("head", 1, 300.0)
        a.wire.refusal_s = 300.0
        began = now()
        with pytest.raises(LockLost):
            await a.workspace.desks.settle(SCOPE)
        assert now() - began < LIFETIME_S + 10.0

    scenario(play)


def test_what_a_settlement_left_is_taken_up_again() -> None:
    async def play(a: Desk, b: Desk) -> None:
        await with_deletes(a)
        a.wire.away_after("head", 20, 60.0)
        with pytest.raises(StoreUnavailable):
            await a.workspace.desks.settle(SCOPE)
        await a.life.delay(900.0)
        keys = a.workspace.ports.keys
        listed = a.life.world.network.objects.list(keys.all).rows
        assert [row.key for row in listed if row.key.startswith("d/")] == ["d/kept"]
        await a.life.delay(HORIZON_S + SETTLE_OTHERS_S)  # the lost lease left a doubt
        assert await pending(a) == 0
        await b.pull()
        assert list(b.node.tree.files()) == ["d/kept"]

    scenario(play, 2)


def test_an_outage_takes_nothing_back_of_what_was_denied() -> None:
    async def play(a: Desk) -> None:
        await with_deletes(a)
        denied = StoreDenied("403 AccessDenied on d/0000", "see the policy")
        errors = chain([denied], repeat(StoreUnavailable("no route")))
        for seconds in (10.0, 20.0):
            a.wire.error = lambda: next(errors)
            a.wire.away_after("head", 1, seconds)
            with pytest.raises(StoreUnavailable):
                await a.workspace.desks.settle(SCOPE)
            await a.life.delay(seconds)
            ((_, halt, detail),) = (await report(a.workspace)).halts
            assert (halt, detail) == (Halt.MIRROR_DENIED, denied.summary)

    scenario(play)
