"""One run: a world is made, users and faults go on for a while, then all must come to rest.

`simulate(seed)` is deterministic: the same seed gives the same trace, byte for byte.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import traceback
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from tests.sim import checks, rules
from tests.sim.checks import Violation
from tests.sim.findings import Findings
from tests.sim.hearing import EAR
from tests.sim.loop import Deadlock, run
from tests.sim.misfortunes import go_wrong
from tests.sim.mutants.patching import patched
from tests.sim.resting import come_to_rest
from tests.sim.store import Faults
from tests.sim.users import History, Replaced, User
from tests.sim.workloads import NORMAL, PATHS, Workload
from tests.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from typing import Any

    from tests.sim.checks import Log
    from tests.sim.tree import Backup
    from tests.sim.world import Node

UNREADABLE = ("", "data", "data/x", "data/x/1", "out", "out/deep", "data/top", "root.txt")
FULL_DIRECTORIES = 0.5
LATE_DEATHS = 4
"""So much more often a daemon dies when it has sent a head that lands late."""
RENAMES = ("exchange", "rename_new", "move_away")


@dataclass(slots=True)
class Result:
    """What a run showed."""

    seed: int
    violation: str | None = None
    invariant: str | None = None
    trace: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)
    """How often each rule was exercised, if that was to be counted."""
    requests: int = 0
    """So many requests to the store were sent."""

    @property
    def digest(self) -> str:
        """A digest of the trace, to compare two runs."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Size:
    """A run of just this size, whatever its seed would choose; it is busy until so much is done."""

    nodes: int
    operations: int


def simulate(
    seed: int, load: Workload = NORMAL, size: Size | None = None, *, count_rules: bool = False
) -> Result:
    """Run one seed; a broken invariant is in the result."""
    result = Result(seed)
    holder: list[World] = []
    EAR.begin()
    watched = rules.watching(result.rules) if count_rules else nullcontext()
    with patched(*load.limits), watched:
        judge(_main(seed, load, size, result, holder), result)
    if holder:
        result.trace = holder[0].network.trace
        result.requests = holder[0].network.requests
        for node in holder[0].nodes:
            node.disk.give_back()
    return result


def judge(main: Coroutine[Any, Any, None], result: Result) -> None:
    """Run to the end in virtual time; what is broken is in the result."""
    try:
        run(main)
    except Violation as violation:
        result.violation, result.invariant = str(violation), violation.invariant
    except Deadlock as deadlock:
        result.violation, result.invariant = f"L11: {deadlock}", "L11"
    except BaseExceptionGroup as group:
        result.violation, result.invariant = _first(group), "crash"
    except Exception:  # noqa: BLE001 - whatever breaks the engine is a finding
        result.violation, result.invariant = traceback.format_exc(), "crash"


def _first(group: BaseExceptionGroup[BaseException]) -> str:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return "".join(traceback.format_exception(inner))


async def _main(
    seed: int, load: Workload, size: Size | None, result: Result, holder: list[World]
) -> None:
    nodes = random.Random(seed).choice(load.nodes) if size is None else size.nodes
    world = World(
        seed,
        nodes,
        conditional_delete=load.conditional_delete,
        write_interval_s=load.write_interval_s,
        large=load.is_large(seed),
        sizes=load.sizes,
    )
    holder.append(world)
    history, findings, log = History(), Findings(), checks.Log(world)
    result.counts = history.counts
    look = partial(checks.check_now, world, log, history)
    world.network.watchers.append(lambda: findings.look(look))
    watches = []
    for node in world.nodes:
        watch = checks.TreeWatch(world, node, log, history)
        watches.append(watch)
        _hook(node, history, load, watch, findings)
        node.start()
    await _busy(world, load, size, history, findings, log)
    await come_to_rest(world, history, findings, log if "compact" in load.acts else None)
    if world.broken:
        raise world.broken[0]
    for watch in watches:
        watch.look()
    checks.check_all(world, log, history)
    rules.read(log, result.rules)


# --- between two steps of the daemon --------------------------------------------------------------


