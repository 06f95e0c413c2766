"""One run: a world is made, users and faults go on for a while, then all must come to rest.

`simulate(seed)` is deterministic: the same seed gives the same trace, byte for byte.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from swampd.locking.holds import Owner
from swampd.syncing.conflicts import Side
from swampd.syncing.local_ledger import conflicts
from swampd.workspace import Asker
from tests.sim import checks
from tests.sim.checks import Payload, Violation
from tests.sim.loop import Deadlock, run
from tests.sim.store import Faults
from tests.sim.users import PATHS, History, User
from tests.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.sim.tree import Backup
    from tests.sim.world import Node

BUSY_S = 150.0
"""How long users and faults go on, in virtual seconds."""
QUIET_S = 1500.0
"""After the faults stop, late requests land within a horizon."""
ROUNDS = 4
SETTLED_S = 950.0
"""By then whoever comes next has settled what the writer could not."""


@dataclass(slots=True)
class Result:
    """What a run showed."""

    seed: int
    violation: str | None = None
    invariant: str | None = None
    trace: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    requests: int = 0

    @property
    def digest(self) -> str:
        """A digest of the trace, to compare two runs."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


def silence() -> None:
    """The engine's log goes nowhere."""
    structlog.configure(
        processors=[structlog.testing.LogCapture()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        cache_logger_on_first_use=True,
    )


def simulate(seed: int, faults: Faults | None = None) -> Result:
    """Run one seed; a broken invariant is in the result.  `faults`: instead of the seed's own."""
    result = Result(seed)
    holder: list[World] = []
    try:
        run(_main(seed, faults, result, holder))
    except Violation as violation:
        result.violation, result.invariant = str(violation), violation.invariant
    except Deadlock as deadlock:
        result.violation, result.invariant = str(deadlock), "L11"
    except BaseExceptionGroup as group:
        result.violation, result.invariant = _first(group), "crash"
    except Exception:  # noqa: BLE001 - whatever breaks the engine is a finding
        result.violation, result.invariant = traceback.format_exc(), "crash"
    if holder:
        result.trace = holder[0].network.trace
        result.requests = len(result.trace)
    return result


def _first(group: BaseExceptionGroup[BaseException]) -> str:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return "".join(traceback.format_exception(inner))


async def _main(seed: int, faults: Faults | None, result: Result, holder: list[World]) -> None:
    world = World(seed, random.Random(seed).choice((2, 2, 2, 3)))
    holder.append(world)
    history = History()
    result.counts = history.counts
    broken: list[BaseException] = []
    payload = Payload(world)
    world.network.watchers.append(lambda: _watch(world, payload, broken))
    for node in world.nodes:
        node.start()
        _interleave(world, node, history)
    await _busy(world, faults, history, broken)
    await _quiet(world, history, broken)
    checks.check_all(world, history)


def _watch(world: World, payload: Payload, broken: list[BaseException]) -> None:
    try:
        checks.check_holders(world)
        payload.check()
    except Violation as violation:
        broken.append(violation)


def _interleave(world: World, node: Node, history: History) -> None:
    """Now and then a user edits exactly between two steps of the daemon, or the process dies."""
    user = User(world, node, history, 9)
    inside: list[bool] = []

    def hook(step: str) -> None:
        if inside or node.life is None or node.life.dead or not world.network.faults.lost_reply:
            return
        operation, _, path = step.partition(" ")
        aimed = operation in ("exchange", "move_away") and path in PATHS
        if world.rng.random() < (INTERLEAVE_AIMED if aimed else INTERLEAVE):
            inside.append(True)
            try:
                user.edit(path if aimed else None)
            finally:
                inside.pop()
            history.count("interleaved")

    node.tree.before_step = hook


INTERLEAVE = 0.004
INTERLEAVE_AIMED = 0.1
"""Just before a rename, at the very path that is renamed."""


async def _busy(
    world: World, faults: Faults | None, history: History, broken: list[BaseException]
) -> None:
    """Users act, the network misbehaves, daemons die."""
    rng = world.rng
    harsh = rng.choice((0.0, 0.01, 0.03, 0.08))
    world.network.faults = faults or Faults(
        lost_request=harsh, lost_reply=harsh + 0.001, late=harsh / 2, failed=harsh, slow=harsh
    )
    users = [User(world, node, history, i) for node in world.nodes for i in range(2)]
    tasks = [asyncio.get_running_loop().create_task(_live(world, user)) for user in users]
    tasks.append(asyncio.get_running_loop().create_task(_break(world, history)))
    await asyncio.sleep(BUSY_S)
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0)
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception() is not None:
            raise task.exception()  # type: ignore[misc]
    if broken:
        raise broken[0]


