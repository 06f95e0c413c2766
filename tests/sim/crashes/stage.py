"""The stage of a scenario: two machines, one person at each, who does what the script says."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from swampd.stores.memory import Dialect
from swampd.syncing.conflicts import Side
from swampd.syncing.local_ledger import conflicts
from swampd.workspace import Asker
from tests.sim import checks
from tests.sim.crashes.ports import watched_ports
from tests.sim.crashes.tripwire import Tripwire
from tests.sim.findings import Findings
from tests.sim.users import Broken, History, User
from tests.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from swampd.domain.values import Scope
    from swampd.locking.holds import Hold
    from swampd.workspace import Outcome
    from tests.sim.users import Granted
    from tests.sim.world import Life, Node

SEED: Final = 1
WAIT_S: Final = 200.0
"""So long a person waits for a lock."""


class Person(User):
    """Somebody at one machine, without chance."""

    def __init__(self, node: Node, history: History, number: int) -> None:
        super().__init__(node, history, number)
        self._grants: list[Granted] = []
        self._removed: set[str] = set()

    @property
    def life(self) -> Life:
        """The daemon that they ask."""
        if self.node.life is None:
            raise RuntimeError("nobody to ask")
        return self.node.life

    @property
    def asker(self) -> Asker:
        """How they ask."""
        return Asker(self.owner, wait_s=WAIT_S)

    @property
    def files(self) -> list[str]:
        """What they wrote and is there."""
        left = self.history.left
        return [path for name, path in left if name == self.node.name and left[name, path]]

    # --- at the files ---------------------------------------------------------------------------

    def write(self, path: str, label: str, size: int = 40) -> None:
        """Save a file, of a content that tells who wrote it and where."""
        self.write_bytes(path, f"{self.node.name} {path} {label} ".encode().ljust(size, b"."))

    def write_bytes(self, path: str, data: bytes) -> None:
        """Save a file; it is on the disk, with all that was done before."""
        old = self.node.tree.files().get(path)
        self.history.touch(self.node, path)
        self.node.tree.write(path, data)
        self.node.tree.fsync(path)
        if old is not None and old != data:
            self.history.superseded.add(old)
        self.history.written[data] = path
        self.history.left[self.node.name, path] = data

    def remove(self, *paths: str) -> None:
        """Delete files."""
        for path in paths:
            self.history.touch(self.node, path)
            self.history.superseded.add(self.node.tree.files()[path])
            self.node.tree.delete(path)
            self.history.left[self.node.name, path] = None
            self._removed.add(path)

    def looks_again(self) -> None:
        """After a crash: a file whose removal was not on the disk is there again."""
        files = self.node.tree.files()
        for path in self._removed:
            self.history.left[self.node.name, path] = files.get(path)

    # --- at the command line --------------------------------------------------------------------

    async def pushes(self, *scopes: str, hold: Hold | None = None) -> None:
        """Push these scopes, or all; raises what failed."""
        asker = Asker(self.owner, hold.token if hold else None, wait_s=WAIT_S)
        raw = list(scopes) or None
        _demand(await self.push_as(self.life, raw, asker, allow_deletes=True))

    async def pulls(self, *scopes: str) -> None:
        """Pull these scopes, or all; raises what failed."""
        raw = list(scopes) or None
        _demand(await self.life.workspace.pull(raw, self.asker, allow_deletes=True))

    async def locks(self, *scopes: str, ttl_ms: int = 30_000) -> Hold:
        """Acquire, claim, pull."""
        life = self.life
        hold = await life.workspace.lock(scopes, self.asker, ttl_ms=ttl_ms)
        self._grants.append(self.note_hold(life, hold))
        return hold

    async def gives_back(self) -> None:
        """Release all that this machine holds."""
        for grant in self._grants:
            grant.ended = True
        for hold in list(self.life.workspace.holds):
            await self.life.workspace.release(hold)

    async def decides(self, path: str, side: Side) -> None:
        """Resolve a conflict: from now on what the other side has may go."""
        found = await self.life.workspace.ports.journal.read(conflicts)
        conflict = next((one for one in found if one.path == path), None)
        tree = self.node.tree
        copy = tree.private_files().get(conflict.copy or "") if conflict else None
        mine = tree.files().get(path)
        if side is Side.THEIRS and mine is not None and mine != copy:
            self.history.superseded.add(mine)
            self.history.given_up.add(mine)
        if side is Side.OURS and copy is not None:
            self.history.superseded.add(copy)
        await self.resolve(self.life, path, side)

    async def breaks(self, scope: Scope) -> None:
        """Break somebody's lock."""
        book, began = self.life.workspace.book, self.world.time
        seen = await book.look(scope)
        if seen is None or seen.record is None or seen.is_free:
            return
        epoch = seen.record.epoch
        await book.break_lock(scope, epoch, now=False)
        told = Broken(self.node.name, scope, epoch, began, self.world.time)
        self.history.breaks.append(told)