def _hook(
    node: Node, history: History, load: Workload, watch: checks.TreeWatch, findings: Findings
) -> None:
    """Before each step in the cache: look at it; in busy times a user may edit exactly now, or the
    daemon die, with what was done so far done and the rest of its batch not."""
    world = node.world
    user = User(node, history, 9, replace(load, own_paths=False))

    def hook(step: str) -> None:
        operation, _, path = step.partition(" ")
        findings.look(lambda: watch.step(operation, path))
        if not world.busy:
            return
        if node.life is None or node.life.dead:
            raise asyncio.CancelledError
        aimed = operation in RENAMES and path in PATHS
        if world.rng.random() < (load.interleave_aimed if aimed else load.interleave):
            user.edit(path if aimed else None)
            history.count("interleaved")
        if operation in RENAMES and world.deaths.random() < load.die_in_batch:
            _die(node, history, load)
        if operation in RENAMES and load.full_in_batch:
            _fill_in_batch(node, history, load)

    def at_head(*, sent: bool) -> None:
        if world.busy and world.deaths.random() < load.die_at_head * (LATE_DEATHS if sent else 1):
            user.regret()
            _die(node, history, load)

    node.tree.before_step = hook
    if load.die_at_head:
        node.at_head = at_head


def _crash(node: Node, history: History, *, power: bool) -> None:
    """What a power cut takes back of a user's doing was not on the disk: it was not done."""
    before = node.tree.files()
    history.note_death(node)
    node.crash(power=power)
    after = node.tree.files()
    for name, path in tuple(history.left):
        if name == node.name and before.get(path) != after.get(path):
            history.left[name, path] = after.get(path)


def _die(node: Node, history: History, load: Workload) -> None:
    """The process is killed in the middle of what it does; somebody starts it again."""
    chances = node.world.deaths
    _crash(node, history, power=chances.random() < load.power)
    history.count("died_in_batch")

    def restart() -> None:
        if node.world.busy:
            node.start()

    asyncio.get_running_loop().call_later(chances.choice(load.down_s), restart)
    raise asyncio.CancelledError


def _fill_in_batch(node: Node, history: History, load: Workload) -> None:
    """The disk is full just now, in the middle of what the daemon does."""
    chances, tree = node.world.deaths, node.tree
    if chances.random() >= load.full_in_batch:
        return
    history.count("full_in_batch")
    tree.no_space, tree.full_directories = True, chances.random() < FULL_DIRECTORIES

    def mends() -> None:
        tree.no_space = tree.full_directories = False

    asyncio.get_running_loop().call_later(chances.uniform(1, 10), mends)


# --- busy times -----------------------------------------------------------------------------------


async def _busy(
    world: World,
    load: Workload,
    size: Size | None,
    history: History,
    findings: Findings,
    log: Log,
) -> None:
    """Users act, the network misbehaves, daemons die."""
    rng = world.rng
    harsh = rng.choice((0.0, 0.01, 0.03, 0.08))
    world.network.faults = load.faults or Faults(
        lost_request=harsh, lost_reply=harsh + 0.001, late=harsh / 2, failed=harsh, slow=harsh
    )
    world.busy = True
    users = [User(node, history, i, load) for node in world.nodes for i in range(2)]
    most = None if size is None else size.operations
    tasks = [_task(_live(user, findings, most)) for user in users]
    tasks.append(_task(_break(world, load, history, log)))
    if load.foreign_every_s:
        tasks.append(_task(_meddle(world, load, history)))
    if load.misfortunes:
        tasks.append(_task(go_wrong(world, load, history, log)))
    await findings.wait(load.busy_s if size is None else None)
    world.busy = False
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0)
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception() is not None:
            raise task.exception()  # type: ignore[misc]
    findings.tell()
    checks.check_log(world, log, history)


