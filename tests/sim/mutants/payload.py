"""Engines whose heads or plain keys are broken."""

from __future__ import annotations

from typing import Any

import msgspec

from swampd.domain import heads
from swampd.domain.entries import Entry, Tombstone
from swampd.domain.outcomes import Rejected
from swampd.errors import PushFailed
from swampd.indexing import rows
from swampd.locking import cas
from swampd.syncing import (
    committing,
    plans,
    pushing,
    requests,
    uploading,
)
from swampd.syncing import ledger as syncing_ledger
from tests.sim import store
from tests.sim.mutants.patching import patched


def commit_without_cas() -> Any:
    """Heads are written whatever is there."""
    real = store.SimStore.replace

    async def replace(self: Any, key: Any, body: Any, token: Any, metadata: Any) -> Any:
        if "/heads/" in key:
            return await self.put(key, body, metadata)
        return await real(self, key, body, token, metadata)

    return patched((store.SimStore, "replace", replace))


def sent_without_look() -> Any:
    """What is sent is what is there now, not what the plan saw, under the plan's digest."""
    real = uploading.Uploader._read

    async def read(self: Any, item: Any) -> Any:
        found = await real(self, item)
        return (b"other bytes", item.file) if found is not None else None

    return patched((uploading.Uploader, "_read", read))


def tombstone_without_head() -> Any:
    """A plain key is deleted before the head says that it is gone."""
    real = committing.commit

    async def early(sync: Any, b: Any, lease: Any, known: Any, records: Any, files: Any) -> Any:
        for path, record in records.items():
            if not hasattr(record, "content"):
                await sync.store.delete(sync.keys.payload(path))
        return await real(sync, b, lease, known, records, files)

    return patched((pushing, "commit", early))


def redo_dropped_unseen() -> Any:
    """Redo copies are settled on nothing but hope."""
    real = syncing_ledger.mirrored

    def mirrored(tx: Any, path: Any) -> Any:
        seen, record = real(tx, path), rows.remote(tx, path)
        if seen is not None or record is None:
            return seen
        return syncing_ledger.Mirrored(record.wid, getattr(record, "token", None), sure=True)

    return patched((syncing_ledger, "mirrored", mirrored))


def recent_ignored() -> Any:
    """A writer whose reply was lost does not look for itself among the recent commits."""
    return patched((heads, "names_commit", lambda _head, _wid: False))


def resend_rejection_believed() -> Any:
    """Rejected on a second sending is taken for the fate of the first."""
    read_back, send_once = cas.Writer._read_back, cas.Writer._send_once
    said: dict[bytes, object] = {}

    async def send(self: Any, write: Any) -> Any:
        said[write.body] = answer = await send_once(self, write)
        return answer

    async def read(self: Any, write: Any, pause: float) -> Any:
        if isinstance(said.get(write.body), Rejected):
            return cas.Refused(None), pause
        return await read_back(self, write, pause)

    return patched((cas.Writer, "_send_once", send), (cas.Writer, "_read_back", read))


def commit_intent_not_journalled() -> Any:
    """What a commit is about to make true is in memory only."""
    return patched(
        (syncing_ledger, "begin_commit", lambda _tx, _intent: None),
        (syncing_ledger, "is_open", lambda _tx, _wid: True),
    )


def unknown_reported_failed() -> Any:
    """A commit without an answer is reported as failed."""
    return patched((committing, "OutcomeUnknown", PushFailed))


def half_applied_head() -> Any:
    """A push counts the head that it wrote as applied, with all that others had put in it."""

    def note_applied(tx: Any, scope: Any) -> None:
        for path in rows.unapplied_in(tx, scope):
            tx.execute("DELETE FROM unapplied WHERE path = ?", (path,))

    return patched((plans, "note_applied", note_applied))


def tombstones_dropped() -> Any:
    """A delete takes the entry out of the head, and leaves no tombstone."""
    real = heads.committed

    def committed(head: Any, stamp: Any, changes: Any) -> Any:
        after = real(head, stamp, changes)
        delta = {p: r for p, r in after.delta.items() if isinstance(r, Entry)}
        return msgspec.structs.replace(after, delta=delta)

    return patched((heads, "committed", committed))


def intents_closed_by_hope() -> Any:
    """A request whose answer never came counts as answered."""

    async def is_sure(_self: object, _path: object) -> bool:
        return True

    return patched((requests.PlainKeys, "is_sure", is_sure))


def fresh_after_tombstone() -> Any:
    """A path that was deleted is created anew on its plain key, before the commit."""
    real = uploading.Uploader._items

    def items(self: Any, tx: Any, batch: Any, files: Any) -> Any:
        found = real(self, tx, batch, files)
        fresh = [i.fresh or isinstance(i.record, Tombstone) for i in found]
        return [msgspec.structs.replace(i, fresh=f) for i, f in zip(found, fresh, strict=True)]

    return patched((uploading.Uploader, "_items", items))
