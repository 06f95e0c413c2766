"""What the journal remembers of work under way: requests, commits, placements, conflicts, joins.

Plain functions on one transaction.  Keeps S6: an intent is here before the act it names, and is
closed by the act's own definite answer, or by a horizon (section 5.4 and 5.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from swampd.domain import scopes
from swampd.domain.codec import decode_record, encode_record
from swampd.domain.leases import HORIZON_S
from swampd.domain.states import ConflictKind, PathState
from swampd.domain.values import BootId, CachePath, Content, Epoch, Scope, Seq, Sha256, Token, Wid
from swampd.locking.ledger import dump_token, load_token
from swampd.ports import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from swampd.domain.entries import Record
    from swampd.ports import Transaction


# --- requests on plain keys and staged objects --------------------------------------------------


@dataclass(frozen=True, slots=True)
class Intent:
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
    ids: list[int] = []
    for intent in intents:
        rows = tx.execute(
            "INSERT INTO request (kind, path, wid, sha256, epoch, sent_at, boot_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                intent.kind,
                intent.path,
                intent.wid,
                intent.sha256,
                intent.epoch,
                now,
                boot_id,
            ),
        )
        ids.extend(row[0] for row in rows)
    return ids


def close_requests(tx: Transaction, ids: Iterable[int]) -> None:
    """Their own definite answers came."""
    tx.executemany("DELETE FROM request WHERE id = ?", ((i,) for i in ids))


def expire_requests(tx: Transaction, now: float, boot_id: BootId) -> None:
    """Close those that can no longer land; after a reboot the horizon counts anew."""
    tx.execute(
        "UPDATE request SET boot_id = ?, sent_at = ? WHERE boot_id != ?", (boot_id, now, boot_id)
    )
    tx.execute("DELETE FROM request WHERE sent_at <= ?", (now - HORIZON_S,))


def path_in_doubt(tx: Transaction, path: CachePath) -> bool:
    """Is a request of ours on this plain key unanswered?  (section 3, in doubt)"""
    return bool(list(tx.execute("SELECT 1 FROM request WHERE path = ? LIMIT 1", (path,))))


def paths_in_doubt(tx: Transaction) -> set[CachePath]:
    """All paths with an open request."""
    return {CachePath(path) for (path,) in tx.execute("SELECT DISTINCT path FROM request")}


def open_under(tx: Transaction, epochs: Iterable[Epoch]) -> int:
    """How many requests of these epochs are open."""
    return sum(
        row[0]
        for epoch in epochs
        for row in tx.execute("SELECT count(*) FROM request WHERE epoch = ?", (epoch,))
    )


# --- commits ------------------------------------------------------------------------------------


class Change(msgspec.Struct, frozen=True):
    """One path of a commit: its row, and the local file it was made of (None: a tombstone)."""

    record: bytes
    stamp: tuple[int, int, int, int, int, bool] | None
    racy: bool


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


def end_commit(tx: Transaction, wid: Wid) -> None:
    """Its fate is known."""
    tx.execute("DELETE FROM commit_intent WHERE wid = ?", (wid,))


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
            msgspec.msgpack.decode(raw, type=dict[CachePath, Change]),
        )
        for wid, of, token, seq, sent_at, boot_id, raw in rows
    ]


def uncommitted_paths(tx: Transaction, scope: Scope) -> set[CachePath]:
    """Paths of open commits: neither taken nor pushed until their fate is known."""
    return {path for intent in commits(tx, scope) for path in intent.changes}


def touch_commit(tx: Transaction, scope: Scope, now: float, boot_id: BootId) -> None:
    """This daemon committed here: it settles after a while."""
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


def forget_mirrored(tx: Transaction, paths: Iterable[CachePath]) -> None:
    """Settled, or overtaken by a newer row."""
    tx.executemany("DELETE FROM mirrored WHERE path = ?", ((path,) for path in paths))


def doubt_all_mirrored(tx: Transaction, paths: Iterable[CachePath]) -> None:
    """Another lease: what was seen under the one before is looked at again."""
    tx.executemany("UPDATE mirrored SET sure = 0 WHERE path = ?", ((path,) for path in paths))


# --- placements and trash -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Placement:
    """`tmp/<name>` is about to be renamed to (or exchanged with) a path; or, without
    `fresh_sha256`, the file at the path is about to be moved to `tmp/<name>`."""

    name: str
    path: CachePath
    fresh_sha256: Sha256 | None
    old_sha256: Sha256 | None


def begin_placements(tx: Transaction, placements: Iterable[Placement]) -> None:
    """Before any rename."""
    tx.executemany(
        "INSERT OR REPLACE INTO placement VALUES (?, ?, ?, ?)",
        ((p.name, p.path, p.fresh_sha256, p.old_sha256) for p in placements),
    )


def end_placements(tx: Transaction, names: Iterable[str]) -> None:
    """Their renames are done and looked at."""
    tx.executemany("DELETE FROM placement WHERE name = ?", ((name,) for name in names))


def placements(tx: Transaction) -> list[Placement]:
    """Those that a crash may have cut off."""
    rows = tx.execute("SELECT name, path, fresh_sha256, old_sha256 FROM placement ORDER BY name")
    return [
        Placement(n, CachePath(p), Sha256(f) if f else None, Sha256(o) if o else None)
        for n, p, f, o in rows
    ]


@dataclass(frozen=True, slots=True)
class Trashed:
    """A file that was swapped out; looked at again before it goes."""

    name: str
    path: CachePath
    sha256: Sha256
    at: float
    boot_id: BootId


def note_trash(tx: Transaction, trashed: Trashed) -> None:
    """Remember what it held when it came out."""
    tx.execute(
        "INSERT OR REPLACE INTO trash VALUES (?, ?, ?, ?, ?)",
        (trashed.name, trashed.path, trashed.sha256, trashed.at, trashed.boot_id),
    )


def trashed(tx: Transaction) -> list[Trashed]:
    """All of it."""
    rows = tx.execute("SELECT name, path, sha256, at, boot_id FROM trash ORDER BY name")
    return [Trashed(n, CachePath(p), Sha256(s), at, BootId(b)) for n, p, s, at, b in rows]


def drop_trash(tx: Transaction, name: str) -> None:
    """It is gone, or kept elsewhere."""
    tx.execute("DELETE FROM trash WHERE name = ?", (name,))


# --- what paths are in --------------------------------------------------------------------------


def set_state(
    tx: Transaction, scope: Scope, path: str, state: PathState, detail: str = ""
) -> None:
    """A path is not through, for this reason."""
    tx.execute(
        "INSERT OR REPLACE INTO path_state VALUES (?, ?, ?, ?)", (path, scope, state.value, detail)
    )


def clear_states(tx: Transaction, paths: Iterable[str]) -> None:
    """These paths are through."""
    tx.executemany("DELETE FROM path_state WHERE path = ?", ((path,) for path in paths))


def clear_scope_states(tx: Transaction, scope: Scope, states: Sequence[PathState]) -> None:
    """A new look decides these afresh."""
    tx.executemany(
        "DELETE FROM path_state WHERE scope = ? AND state = ?",
        ((scope, state.value) for state in states),
    )


def states(tx: Transaction, scope: Scope | None = None) -> list[tuple[str, Scope, PathState, str]]:
    """All named states, of one scope or of all."""
    rows = tx.execute(
        "SELECT path, scope, state, detail FROM path_state WHERE ? IS NULL OR scope = ?"
        " ORDER BY path",
        (scope, scope),
    )
    return [(path, Scope(of), PathState(state), detail) for path, of, state, detail in rows]


# --- conflicts ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two contents of one path: ours in the cache, theirs as `copy` below `.swampd/conflicts/`."""

    path: CachePath
    scope: Scope
    kind: ConflictKind
    record: Record | None
    copy: str | None
    wall_ms: int