def _task(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(work)


async def _live(user: User, findings: Findings, most: int | None) -> None:
    """A user edits and acts; the act dies with the daemon it was asked of.  When users did so many
    things, it is enough."""
    rng = user.world.rng

    def count() -> None:
        user.history.count("operation")
        if user.history.counts["operation"] == most:
            findings.enough()

    while True:
        await asyncio.sleep(rng.expovariate(1 / user.load.act_every_s))
        if rng.random() < 0.6:
            count()
            user.edit()
        if rng.random() < 0.6 and user.node.life is not None:
            count()
            act = user.node.life.spawn(user.act())
            await asyncio.wait((act,))
            if not act.cancelled() and act.exception() is not None:
                raise act.exception()  # type: ignore[misc]


async def _break(world: World, load: Workload, history: History, log: Log) -> None:
    """Crashes, power cuts, pauses, restores from a backup, an emptied cache."""
    rng = world.rng
    backups = {node.name: node.tree.snapshot() for node in world.nodes}
    while True:
        await asyncio.sleep(rng.expovariate(1 / load.trouble_every_s))
        node = rng.choice(world.nodes)
        match rng.choices(tuple(load.troubles), tuple(load.troubles.values()))[0]:
            case "crash" | "lost" as trouble:
                power = rng.random() < load.power
                _crash(node, history, power=power)
                history.count("power_cut" if power else "crash")
                if trouble == "lost":
                    _replace_cache(node, history, backups, log)
                await asyncio.sleep(rng.choice(load.down_s))
                node.start()
            case "pause":
                node.pause(rng.uniform(3, 90))
                history.count("pause")
            case "outage":
                node.cut_until = world.time + rng.uniform(10, 60)
                history.count("outage")
            case "full" | "unreadable" | "away" | "displaced" as trouble:
                _break_disk(node, history, trouble)
            case "backup":
                backups[node.name] = node.tree.snapshot()
            case _:
                _replace_cache(node, history, backups, log)


def _break_disk(node: Node, history: History, trouble: str) -> None:
    """A cache's disk is full, unreadable in part, away, or another one, for a while."""
    tree, rng = node.tree, node.world.rng
    history.count(trouble)
    lasts_s = rng.uniform(2, 40)
    mends: Callable[[], object]
    match trouble:
        case "full":
            tree.no_space, tree.full_directories = True, rng.random() < FULL_DIRECTORIES

            def mends() -> None:
                tree.no_space = tree.full_directories = False

        case "unreadable":
            name = rng.choice(UNREADABLE)
            tree.unreadable.add(name)

            def mends() -> None:
                tree.unreadable.discard(name)

        case "away":
            tree.attached = False

            def mends() -> None:
                tree.attached = True

        case _:
            history.replaced[node.name] = Replaced(node.world.time, frozenset())
            tree.displace()
            mends = tree.put_back
    asyncio.get_running_loop().call_later(lasts_s, mends)


async def _meddle(world: World, load: Workload, history: History) -> None:
    """Somebody works in the bucket without swampd."""
    while True:
        await asyncio.sleep(world.foreign.chances.expovariate(1 / load.foreign_every_s))
        world.foreign.act(world, history)


def _replace_cache(node: Node, history: History, backups: Mapping[str, Backup], log: Log) -> None:
    """Somebody empties the cache, or puts an older copy in its place: what was there only they
    threw away knowingly; what the heads have is not theirs to lose (S4)."""
    world = node.world
    gone_paths = tuple(node.tree.files())
    gone = set(node.tree.files().values()) | set(node.tree.private_files().values())
    if world.rng.random() < 0.5:
        node.tree.wipe()
        history.count("wipe")
    else:
        node.tree.restore(backups[node.name])
        history.count("restore")
    here = set(node.tree.files().values())
    log.update()
    committed = {entry.sha256 for entry in log.entries().values()}
    for path in (*gone_paths, *node.tree.files()):
        history.touch(node, path)
    history.replaced[node.name] = Replaced(world.time, frozenset(node.tree.files()))
    for content in gone - here:
        if checks.digest(content) not in committed:
            history.superseded.add(content)
    for content in here:
        history.written.setdefault(content, "restored")
        history.superseded.add(content)
