"""The store's log, read as the documents it made: each mutation is read once, when it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swampd.domain import codec, heads, leases, scopes
from swampd.domain.codec import DecodedHead, Manifest
from swampd.domain.entries import Entry, Record
from swampd.domain.leases import LockRecord, LockState
from swampd.domain.metadata import is_wid
from swampd.domain.paths import PathProblem, parse_cache_path
from swampd.domain.values import CachePath, Nonce, RemoteKey, Scope, Wid
from tests.sim.checks.violations import fail

if TYPE_CHECKING:
    from swampd.domain.heads import Head
    from tests.sim.store import Mutation
    from tests.sim.world import World


@dataclass(frozen=True, slots=True)
class Plain:
    """A mutation of a plain key."""

    mutation: Mutation
    path: CachePath


class Log:
    """What was written, by what it is; `update` takes in what is new."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen = 0
        self.locks: dict[Scope, list[tuple[Mutation, LockRecord]]] = {}
        self.heads: dict[Scope, list[tuple[Mutation, Head]]] = {}
        self.manifests: dict[Wid, dict[CachePath, Record]] = {}
        self.payload: list[Plain] = []
        self.gone: set[Wid] = set()
        """Manifests and staged copies that were deleted."""
        self.new_heads: list[tuple[Mutation, Head]] = []
        """Those that the last `update` read."""
        self.until: dict[Nonce, float] = {}
        """When an acquisition lapses by its holder's clock, by what of it is in the store."""
        self.journalled: dict[Nonce, float] = {}
        """The deadlines that were looked up in the journals."""

    def update(self) -> list[Plain]:
        """Read what was written since; the plain keys among it."""
        new = self._world.network.log[self._seen :]
        self._seen += len(new)
        before = len(self.payload)
        self.new_heads = []
        for mutation in new:
            self._take(mutation, RemoteKey(mutation.key))
        return self.payload[before:]

    def _take(self, mutation: Mutation, key: RemoteKey) -> None:
        """S9: every key is one of a known kind.  L10: locks, heads and layout are never deleted."""
        keys = self._world.keys
        if key.startswith(keys.locks):
            self._take_lock(mutation, key)
        elif key.startswith(keys.heads):
            self._take_head(mutation, key)
        elif key == keys.layout and not self._world.set_up and mutation.operation == "create":
            self._world.set_up = True
        elif key == keys.layout:
            fail("L10", f"the layout was written by {mutation.operation} of a daemon")
        elif key.startswith("_control/"):
            self._take_part(mutation, key)
        elif isinstance(parse_cache_path(key), PathProblem):
            fail("S9", f"{mutation.operation} of {key}, which is no cache path")
        else:
            self.payload.append(Plain(mutation, CachePath(key)))

    def _take_lock(self, mutation: Mutation, key: RemoteKey) -> None:
        scope = self._world.keys.scope_of(key)
        record = codec.decode_lock(mutation.body or b"", scope) if scope else None
        if mutation.body is None or not isinstance(record, LockRecord) or scope is None:
            fail("L10", f"{key} was deleted or damaged by {mutation.operation}")
        else:
            self.locks.setdefault(scope, []).append((mutation, record))
            if record.state is LockState.HELD:
                sent = self._world.network.first_sent.get(mutation.body, mutation.sent_local)
                until = sent + leases.lifetime_s(record.ttl_ms)
                self.until[record.nonce] = max(until, self.until.get(record.nonce, until))

    def _take_head(self, mutation: Mutation, key: RemoteKey) -> None:
        scope = self._world.keys.scope_of(key)
        decoded = codec.decode_head(mutation.body or b"", scope) if scope else None
        if mutation.body is None or not isinstance(decoded, DecodedHead) or scope is None:
            fail("L10", f"{key} was deleted or damaged by {mutation.operation}")
        else:
            self.heads.setdefault(scope, []).append((mutation, decoded.head))
            self.new_heads.append((mutation, decoded.head))

    def _take_part(self, mutation: Mutation, key: RemoteKey) -> None:
        """A manifest or a staged copy."""
        wid = Wid(key.rpartition("/")[2].removesuffix(".json.gz"))
        keys = self._world.keys
        if not is_wid(wid) or key not in (keys.manifest(wid), keys.staged(wid), keys.probe(wid)):
            fail("S9", f"{mutation.operation} of {key}, which is no known kind of key")
        if mutation.operation.startswith("delete"):
            self.gone.add(wid)
        if key == keys.manifest(wid) and mutation.body is not None:
            manifest = codec.decode_manifest(mutation.body, scopes.ALL)
            if isinstance(manifest, Manifest):
                self.manifests[wid] = manifest.entries

    def named(self, *, long_since: bool = False) -> set[Wid]:
        """The manifests and staged copies that are named now; `long_since`: what moved to a child
        whose head has been made since too, as long as its parent says so."""
        latest = [history[-1][1] for history in self.heads.values()]
        children = [child for head in latest for child in head.children.items()]
        wids = {ref.wid for head in latest for ref in head.manifests}
        wids |= {
            Wid(state.pending)
            for child, state in children
            if isinstance(state.pending, str) and (long_since or self.now(child) is None)
        }
        redos = (entry.redo for entry in self.entries().values())
        return wids | {redo.staged for redo in redos if redo is not None and redo.staged}

    # --- what the heads say ---------------------------------------------------------------------

    def now(self, scope: Scope) -> Head | None:
        """The head of a scope as it is now."""
        history = self.heads.get(scope)
        return history[-1][1] if history else None

    def record(self, path: CachePath) -> Record | None:
        """What the heads say of a path now."""
        top = self.now(scopes.top_of(path))
        if top is None:
            return None
        for child, state in top.children.items():
            if scopes.contains(child, path):
                head = self.now(child)
                if head is not None:
                    return self.in_head(head, path)
                moved = state.pending
                return self.manifests[Wid(moved)].get(path) if isinstance(moved, str) else None
        return self.in_head(top, path)

    def in_head(self, head: Head, path: CachePath) -> Record | None:
        """What one head says of a path, masks aside."""
        if path in head.delta:
            return head.delta[path]
        for ref in head.manifests:
            found = self.manifests.get(ref.wid, {}).get(path)
            if found is not None:
                return found
        return None

    def contents(self, head: Head) -> dict[CachePath, Record]:
        """Everything that a head says, independently of the engine's incremental way."""
        found: dict[CachePath, Record] = {}
        for ref in reversed(head.manifests):
            if ref.wid not in self.manifests:
                fail("S7", f"manifest {ref.wid} of {head.scope} is damaged or was never there")
            found.update(self.manifests[ref.wid])
        found.update(head.delta)
        return {p: r for p, r in found.items() if not heads.masked(p, head.children)}

    def entries(self) -> dict[CachePath, Entry]:
        """All entries of all heads now, and of what was moved to children without a head yet."""
        latest = [history[-1][1] for history in self.heads.values()]
        waiting = [
            self.manifests.get(Wid(state.pending), {})
            for head in latest
            for child, state in head.children.items()
            if isinstance(state.pending, str) and self.now(child) is None
        ]
        return {
            path: record
            for records in (*map(self.contents, latest), *waiting)
            for path, record in records.items()
            if isinstance(record, Entry)
        }