def save_conflict(tx: Transaction, conflict: Conflict) -> None:
    """Nothing of this path is overwritten until a person has resolved it."""
    raw = encode_record(conflict.record) if conflict.record is not None else None
    tx.execute(
        "INSERT OR REPLACE INTO conflict VALUES (?, ?, ?, ?, ?, ?)",
        (
            conflict.path,
            conflict.scope,
            conflict.kind.value,
            raw,
            conflict.copy,
            conflict.wall_ms,
        ),
    )


def conflict(tx: Transaction, path: CachePath) -> Conflict | None:
    """The open conflict of a path."""
    return next(iter(_conflicts(tx, "path = ?", path)), None)


def conflicts(tx: Transaction, scope: Scope | None = None) -> list[Conflict]:
    """The open conflicts, of one scope or of all."""
    return _conflicts(tx, "? IS NULL OR scope = ?1", scope)


def _conflicts(tx: Transaction, where: str, value: str | None) -> list[Conflict]:
    rows = tx.execute(
        f"SELECT path, scope, kind, record, copy, wall_ms FROM conflict WHERE {where}"  # noqa: S608
        " ORDER BY path",
        (value,),
    )
    return [
        Conflict(
            CachePath(path),
            Scope(scope),
            ConflictKind(kind),
            decode_record(raw) if raw is not None else None,
            copy,
            wall_ms,
        )
        for path, scope, kind, raw, copy, wall_ms in rows
    ]


