"""S1, S2, S5, S6, S8 and S10, over the caches and the journals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from swampd.domain.entries import Entry
from swampd.domain.leases import HORIZON_S
from swampd.domain.pointers import is_pointer, pointer_target
from swampd.domain.values import CachePath
from swampd.indexing import rows
from swampd.syncing import ledger, local_ledger
from tests.sim.checks import payload
from tests.sim.checks.violations import digest, fail
from tests.sim.hearing import EAR
from tests.sim.workloads import MANY, PATHS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampd.domain.entries import Record
    from swampd.indexing.rows import Base
    from swampd.ports import Transaction
    from tests.sim.checks.log import Log
    from tests.sim.users import History
    from tests.sim.world import Node, World

BESIDE: Final = re.compile(r"\.(theirs|kept)-[0-9a-f]+$")
"""What is put behind a name for a second file of it: a decision for both, bytes that were kept."""
SCRATCH: Final = ".swampd/tmp"
MARKER: Final = ".swampd/cache-id"
PRIVATE: Final = ("tmp/", "trash/", ".swampd/tmp/", ".swampd/trash/", ".swampd/conflicts/")


def _with_parents(paths: tuple[str, ...]) -> frozenset[str]:
    found = {""}
    for path in paths:
        parts = path.split("/")
        found.update("/".join(parts[:i]) for i in range(1, len(parts) + 1))
    found.update(f"{path}/latest".lstrip("/") for path in tuple(found))
    return frozenset(found)


NAMES: Final = _with_parents((*PATHS, *MANY))
"""All names that users make, the directories above them, and the pointers that may be there."""


class TreeWatch:
    """Looks at one cache before each step of the daemon in it."""

    def __init__(self, world: World, node: Node, log: Log, history: History) -> None:
        self._world = world
        self._node = node
        self._log = log
        self._history = history
        self._seen = 0

    def step(self, operation: str, path: str) -> None:
        """What the daemon is about to do, and what there is to be seen now."""
        known = BESIDE.split(path)[0] in NAMES or f"{path}/".startswith(PRIVATE)
        if not known:
            fail("S10", f"{self._node.name}: {operation} of {path!r}, which nobody made")
        self.look()
        if operation in ("exchange", "rename_new") and path in PATHS and is_pointer(path):
            self._check_pointer(CachePath(path))

    def look(self) -> None:
        """S8: what can be seen in the cache is what some user finished writing, whole."""
        tree = self._node.tree
        if tree.changes == self._seen:
            return
        self._seen = tree.changes
        for path, content in tree.files().items():
            if content not in self._history.written:
                fail("S8", f"{self._node.name}: {path} is {content[:24]!r}, which nobody wrote")

    def _check_pointer(self, path: CachePath) -> None:
        """S8: the daemon places no pointer before what it points at: of some head with just this
        pointer, all of the directory that it names is here, what users touched here aside."""
        record = self._node.disk.connection.read(lambda tx: rows.remote(tx, path))
        if not isinstance(record, Entry):
            return
        here = self._node.tree.files()
        lacking: set[CachePath] | None = None
        for history in self._log.heads.values():
            for _, head in history:
                seen = self._log.in_head(head, path)
                if seen is None or seen.wid != record.wid:
                    continue
                lacks = self._lacks(self._log.contents(head), path, record, here)
                if not lacks:
                    return
                lacking = lacks
        if lacking:
            fail("S8", f"{self._node.name}: {path} is placed before {sorted(lacking)}")

    def _lacks(
        self,
        contents: Mapping[CachePath, Record],
        pointer: CachePath,
        record: Entry,
        here: Mapping[str, bytes],
    ) -> set[CachePath]:
        named = next((c for c in (b"1", b"2") if digest(c) == record.sha256), None)
        target = pointer_target(pointer, named) if named is not None else None
        return {
            path
            for path, entry in contents.items()
            if target is not None
            and path.startswith(f"{target}/")
            and isinstance(entry, Entry)
            and path not in here
            and (self._node.name, path) not in self._history.touched
        }


def check_converged(world: World, log: Log) -> None:
    """S1: every tree equals the heads."""
    lost = payload.destroyed(world, log)
    wanted = {p: entry.sha256 for p, entry in log.entries().items() if p not in lost}
    for node in world.nodes:
        here = {p: digest(c) for p, c in node.tree.files().items() if p not in lost}
        if here != wanted:
            fail("S1", f"{node.name} differs from the heads: {_difference(here, wanted)}")


def _difference(here: Mapping[str, str], wanted: Mapping[CachePath, str]) -> str:
    both = {str(path): sha256 for path, sha256 in wanted.items()}
    return "; ".join(
        f"{path} here={str(here.get(path))[:6]} head={str(both.get(path))[:6]}"
        for path in sorted(here.keys() | both.keys())
        if here.get(path) != both.get(path)
    )


def check_nothing_lost(world: World, log: Log, history: History) -> None:
    """S2: a finished write is in a cache, the heads, a conflict copy or trash, or somebody who
    had seen it wrote over it."""
    lost = payload.destroyed(world, log)
    kept: set[str] = {entry.sha256 for path, entry in log.entries().items() if path not in lost}
    for node in world.nodes:
        kept |= {digest(c) for c in node.tree.files().values()}
        kept |= {digest(c) for c in node.tree.private_files().values()}
    for content, path in history.written.items():
        if content not in history.superseded and digest(content) not in kept:
            fail("S2", f"{content[:40]!r} written to {path} is nowhere")


def check_own_paths(world: World, log: Log, history: History) -> None:
    """S2, S14: a path that the users of one machine alone ever touched ends as they left it, and
    nobody had to decide a conflict of it: own writes come back as no news.  Not so of a commit that
    so many others hide that nobody can tell whether it landed (section 5.5)."""
    if EAR.counts["commit_not_landed", "hidden=True"]:
        return
    entries = log.entries()
    for path in PATHS:
        users = [node.name for node in world.nodes if (node.name, path) in history.touches]
        if len(users) != 1 or history.replaced or path in world.foreign.touched:
            continue
        if path in history.decided:
            fail("S14", f"{path} came into conflict, and only {users[0]} ever wrote it")
        left = history.left.get((users[0], path))
        entry = entries.get(CachePath(path))
        if (entry.sha256 if entry else None) != (digest(left) if left is not None else None):
            fail("S2", f"{path} is not what {users[0]} left there, who alone ever wrote it")


def check_scratch(world: World) -> None:
    """S6: nothing is left of work that is done: no download, no sealed copy."""
    for node in world.nodes:
        left = [name for name in node.tree.private_files() if name.startswith(f"{SCRATCH}/")]
        if left:
            fail("S6", f"{node.name}: {left[0]} is left, and nobody works with it")


def check_private(world: World) -> None:
    """S6: nothing lies in the private area that no journal speaks of, so that nobody would ever see
    it, nor would it go."""
    for node in world.nodes:
        known = node.disk.connection.read(_kept)
        left = [place for place in node.tree.private_files() if place not in known]
        if left:
            fail("S6", f"{node.name}: {left[0]} is known to nobody")


def _kept(tx: Transaction) -> set[str]:
    kept = {f".swampd/trash/{row.name}" for row in local_ledger.trashed(tx)}
    kept |= {one.copy for one in local_ledger.conflicts(tx) if one.copy is not None}
    return {MARKER, *kept}


def check_clean(world: World, log: Log) -> None:
    """S5: base equals the head wherever a path counts as applied, and the file is that of base."""
    lost = payload.destroyed(world, log)
    for node in world.nodes:
        files = node.tree.files()
        for path, base, record in node.disk.connection.read(_applied):
            if not isinstance(record, Entry) or record.content != base.content:
                fail("S5", f"{node.name}: {path} counts as clean and is not that of the head")
            if path in files and path not in lost and digest(files[path]) != base.content.sha256:
                fail("S5", f"{node.name}: {path} has other bytes than its base")


def _applied(tx: Transaction) -> list[tuple[CachePath, Base, Record | None]]:
    unapplied = {path for path, _ in rows.all_unapplied(tx)}
    found = []
    for (name,) in list(tx.execute("SELECT path FROM base ORDER BY path")):
        path = CachePath(name)
        base = rows.base(tx, path)
        if base is not None and path not in unapplied:
            found.append((path, base, rows.remote(tx, path)))
    return found


def check_commits_closed(world: World) -> None:
    """S6: no commit is left under way when all is quiet."""
    for node in world.nodes:
        open_commits = node.disk.connection.read(ledger.commits)
        if open_commits:
            fail("S6", f"{node.name} still has open commits of {open_commits[0].scope}")


def check_requests_closed(world: World) -> None:
    """S6: a request without an answer is open for a horizon, and no longer."""
    for node in world.nodes:
        for path, age in _open_requests(node):
            if age > HORIZON_S:
                fail("S6", f"{node.name}: a request on {path} is open after {age:.0f} s")


def _open_requests(node: Node) -> list[tuple[str, float]]:
    if node.life is None:
        return []
    now = node.life.clock.now()
    found = node.disk.connection.read(
        lambda tx: list(tx.execute("SELECT path, sent_at FROM request ORDER BY id"))
    )
    return [(path, now - sent_at) for path, sent_at in found]
