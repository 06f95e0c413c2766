"""What befalls a store beside requests and crashes: heads that are put back, lost, damaged or
another datastore's, and a missing right.  Each ends before the quiet times."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from swampd.domain import codec
from swampd.domain.values import DatastoreId, Scope
from swampd.indexing import ledger

if TYPE_CHECKING:
    from swampd.domain.heads import Head
    from swampd.ports import Transaction
    from tests.sim.checks import Log
    from tests.sim.store import Mutation
    from tests.sim.users import History
    from tests.sim.workloads import Workload
    from tests.sim.world import World

FIRST_S: Final = 15.0
"""Before it there is little to be lost."""
ALL_KNOW_S: Final = 1.0
"""A head is old enough to be rolled back: nothing that was sent before it is under way."""
HEADS: Final = ("head_back", "head_gone", "head_damaged", "head_of_another")


async def go_wrong(world: World, load: Workload, history: History, log: Log) -> None:
    """One misfortune after the other, each mended after a while."""
    chances, names = world.deaths, tuple(load.misfortunes)
    await asyncio.sleep(FIRST_S)
    while True:
        await asyncio.sleep(chances.expovariate(1 / load.misfortune_every_s))
        what = chances.choices(names, tuple(load.misfortunes.values()))[0]
        log.update()
        if what in HEADS:
            done = await _spoil_head(world, log, what)
        else:
            await _deny(world)
            done = True
        if done:
            history.count(f"misfortune {what}")


# --- heads ----------------------------------------------------------------------------------------


async def _spoil_head(world: World, log: Log, what: str) -> bool:
    """A head that every machine has seen is put back to an older one, deleted or damaged, and
    brought back after a while."""
    chances, objects = world.deaths, world.network.objects
    if not log.heads:
        return False
    scope = chances.choice(sorted(log.heads))
    history = log.heads[scope]
    key, (write, head) = world.keys.head(scope), history[-1]
    newest = objects.look(key)
    fits = newest is not None and newest.body == write.body
    if not fits or world.time - write.time < ALL_KNOW_S or not _all_know(world, head):
        return False
    body = _spoilt(history, what)
    if newest is None or (body is None and what != "head_gone"):
        return False
    world.network.spoilt.add(key)
    try:
        if body is None:
            objects.delete(key)
        else:
            objects.put(key, body, {})
        await asyncio.sleep(chances.uniform(5.0, 25.0))
    finally:
        objects.put(key, newest.body, newest.metadata)
    return True


def _spoilt(history: list[tuple[Mutation, Head]], what: str) -> bytes | None:
    """Other bytes for a head; none where there is no older one."""
    write, head = history[-1]
    if what == "head_damaged":
        return b"{" + (write.body or b"")
    if what == "head_of_another":
        other = DatastoreId("e" * 32)
        return codec.encode_head(msgspec.structs.replace(head, datastore_id=other))
    if what == "head_back":
        older = [m.body for m, h in history if h.seq < head.seq]
        return older[-1] if older else None
    return None


def _all_know(world: World, head: Head) -> bool:
    """So nobody writes on what it is put back to."""

    def knows(tx: Transaction, scope: Scope) -> bool:
        known = ledger.known_head(tx, scope)
        return known is not None and known.head.wid == head.wid

    return all(node.disk.connection.read(lambda tx: knows(tx, head.scope)) for node in world.nodes)


# --- rights ---------------------------------------------------------------------------------------


async def _deny(world: World) -> None:
    """The store denies for a while what changes plain keys."""
    try:
        world.network.denies_plain = True
        await asyncio.sleep(world.deaths.uniform(3.0, 20.0))
    finally:
        world.network.denies_plain = False
