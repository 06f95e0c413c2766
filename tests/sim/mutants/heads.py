"""Engines that commit, find out and read heads wrongly."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec

from swampd.domain import heads, scopes
from swampd.domain.entries import Entry
from swampd.domain.outcomes import Rejected, Unknown
from swampd.errors import PushFailed
from swampd.indexing import manifests, reading, rows
from swampd.locking import cas
from swampd.syncing import committing, desk, plans, pushing
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


def retried_by_the_client() -> Any:
    """The store's client sends again what was not answered, and hands on what it is told then."""
    replace, create = store.SimStore.replace, store.SimStore.create

    async def replace_twice(self: Any, *asked: Any) -> Any:
        outcome = await replace(self, *asked)
        return await replace(self, *asked) if isinstance(outcome, Unknown) else outcome

    async def create_twice(self: Any, *asked: Any) -> Any:
        outcome = await create(self, *asked)
        return await create(self, *asked) if isinstance(outcome, Unknown) else outcome

    return patched(
        (store.SimStore, "replace", replace_twice), (store.SimStore, "create", create_twice)
    )


def planned_over_open_commit() -> Any:
    """The paths of a commit are planned like any other before its fate is found out."""

    async def find_out(*_args: object) -> None:
        return None

    return patched(
        (syncing_ledger, "uncommitted_paths", lambda _tx, _scope: set()),
        (pushing, "find_out", find_out),
    )


def forgotten_on_revert() -> Any:
    """A path of an open commit that is as it was before counts as unchanged, and is forgotten."""
    real = pushing.Pusher._survey

    async def survey(self: Any, scope: Any) -> Any:
        seen = await real(self, scope)

        def forget(tx: Any) -> None:
            for intent in syncing_ledger.commits(tx, scope):
                left = {p: c for p, c in intent.changes.items() if p in seen.changed}
                if len(left) < len(intent.changes):
                    syncing_ledger.end_commit(tx, intent.wid)
                    syncing_ledger.begin_commit(tx, replace(intent, changes=left))

        await self._sync.journal.write(forget)
        return seen

    return patched((pushing.Pusher, "_survey", survey))


def pending_over_head() -> Any:
    """A declared child is read from what its parent says is pending, though it has a head."""
    real = reading.HeadReader.refresh

    async def refresh(self: Any, scope: Any) -> Any:
        top = scopes.top_scope(scope)
        if top == scope or await self.known(scope) is not None:
            return await real(self, scope)
        parent = await real(self, top)
        child = parent.head.children.get(scope) if parent is not None else None
        if child is None or not isinstance(child.pending, str):
            return await real(self, scope)
        manifest, _ = await self._manifests.read(child.pending, scope, None)
        await self._journal.write(
            lambda tx: reading.put_pending(tx, scope, manifest.entries, child.pending)
        )
        return None

    return patched((reading.HeadReader, "refresh", refresh))


def masked_read_from_parent() -> Any:
    """What a parent's head still says below a declared child is merged and read."""
    unmasked = SimpleNamespace(**vars(heads))
    unmasked.masked = lambda _path, _children: False
    return patched((reading, "heads", unmasked), (manifests, "heads", unmasked))


def head_that_went_back() -> Any:
    """A head that is older than one that was seen, or gone, is taken as it is."""

    async def is_absent(_self: object, _scope: object, _known: object) -> bool:
        return True

    return patched(
        (heads, "went_back", lambda _head, _highest: False),
        (reading.HeadReader, "_is_absent", is_absent),
    )


def join_without_claim() -> Any:
    """Join mode looks at a head on which a commit of the life before may still land."""
    return patched((desk, "_must_claim", lambda _tx, _scope: False))
