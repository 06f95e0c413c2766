"""Coming to rest: the faults stop, and all that users did must be through in the end (S1, L11).

Afterwards nothing is left to do: doing it again writes nothing (S11).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from swampd import reporting, upkeep
from swampd.domain import codec, leases, levels
from swampd.domain.codec import DecodedHead
from swampd.domain.heads import HeadKind
from swampd.domain.values import RemoteKey, Scope
from swampd.errors import LockBusy, LockTimeout, SwampdError
from swampd.locking.holds import Owner
from swampd.syncing.conflicts import Side
from swampd.syncing.local_ledger import conflicts
from swampd.workspace import Asker
from tests.sim.checks import fail, payload
from tests.sim.store import Faults
from tests.sim.users import User
from tests.sim.workloads import SCOPES, TTLS_MS

if TYPE_CHECKING:
    from tests.sim import checks
    from tests.sim.findings import Findings
    from tests.sim.store import Mutation
    from tests.sim.users import History
    from tests.sim.world import Life, Node, World

QUIET_S: Final = 1500.0
"""After the faults stop, late requests land within a horizon."""
ROUNDS: Final = 4
"""At most; there is no other when nothing changes any more."""
SETTLED_S: Final = 950.0
"""By then whoever comes next has settled what the writer could not."""
CONTENDERS: Final = 3
"""So many owners on each machine ask for overlapping scopes at once."""
TRAVEL_S: Final = 6.0
"""What the requests of a few polls take, and a clock that runs slow."""
PATIENCE_S: Final = leases.patience_s(max(TTLS_MS)) + 3 * leases.LONGEST_POLL_S
"""L11: by then, and what the requests take, some waiter has acquired; a gate waits twice."""


async def come_to_rest(
    world: World, history: History, findings: Findings, log: checks.Log | None = None
) -> None:
    """Faults stop; late requests land; everybody pulls, decides, pushes and settles until nothing
    changes any more.  With a log the store is swept then."""
    world.network.faults = Faults()
    world.foreign.tidy(world)
    history.bereft.clear()  # their holds are given back
    for node in world.nodes:
        node.paused_until = node.cut_until = 0.0
        node.tree.mend()
        node.crash(power=False)
    began = world.time
    await _contend(world, history)
    findings.tell()
    for node in world.nodes:
        node.start()
    await findings.wait(max(QUIET_S - (world.time - began), 0.0))
    findings.tell()
    for node in world.nodes:
        await _end_holds(node)
    await _catch_up(world, history, findings)
    if any(_life(node).workspace.desks.bases.cache for node in world.nodes):
        await _start_again(world)
        await _catch_up(world, history, findings)
    await findings.wait(SETTLED_S)
    findings.tell()
    for node in world.nodes:
        await _do_nothing(node)
        await _show(node)
    if log is not None:
        await _sweep(world, history, log)
    for node in world.nodes:
        _life(node).workspace.stop()
    await asyncio.sleep(30)
    findings.tell()


async def _start_again(world: World) -> None:
    """A start after which the cache was found to be another one touched nothing in its private
    area: the next one does."""
    for node in world.nodes:
        if _life(node).workspace.desks.bases.cache:
            node.crash(power=False)
            node.start()
            await _life(node).workspace.ready.wait()


async def _catch_up(world: World, history: History, findings: Findings) -> None:
    """One machine after the other, until each has found nothing to do since the last change: once
    more, it would begin where it did then, and do the same nothing."""
    quiet = 0
    for node in world.nodes * ROUNDS:
        before = _changes(world)
        await _round(node, history)
        findings.tell()
        quiet = quiet + 1 if _changes(world) == before else 0
        if quiet == len(world.nodes):
            return


def _changes(world: World) -> list[int]:
    """Raised with each write to the store, each change in a cache, each row of a journal that is
    written: what is still open, or shown, stands there."""
    trees = (node.tree.changes for node in world.nodes)
    journals = (node.disk.connection.changes for node in world.nodes)
    return [len(world.network.log), *trees, *journals]


def _life(node: Node) -> Life:
    if node.life is None:
        raise RuntimeError("a machine without a daemon in quiet times")
    return node.life


async def _end_holds(node: Node) -> None:
    """The sessions of the busy time are over."""
    workspace = _life(node).workspace
    await workspace.ready.wait()
    for hold in workspace.holds:
        await workspace.release(hold)


# --- everybody wants everything -------------------------------------------------------------------


async def _contend(world: World, history: History) -> None:
    """L11: the faults have stopped, one machine may be off for good with all that it held; of
    several owners on each of the others, who want overlapping scopes and gates at once and give
    back at once, one after the other acquires within the bound."""
    chances = world.deaths
    off = world.nodes[-1] if chances.random() < 0.5 else None
    nodes = [node for node in world.nodes if node is not off]
    for node in nodes:
        node.start()
        await _end_holds(node)
    progress = [world.time]
    gates: dict[asyncio.Task[None], bool] = {}
    for node in nodes:
        for i in range(CONTENDERS):
            chosen = chances.sample(SCOPES, chances.choice((1, 1, 2, 3)))
            task = _life(node).spawn(_want(node, i, chosen, history, progress))
            gates[task] = any(levels.client_want(Scope(scope)).tree for scope in chosen)
    left = set(gates)
    while left:
        since = max(progress[-1], _last_late_renewal(world))
        most = PATIENCE_S * (2 if any(gates[task] for task in left) else 1) + TRAVEL_S
        patience = since + most - world.time
        if patience <= 0:
            fail("L11", f"nobody acquired for {most:.0f} s, {len(left)} wait since {since:.0f}")
        done, left = await asyncio.wait(left, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


async def _want(
    node: Node, number: int, chosen: list[str], history: History, progress: list[float]
) -> None:
    """One owner who wants some scopes, and gives them back at once."""
    life = _life(node)
    asker = Asker(Owner(f"{node.name}-wants{number}"), wait_s=3600.0)
    for _ in range(5):
        try:
            hold = await life.workspace.lock(chosen, asker, pull=False)
        except (LockBusy, LockTimeout) as error:
            fail("L11", f"{node.name} does not get {chosen}: {error}")
        except SwampdError as error:
            history.count(f"contend {error.code}")
            continue
        progress.append(node.world.time)
        history.count("contend")
        await life.workspace.release(hold)
        return
    fail("L11", f"{node.name} never gets {chosen}")


def _last_late_renewal(world: World) -> float:
    """When a write of a daemon that is gone last landed on a lock: it restarts the wait."""
    now = {(node.name, node.life.number) for node in world.nodes if node.life is not None}
    for mutation in reversed(world.network.log):
        if mutation.key.startswith(world.keys.locks) and (mutation.node, mutation.life) not in now:
            return mutation.time
    return 0.0


# --- everybody catches up -------------------------------------------------------------------------


async def _round(node: Node, history: History) -> None:
    """One machine catches up."""
    life, world = _life(node), node.world
    workspace = life.workspace
    user = User(node, history, 8)
    user.owner = Owner(f"{node.name}-quiet")
    asker = Asker(user.owner, wait_s=400.0)
    pulled = await workspace.pull(None, asker, allow_deletes=True)
    for conflict in await workspace.ports.journal.read(conflicts):
        side = world.rng.choice((Side.OURS, Side.THEIRS))
        await user.resolve(life, conflict.path, side)
    pushed = await workspace.push(None, asker, allow_deletes=True)
    again = await workspace.pull(None, asker, allow_deletes=True)
    for outcome in (pulled, pushed, again):
        for scope, error in outcome.failed.items():
            fail("S1", f"{node.name}: {scope} fails in quiet times: {error}")
    await asyncio.sleep(world.rng.uniform(5, 100))


# --- nothing is left to do ------------------------------------------------------------------------


async def _do_nothing(node: Node) -> None:
    """S11: doing it again writes nothing, settling aside; a pull of nothing is one conditional
    read a scope, a push of nothing no request at all.  What others destroyed is asked for anew
    with each pull."""
    workspace = _life(node).workspace
    while workspace.keeper.held:  # noqa: ASYNC110 - a settlement is under way
        await asyncio.sleep(1.0)
    asker = Asker(Owner(f"{node.name}-idle"))
    written = len(node.world.network.log)
    asked = len(node.world.network.trace)
    await workspace.push(None, asker)
    _check_requests(node, asked, 0, "push of nothing")
    asked = len(node.world.network.trace)
    pulled = await workspace.pull(["*"], asker)
    _check_requests(node, asked, len(pulled.done), "pull of nothing")
    asked = len(node.world.network.trace)
    await workspace.pull(None, asker)
    # The LIST does not count what it does not show: a head that is not there yet.
    _check_requests(node, asked, 1, "pull of nothing, all scopes at once", headless=3)
    for mutation in node.world.network.log[written:]:
        if not _settles(node.world, mutation):
            fail("S11", f"{node.name} did nothing, and {mutation.operation} of {mutation.key}")


async def _sweep(world: World, history: History, log: checks.Log) -> None:
    """`compact` leaves nothing that no head names, and done again it changes nothing, settling
    aside (S11).  What it leaves as it is, is in doubt: a horizon after that was first seen the
    next one sweeps it too."""
    asker = Asker(Owner("sweeper"), wait_s=600.0)
    for _ in range(2):
        done = await upkeep.compact(_life(world.nodes[0]).workspace, asker)
        history.note_compacted(done)
        await asyncio.sleep(leases.HORIZON_S * 1.1)
    before = len(world.network.log)
    again = await upkeep.compact(_life(world.nodes[-1]).workspace, asker)
    log.update()
    payload.check_swept(world, log)
    news = world.network.log[before:]
    writes = [m for m in news if not _settles(world, m) or m.operation.startswith("delete")]
    counts = {name: number for name, number in again.counts().items() if name != "foreign"}
    if again.left or writes or any(counts.values()):
        what = [(mutation.operation, mutation.key) for mutation in writes]
        fail("S11", f"compact again: {counts}, left {again.left}, {what}")


async def _show(node: Node) -> None:
    """S1, S13: nothing is shown that is not through, what others destroyed aside.  A redo copy
    may stay for longer than a run: a doubt lasts a horizon from when it was first seen."""
    if node.world.foreign.touched:
        return
    told = await reporting.report(_life(node).workspace)
    wrong = (*told.halts, *told.problems)
    counts = (told.joining, told.uncommitted, told.conflicts, told.refused_keys)
    if wrong or any(counts):
        fail("S1", f"{node.name} shows {wrong} {counts} when all is quiet")
    for scope in told.scopes:
        if scope.unapplied:
            fail("S1", f"{node.name}: {scope} is not through when all is quiet")


def _check_requests(node: Node, since: int, most: int, what: str, *, headless: int = 2) -> None:
    name = _life(node).name
    mine = [line for line in node.world.network.trace[since:] if line.split(" ")[1] == name]
    if _life(node).workspace.keeper.held or any(node.world.keys.locks in line for line in mine):
        return  # a settlement came between
    if node.world.foreign.touched:
        return
    # Somebody else has settled since: the manifest that its head names is new.
    most += len({line.split(" ")[3] for line in mine if "/manifests/" in line})
    # A declared scope without a head of its own yet: its parent and what moved are read again.
    most += headless * sum(line.endswith("-> Missing") for line in mine)
    if len(mine) > most:
        fail("S11", f"{name}: {what} cost {len(mine)} requests, not {most}: {mine[:4]}")


def _settles(world: World, mutation: Mutation) -> bool:
    """Is this write part of a settlement?"""
    key = RemoteKey(mutation.key)
    if not key.startswith(world.keys.heads):
        return True
    scope = world.keys.scope_of(key)
    decoded = codec.decode_head(mutation.body or b"", scope) if scope is not None else None
    return isinstance(decoded, DecodedHead) and decoded.head.kind is HeadKind.SETTLE
