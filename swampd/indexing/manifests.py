"""The immutable parts of heads: reading the unseen ones, folding an overflowing delta.

A commit costs what it changed: a delta over its limit becomes a manifest, neighbours are merged
while the newer is larger than half the older, and readers fetch only what they have not seen.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from swampd.domain import codec, heads
from swampd.domain.codec import Damaged, Manifest, TooNew
from swampd.domain.entries import Tombstone
from swampd.domain.outcomes import Applied, Found, Unknown
from swampd.domain.values import Seq, Wid
from swampd.errors import DamagedObject, SchemaTooNew, StoreUnavailable
from swampd.indexing import rows
from swampd.waiting import LONGEST_REST_S, asked_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampd.domain.entries import Record
    from swampd.domain.heads import Head, ManifestRef
    from swampd.domain.layout import Keys
    from swampd.domain.values import CachePath, DatastoreId, Scope
    from swampd.locking.lease import Lease
    from swampd.ports import Clock, Journal, ObjectStore, Rng, Threads


SENDINGS: Final = 4
"""So often a manifest is sent when the answers are unclear."""
PAUSE_S: Final = 0.1
log = structlog.get_logger()


class ManifestMissing(Exception):
    """A manifest that a head names is not there: the head has moved on, read it again."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A head whose delta fits again; `rows` now stand in the manifest `home`."""

    head: Head
    home: Wid | None = None
    rows: Mapping[CachePath, Record] = field(default_factory=dict)
    forgotten: tuple[CachePath, ...] = ()
    """Tombstones that were dropped."""


@dataclass(frozen=True, slots=True)
class _Encoded:
    """Rows, and the manifest that they are as it would be stored."""

    rows: dict[CachePath, Record]
    body: bytes


