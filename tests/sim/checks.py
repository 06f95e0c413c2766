"""The invariants of PROTOCOLS section 9, over the store's log, the users' reports, the final trees.

Every check can fail: `tests/sim/mutants.py` shows a broken engine for each family.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swampd.domain import codec, heads, leases, scopes
from swampd.domain.codec import DecodedHead, Manifest
from swampd.domain.entries import Entry, Record
from swampd.domain.heads import Head, HeadKind
from swampd.domain.leases import LockRecord, LockState
from swampd.domain.levels import Want, exclude
from swampd.domain.metadata import read_mark
from swampd.domain.values import CachePath, Epoch, RemoteKey, Scope, Wid
from swampd.indexing import rows
from swampd.syncing import ledger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampd.indexing.rows import Base
    from swampd.ports import Transaction
    from swampd.stores.memory import MemoryObjects
    from tests.sim.store import Mutation
    from tests.sim.users import History
    from tests.sim.world import World


class Violation(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant


def fail(invariant: str, detail: str) -> None:
    """Report a broken invariant."""
    raise Violation(invariant, detail)


# --- while it runs --------------------------------------------------------------------------------


class Payload:
    """S7, at every instant: what the heads say of a path can be read after each change of its
    plain key, whoever's request that was and however late it landed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._manifests: dict[Wid, dict[CachePath, Record]] = {}
        self._seen = 0

    def check(self) -> None:
        """Look at the mutations since the last call."""
        log = self._world.network.log
        for mutation in log[self._seen :]:
            if not mutation.key.startswith("_control/"):
                self._check_path(CachePath(mutation.key), mutation)
        self._seen = len(log)

    def _check_path(self, path: CachePath, mutation: Mutation) -> None:
        record = self._record(path)
        objects = self._world.network.objects
        if isinstance(record, Entry) and not _can_be_read(self._world, objects, path, record):
            fail("S7", f"{path} cannot be read after {mutation.operation} by {mutation.node}")

    def _record(self, path: CachePath) -> Record | None:
        top = self._head(scopes.top_of(path))
        if top is None:
            return None
        for child, state in top.children.items():
            if scopes.contains(child, path):
                head = self._head(child)
                if head is not None:
                    return self._in_head(head, path)
                pending = state.pending
                return (
                    self._rows(Wid(pending), child).get(path) if isinstance(pending, str) else None
                )
        return self._in_head(top, path)

    def _head(self, scope: Scope) -> Head | None:
        stored = self._world.network.objects.look(self._world.keys.head(scope))
        decoded = codec.decode_head(stored.body, scope) if stored is not None else None
        return decoded.head if isinstance(decoded, DecodedHead) else None

    def _in_head(self, head: Head, path: CachePath) -> Record | None:
        if path in head.delta:
            return head.delta[path]
        for ref in head.manifests:
            record = self._rows(ref.wid, head.scope).get(path)
            if record is not None:
                return record
        return None

    def _rows(self, wid: Wid, scope: Scope) -> dict[CachePath, Record]:
        if wid not in self._manifests:
            stored = self._world.network.objects.look(self._world.keys.manifest(wid))
            manifest = codec.decode_manifest(stored.body, scope) if stored is not None else None
            self._manifests[wid] = manifest.entries if isinstance(manifest, Manifest) else {}
        return self._manifests[wid]


def check_holders(world: World) -> None:
    """L6: no two machines are `valid()` on one scope, or on a gate and something below it."""
    valid = [
        (node.name, Want(lease.scope, lease.record.covers is scopes.Covers.TREE), lease)
        for node in world.nodes
        if node.life is not None
        for lease in node.life.workspace.keeper.held
        if lease.valid()
    ]
    for i, (name, want, one) in enumerate(valid):
        for other_name, other, two in valid[i + 1 :]:
            if name != other_name and exclude(want, other):
                fail("L6", f"{name} {want} e{one.epoch} and {other_name} {other} e{two.epoch}")


