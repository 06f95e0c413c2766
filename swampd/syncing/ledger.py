"""What the journal remembers of the remote side: requests, commits, what plain keys hold.

Plain functions on one transaction.  Keeps S6: an intent is here before the act it names, and is
closed by the act's own definite answer, or by a horizon (section 5.4 and 5.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from swampd.domain import scopes
from swampd.domain.codec import decode_record, encode_record
from swampd.domain.entries import Entry
from swampd.domain.leases import HORIZON_S
from swampd.domain.values import BootId, CachePath, Content, Epoch, Scope, Seq, Sha256, Token, Wid
from swampd.indexing.many import these
from swampd.locking.ledger import dump_token, load_token
from swampd.ports import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swampd.domain.entries import Record
    from swampd.ports import Transaction


# --- requests on plain keys and staged objects --------------------------------------------------


class Intent(msgspec.Struct, frozen=True, gc=False):
    """A request that is about to be sent for a path."""

    kind: str
    path: CachePath
    wid: Wid
    sha256: Sha256 | None
    epoch: Epoch


def open_requests(
    tx: Transaction, intents: Iterable[Intent], now: float, boot_id: BootId
) -> list[int]:
    """Journal them, one per sending; their ids."""
    first = 1 + next(
        (seq for (seq,) in tx.execute("SELECT seq FROM sqlite_sequence WHERE name = 'request'")), 0
    )
    rows = [
        (number, i.kind, i.path, i.wid, i.sha256, i.epoch, now, boot_id)
        for number, i in enumerate(intents, first)
    ]
    tx.executemany("INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return [row[0] for row in rows]


def close_requests(tx: Transaction, ids: Iterable[int]) -> None:
    """Their own definite answers came."""
    tx.execute("DELETE FROM request WHERE id IN (SELECT value FROM json_each(?))", (these(ids),))


def restamp_requests(tx: Transaction, ids: Iterable[int], sent_at: float) -> None:
    """They are not sent before this time, or still under way at it."""
    tx.executemany(
        "UPDATE request SET sent_at = max(sent_at, ?) WHERE id = ?", ((sent_at, i) for i in ids)
    )


def expire_requests(
    tx: Transaction, now: float, boot_id: BootId, awaited: Iterable[int] = ()
) -> None:
    """Close those that can no longer land; after a reboot the horizon counts anew (section 5.4).
    One that is awaited here may be unsent as yet."""
    tx.execute(
        "UPDATE request SET boot_id = ?, sent_at = ? WHERE boot_id != ?", (boot_id, now, boot_id)
    )
    restamp_requests(tx, awaited, now)
    tx.execute("DELETE FROM request WHERE sent_at <= ?", (now - HORIZON_S,))


def requests_to_expire(tx: Transaction, now: float, boot_id: BootId) -> bool:
    """Has `expire_requests` anything to do?"""
    found = tx.execute(
        "SELECT 1 FROM request WHERE boot_id != ? OR sent_at <= ? LIMIT 1",
        (boot_id, now - HORIZON_S),
    )
    return bool(list(found))


def path_in_doubt(tx: Transaction, path: CachePath) -> bool:
    """Is a request of ours on this plain key unanswered?  (section 3, in doubt)."""
    return bool(list(tx.execute("SELECT 1 FROM request WHERE path = ? LIMIT 1", (path,))))


def open_under(tx: Transaction, epoch: Epoch) -> bool:
    """Is a request of this epoch unanswered?"""
    return bool(list(tx.execute("SELECT 1 FROM request WHERE epoch = ? LIMIT 1", (epoch,))))


# --- commits ------------------------------------------------------------------------------------


class Change(msgspec.Struct, frozen=True, gc=False):
    """One path of a commit: its row, and the local file it was made of (None: a tombstone)."""

    record: bytes
    stamp: tuple[int, int, int, int, int, bool] | None
    racy: bool


_changes_decoder: Final = msgspec.msgpack.Decoder(dict[CachePath, Change])


@dataclass(frozen=True, slots=True)
class CommitIntent:
    """A head CAS that may be under way."""

    wid: Wid
    scope: Scope
    token: Token | None
    seq: Seq
    sent_at: float
    boot_id: BootId
    changes: Mapping[CachePath, Change]


def change_of(record: Record, stamp: Stamp | None, *, racy: bool) -> Change:
    """A path of a commit as the journal keeps it."""
    if stamp is None:
        return Change(encode_record(record), None, racy)
    row = (stamp.dev, stamp.ino, stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.x)
    return Change(encode_record(record), row, racy)


def record_of(change: Change) -> Record:
    """The row of a change."""
    return decode_record(change.record)


def begin_commit(tx: Transaction, intent: CommitIntent) -> None:
    """Before the CAS is sent: which paths with which contents it will make true."""
    tx.execute(
        "INSERT INTO commit_intent VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            intent.wid,
            intent.scope,
            dump_token(intent.token),
            intent.seq,
            intent.sent_at,
            intent.boot_id,
            msgspec.msgpack.encode(dict(intent.changes)),
        ),
    )


def is_open(tx: Transaction, wid: Wid) -> bool:
    """Is the fate of this commit still asked for?"""
    return bool(list(tx.execute("SELECT 1 FROM commit_intent WHERE wid = ?", (wid,))))


def forget_commits(tx: Transaction) -> None:
    """Join mode begins: the claim it begins with lets none of them land any more, and one that
    has landed is met as the head's, not as ours."""
    tx.execute("DELETE FROM commit_intent")