class Manifests:
    """Reads and writes the manifests of one datastore."""

    def __init__(
        self,
        store: ObjectStore,
        keys: Keys,
        journal: Journal,
        threads: Threads,
        clock: Clock,
        rng: Rng,
    ) -> None:
        self._store = store
        self._keys = keys
        self._journal = journal
        self._threads = threads
        self._clock = clock
        self._rng = rng

    async def read(self, wid: Wid, scope: Scope, ref: ManifestRef | None) -> tuple[Manifest, bytes]:
        """The rows of a manifest, checked against its reference, and its stored bytes.

        Raises ManifestMissing, errors.DamagedObject, errors.SchemaTooNew, errors.StoreUnavailable.
        """
        found = await self._store.get(self._keys.manifest(wid))
        if not isinstance(found, Found):
            raise ManifestMissing(wid)
        body = found.body
        manifest = await self._threads.cpu(lambda: _checked(body, scope, ref))
        if isinstance(manifest, TooNew):
            raise SchemaTooNew(
                f"manifest {wid} of {scope} has schema {manifest.schema}",
                "upgrade swampd on this machine",
                scope=scope,
            )
        if isinstance(manifest, Damaged):
            raise DamagedObject(
                f"manifest {wid} of {scope} is damaged: {manifest.reason}",
                "restore it from a version or a backup of the store, then pull again",
                scope=scope,
            )
        return manifest, body

    async def write(
        self,
        datastore_id: DatastoreId,
        scope: Scope,
        entries: dict[CachePath, Record],
        lease: Lease,
    ) -> ManifestRef:
        """A new manifest of these rows, create-only.

        Raises errors.LockLost, errors.StoreUnavailable when it may not be there.
        """
        body = await self._threads.cpu(lambda: codec.encode_manifest(datastore_id, scope, entries))
        return await self._write(body, len(entries), lease)

    async def _write(self, body: bytes, entries: int, lease: Lease) -> ManifestRef:
        wid = Wid(self._rng.uuid())
        await self._put(wid, body, lease)
        return codec.manifest_ref(wid, entries, body)

    async def _put(self, wid: Wid, body: bytes, lease: Lease) -> None:
        """Write a manifest's bytes under a fresh wid; nobody else knows the key, so finding it is
        finding ours, and sending it again is safe."""
        key = self._keys.manifest(wid)
        for attempt in range(SENDINGS):
            lease.demand()
            outcome = await self._store.create(key, body, {})
            if isinstance(outcome, Applied):
                return
            if asked := asked_s(outcome):
                await self._clock.sleep(min(asked, LONGEST_REST_S))
            found = await self._store.get(key)
            there = isinstance(found, Found) and found.body == body
            if isinstance(outcome, Unknown):
                log.info("unknown_looked_at", key=key, there=there, unknown=1)
            if there:
                return
            await self._clock.sleep(self._rng.uniform(0, PAUSE_S * 2**attempt))
        raise StoreUnavailable(
            f"a manifest of {len(body)} bytes could not be written", "try again", wid=wid
        )

    async def fold(self, head: Head, lease: Lease, *, whole: bool = False) -> Folded:
        """Make room in the delta where it is over its limit; else the head as it is.  `whole`:
        make one manifest of all, in any case, so that what may be forgotten is."""
        loose = heads.loose(head) if whole else heads.overflow(head)
        if not loose and not whole:
            return Folded(head)
        merged, kept = await self._merge(head, loose, whole=whole)
        left, dropped = await self._threads.cpu(
            lambda: _left(head, loose, merged.rows, whole=not kept, now_ms=self._clock.wall_ms())
        )
        if len(left) < len(merged.rows):
            merged = await self._encoded(head, left)
        ref = await self._write(merged.body, len(left), lease)
        forgotten = max((r.seq for r in dropped.values()), default=head.forgotten_seq)
        inline = {path: record for path, record in head.delta.items() if path not in loose}
        folded = msgspec.structs.replace(
            head,
            delta=inline,
            manifests=(ref, *kept),
            forgotten_seq=Seq(max(head.forgotten_seq, forgotten)),
        )
        return Folded(folded, ref.wid, left, tuple(dropped))

    async def _merge(
        self, head: Head, loose: dict[CachePath, Record], *, whole: bool
    ) -> tuple[_Encoded, tuple[ManifestRef, ...]]:
        """The rows of the new manifest, before some are left out, and the manifests behind it."""
        count = 0
        merged = await self._encoded(head, loose)
        if whole:
            rows = {**await self._rows_of(head, head.manifests), **loose}
            return await self._encoded(head, rows), ()
        while more := heads.neighbours_to_merge(len(merged.body), head.manifests[count:]):
            count += more
            rows = {**await self._rows_of(head, head.manifests[:count]), **loose}
            merged = await self._encoded(head, rows)
        return merged, head.manifests[count:]

    async def _encoded(self, head: Head, rows: dict[CachePath, Record]) -> _Encoded:
        body = await self._threads.cpu(
            lambda: codec.encode_manifest(head.datastore_id, head.scope, rows)
        )
        return _Encoded(rows, body)

    async def _rows_of(self, head: Head, refs: tuple[ManifestRef, ...]) -> dict[CachePath, Record]:
        """The rows whose newest value stands in one of these manifests."""
        homes = [ref.wid for ref in refs]
        return await self._journal.read(lambda tx: rows.remote_homed(tx, head.scope, homes))


def _left(
    head: Head,
    loose: Mapping[CachePath, Record],
    merged: Mapping[CachePath, Record],
    *,
    whole: bool,
    now_ms: int,
) -> tuple[dict[CachePath, Record], dict[CachePath, Tombstone]]:
    """What of the merged rows stays in the manifest, and the tombstones that are forgotten.

    Only when it takes in the oldest one may a tombstone be dropped: no older row comes back.
    A row that the delta has a newer one of, with its content inline, is not taken along: it is
    no tombstone that is forgotten.
    """
    stay: dict[CachePath, Record] = {}
    dropped: dict[CachePath, Tombstone] = {}
    for path, record in merged.items():
        if (path in head.delta and path not in loose) or heads.masked(path, head.children):
            continue
        if whole and isinstance(record, Tombstone) and heads.may_forget(record, now_ms):
            dropped[path] = record
        else:
            stay[path] = record
    return stay, dropped


def _checked(body: bytes, scope: Scope, ref: ManifestRef | None) -> Manifest | Damaged | TooNew:
    if ref is not None and hashlib.sha256(body).hexdigest() != ref.sha256:
        return Damaged("its digest is not the one that the head names")
    return codec.decode_manifest(body, scope)