# --- the log --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Log:
    """The store's log, read as the documents it made."""

    locks: dict[Scope, list[tuple[Mutation, LockRecord]]] = field(default_factory=dict)
    heads: dict[Scope, list[tuple[Mutation, Head]]] = field(default_factory=dict)
    manifests: dict[Wid, bytes] = field(default_factory=dict)
    payload: list[Mutation] = field(default_factory=list)


def read_log(world: World) -> Log:
    """Sort the mutations by what they are."""
    log, keys = Log(), world.keys
    for mutation in world.network.log:
        key = RemoteKey(mutation.key)
        if key.startswith(keys.locks):
            scope = keys.scope_of(key)
            record = codec.decode_lock(mutation.body or b"", scope) if scope else None
            if mutation.body is None or not isinstance(record, LockRecord):
                fail("L10", f"{key} was deleted or damaged by {mutation.operation}")
            elif scope:
                log.locks.setdefault(scope, []).append((mutation, record))
        elif key.startswith(keys.heads):
            scope = keys.scope_of(key)
            decoded = codec.decode_head(mutation.body or b"", scope) if scope else None
            if mutation.body is None or not isinstance(decoded, DecodedHead):
                fail("L10", f"{key} was deleted or damaged by {mutation.operation}")
            elif scope:
                log.heads.setdefault(scope, []).append((mutation, decoded.head))
        elif "/manifests/" in key and mutation.body is not None:
            log.manifests[Wid(key.rpartition("/")[2].removesuffix(".json.gz"))] = mutation.body
        elif not key.startswith("_control/"):
            log.payload.append(mutation)
    return log


def check_locks(log: Log) -> None:
    """L1 epochs never go down, each acquisition is higher; L2 one epoch, one nonce; L8; L9."""
    for scope, history in log.locks.items():
        bodies: set[bytes] = set()
        nonces: dict[Epoch, str] = {}
        previous: LockRecord | None = None
        doubted: dict[Epoch, float] = {}
        for mutation, record in history:
            if record.in_doubt is not None:
                doubted.setdefault(record.in_doubt, mutation.time)
            if mutation.body in bodies:
                fail("L9", f"lock {scope}: the same bytes twice, {record}")
            bodies.add(mutation.body or b"")
            if nonces.setdefault(record.epoch, record.nonce) != record.nonce:
                fail("L2", f"lock {scope}: epoch {record.epoch} has two nonces")
            if previous is not None:
                same = previous.nonce == record.nonce
                if record.epoch < previous.epoch or (not same and record.epoch == previous.epoch):
                    fail("L1", f"lock {scope}: epoch {record.epoch} after {previous.epoch}")
                if not same and record.state is not LockState.HELD:
                    fail("L8", f"lock {scope}: {record.state} of a nonce that is not there")
                since = doubted.get(previous.epoch)
                if since is None or mutation.time - since < leases.HORIZON_S * 0.98:
                    _check_doubt(scope, previous, record, same=same)
            previous = record


def _check_doubt(scope: Scope, previous: LockRecord, record: LockRecord, *, same: bool) -> None:
    """A take-over carries its predecessor's epoch as in doubt, unless that was said long ago."""
    if same or previous.state is LockState.FREE:
        return
    if record.in_doubt is None or record.in_doubt < previous.epoch:
        fail("S7", f"lock {scope}: epoch {record.epoch} took over without in_doubt")


def check_heads(log: Log) -> None:
    """L3 epochs never go down and a claim shuts out; L4 seq and history; L9."""
    for scope, history in log.heads.items():
        bodies: set[bytes] = set()
        previous: Head | None = None
        for mutation, head in history:
            if mutation.body in bodies:
                fail("L9", f"head {scope}: the same bytes twice")
            bodies.add(mutation.body or b"")
            if previous is not None:
                if head.epoch < previous.epoch:
                    fail("L3", f"head {scope}: epoch {head.epoch} after {previous.epoch}")
                if head.epoch == previous.epoch and head.nonce != previous.nonce:
                    fail("L3", f"head {scope}: epoch {head.epoch} of two nonces")
                step = 1 if head.kind is HeadKind.COMMIT else 0
                if head.seq != previous.seq + step:
                    fail("L4", f"head {scope}: seq {head.seq} after {previous.seq} ({head.kind})")
                kept = previous.recent[: heads.RECENT - step]
                if head.recent[step:] != kept:
                    fail("L4", f"head {scope}: recent lost a commit")
            previous = head


