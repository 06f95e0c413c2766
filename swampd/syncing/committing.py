"""Committing: one CAS on a head, and finding out what became of those that were cut off.

A commit intent with all its paths is journalled before the CAS; base moves only when the commit is
known to be in the head's history.  Keeps S12, L5 (failed only when it can no longer land), S6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import structlog

from swampd.domain import heads
from swampd.domain.entries import Tombstone
from swampd.domain.leases import HORIZON_S
from swampd.errors import OutcomeUnknown, SwampdError
from swampd.indexing import ledger as heads_ledger
from swampd.indexing import rows
from swampd.indexing.rows import Base
from swampd.locking.cas import Landed, NotSent, Refused
from swampd.syncing import ledger, local_ledger, plans
from swampd.syncing import sent as sent_rows
from swampd.syncing.ledger import Change, CommitIntent
from swampd.syncing.scoping import scopes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampd.domain.entries import Record
    from swampd.domain.values import CachePath, Scope, Wid
    from swampd.indexing.ledger import KnownHead
    from swampd.locking.lease import Lease
    from swampd.ports import Transaction
    from swampd.syncing.bases import Bases
    from swampd.syncing.context import Sync
    from swampd.syncing.survey import LocalFile

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Committed:
    """The commit is in the head's history."""

    known: KnownHead


@dataclass(frozen=True, slots=True)
class Overtaken:
    """Somebody else wrote the head first; nothing of this commit is or will be in it."""


async def commit(
    sync: Sync,
    bases: Bases,
    lease: Lease,
    known: KnownHead | None,
    records: Mapping[CachePath, Record],
    files: Mapping[CachePath, LocalFile],
    seen_in: int | None,
) -> Committed | Overtaken:
    """Commit these rows on exactly this head, with what can be settled by the way; `seen_in`: the
    cache in which they were seen, if they rest on one.

    Raises errors.OutcomeUnknown when the answer never came, errors.LockLost when the lease was
    gone before the first sending, CacheReplacedError when the cache was.
    """
    lease.demand()
    scope = lease.scope
    head = known.head if known is not None else await sync.writer.first_head(lease)
    stamp = sync.writer.stamp(lease)
    settled, staged = await sync.journal.read(lambda tx: settlements(tx, scope, records))
    seen = await sync.journal.read(lambda tx: heads_ledger.seen_of(tx, head.children))
    next_head = heads.committed(head, stamp, {**settled, **records})
    next_head = heads.with_seen_children(next_head, seen)
    folded = await sync.manifests.fold(next_head, lease)
    changes = await sync.threads.cpu(
        lambda: {path: _change(record, files.get(path)) for path, record in records.items()}
    )
    intent = CommitIntent(
        stamp.wid,
        scope,
        known.token if known is not None else None,
        head.seq,
        sync.clock.now(),
        sync.clock.boot_id,
        changes,
    )

    def begin(tx: Transaction) -> None:
        bases.demand(seen_in)
        ledger.begin_commit(tx, intent)

    await sync.journal.write(begin)
    try:
        fate = await sync.writer.write(lease, folded.head, intent.token)
    except SwampdError:  # nothing of it can land any more
        await sync.journal.write(lambda tx: ledger.end_commit(tx, stamp.wid))
        raise
    if isinstance(fate, Landed):
        try:
            adopted = await sync.writer.adopt_own(folded, fate, known)
            await bases.change(lambda tx: finish(tx, intent))
            await sync.journal.write(lambda tx: ledger.forget_mirrored(tx, settled), durable=False)
        except Exception as error:
            log.exception("commit_not_noted", scope=scope, wid=intent.wid)
            raise _unknown(scope, "has landed and could not be noted here") from error
        await drop_staged(sync, lease, staged)
        return Committed(adopted)
    if isinstance(fate, Refused | NotSent):
        await sync.journal.write(lambda tx: ledger.end_commit(tx, stamp.wid))
        if isinstance(fate, NotSent):
            lease.demand()
        return Overtaken()
    raise _unknown(scope, "was sent and no answer came")


def _unknown(scope: Scope, what: str) -> OutcomeUnknown:
    """Never "failed" for what may be in the history: the open intent tells later (L5)."""
    return OutcomeUnknown(
        f"the commit on {scope} {what}",
        "nothing to do: the daemon goes on finding out, `swampctl status` shows it",
        scope=scope,
    )


def _change(record: Record, file: LocalFile | None) -> Change:
    if file is None:
        return ledger.change_of(record, None, racy=False)
    return ledger.change_of(record, file.stamp, racy=file.racy)


