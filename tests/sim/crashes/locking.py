"""Acquire, renew, release, break, work under a lock, and set-up, scripted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from swampd.domain.values import Scope
from swampd.layouts import read_layout, set_up
from tests.sim.checks import fail
from tests.sim.crashes.scenario import HEADS, LOCKS, RAW, Scenario, old_files

if TYPE_CHECKING:
    from swampd.domain.values import DatastoreId
    from tests.sim.crashes.stage import Person, Stage

SHORT_TTL_MS: Final = 10_000
OUT: Final = f"store.replace:{LOCKS}/out.json"


async def _acquire(stage: Stage) -> None:
    await stage.me.locks("data/y", "out")


async def _acquire_gate(stage: Stage) -> None:
    await stage.me.locks("*")


async def _acquire_out(stage: Stage) -> None:
    await stage.me.locks("out", ttl_ms=SHORT_TTL_MS)


async def _renew(_: Stage) -> None:
    """Renewed is a lease by itself."""
    await asyncio.sleep(8.0)


async def _release(stage: Stage) -> None:
    await stage.me.gives_back()


async def _break(stage: Stage) -> None:
    await stage.me.breaks(Scope("out"))


def _edited(stage: Stage) -> None:
    stage.me.write(RAW, "new")


async def _work(stage: Stage) -> None:
    hold = await stage.me.locks("data")
    await stage.me.pushes("data", hold=hold)
    await stage.me.gives_back()


# --- who held what before -------------------------------------------------------------------------


async def _holding(stage: Stage) -> None:
    await old_files(stage)
    await _acquire_out(stage)
    await stage.rests()


async def _held_elsewhere(stage: Stage) -> None:
    await old_files(stage)
    await stage.other.locks("out")
    await stage.rests()


async def _holder_died(stage: Stage) -> None:
    await old_files(stage)
    await stage.other.locks("out", ttl_ms=SHORT_TTL_MS)
    await asyncio.sleep(1.0)
    stage.other.node.kill()
    await stage.rests()


# --- set-up ---------------------------------------------------------------------------------------


async def _no_layout(stage: Stage) -> None:
    stage.world.network.objects.delete(stage.world.keys.layout)
    stage.world.set_up = False
    stage.me.node.wake()


async def _set_up(stage: Stage) -> None:
    stage.world.datastore_id = await _set_up_by(stage.me)


async def _set_up_elsewhere(stage: Stage) -> None:
    await _set_up_by(stage.other)


async def _set_up_by(person: Person) -> DatastoreId:
    """Two set-ups at once make one layout."""
    ports = person.life.workspace.ports
    made = await set_up(ports.store, ports.store, ports.keys, ports.rng)
    layout = await read_layout(ports.store, ports.keys)
    if layout is None or layout.datastore_id != made.datastore_id:
        fail("L10", f"set-up made {made.datastore_id}, and {layout} is there")
    return made.datastore_id


# --- all of them ----------------------------------------------------------------------------------

SCENARIOS: Final = (
    Scenario("acquire", old_files, _acquire, shows=(OUT, f"store.create:{HEADS}/data%2Fy.json")),
    Scenario("acquire_gate", old_files, _acquire_gate, shows=(f"store.create:{LOCKS}/%all.json",)),
    Scenario("take_over", _holder_died, _acquire_out, shows=(OUT,)),
    Scenario("renew", _holding, _renew, shows=(OUT,)),
    Scenario("release", _holding, _release, shows=(OUT,)),
    Scenario("break", _held_elsewhere, _break, shows=(OUT,)),
    Scenario("work_locked", old_files, _work, _edited, shows=(f"store.replace:{HEADS}/data.json",)),
    Scenario(
        "set_up",
        _no_layout,
        _set_up,
        shows=("store.create:_control/swampd/layout.json",),
        meanwhile=_set_up_elsewhere,
    ),
)
