"""What a scenario is, and what most of them begin with."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from tests.sim.crashes.points import How, When
from tests.sim.crashes.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Script: TypeAlias = "Callable[[Stage], Awaitable[object]]"

RAW, META, NEXT, LATEST = "data/x/1/raw", "data/x/1/meta", "data/x/2/raw", "data/x/latest"
Y, TOP, LOG, ROOT = "data/y/raw", "data/top", "out/log", "root.txt"
LARGE: Final = 9_000
"""More than is kept in a head: such a copy is staged."""
HEADS: Final = "_control/swampd/heads"
LOCKS: Final = "_control/swampd/locks"


def nothing(_: Stage) -> None:
    """Nobody edits."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scripted operation of the first machine.

    Everything of `prepare` is on the disk and at rest when `act` begins; `act`, what is asked of
    the daemon, is what is stopped, and is asked again of the next daemon.
    """

    name: str
    prepare: Script
    act: Script
    edit: Callable[[Stage], None] = nothing
    """What is done at the files just before, once; the last of it may not be on the disk yet."""
    after_s: float = 3.0
    """So long the daemon goes on by itself: a lease lingers and is freed."""
    shows: tuple[str, ...] = ()
    """How operations begin that it is there for."""
    stage: Callable[[], Stage] = field(default=Stage)
    meanwhile: Script | None = None
    """What the other machine does after the crash, in a scenario before any daemon serves."""


async def old_files(stage: Stage) -> None:
    """Both machines have some files of the first one's person."""
    await stage.both_have(RAW, META, Y, TOP, LOG, by=stage.me)


async def their_files(stage: Stage) -> None:
    """Both machines have some files of the other one's person, a pointer to a directory too."""
    stage.other.write_bytes(LATEST, b"1")
    await stage.both_have(RAW, META, Y, TOP, LOG, by=stage.other)


def twice(name: str, of: Scenario, at: str) -> Scenario:
    """The start of the daemon after it was killed right after `at`, and a crash in that."""
    return Scenario(name, partial(died, of=of, at=at), start, after_s=40.0)


async def died(stage: Stage, of: Scenario, at: str) -> None:
    """The daemon was killed right after `at`."""
    await of.prepare(stage)
    of.edit(stage)
    stage.wire.arm((at, When.AFTER), How.KILLED)
    await asyncio.wait((stage.me.life.spawn(_whole(of, stage)),))
    if not stage.wire.tripped.is_set():
        raise AssertionError(f"{at} did not come")
    await asyncio.sleep(1.0)


async def _whole(of: Scenario, stage: Stage) -> None:
    await of.act(stage)
    await asyncio.sleep(of.after_s)


async def start(stage: Stage) -> None:
    """The first daemon serves."""
    await stage.me.node.start().workspace.ready.wait()