def contents(head: Head, manifests: dict[Wid, bytes]) -> dict[CachePath, Record]:
    """Everything that a head says, independently of the engine's incremental way."""
    found: dict[CachePath, Record] = {}
    for ref in reversed(head.manifests):
        manifest = codec.decode_manifest(manifests[ref.wid], head.scope)
        if not isinstance(manifest, Manifest):
            fail("S7", f"manifest {ref.wid} of {head.scope} is damaged")
        else:
            found.update(manifest.entries)
    found.update(head.delta)
    return {p: r for p, r in found.items() if not heads.masked(p, head.children)}


def digests_in_heads(world: World) -> set[str]:
    """The digests of all contents that the heads have now."""
    log = read_log(world)
    return {
        record.sha256
        for history in log.heads.values()
        for record in contents(history[-1][1], log.manifests).values()
        if isinstance(record, Entry)
    }


def check_readable(world: World, log: Log) -> None:
    """S7: each entry's content can be read, redo or plain, as the store is now."""
    objects = world.network.objects
    for scope, history in log.heads.items():
        head = history[-1][1]
        for path, record in contents(head, log.manifests).items():
            if isinstance(record, Entry) and not _can_be_read(world, objects, path, record):
                fail("S7", f"{scope}: the content of {path} ({record}) cannot be read")


def _can_be_read(world: World, objects: MemoryObjects, path: CachePath, entry: Entry) -> bool:
    if entry.redo is not None:
        if entry.redo.inline is not None:
            return digest(entry.redo.inline) == entry.sha256
        staged = objects.look(world.keys.staged(entry.redo.staged or Wid("")))
        return staged is not None and digest(staged.body) == entry.sha256
    stored = objects.look(world.keys.payload(path))
    if stored is None or entry.token is None or not objects.same(stored.token, entry.token):
        return False
    return digest(stored.body) == entry.sha256


def digest(body: bytes) -> str:
    """sha256, as entries have it."""
    return hashlib.sha256(body).hexdigest()


def check_sent_in_time(world: World, log: Log) -> None:
    """L7, L13: whatever changed the store was sent while its epoch's lease had time left, by the
    sender's own clock and by the lock writes that were in the store then."""
    for scope, history in log.heads.items():
        for mutation, head in history:
            _check_sent(world, log, scope, mutation, head.epoch, f"head {scope}")
    for mutation in log.payload:
        mark = read_mark(CachePath(mutation.key), mutation.metadata)
        if mark is not None:
            wanted = {s for s in log.locks if scopes.contains(s, mutation.key)}
            for scope in wanted:
                if any(record.epoch == mark.epoch for _, record in log.locks[scope]):
                    break
            else:
                fail("L7", f"{mutation.key}: no lock of epoch {mark.epoch} was ever there")


def _check_sent(
    world: World, log: Log, scope: Scope, mutation: Mutation, epoch: Epoch, what: str
) -> None:
    del world
    until = float("-inf")
    for write, record in log.locks.get(scope, ()):
        same_life = (write.node, write.life) == (mutation.node, mutation.life)
        if record.epoch == epoch and same_life and record.state is LockState.HELD:
            until = max(until, write.sent_local + leases.lifetime_s(record.ttl_ms))
    if mutation.sent_local >= until + 0.001:
        fail("L7", f"{what}: e{epoch} sent at {mutation.sent_local:.3f}, lease until {until:.3f}")


# --- the end --------------------------------------------------------------------------------------


