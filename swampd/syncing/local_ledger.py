"""What the journal remembers of the local side: placements, trash, states, conflicts, joins.

Plain functions on one transaction.  Keeps S6: an intent is here before the rename that it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from swampd.domain import scopes
from swampd.domain.codec import decode_record, encode_record
from swampd.domain.states import ConflictKind, PathState
from swampd.domain.values import BootId, CachePath, Scope, Sha256
from swampd.indexing import ledger as heads_ledger
from swampd.indexing.many import these

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from swampd.domain.entries import Record
    from swampd.ports import Transaction

# --- placements and trash -----------------------------------------------------------------------


class Placement(msgspec.Struct, frozen=True, gc=False):
    """`tmp/<name>` is about to be renamed to (or exchanged with) a path; or, without
    `fresh_sha256`, the file at the path is about to be moved to `tmp/<name>`."""

    name: str
    path: CachePath
    fresh_sha256: Sha256 | None
    old_sha256: Sha256 | None
    decided: bool = False
    """A person has it placed: it is a local edit, and no content of a head's."""


def begin_placements(tx: Transaction, placements: Iterable[Placement]) -> None:
    """Before any rename."""
    tx.executemany(
        "INSERT OR REPLACE INTO placement VALUES (?, ?, ?, ?, ?)",
        ((p.name, p.path, p.fresh_sha256, p.old_sha256, p.decided) for p in placements),
    )


def end_placements(tx: Transaction, names: Iterable[str]) -> None:
    """Their renames are done and looked at."""
    tx.execute(
        "DELETE FROM placement WHERE name IN (SELECT value FROM json_each(?))", (these(names),)
    )


def placements(tx: Transaction) -> list[Placement]:
    """Those that a crash may have cut off."""
    rows = tx.execute(
        "SELECT name, path, fresh_sha256, old_sha256, decided FROM placement ORDER BY name"
    )
    return [
        Placement(n, CachePath(p), Sha256(f) if f else None, Sha256(o) if o else None, bool(d))
        for n, p, f, o, d in rows
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


def set_state(tx: Transaction, scope: Scope, path: str, state: PathState, detail: str = "") -> None:
    """A path is not through, for this reason."""
    tx.execute(
        "INSERT OR REPLACE INTO path_state VALUES (?, ?, ?, ?)", (path, scope, state.value, detail)
    )


def clear_states(tx: Transaction, paths: Iterable[str]) -> None:
    """These paths are through."""
    through = list(paths)
    if through:
        tx.execute(
            "DELETE FROM path_state WHERE path IN (SELECT value FROM json_each(?))",
            (these(through),),
        )


def clear_applied_states(tx: Transaction, paths: Iterable[str]) -> None:
    """These are through, as far as they are applied."""
    tx.execute(
        "DELETE FROM path_state WHERE path IN (SELECT value FROM json_each(?))"
        " AND path NOT IN (SELECT path FROM unapplied)",
        (these(paths),),
    )


def clear_scope_states(tx: Transaction, scope: Scope, states: Sequence[PathState]) -> None:
    """A new look decides these afresh; the states of unapplied paths are for a pull to decide."""
    tx.executemany(
        "DELETE FROM path_state WHERE scope = ? AND state = ?"
        " AND path NOT IN (SELECT path FROM unapplied)",
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


def state_of(tx: Transaction, path: str) -> PathState | None:
    """What a path is in."""
    for (state,) in tx.execute("SELECT state FROM path_state WHERE path = ?", (path,)):
        return PathState(state)
    return None


def in_state(tx: Transaction, scope: Scope, state: PathState) -> frozenset[str]:
    """The paths of a scope that are in this state."""
    found = tx.execute(
        "SELECT path FROM path_state WHERE scope = ? AND state = ?", (scope, state.value)
    )
    return frozenset(path for (path,) in found)


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
    sha256: Sha256 | None = None
    """Of the copy; None where it could not be read."""


def save_conflict(tx: Transaction, conflict: Conflict) -> None:
    """Nothing of this path is overwritten until a person has resolved it."""
    _end_conflict(tx, conflict.path)
    tx.execute("DELETE FROM dropped_copy WHERE place = ?", (conflict.copy,))
    raw = encode_record(conflict.record) if conflict.record is not None else None
    tx.execute(
        "INSERT INTO conflict (path, scope, kind, record, copy, wall_ms, sha256)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            conflict.path,
            conflict.scope,
            conflict.kind.value,
            raw,
            conflict.copy,
            conflict.wall_ms,
            conflict.sha256,
        ),
    )


def open_conflict(tx: Transaction, conflict: Conflict) -> None:
    """Save a conflict, and show it."""
    save_conflict(tx, conflict)
    set_state(tx, conflict.scope, conflict.path, PathState.CONFLICT, conflict.kind.value)


def conflict(tx: Transaction, path: CachePath) -> Conflict | None:
    """The open conflict of a path."""
    return next(iter(_conflicts(tx, "path = ?", path)), None)


def conflicts(tx: Transaction, scope: Scope | None = None) -> list[Conflict]:
    """The open conflicts, of one scope or of all."""
    return _conflicts(tx, "? IS NULL OR scope = ?1", scope)


def _conflicts(tx: Transaction, where: str, value: str | None) -> list[Conflict]:
    rows = tx.execute(
        f"SELECT path, scope, kind, record, copy, wall_ms, sha256 FROM conflict WHERE {where}"  # noqa: S608
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
            Sha256(sha256) if sha256 is not None else None,
        )
        for path, scope, kind, raw, copy, wall_ms, sha256 in rows
    ]


