"""L3, L4, L5, L9 and S12, over the heads and what pushes were told."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from swampd.domain import heads
from swampd.domain.entries import Entry, Tombstone
from swampd.domain.heads import Head, HeadKind
from swampd.domain.values import CachePath, Scope, Wid
from swampd.indexing import rows
from tests.sim.checks.violations import digest, fail
from tests.sim.workloads import PATHS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from swampd.domain.entries import Record
    from swampd.ports import Transaction
    from tests.sim.checks.log import Log
    from tests.sim.store import Mutation
    from tests.sim.users import History
    from tests.sim.world import World


def check_heads(log: Log) -> None:
    """L9: no bytes twice; and each head after the one before."""
    for scope, history in log.heads.items():
        bodies: set[bytes] = set()
        for mutation, _ in history:
            if mutation.body in bodies:
                fail("L9", f"head {scope}: the same bytes twice")
            bodies.add(mutation.body or b"")
        for (_, previous), (_, head) in pairwise(history):
            _check_step(scope, previous, head)
            _check_tombstones(log, scope, previous, head)


def _check_step(scope: Scope, previous: Head, head: Head) -> None:
    """L3: epochs never go down and a claim shuts out.  L4: seq grows by one, history is kept."""
    if head.epoch < previous.epoch:
        fail("L3", f"head {scope}: epoch {head.epoch} after {previous.epoch}")
    if head.epoch == previous.epoch and head.nonce != previous.nonce:
        fail("L3", f"head {scope}: epoch {head.epoch} of two nonces")
    step = 1 if head.kind is HeadKind.COMMIT else 0
    if head.seq != previous.seq + step:
        fail("L4", f"head {scope}: seq {head.seq} after {previous.seq} ({head.kind})")
    if head.recent[step:] != previous.recent[: heads.RECENT - step]:
        fail("L4", f"head {scope}: recent lost a commit")


def _check_tombstones(log: Log, scope: Scope, previous: Head, head: Head) -> None:
    """S3, S4: a path that a head spoke of goes on being spoken of, if only as gone; tombstones of
    these few minutes are not old enough to be dropped."""
    before, after = log.contents(previous), log.contents(head)
    for path in before.keys() - after.keys():
        if not heads.masked(path, head.children):
            fail("S3", f"head {scope}: seq {head.seq} dropped {path} without a tombstone")
    for path, record in after.items():
        known = before.get(path)
        swept = isinstance(record, Tombstone) and record.swept
        if swept and not isinstance(known, Tombstone):
            fail("S7", f"head {scope}: {path} is committed as swept already")


def check_news(log: Log, history: History) -> None:
    """S3, S4: a machine commits or deletes a path only because its users did something there; what
    merely lies in a cache, or is missing from it, is no news.  The tombstone of an orphan that is
    swept is: it buries nothing that a head has."""
    sent: dict[tuple[str, CachePath], list[float]] = {}
    latest: dict[CachePath, Record] = {}
    for mutation, path, record in _news(log):
        old, latest[path] = latest.get(path), record
        if isinstance(record, Tombstone) and record.sha256 is None:
            if isinstance(old, Entry):
                fail("S4", f"{mutation.node} sweeps {path}, of which a head has {old.sha256}")
            continue
        before = sent.setdefault((mutation.node, path), [])
        # What a push sends it has seen after the commit before the last one was sent.
        since = before[-2] if len(before) > 1 else float("-inf")
        before.append(mutation.sent_at)
        touches = history.touches.get((mutation.node, path), [])
        if path in PATHS and not any(since <= at <= mutation.sent_at for at in touches):
            what = f"{mutation.node}.{mutation.life} committed {path} at {mutation.time:.3f}"
            fail("S3", f"{what}, and nobody there did anything to it")


def check_resurrection(log: Log, history: History) -> None:
    """S3: a content that was deleted does not come back by a machine that had committed it before
    and whose users did nothing at that path since."""
    committed: dict[tuple[str, CachePath, str], float] = {}
    deleted: dict[tuple[CachePath, str | None], float] = {}
    for mutation, path, record in _news(log):
        if isinstance(record, Tombstone):
            deleted[path, record.sha256] = mutation.time
            continue
        mine = (mutation.node, path, record.sha256)
        before, gone = committed.get(mine), deleted.get((path, record.sha256))
        if before is not None and gone is not None and before < gone:
            touches = history.touches.get((mutation.node, path), [])
            if not any(before <= at <= mutation.time for at in touches):
                fail("S3", f"{mutation.node} brought back {path}, deleted at {gone:.3f}")
        committed[mine] = mutation.sent_at


def _news(log: Log) -> Iterator[tuple[Mutation, CachePath, Record]]:
    """Each row that a commit brought, in the order of all commits."""
    commits = sorted(
        (
            (mutation, head)
            for history in log.heads.values()
            for mutation, head in history
            if head.kind is HeadKind.COMMIT
        ),
        key=lambda write: write[0].number,
    )
    seen: set[Wid] = set()
    for mutation, head in commits:
        parts = [head.delta, *(log.manifests.get(ref.wid, {}) for ref in head.manifests)]
        for part in parts:
            for path, record in part.items():
                if record.wid not in seen:
                    seen.add(record.wid)
                    yield mutation, path, record


def check_intents(world: World, log: Log, history: History) -> None:
    """S6: a commit that lands is one that its machine's journal asks after, so that base is not
    what it was before.  Join mode asks after none: what it has looked at no commit of the life
    before changes."""
    for mutation, head in log.new_heads:
        if head.kind is not HeadKind.COMMIT:
            continue
        node = next(node for node in world.nodes if node.name == mutation.node)
        if node.disk.connection.read(partial(_asks_after, wid=head.wid)):
            continue
        what = f"{mutation.node}.{mutation.life}: a commit of {head.scope} landed"
        replaced = history.replaced.get(node.name)
        if replaced is None:
            fail("S6", f"{what}, and its journal does not know of it")
        known = node.disk.connection.read(rows.all_base_paths)
        for path in replaced.files & head.delta.keys() & set(known):
            if history.touched[node.name, path] <= replaced.time:
                fail("S6", f"{what} after join mode had looked at {path}")


def _asks_after(tx: Transaction, wid: Wid) -> bool:
    return bool(list(tx.execute("SELECT 1 FROM commit_intent WHERE wid = ?", (wid,))))


def check_acknowledged(log: Log, history: History) -> None:
    """S12, L4: after an acknowledged push all bytes written before were in a committed head."""
    committed = _ever_committed(log)
    for told in history.acknowledged:
        for name, content in told.files.items():
            if committed.get((name, digest(content)), float("inf")) > told.time:
                what = f"{name} {content[:24]!r} is in no head"
                fail("S12", f"{told.node} was told that {told.scope} is pushed, {what}")


def _ever_committed(log: Log) -> dict[tuple[str, str], float]:
    """When each (path, digest) was first in a head or in a manifest that it names."""
    found: dict[tuple[str, str], float] = {}
    named: dict[Wid, float] = {}

    def take(records: Mapping[CachePath, Record], time: float) -> None:
        for path, record in records.items():
            if isinstance(record, Entry):
                first = found.setdefault((path, record.sha256), time)
                found[path, record.sha256] = min(first, time)

    for history in log.heads.values():
        for mutation, head in history:
            take(head.delta, mutation.time)
            pending = [c.pending for c in head.children.values() if isinstance(c.pending, str)]
            for wid in (*(ref.wid for ref in head.manifests), *map(Wid, pending)):
                if named.setdefault(wid, mutation.time) == mutation.time:
                    take(log.manifests.get(wid, {}), mutation.time)
    return found


def check_failed(log: Log, history: History) -> None:
    """L5: what a push that was reported failed tried to commit is in no later head.

    Only pushes beside which no other of that daemon ran: else a commit may be the other's.
    """
    for failed in history.failed:
        beside = [
            life
            for life, began, ended in history.pushes
            if life == failed.life and began <= failed.ended and ended >= failed.began
        ]
        if len(beside) > 1:
            continue
        for mutation, head in log.heads.get(Scope(failed.scope), ()):
            mine = f"{mutation.node}.{mutation.life}" == failed.life
            tried = failed.began <= mutation.sent_at <= failed.ended
            if mine and tried and head.kind is HeadKind.COMMIT:
                fail("L5", f"{failed.life}: a commit of a push that was reported failed landed")