def forget_conflict(tx: Transaction, path: CachePath) -> None:
    """Its record is of no use any more; the next plan finds the conflict anew."""
    tx.execute("DELETE FROM conflict WHERE path = ?", (path,))


def drop_conflict(tx: Transaction, path: CachePath) -> None:
    """It is resolved; with that the path is out of join mode."""
    tx.execute("DELETE FROM conflict WHERE path = ?", (path,))
    tx.execute("DELETE FROM path_state WHERE path = ?", (path,))
    leave_join(tx, (path,))


# --- join mode ----------------------------------------------------------------------------------


def begin_join(tx: Transaction, local: Iterable[CachePath]) -> None:
    """The marker did not fit: these local paths join one by one; no scope is claimed for it yet."""
    tx.execute("DELETE FROM joining")
    tx.execute("DELETE FROM join_claimed")
    tx.execute("DELETE FROM conflict")
    tx.execute("DELETE FROM path_state")
    tx.executemany("INSERT INTO joining VALUES (?)", ((path,) for path in local))


def enter_join(tx: Transaction, paths: Iterable[CachePath]) -> None:
    """The fate of a commit with these paths cannot be told any more."""
    tx.executemany("INSERT OR REPLACE INTO joining VALUES (?)", ((path,) for path in paths))


def leave_join(tx: Transaction, paths: Iterable[CachePath]) -> None:
    """These paths have a base again, or were resolved."""
    tx.executemany("DELETE FROM joining WHERE path = ?", ((path,) for path in paths))


def joining(tx: Transaction) -> set[CachePath]:
    """The paths in join mode."""
    return {CachePath(path) for (path,) in tx.execute("SELECT path FROM joining")}


def joining_in(tx: Transaction, scope: Scope, children: Iterable[Scope]) -> set[CachePath]:
    """The paths of a scope that are in join mode, those of its declared children left out."""
    below = tuple(f"{child}/" for child in children)
    return {
        path
        for path in joining(tx)
        if scopes.contains(scope, path) and not path.startswith(below)
    }


def is_joining(tx: Transaction, path: CachePath) -> bool:
    """Is this path in join mode?"""
    return bool(list(tx.execute("SELECT 1 FROM joining WHERE path = ?", (path,))))


def note_join_claimed(tx: Transaction, scope: Scope) -> None:
    """No commit of the life before can land on this head any more."""
    tx.execute("INSERT OR REPLACE INTO join_claimed VALUES (?)", (scope,))


def join_claimed(tx: Transaction, scope: Scope) -> bool:
    """Was the head of this scope claimed since join mode began?"""
    return bool(list(tx.execute("SELECT 1 FROM join_claimed WHERE scope = ?", (scope,))))


def content_of_change(change: Change) -> tuple[Content, Stamp] | None:
    """Content and stamp of a pushed file; None for a tombstone."""
    record = record_of(change)
    if change.stamp is None or not hasattr(record, "content"):
        return None
    return record.content, Stamp(*change.stamp)