def forget_conflict(tx: Transaction, path: CachePath) -> None:
    """Its record is of no use any more; the next plan finds the conflict anew."""
    _end_conflict(tx, path)


def drop_conflict(tx: Transaction, path: CachePath) -> None:
    """It is resolved; with that the path is out of join mode."""
    _end_conflict(tx, path)
    clear_states(tx, (path,))
    leave_join(tx, (path,))


def end_agreed(tx: Transaction, paths: Collection[CachePath]) -> None:
    """Both sides of these have the same: that ends what they are in, but for a user's bytes that
    were kept and are nowhere else, which a person decides on."""
    found = {one.path: one.kind for one in conflicts(tx) if one.path in paths}
    kept = {path for path, kind in found.items() if kind is ConflictKind.KEPT_BYTES}
    for path in found.keys() - kept:
        _end_conflict(tx, path)
    clear_states(tx, [path for path in paths if path not in kept])
    leave_join(tx, paths)


def _end_conflict(tx: Transaction, path: CachePath) -> None:
    """Its copy is to go, and is known until it is gone."""
    tx.execute(
        "INSERT OR IGNORE INTO dropped_copy"
        " SELECT copy, sha256 FROM conflict WHERE path = ? AND copy IS NOT NULL",
        (path,),
    )
    tx.execute("DELETE FROM conflict WHERE path = ?", (path,))


def dropped_copies(tx: Transaction) -> dict[str, Sha256 | None]:
    """Conflict copies that are to go, with their digests where those are known."""
    return dict(tx.execute("SELECT place, sha256 FROM dropped_copy ORDER BY place"))


def note_gone(tx: Transaction, places: Iterable[str]) -> None:
    """These are not there any more."""
    tx.execute(
        "DELETE FROM dropped_copy WHERE place IN (SELECT value FROM json_each(?))", (these(places),)
    )


# --- join mode ----------------------------------------------------------------------------------


def begin_join(tx: Transaction, local: Iterable[CachePath]) -> None:
    """The marker did not fit: these local paths join one by one; no scope is claimed for it yet."""
    tx.execute("DELETE FROM joining")
    tx.execute("DELETE FROM join_claimed")
    # Kept bytes that are not seen may be on a disk that is away: nothing says that they are to go.
    tx.execute(
        "INSERT OR IGNORE INTO dropped_copy SELECT copy, sha256 FROM conflict"
        " WHERE copy IS NOT NULL AND kind != ?",
        (ConflictKind.KEPT_BYTES.value,),
    )
    tx.execute("DELETE FROM conflict")
    tx.execute("DELETE FROM path_state")
    tx.executemany("INSERT INTO joining VALUES (?)", ((path,) for path in local))


def enter_join(tx: Transaction, paths: Iterable[CachePath]) -> None:
    """The fate of a commit with these paths cannot be told any more."""
    tx.executemany("INSERT OR REPLACE INTO joining VALUES (?)", ((path,) for path in paths))


def leave_join(tx: Transaction, paths: Iterable[CachePath]) -> None:
    """These paths have a base again, or were resolved."""
    out = list(paths)
    if out:
        tx.execute(
            "DELETE FROM joining WHERE path IN (SELECT value FROM json_each(?))", (these(out),)
        )


def note_blind(tx: Transaction, names: Iterable[str]) -> None:
    """What of the cache could not be read when join mode began: it joins when it can be."""
    tx.executemany("INSERT OR REPLACE INTO joining VALUES (?)", ((f"{n}/",) for n in names))


def blind(tx: Transaction) -> list[str]:
    """What is still to be read for join mode."""
    found = tx.execute("SELECT path FROM joining WHERE path LIKE '%/' ORDER BY path")
    return [path.removesuffix("/") for (path,) in found]


def end_blind(tx: Transaction, names: Iterable[str]) -> None:
    """These were read again."""
    tx.executemany("DELETE FROM joining WHERE path = ?", ((f"{name}/",) for name in names))


def joining(tx: Transaction) -> set[CachePath]:
    """The paths in join mode."""
    found = tx.execute("SELECT path FROM joining WHERE path NOT LIKE '%/'")
    return {CachePath(path) for (path,) in found}


def joining_in(tx: Transaction, scope: Scope) -> set[CachePath]:
    """The paths of a scope that are in join mode, those of its declared children left out."""
    inside = {path for path in joining(tx) if scopes.contains(scope, path)}
    if not inside:
        return inside
    below = tuple(f"{child}/" for child in heads_ledger.children_of(tx, scope))
    return {path for path in inside if not path.startswith(below)}


def note_join_claimed(tx: Transaction, scope: Scope) -> None:
    """No commit of the life before can land on this head any more."""
    tx.execute("INSERT OR REPLACE INTO join_claimed VALUES (?)", (scope,))


def join_claimed(tx: Transaction, scope: Scope) -> bool:
    """Was the head of this scope claimed since join mode began?"""
    return bool(list(tx.execute("SELECT 1 FROM join_claimed WHERE scope = ?", (scope,))))
