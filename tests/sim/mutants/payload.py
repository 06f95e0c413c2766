"""Engines that settle, sweep or overwrite plain keys while a request may still land on them."""

from __future__ import annotations

from typing import Any

import msgspec

from swampd.domain.entries import Entry, Tombstone
from swampd.domain.metadata import PayloadMark
from swampd.domain.outcomes import Applied
from swampd.domain.paths import PathProblem, parse_cache_path
from swampd.domain.scopes import contains
from swampd.domain.states import PathState
from swampd.domain.values import RemoteKey
from swampd.indexing import rows
from swampd.syncing import committing, ledger, mirroring, pulling, pushing, requests, uploading
from swampd.syncing.conflicts import NO_STAMP
from swampd.syncing.ledger import Mirrored
from swampd.syncing.scoping import scope_of
from tests.sim.mutants.patching import patched


def settle_in_doubt() -> Any:
    """What a holder before may have under way counts for nothing: its lease says so in vain."""

    async def is_sure(self: Any, path: Any) -> bool:
        open_ = await self._sync.journal.read(lambda tx: ledger.path_in_doubt(tx, path))
        return not open_

    return patched((requests.PlainKeys, "is_sure", is_sure))


def settle_on_doubtful_look() -> Any:
    """What was seen of a plain key in doubt counts when the doubt is over, without another look."""
    real = mirroring.Mirror.run

    async def run(self: Any) -> Any:
        for path, record in (await self._sync.journal.read(self._work)).items():
            seen = await self._sync.journal.read(lambda tx, path=path: ledger.mirrored(tx, path))
            if seen is not None and seen.wid == record.wid and await self._plain.is_sure(path):
                await self._note(path, record, seen.token, sure=True)
        return await real(self)

    return patched((mirroring.Mirror, "run", run))


def look_closes_intent() -> Any:
    """After a look at a plain key no request on it counts as open."""
    real = requests.PlainKeys.look

    async def look(self: Any, path: Any) -> Any:
        unknown = self._unknown.get(path, 0)
        found = await real(self, path)
        for _ in range(unknown):
            self._lease.request_answered()
        await self._sync.journal.write(
            lambda tx: tx.execute("DELETE FROM request WHERE path = ?", (path,)) and None
        )
        return found

    return patched((requests.PlainKeys, "look", look))


def intents_closed_by_hope() -> Any:
    """A request whose answer never came counts as answered."""

    async def is_sure(_self: object, _path: object) -> bool:
        return True

    return patched((requests.PlainKeys, "is_sure", is_sure))


def redo_dropped_unseen() -> Any:
    """Redo copies are settled on nothing but hope."""
    real = ledger.mirrored

    def mirrored(tx: Any, path: Any) -> Any:
        seen, record = real(tx, path), rows.remote(tx, path)
        if seen is not None or record is None:
            return seen
        return Mirrored(record.wid, getattr(record, "token", None), sure=True)

    return patched((ledger, "mirrored", mirrored))


def sent_without_look() -> Any:
    """What is sent is what is there now, not what the plan saw, under the plan's digest."""
    real = uploading.Uploader._read

    async def read(self: Any, item: Any) -> Any:
        found = await real(self, item)
        return (b"other bytes", item.file) if found is not None else None

    return patched((uploading.Uploader, "_read", read))


def mirror_before_commit() -> Any:
    """Plain keys are brought up before the head says so."""
    real = committing.commit

    async def early(
        sync: Any, b: Any, lease: Any, known: Any, records: Any, files: Any, seen_in: Any
    ) -> Any:
        plain = requests.PlainKeys(sync, lease)
        for path, record in records.items():
            if isinstance(record, Entry) and record.redo and record.redo.inline is not None:
                there = await plain.look(path)
                if there is not None and there.mark is not None:
                    mark = plain.mark(record)
                    await plain.replace(path, record.redo.inline, mark, there.token)
        return await real(sync, b, lease, known, records, files, seen_in)

    return patched((pushing, "commit", early))


def tombstone_without_head() -> Any:
    """A plain key is deleted before the head says that it is gone."""
    real = committing.commit

    async def early(
        sync: Any, b: Any, lease: Any, known: Any, records: Any, files: Any, seen_in: Any
    ) -> Any:
        for path, record in records.items():
            if not hasattr(record, "content"):
                await sync.store.delete(sync.keys.payload(path))
        return await real(sync, b, lease, known, records, files, seen_in)

    return patched((pushing, "commit", early))


def fresh_after_tombstone() -> Any:
    """A path that was deleted is created anew on its plain key, before the commit."""
    real = uploading.Uploader._items

    def items(self: Any, tx: Any, batch: Any, files: Any) -> Any:
        found = real(self, tx, batch, files)
        fresh = [i.fresh or isinstance(i.record, Tombstone) for i in found]
        return [msgspec.structs.replace(i, fresh=f) for i, f in zip(found, fresh, strict=True)]

    return patched((uploading.Uploader, "_items", items))


def orphan_overwritten() -> Any:
    """What a crashed push left at a plain key is written over before the commit."""
    real = uploading.Uploader._take_found

    async def take(self: Any, item: Any, body: Any, file: Any, plain: Any) -> None:
        if plain.mark is None or plain.mark.sha256 == file.content.sha256:
            await real(self, item, body, file, plain)
            return
        mark = PayloadMark(item.wid, self._lease.epoch, file.content.sha256)
        outcome = await self._plain.replace(item.path, body, mark, plain.token)
        if isinstance(outcome, Applied) and outcome.token is not None:
            self._done_fresh(item, file, item.wid, outcome.token)
        else:
            self._result.failed[item.path] = "no answer"

    return patched((uploading.Uploader, "_take_found", take))


def missing_is_a_delete() -> Any:
    """A path whose object is not in the store is deleted here."""
    real = pulling.Puller._fetch

    async def fetch(self: Any, entries: Any, result: Any, patience: Any) -> Any:
        ready = await real(self, entries, result, patience)
        lost = [path for path in entries if result.held.get(path) is PathState.MISSING]
        for path in lost:
            if self._sync.tree.stat(path) is not None:
                self._sync.tree.move_to_tmp(path, self._sync.rng.uuid())

        def agree(tx: Any) -> None:
            for path in lost:
                base = rows.Base(entries[path].content, NO_STAMP, racy=True)
                rows.put_base(tx, scope_of(tx, path), path, base)

        if lost:
            await self._bases.change(agree)
        return ready

    return patched((pulling.Puller, "_fetch", fetch))


def orphan_swept() -> Any:
    """Objects that no head names are deleted, without a tombstone that says so first."""
    real = mirroring.settle

    async def settle(sync: Any, lease: Any) -> Any:
        await sync.reader.refresh(lease.scope)
        page = await sync.store.list(RemoteKey(""))
        plain = requests.PlainKeys(sync, lease)
        for row in page.rows:
            path = parse_cache_path(row.key)
            if isinstance(path, PathProblem) or not contains(lease.scope, path):
                continue
            if await sync.journal.read(lambda tx, path=path: rows.remote(tx, path)) is None:
                await plain.delete(path, sync.rng.uuid(), row.token)
        return await real(sync, lease)

    return patched((mirroring, "settle", settle))