def _demand(outcome: Outcome) -> None:
    for error in outcome.failed.values():
        raise error


class Stage:
    """A world with a person at each machine; the daemons of the first one are watched."""

    def __init__(
        self, dialect: Dialect = Dialect.S3, *, conditional_delete: bool = True, large: bool = False
    ) -> None:
        """Where `large` files count as large, the store takes them in parts."""
        able = 1.0 if conditional_delete else 0.0
        self.world = World(SEED, 2, dialect, conditional_delete=able, large=large)
        if large:
            self.world.network.writes_in_parts = True
            self.world.sizes = replace(self.world.sizes, inline=20, part=25)
        self.history, self.findings = History(), Findings()
        self.log = checks.Log(self.world)
        self.me, self.other = (Person(node, self.history, 1) for node in self.world.nodes)
        self.wire = Tripwire(self.me.node, lambda: self.history.note_death(self.me.node))
        self.me.node.make_ports = lambda life: watched_ports(self.wire, life)

        self.meanwhile: dict[str, Callable[[], None]] = {}
        """What the first machine's person does just before such a step of their daemon, once."""
        self._watches = [
            checks.TreeWatch(self.world, node, self.log, self.history) for node in self.world.nodes
        ]
        self.world.network.watchers.append(
            lambda: self.findings.look(lambda: checks.check_now(self.world, self.log, self.history))
        )
        for node, watch in zip(self.world.nodes, self._watches, strict=True):
            self._hook(node, watch)

    def _hook(self, node: Node, watch: checks.TreeWatch) -> None:
        def hook(step: str) -> None:
            operation, _, path = step.partition(" ")
            self.findings.look(lambda: watch.step(operation, path))
            if node is self.me.node:
                self.wire.step(node.life, operation, path)
                if step in self.meanwhile:
                    self.meanwhile.pop(step)()
                    self.wire.others_changed()

        node.tree.before_step = hook

    async def starts(self) -> None:
        """Both daemons serve."""
        for node in self.world.nodes:
            await node.start().workspace.ready.wait()

    async def both_have(self, *paths: str, by: Person) -> None:
        """Files of one person's, which both machines end with."""
        for path in paths:
            by.write(path, "old")
        await by.pushes()
        for person in (self.me, self.other):
            await person.pulls()
        await self.rests()

    async def rests(self) -> None:
        """Leases that linger are freed, and everything is on the disk."""
        await asyncio.sleep(5.0)
        for node in self.world.nodes:
            hook, node.tree.before_step = node.tree.before_step, None
            node.tree.sync()
            node.tree.before_step = hook

    def judge(self) -> None:
        """All checkers, when everything has come to rest."""
        for watch in self._watches:
            watch.look()
        self.findings.tell()
        checks.check_all(self.world, self.log, self.history)
        self._check_decided()

    def _check_decided(self) -> None:
        """S14: nobody had to decide a conflict of a path that one person alone ever wrote."""
        for path in sorted(self.history.decided):
            writers = [name for name, written in self.history.left if written == path]
            if len(writers) == 1 and not self.history.replaced:
                checks.fail(
                    "S14", f"{path} came into conflict, and only {writers[0]} ever wrote it"
                )