def end_commit(tx: Transaction, wid: Wid) -> None:
    """Its fate is known."""
    tx.execute("DELETE FROM commit_intent WHERE wid = ?", (wid,))


def open_scopes(tx: Transaction) -> set[Scope]:
    """The scopes with commits whose fate is open."""
    return {Scope(scope) for (scope,) in tx.execute("SELECT DISTINCT scope FROM commit_intent")}


def restamp_commit(tx: Transaction, wid: Wid, now: float, boot_id: BootId) -> None:
    """After a reboot the horizon counts anew."""
    tx.execute(
        "UPDATE commit_intent SET sent_at = ?, boot_id = ? WHERE wid = ?", (now, boot_id, wid)
    )


def is_committing(tx: Transaction, scope: Scope) -> bool:
    """Is the fate of a commit of this scope open?"""
    found = tx.execute("SELECT 1 FROM commit_intent WHERE scope = ? LIMIT 1", (scope,))
    return bool(list(found))


def commits(tx: Transaction, scope: Scope | None = None) -> list[CommitIntent]:
    """The commits whose fate is open, of one scope or of all."""
    rows = tx.execute(
        "SELECT wid, scope, token, seq, sent_at, boot_id, changes FROM commit_intent"
        " WHERE ? IS NULL OR scope = ? ORDER BY sent_at, wid",
        (scope, scope),
    )
    return [
        CommitIntent(
            Wid(wid),
            Scope(of),
            load_token(token),
            Seq(seq),
            sent_at,
            BootId(boot_id),
            _changes_decoder.decode(raw),
        )
        for wid, of, token, seq, sent_at, boot_id, raw in rows
    ]


def uncommitted_paths(tx: Transaction, scope: Scope) -> set[CachePath]:
    """Paths of open commits: neither taken nor pushed until their fate is known."""
    return {
        path for intent in commits(tx) for path in intent.changes if scopes.contains(scope, path)
    }


def touch_commit(tx: Transaction, scope: Scope, now: float, boot_id: BootId) -> None:
    """A commit was made here by this daemon: it settles after a while."""
    tx.execute("INSERT OR REPLACE INTO committed_at VALUES (?, ?, ?)", (scope, now, boot_id))


# --- mirrored -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a plain key was seen or made to hold for the write `wid`; None: nothing (swept).

    `sure` when that was a definite answer, or a look, got while neither lease nor path was in
    doubt: only then may it be settled on (section 4.4).
    """

    wid: Wid
    token: Token | None
    sure: bool


def note_mirrored(tx: Transaction, path: CachePath, seen: Mirrored) -> None:
    """Remember it."""
    tx.execute(
        "INSERT OR REPLACE INTO mirrored VALUES (?, ?, ?, ?)",
        (path, seen.wid, dump_token(seen.token), seen.sure),
    )


def mirrored(tx: Transaction, path: CachePath) -> Mirrored | None:
    """What is known of a plain key."""
    for wid, token, sure in tx.execute(
        "SELECT wid, token, sure FROM mirrored WHERE path = ?", (path,)
    ):
        return Mirrored(Wid(wid), load_token(token), bool(sure))
    return None


def plain_token(tx: Transaction, path: CachePath, record: Record | None) -> Token | None:
    """What the plain key of a path is expected to hold: what it was last seen or made to hold for
    this row, else what the row says."""
    seen = mirrored(tx, path)
    if record is not None and seen is not None and seen.wid == record.wid:
        return seen.token
    return record.token if isinstance(record, Entry) else None


def forget_mirrored(tx: Transaction, paths: Iterable[CachePath]) -> None:
    """Settled, or overtaken by a newer row."""
    tx.execute(
        "DELETE FROM mirrored WHERE path IN (SELECT value FROM json_each(?))", (these(paths),)
    )


def content_of_change(change: Change) -> tuple[Content, Stamp] | None:
    """Content and stamp of a pushed file; None for a tombstone."""
    record = record_of(change)
    if change.stamp is None or not hasattr(record, "content"):
        return None
    return record.content, Stamp(*change.stamp)