async def _live(world: World, user: User) -> None:
    """A user edits and acts; the act dies with the daemon it was asked of."""
    rng = world.rng
    while True:
        await asyncio.sleep(rng.expovariate(0.25))
        if rng.random() < 0.6:
            user.edit()
        if rng.random() < 0.6 and user.node.life is not None:
            act = user.node.life.spawn(user.act())
            await asyncio.wait((act,))
            if not act.cancelled() and act.exception() is not None:
                raise act.exception()  # type: ignore[misc]


async def _break(world: World, history: History) -> None:
    """Crashes, power cuts, pauses, restores from a backup, an emptied cache."""
    rng = world.rng
    backups = {node.name: node.tree.snapshot() for node in world.nodes}
    while True:
        await asyncio.sleep(rng.expovariate(1 / 25))
        node = rng.choice(world.nodes)
        choice = rng.random()
        if choice < 0.45:
            power = rng.random() < 0.3
            node.crash(power=power)
            history.count("power_cut" if power else "crash")
            await asyncio.sleep(rng.choice((0.1, 1.0, 40.0)))
            node.start()
        elif choice < 0.75:
            node.paused_until = world.time + rng.uniform(3, 90)
            history.count("pause")
        elif choice < 0.9:
            backups[node.name] = node.tree.snapshot()
        else:
            _replace_cache(world, node, history, backups)


def _replace_cache(
    world: World, node: Node, history: History, backups: Mapping[str, Backup]
) -> None:
    """Somebody empties the cache, or puts an older copy in its place: what was there only they
    threw away knowingly; what the heads have is not theirs to lose (S4)."""
    gone_paths = tuple(node.tree.files())
    gone = set(node.tree.files().values()) | set(node.tree.private_files().values())
    if world.rng.random() < 0.5:
        node.tree.wipe()
        history.count("wipe")
    else:
        node.tree.restore(backups[node.name])
        history.count("restore")
    here = set(node.tree.files().values())
    committed = checks.digests_in_heads(world)
    for path in (*gone_paths, *node.tree.files()):
        history.touched[node.name, path] = world.time
    for content in gone - here:
        if checks.digest(content) not in committed:
            history.superseded.add(content)
    for content in here:
        history.written.setdefault(content, "restored")
        history.superseded.add(content)


# --- coming to rest -------------------------------------------------------------------------------


async def _quiet(world: World, history: History, broken: list[BaseException]) -> None:
    """Faults stop; late requests land; everybody pulls, decides, pushes and settles until nothing
    changes any more (S1, L11)."""
    world.network.faults = Faults()
    for node in world.nodes:
        node.paused_until = 0.0
        node.crash(power=False)
        node.start()
    await asyncio.sleep(QUIET_S)
    for node in world.nodes:
        await _end_holds(node)
    for _ in range(ROUNDS):
        for node in world.nodes:
            await _round(world, node, history)
    await asyncio.sleep(SETTLED_S)
    if broken:
        raise broken[0]
    for node in world.nodes:
        if node.life is not None:
            node.life.workspace.stop()
    await asyncio.sleep(30)
    if broken:
        raise broken[0]


async def _end_holds(node: Node) -> None:
    """The sessions of the busy time are over."""
    if node.life is not None:
        for hold in node.life.workspace.holds:
            await node.life.workspace.release(hold)


async def _round(world: World, node: Node, history: History) -> None:
    life = node.life
    if life is None:
        raise RuntimeError("a machine without a daemon in quiet times")
    workspace = life.workspace
    owner = Owner(f"{node.name}-quiet")
    user = User(world, node, history, 8)
    user.owner = owner
    asker = Asker(owner, wait_s=400.0)
    pulled = await workspace.pull(None, asker, allow_deletes=True)
    for conflict in await workspace.ports.journal.read(conflicts):
        side = world.rng.choice((Side.OURS, Side.THEIRS))
        await user.resolve(life, conflict.path, side)
    pushed = await workspace.push(None, asker, allow_deletes=True)
    again = await workspace.pull(None, asker, allow_deletes=True)
    for outcome in (pulled, pushed, again):
        for scope, error in outcome.failed.items():
            raise Violation("S1", f"{node.name}: {scope} fails in quiet times: {error}")
    await asyncio.sleep(world.rng.uniform(5, 100))
