"""People at their machines: they edit, revert, rename, delete, lock, push, pull, break and resolve.

Each content that a user writes is remembered with what it replaced, so that afterwards it can be
said of every byte whether somebody who had seen it wrote over it (S2).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swampd import upkeep
from swampd.domain import scopes
from swampd.domain.values import Scope
from swampd.errors import SwampdError
from swampd.indexing import ledger as heads_ledger
from swampd.locking.holds import Hold, Owner
from swampd.syncing.conflicts import Side
from swampd.syncing.local_ledger import conflicts
from swampd.syncing.pushing import Pushed, PushKind
from swampd.workspace import Asker, Outcome
from tests.sim.workloads import NORMAL, SCOPES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from swampd.locking.lease import Lease, Loss
    from swampd.syncing.unnamed import Compacted
    from tests.sim.workloads import Workload
    from tests.sim.world import Life, Node


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A push that was answered with success: what the user had in that scope before asking."""

    node: str
    scope: str
    files: dict[str, bytes]
    time: float
    whole: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A push of a scope that was answered as failed for good, between two times."""

    life: str
    scope: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Broken:
    """A lock of this epoch that a person broke, between two times."""

    node: str
    scope: str
    epoch: int
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Replaced:
    """A cache was emptied, or an older copy put in its place, at this time."""

    time: float
    files: frozenset[str]
    """What was in it then."""


@dataclass(slots=True)
class Granted:
    """A hold, and what its subscribers heard of its loss."""

    life: Life
    hold: Hold
    leases: dict[Scope, Lease]
    heard: dict[Scope, int] = field(default_factory=dict)
    told: int = 0
    ended: bool = False
    """It was given back, whatever became of it."""

    def subscribe(self) -> None:
        """Count what is said of these leases and of the hold."""
        for lease in self.leases.values():
            lease.on_loss(self._hear)
        self.told += self.hold.lost is not None
        self.life.workspace.holds.on_loss(self._hear_of_hold)

    def _hear(self, lease: Lease, _reason: Loss) -> None:
        self.heard[lease.scope] = self.heard.get(lease.scope, 0) + 1

    def _hear_of_hold(self, hold: Hold) -> None:
        self.told += hold is self.hold


@dataclass(slots=True)
class History:
    """What users did and were told."""

    written: dict[bytes, str] = field(default_factory=dict)
    """Content -> path: everything that anybody finished writing."""
    superseded: set[bytes] = field(default_factory=set)
    """Written over, deleted or decided against by somebody who had seen it.  Stays so: going back
    to earlier bytes is no new content."""
    given_up: set[bytes] = field(default_factory=set)
    """Local contents that a user decided to give up in a conflict."""
    touched: dict[tuple[str, str], float] = field(default_factory=dict)
    """When a user last did something at (machine, path)."""
    touches: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """All the times of it."""
    left: dict[tuple[str, str], bytes | None] = field(default_factory=dict)
    """What a user last left at (machine, path); None: nothing."""
    replaced: dict[str, Replaced] = field(default_factory=dict)
    """Machines whose cache was emptied or restored, and how that last was."""
    decided: set[str] = field(default_factory=set)
    """Paths of which somebody had to decide a conflict."""
    acknowledged: list[Acknowledged] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    pushes: list[tuple[str, float, float]] = field(default_factory=list)
    """(life, began, ended) of every push."""
    grants: list[Granted] = field(default_factory=list)
    bereft: list[Granted] = field(default_factory=list)
    """Those whose daemon died while they were held."""
    breaks: list[Broken] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def touch(self, node: Node, path: str) -> None:
        """A user did something here, just now."""
        self.touched[node.name, path] = node.world.time
        self.touches.setdefault((node.name, path), []).append(node.world.time)

    def note_death(self, node: Node) -> None:
        """The daemon of this machine is about to die: what its users held they go on holding."""
        mine = (grant for grant in self.grants if grant.life is node.life)
        self.bereft += [grant for grant in mine if not grant.ended and grant.hold.lost is None]

    def note_compacted(self, done: Compacted) -> None:
        """Count what was swept."""
        for name in [name for name, number in done.counts().items() if number]:
            self.count(f"compact {name}")
        self.count("compact left" if done.left else "compact")

    def count(self, what: str) -> None:
        """How often something was reached."""
        self.counts[what] = self.counts.get(what, 0) + 1


class User:
    """One person at one machine."""

    def __init__(self, node: Node, history: History, number: int, load: Workload = NORMAL) -> None:
        self.world = node.world
        self.node = node
        self.history = history
        self.load = load
        self.paths = load.paths
        if load.own_paths:
            mine = node.world.nodes.index(node)
            self.paths = load.paths[mine :: len(node.world.nodes)]
        self.owner = Owner(f"{node.name}-user{number}")
        self._serial = 0

    # --- at the files -------------------------------------------------------------------------

    def _path(self) -> str:
        """Any path, or the one of this time."""
        every, paths = self.load.new_every_s, self.paths
        if not every:
            return self.world.rng.choice(paths)
        return paths[int(self.world.time / every) % len(paths)]

    def edit(self, at: str | None = None) -> None:
        """Write, revert, rename or delete something, at this path or anywhere."""
        rng, tree = self.world.rng, self.node.tree
        path = at or self._path()
        if path not in self.paths or not tree.is_in_place:
            return
        files = tree.files()
        choice = rng.random()
        old = files.get(path)
        self.history.touch(self.node, path)
        try:
            if choice < 0.68 or old is None:
                self._write(path, old)
            elif choice < 0.88:
                tree.delete(path)
                self.history.superseded.add(old)
            else:
                self._rename(path, rng.choice(self.paths), files)
        except OSError:
            self.history.count("edit_refused")
        self.history.left[self.node.name, path] = tree.files().get(path)

    def regret(self) -> None:
        """Delete what is being made now."""
        path, tree = self._path(), self.node.tree
        old = tree.files().get(path)
        if old is not None and tree.is_in_place:
            self.history.touch(self.node, path)
            tree.delete(path)
            self.history.superseded.add(old)
            self.history.left[self.node.name, path] = None

    def _write(self, path: str, old: bytes | None) -> None:
        rng, tree = self.world.rng, self.node.tree
        self._serial += 1
        size = rng.choice((0, 10, 10, 10, 60 if self.world.large else 5000))
        known = [c for c, p in self.history.written.items() if p == path]
        if path.endswith("latest"):
            data = rng.choice((b"1", b"2"))
        elif known and rng.random() < self.load.reverts:
            data = rng.choice(known)
        else:
            data = f"{self.owner.key} {self._serial:06d} ".encode() + b"." * size
        if old is not None and rng.random() < 0.5:
            tree.edit(path, data)
        else:
            tree.write(path, data)
        tree.fsync(path)
        if old is not None and old != data:
            self.history.superseded.add(old)
        self.history.written[data] = path

    def _rename(self, path: str, target: str, files: dict[str, bytes]) -> None:
        if target == path:
            return
        over = files.get(target)
        self.history.touch(self.node, target)
        self.node.tree.rename(path, target)
        self.history.left[self.node.name, target] = files[path]
        if over is not None:
            self.history.superseded.add(over)

    # --- at the command line ------------------------------------------------------------------

    async def act(self) -> None:
        """One thing a person does."""
        rng = self.world.rng
        life = self.node.life
        if life is None or life.dead:
            return
        await life.workspace.ready.wait()
        names = tuple(self.load.acts)
        chosen = rng.choices(names, tuple(self.load.acts.values()))[0]
        acts: Mapping[str, Callable[[Life], Awaitable[object]]] = {
            "push": self.push,
            "pull": self.pull,
            "lock": self.work_locked,
            "break_lock": self.break_one,
            "resolve": self.resolve_some,
            "settle": self.settle_one,
            "compact": self.compact,
        }
        try:
            await acts[chosen](life)
        except SwampdError as error:
            self.history.count(f"error {error.code}")

    async def settle_one(self, life: Life) -> None:
        """Settle now, as the daemon does by itself after a while."""
        await life.workspace.desks.settle(Scope(self.world.rng.choice(SCOPES[:5])))

    async def compact(self, life: Life) -> None:
        """Sweep the store, whoever else is at work."""
        asker = Asker(self.owner, wait_s=self.world.rng.choice((0.0, 20.0, 60.0)))
        self.history.note_compacted(await upkeep.compact(life.workspace, asker))

    async def push(self, life: Life, scope: str | None = None, token: str | None = None) -> Outcome:
        """Push one scope or all, and note what was acknowledged."""
        rng = self.world.rng
        chosen = scope or rng.choice((*self.load.pushed, None))
        asker = Asker(self.owner, token, wait_s=rng.choice((0.0, 5.0, 60.0)))
        raw = None if chosen is None else [chosen]
        return await self.push_as(life, raw, asker, allow_deletes=rng.random() < 0.5)

    async def push_as(
        self, life: Life, raw: list[str] | None, asker: Asker, *, allow_deletes: bool
    ) -> Outcome:
        """Push just this, and note what was acknowledged."""
        before, began = self.node.tree.files(), self.world.time
        try:
            outcome = await life.workspace.push(raw, asker, allow_deletes=allow_deletes)
        finally:
            self.history.count("push")
            self.history.pushes.append((life.name, began, self.world.time))
        after, touched = self.node.tree.files(), self.history.touched
        before = {
            path: content
            for path, content in before.items()
            if after.get(path) == content
            and touched.get((self.node.name, path), 0.0) < began
            and content not in self.history.given_up
        }
        for name, done in outcome.done.items():
            if isinstance(done, Pushed):
                self.history.count(f"push {done.kind.value}")
                if done.kind is PushKind.COMMITTED or done.whole:
                    mine = {p: c for p, c in before.items() if _is_in(name, p, life)}
                    held = {*done.held, *done.conflicts}
                    mine = {p: c for p, c in mine.items() if not _is_at_or_below(p, held)}
                    self.history.acknowledged.append(
                        Acknowledged(self.node.name, name, mine, self.world.time, done.whole)
                    )
        for name, error in outcome.failed.items():
            self.history.count(f"push {error.code}")
            if error.code == "push_failed":
                self.history.failed.append(Failed(life.name, name, began, self.world.time))
        return outcome

    async def pull(self, life: Life, scope: str | None = None) -> None:
        """Pull one scope or all."""
        rng = self.world.rng
        chosen = scope or rng.choice((*self.load.pushed, None, None))
        raw = None if chosen is None else [chosen]
        outcome = await life.workspace.pull(
            raw, Asker(self.owner, wait_s=5.0), allow_deletes=rng.random() < 0.5
        )
        self.history.count("pull")
        for error in outcome.failed.values():
            self.history.count(f"pull {error.code}")

    async def work_locked(self, life: Life, scope: str | None = None) -> None:
        """Lock, edit under the lock, push, release."""
        rng, load = self.world.rng, self.load
        two = rng.choice((0.125, 0.375, 0.625, 0.875)) > 1 - load.several
        count = min(1 + two, len(load.scopes))
        chosen = [scope] if scope is not None else rng.sample(load.scopes, count)
        ttl_ms = rng.choice(load.ttls_ms)
        asker = Asker(self.owner, wait_s=rng.choice((0.0, 20.0, 60.0, 200.0)))
        hold = await life.workspace.lock(chosen, asker, ttl_ms=ttl_ms)
        self.history.count("lock")
        granted = self.note_hold(life, hold)
        try:
            for _ in range(rng.randint(0, 3)):
                await life.delay(rng.uniform(0.0, load.holds_s))
                self.edit()
            if rng.random() < 0.9:
                for each in chosen:
                    await self.push(life, each, hold.token)
        finally:
            granted.ended = True
            if not life.dead:
                await life.workspace.release(hold)

    def note_hold(self, life: Life, hold: Hold) -> Granted:
        """Listen to what is said of a hold."""
        granted = Granted(life, hold, dict(hold.leases))
        granted.subscribe()
        self.history.grants.append(granted)
        return granted

    async def break_one(self, life: Life) -> None:
        """Break somebody's lock; the person is wrong about the holder most of the time."""
        scope = Scope(self.world.rng.choice(self.load.scopes))
        seen = await life.workspace.book.look(scope)
        if seen is None or seen.record is None or seen.is_free:
            return
        began, epoch = self.world.time, seen.record.epoch
        await life.workspace.book.break_lock(scope, epoch, now=False)
        self.history.count("break")
        self.history.breaks.append(Broken(self.node.name, scope, epoch, began, self.world.time))
        if self.load.break_to_have:
            below = [each for each in self.load.scopes if scopes.is_below(Scope(each), scope)]
            await self.work_locked(life, self.world.rng.choice(below or [scope]))

    async def resolve_some(self, life: Life) -> None:
        """Decide the open conflicts."""
        found = await life.workspace.ports.journal.read(conflicts)
        for conflict in found:
            side = self.world.rng.choice(tuple(Side))
            await self.resolve(life, conflict.path, side)

    async def resolve(self, life: Life, path: str, side: Side) -> None:
        """Decide one conflict: what is thrown away was seen."""
        tree = self.node.tree
        self.history.touch(self.node, path)
        self.history.decided.add(path)
        found = await life.workspace.ports.journal.read(conflicts)
        conflict = next((c for c in found if c.path == path), None)
        if conflict is None:
            return
        mine = tree.files().get(path)
        copy = tree.private_files().get(conflict.copy or "")
        try:
            await life.workspace.desks.resolver.resolve(conflict.path, side)
        except SwampdError as error:
            self.history.count(f"resolve {error.code}")
            return
        except asyncio.CancelledError:
            # The daemon died before it answered: what was decided may be noted, or not.
            self._give_up(side, mine, copy)
            raise
        self.history.count(f"resolve {side.value}")
        self._give_up(side, mine, copy)

    def _give_up(self, side: Side, mine: bytes | None, copy: bytes | None) -> None:
        """The content that was decided against may go: what stood there when it was asked for."""
        if side is Side.OURS and copy is not None:
            self.history.superseded.add(copy)
        if side is Side.THEIRS and mine is not None and mine != copy:
            self.history.superseded.add(mine)
            self.history.given_up.add(mine)


def _is_at_or_below(path: str, names: Collection[str]) -> bool:
    """A directory that could not be read speaks for all below it."""
    return any(path == name or path.startswith(f"{name}/") for name in names)


def _is_in(scope: str, path: str, life: Life) -> bool:
    """Does this scope speak for the path, as this daemon knows the declared ones?"""
    named = Scope(scope)
    if not scopes.contains(named, path):
        return False
    connection = life.node.disk.connection
    children = connection.read(lambda tx: heads_ledger.children_of(tx, named))
    return not any(scopes.contains(child, path) for child in children)
