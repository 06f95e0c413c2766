"""Running scenarios: once to note the operations, and again for each point."""

from __future__ import annotations

import asyncio
import shlex
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from swampd.errors import SwampdError
from tests.sim.checks import fail
from tests.sim.crashes.points import How, Point, different
from tests.sim.crashes.scenarios import BY_NAME
from tests.sim.hearing import EAR
from tests.sim.resting import come_to_rest
from tests.sim.runs import Result, judge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from tests.sim.crashes.scenario import Scenario
    from tests.sim.crashes.stage import Person, Stage

LONGEST_S: Final = 300.0
"""No scripted operation takes longer."""
DOWN_S: Final = {How.KILLED: 1.0}
"""A daemon is started again at once, while its leases last."""
BOOT_S: Final = 40.0
"""A machine boots longer than a lease lasts."""
SEES_S: Final = 70.0
"""So long they go on before the faults of coming to rest."""


@dataclass(slots=True)
class Ran(Result):
    """What one run showed, the points of its script among it."""

    point: Point | None = None
    points: list[Point] = field(default_factory=list)
    """Those that it passed, but for those at which the same would happen as at one before."""
    passed: int = 0
    """So many they are with those."""

    @property
    def replay(self) -> str:
        """The command that shows it again."""
        name = self.point.name if self.point else ""
        return f"python -m tests.sim --crash-point {shlex.quote(name)}"


def record(scenario: Scenario) -> Ran:
    """Run a scenario to its end; its points are in the result."""
    return _run(scenario, Ran(0))


def crash(point: Point) -> Ran:
    """Run a scenario up to a point, end its daemon there, and see what becomes of it."""
    return _run(BY_NAME[point.scenario], Ran(0, point=point))


def _run(scenario: Scenario, result: Ran) -> Ran:
    holder: list[Stage] = []
    EAR.begin()
    judge(_main(scenario, result, holder), result)
    for stage in holder:
        result.trace = stage.world.network.trace
        result.counts = stage.history.counts
    return result


async def _main(scenario: Scenario, result: Ran, holder: list[Stage]) -> None:
    stage, point = scenario.stage(), result.point
    holder.append(stage)
    if scenario.meanwhile is None:
        await stage.starts()
    await scenario.prepare(stage)
    scenario.edit(stage)
    wire = stage.wire
    target = (point.operation, point.when) if point else None
    wire.arm(target, point.how if point else How.KILLED)
    await _act(scenario, stage)
    wire.disarm()
    result.passed = sum(len(moment.ends) for moment in wire.passed)
    result.points = [
        Point(scenario.name, moment.operation, moment.when, how)
        for moment, how in different(wire.passed)
    ]
    stage.findings.tell()
    if point is not None and not wire.tripped.is_set():
        fail("replay", f"{point.operation} did not come")
    chances = zlib.crc32(point.name.encode()) if point else 0
    stage.world.rng.seed(chances)
    stage.world.deaths.seed(~chances)
    if point is not None:
        stage.me.looks_again()
        await _go_on(scenario, stage, DOWN_S.get(point.how, BOOT_S))
    elif scenario.meanwhile is not None:
        stage.me.node.kill()
        await stage.starts()
    await come_to_rest(stage.world, stage.history, stage.findings)
    stage.judge()


async def _act(scenario: Scenario, stage: Stage) -> None:
    """The scripted operation, and what the daemon does by itself after it."""
    tripped = _task(stage.wire.tripped.wait())
    act = _task(_awaited(scenario.act(stage)))
    if stage.me.node.life is not None:
        stage.me.node.life.tasks.add(act)
    try:
        await asyncio.wait((act, tripped), timeout=LONGEST_S, return_when=asyncio.FIRST_COMPLETED)
        if stage.wire.tripped.is_set():
            return
        if not act.done():
            fail("L11", f"{scenario.name} takes longer than {LONGEST_S:.0f} s")
        await act
        stage.wire.others_changed()
        await asyncio.wait((tripped,), timeout=scenario.after_s)
    finally:
        act.cancel()
        tripped.cancel()
        await asyncio.wait((act, tripped))


def _task(work: Coroutine[object, object, object]) -> asyncio.Task[object]:
    return asyncio.get_running_loop().create_task(work)


async def _awaited(work: Awaitable[object]) -> object:
    return await work


async def _go_on(scenario: Scenario, stage: Stage, down_s: float) -> None:
    """The other machine goes on as if nothing were, the first one when it is up again; its person
    says again what was not answered."""
    elsewhere = _task(_elsewhere(scenario, stage))
    await asyncio.sleep(down_s)
    if scenario.meanwhile is not None:
        stage.me.node.wake()
        await _tried(stage, scenario.act(stage))
        stage.me.node.kill()
        await elsewhere
        await stage.starts()
    stage.me.node.start()
    await stage.me.life.workspace.ready.wait()
    await asyncio.gather(elsewhere, _again(scenario, stage))
    await _tried(stage, stage.other.pulls())
    await stage.findings.wait(SEES_S)
    stage.findings.tell()


async def _elsewhere(scenario: Scenario, stage: Stage) -> None:
    if scenario.meanwhile is None:
        await stage.other.node.start().workspace.ready.wait()
        await _works(stage, stage.other, *stage.other.files, "data/top", "out/log")
        return
    stage.other.node.wake()
    await scenario.meanwhile(stage)
    stage.other.node.kill()


async def _again(scenario: Scenario, stage: Stage) -> None:
    await _tried(stage, stage.me.pulls())
    await _tried(stage, scenario.act(stage))
    await _tried(stage, stage.me.gives_back())
    await _works(stage, stage.me, "out/deep/er")


async def _works(stage: Stage, person: Person, *paths: str) -> None:
    await _tried(stage, person.pulls())
    for path in paths:
        person.write(path, "later")
    await _tried(stage, person.pushes())
    await _tried(stage, person.pulls())


async def _tried(stage: Stage, work: Awaitable[object] | Coroutine[object, object, object]) -> None:
    """What is refused in such times is refused."""
    try:
        await work
    except SwampdError as error:
        stage.history.count(f"refused {error.code}")
