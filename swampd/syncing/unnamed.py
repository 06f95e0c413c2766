"""What of a datastore no head names: orphans of crashed pushes, staged copies and manifests that a
later commit left behind, tombstones that nobody needs any more (section 4).

Reads only; `compacting` deletes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from swampd.domain import heads, scopes
from swampd.domain.entries import Entry, Tombstone
from swampd.domain.metadata import read_mark
from swampd.domain.outcomes import Found
from swampd.domain.paths import PathProblem, never_synced, parse_cache_path
from swampd.indexing import ledger as heads_ledger
from swampd.indexing import rows
from swampd.syncing import ledger
from swampd.syncing.scoping import scopes_of
from swampd.waiting import for_each

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping

    from swampd.domain.values import CachePath, RemoteKey, Scope, Wid
    from swampd.ports import Transaction
    from swampd.syncing.context import Sync

BATCH: Final = 1_000
"""So many listed paths are looked up at a time."""
COUNTS: Final = ("orphans", "staged", "manifests", "tombstones", "size", "foreign")


@dataclass(slots=True)
class Compacted:
    """What was done, or would be."""

    orphans: int = 0
    """Objects of crashed pushes at plain keys."""
    staged: int = 0
    manifests: int = 0
    tombstones: int = 0
    """Dropped from heads."""
    size: int = 0
    """Bytes of the deleted objects."""
    foreign: int = 0
    """Objects at plain keys that swampd did not write: they are left alone."""
    left: dict[Scope, str] = field(default_factory=dict)
    """Scopes that were left as they are, and why; `*`: staged copies and manifests."""

    def counts(self) -> dict[str, int]:
        """The numbers by name."""
        return {name: getattr(self, name) for name in COUNTS}


class Object(NamedTuple):
    """One row of a listing."""

    key: RemoteKey
    size: int


@dataclass(slots=True)
class Listing:
    """What is in the store."""

    plain: dict[CachePath, Object] = field(default_factory=dict)
    locked: set[Scope] = field(default_factory=set)
    """Scopes that have a lock record: who makes the first head of one has locked it before."""
    strange: int = 0
    """Keys outside `_control/` that no path of a cache is spelt as."""


async def would_compact(sync: Sync) -> Compacted:
    """What `Compactor` would do now; nothing is locked or written."""
    listed, failed = await look(sync)
    found = Compacted(foreign=listed.strange, left=failed)
    for scope, paths in (await at_plain_keys(sync, listed.plain)).items():
        if scope not in failed:
            orphans = await ours(sync, paths)
            found.foreign += len(paths) - len(orphans)
            found.orphans += len(orphans)
            found.size += sum(listed.plain[path].size for path in orphans)
    for scope in await sync.journal.read(heads_ledger.known_scopes):
        if scope not in failed:
            found.tombstones += len(await forgettable(sync, scope))
    if not failed:
        count(sync, found, (await in_control(sync)).values())
    return found


async def look(sync: Sync) -> tuple[Listing, dict[Scope, str]]:
    """Everything in the store, then every head (so that what is written in between is named); the
    scopes whose heads cannot be read, and why."""
    listed = Listing()
    async for row in _every(sync, sync.keys.all):
        _sort_in(sync, listed, row)
    refreshed = await sync.reader.refresh_all()
    return listed, {scope: error.summary for scope, error in refreshed.failed.items()}


def _sort_in(sync: Sync, listed: Listing, one: Object) -> None:
    keys = sync.keys
    if keys.is_control(one.key):
        scope = keys.scope_of(one.key) if one.key.startswith(keys.locks) else None
        if scope is not None and scope != scopes.ALL:
            listed.locked.add(scope)
        return
    spelt = keys.path_of(one.key) or ""
    path = parse_cache_path(spelt, prefix_bytes=keys.prefix_bytes)
    if never_synced(spelt):
        return
    if isinstance(path, PathProblem):
        listed.strange += 1
    else:
        listed.plain[path] = one


async def in_control(sync: Sync) -> dict[Wid, Object]:
    """The staged copies and manifests that no head names, as the journal knows the heads."""
    found: dict[Wid, Object] = {}
    for area in (sync.keys.stagings, sync.keys.manifests):
        async for row in _every(sync, area):
            wid = sync.keys.wid_of(row.key)
            if wid is not None:
                found[wid] = row
    known = await sync.journal.read(named)
    return {wid: one for wid, one in found.items() if wid not in known}


async def _every(sync: Sync, prefix: RemoteKey) -> AsyncIterator[Object]:
    after: str | None = None
    while True:
        page = await sync.store.list(prefix, after)
        for row in page.rows:
            yield Object(row.key, row.size)
        after = page.after
        if after is None:
            return


def count(sync: Sync, done: Compacted, gone: Iterable[Object]) -> None:
    """Count staged copies and manifests that are gone."""
    for one in gone:
        if one.key.startswith(sync.keys.stagings):
            done.staged += 1
        else:
            done.manifests += 1
        done.size += one.size


async def at_plain_keys(
    sync: Sync, plain: Mapping[CachePath, Object]
) -> dict[Scope, list[CachePath]]:
    """Those of which no head says that they are there, or still have to go."""
    found: dict[Scope, list[CachePath]] = {}
    paths = sorted(plain)
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]

        def work(tx: Transaction, batch: list[CachePath] = batch) -> dict[Scope, list[CachePath]]:
            records = rows.remotes(tx, batch)
            return scopes_of(tx, [p for p in batch if _is_unnamed(records.get(p))])

        for scope, some in (await sync.journal.read(work)).items():
            found.setdefault(scope, []).extend(some)
    return found


def _is_unnamed(record: Entry | Tombstone | None) -> bool:
    """No row, or a tombstone that is done with: what is there has landed late."""
    return record is None or (isinstance(record, Tombstone) and record.swept)


async def ours(sync: Sync, paths: Collection[CachePath]) -> list[CachePath]:
    """Those that swampd has written; the others are foreign."""
    found: list[CachePath] = []

    async def one(path: CachePath) -> None:
        there = await sync.store.head(sync.keys.payload(path))
        if isinstance(there, Found) and read_mark(path, there.metadata) is not None:
            found.append(path)

    await for_each(paths, one, sync.store.capabilities.side_by_side)
    return sorted(found)


def still_unnamed(tx: Transaction, paths: Iterable[CachePath]) -> list[CachePath]:
    """Those that nobody named meanwhile, and of which no request of ours is open."""
    chosen = list(paths)
    records = rows.remotes(tx, chosen)
    return [
        path
        for path in chosen
        if _is_unnamed(records.get(path)) and not ledger.path_in_doubt(tx, path)
    ]


def swept(tx: Transaction, paths: Iterable[CachePath]) -> list[CachePath]:
    """Those of which the head says that their plain key is gone."""
    records = rows.remotes(tx, paths)
    return [p for p, record in records.items() if isinstance(record, Tombstone) and record.swept]


async def forgettable(sync: Sync, scope: Scope) -> list[CachePath]:
    """The tombstones of a scope that nobody needs any more."""
    now_ms = sync.clock.wall_ms()

    def work(tx: Transaction) -> list[CachePath]:
        found = rows.remote_in(tx, scope)
        return [path for path, record in found.items() if heads.may_forget(record, now_ms)]

    return await sync.journal.read(work)


def named(tx: Transaction) -> set[Wid]:
    """The manifests and staged copies that some head names."""
    found: set[Wid] = set()
    for scope in heads_ledger.known_scopes(tx):
        known = heads_ledger.known_head(tx, scope)
        if known is not None:
            found.update(ref.wid for ref in known.head.manifests)
            pending = (child.pending for child in known.head.children.values())
            found.update(wid for wid in pending if isinstance(wid, str))
    for record in rows.all_pending(tx).values():
        if isinstance(record, Entry) and record.redo is not None and record.redo.staged is not None:
            found.add(record.redo.staged)
    return found