def finish(tx: Transaction, intent: CommitIntent) -> None:
    """The commit is in the history: base becomes what was sent (section 5.6).

    Not so when join mode began meanwhile and forgot the intent: the cache is another one, and what
    is in it has not seen this commit.
    """
    if not ledger.is_open(tx, intent.wid):
        return
    for scope, paths in scopes_of(tx, intent.changes).items():
        sent = {path: _sent(intent.changes[path]) for path in paths}
        rows.put_bases(tx, scope, {path: base for path, base in sent.items() if base is not None})
        rows.drop_bases(tx, scope, [path for path, base in sent.items() if base is None])
    local_ledger.leave_join(tx, intent.changes)
    local_ledger.clear_states(tx, intent.changes)
    ledger.forget_mirrored(tx, intent.changes)
    sent_rows.forget_sent(tx, intent.changes)
    ledger.end_commit(tx, intent.wid)
    ledger.touch_commit(tx, intent.scope, intent.sent_at, intent.boot_id)
    plans.note_applied(tx, intent.scope)


def _sent(change: Change) -> Base | None:
    """What base becomes by a change; None for a tombstone."""
    sent = ledger.content_of_change(change)
    return Base(*sent, change.racy) if sent is not None else None


# --- settling by the way --------------------------------------------------------------------------


def settlements(
    tx: Transaction, scope: Scope, besides: Mapping[CachePath, Record]
) -> tuple[dict[CachePath, Record], list[Wid]]:
    """Rows whose plain key is known for sure: entries get its token and drop their redo copy,
    tombstones become swept (section 4.4); and the staged copies that no head names then."""
    found: dict[CachePath, Record] = {}
    staged: list[Wid] = []
    for path, record in rows.pending_in(tx, scope).items():
        seen = ledger.mirrored(tx, path)
        if path in besides or seen is None or not seen.sure or seen.wid != record.wid:
            continue
        if isinstance(record, Tombstone):
            found[path] = msgspec.structs.replace(record, swept=True)
        elif seen.token is not None:
            found[path] = msgspec.structs.replace(record, token=seen.token, redo=None)
            if record.redo is not None and record.redo.staged is not None:
                staged.append(record.redo.staged)
    return found, staged


async def drop_staged(sync: Sync, lease: Lease, staged: list[Wid]) -> None:
    """Delete staged copies that no head names any more; what stays is left to `compact`, and says
    nothing of the commit before."""
    for wid in staged:
        key = sync.keys.staged(wid)
        await sync.pace.turn(key)
        if not lease.may_act():
            return
        try:
            await sync.store.delete(key)
        except SwampdError as error:
            log.warning("staged_left", scope=lease.scope, wid=wid, error=error.code)


# --- finding out --------------------------------------------------------------------------------


async def find_out(sync: Sync, bases: Bases, scope: Scope, known: KnownHead | None) -> None:
    """Close the open commits of a scope by what its head, just read, says of them.

    In `recent`: committed.  The head moved on without it: it can no longer land, unless 16 or
    more commits hide it: then its paths join.  Unchanged: open, until a horizon (after a reboot
    it counts anew).
    """
    intents = await sync.journal.read(lambda tx: ledger.commits(tx, scope))
    for intent in intents:
        await _find_out(sync, bases, intent, known)


async def _find_out(
    sync: Sync, bases: Bases, intent: CommitIntent, known: KnownHead | None
) -> None:
    if known is not None and heads.names_commit(known.head, intent.wid):
        await _read_children(sync, intent)
        await bases.change(lambda tx: finish(tx, intent))
        log.info("commit_found", scope=intent.scope, wid=intent.wid)
        return
    token = known.token if known is not None else None
    if token != intent.token:
        hidden = known is not None and heads.forgets_commit(known.head, intent.seq)

        def close(tx: Transaction) -> None:
            if hidden:
                for scope, paths in scopes_of(tx, intent.changes).items():
                    rows.drop_bases(tx, scope, paths)
                local_ledger.enter_join(tx, intent.changes)
            sent_rows.forget_sent(tx, intent.changes)
            ledger.end_commit(tx, intent.wid)

        await bases.change(close)
        log.info("commit_not_landed", scope=intent.scope, wid=intent.wid, hidden=hidden)
        return
    now, boot_id = sync.clock.now(), sync.clock.boot_id
    if intent.boot_id != boot_id:
        await sync.journal.write(lambda tx: ledger.restamp_commit(tx, intent.wid, now, boot_id))
    elif now - intent.sent_at >= HORIZON_S:

        def give_up(tx: Transaction) -> None:
            sent_rows.forget_sent(tx, intent.changes)
            ledger.end_commit(tx, intent.wid)

        await sync.journal.write(give_up)


async def _read_children(sync: Sync, intent: CommitIntent) -> None:
    """Paths of a commit may have been declared as another scope's since: what its head says of
    them is read before base says what was sent."""

    def unread(tx: Transaction) -> set[Scope]:
        owners = scopes_of(tx, intent.changes).keys() - {intent.scope}
        return {scope for scope in owners if heads_ledger.known_head(tx, scope) is None}

    for scope in sorted(await sync.journal.read(unread)):
        await sync.reader.refresh(scope)