def check_converged(world: World, log: Log) -> None:
    """S1, S3: every tree equals the heads; the plain keys equal them too."""
    wanted: dict[str, str] = {}
    for history in log.heads.values():
        for path, record in contents(history[-1][1], log.manifests).items():
            if isinstance(record, Entry):
                wanted[path] = record.sha256
    for node in world.nodes:
        here = {p: digest(c) for p, c in node.tree.files().items()}
        if here != wanted:
            fail("S1", f"{node.name} differs from the heads: {_difference(here, wanted)}")
    plain = {
        row.key: digest(world.network.objects.look(row.key).body)  # type: ignore[union-attr]
        for row in world.network.objects.list(RemoteKey("")).rows
        if not row.key.startswith("_control/")
    }
    for key in plain.keys() - wanted.keys():
        if not _is_orphan(world, key):
            fail("S3", f"plain key {key} is there and no head has it")
    missing = {k for k, v in wanted.items() if plain.get(RemoteKey(k)) != v}
    if missing:
        fail("S1", f"plain keys are not brought up: {sorted(missing)}")


def _is_orphan(world: World, key: str) -> bool:
    """An object of a push that never committed (or of a late request): invisible, and ours, so
    that compact may sweep it."""
    stored = world.network.objects.look(RemoteKey(key))
    return stored is not None and read_mark(CachePath(key), stored.metadata) is not None


def _difference(here: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    return "; ".join(
        f"{path} here={str(here.get(path))[:6]} head={str(wanted.get(path))[:6]}"
        for path in sorted(here.keys() | wanted.keys())
        if here.get(path) != wanted.get(path)
    )


def check_nothing_lost(world: World, log: Log, history: History) -> None:
    """S2: a finished write is in a cache, the heads, a conflict copy or trash, or somebody who
    had seen it wrote over it."""
    kept: set[str] = set()
    for node in world.nodes:
        kept |= {digest(c) for c in node.tree.files().values()}
        kept |= {digest(c) for c in node.tree.private_files().values()}
    for head_history in log.heads.values():
        for record in contents(head_history[-1][1], log.manifests).values():
            if isinstance(record, Entry):
                kept.add(record.sha256)
    for content, path in history.written.items():
        if content not in history.superseded and digest(content) not in kept:
            fail("S2", f"{content[:40]!r} written to {path} is nowhere")


def check_acknowledged(log: Log, history: History) -> None:
    """S12, L4: after an acknowledged push all bytes written before were in a committed head."""
    committed = _ever_committed(log)
    for told in history.acknowledged:
        for name, content in told.files.items():
            if committed.get((name, digest(content)), float("inf")) > told.time:
                what = f"{name} {content[:24]!r} is in no head"
                fail("S12", f"{told.node} was told that {told.scope} is pushed, {what}")


def _ever_committed(log: Log) -> dict[tuple[str, str], float]:
    """When each (path, digest) was first in a head; 0 for what was only seen in a manifest."""
    found: dict[tuple[str, str], float] = {}

    def take(records: Mapping[CachePath, Record], time: float) -> None:
        for path, record in records.items():
            if isinstance(record, Entry):
                found.setdefault((path, record.sha256), time)

    for history in log.heads.values():
        for mutation, head in history:
            take(head.delta, mutation.time)
    for raw in log.manifests.values():
        manifest = codec.decode_manifest(raw, scopes.ALL)
        if isinstance(manifest, Manifest):
            take(manifest.entries, 0.0)
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


def check_clean(world: World) -> None:
    """S5: base equals the head wherever a path counts as applied, and the file is that of base."""
    for node in world.nodes:
        files = node.tree.files()
        for path, base, record in node.disk.connection.read(_applied):
            if not isinstance(record, Entry) or record.content != base.content:
                fail("S5", f"{node.name}: {path} counts as clean and is not that of the head")
            if path in files and digest(files[path]) != base.content.sha256:
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


def check_open(world: World) -> None:
    """S6: nothing is left under way when all is quiet."""
    for node in world.nodes:
        open_commits = node.disk.connection.read(ledger.commits)
        if open_commits:
            fail("S6", f"{node.name} still has open commits of {open_commits[0].scope}")


def check_all(world: World, history: History) -> None:
    """Everything that can be said after quiescence."""
    log = read_log(world)
    check_locks(log)
    check_heads(log)
    check_sent_in_time(world, log)
    check_readable(world, log)
    check_acknowledged(log, history)
    check_failed(log, history)
    check_nothing_lost(world, log, history)
    check_converged(world, log)
    check_clean(world)
    check_open(world)
