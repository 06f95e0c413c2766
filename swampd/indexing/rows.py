"""The journal's rows of paths: what the heads say (remote), what was agreed (base), and what of
the heads is not applied here yet (unapplied).

Plain functions on one transaction.  A path is unapplied while its remote row differs from its
base: that list, not a walk, is what a pull works on, so a pull costs what changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from swampd.domain.codec import decode_record, encode_record
from swampd.domain.entries import Entry, Record, Tombstone
from swampd.domain.values import CachePath, Content, Scope, Sha256, Wid
from swampd.indexing.many import these
from swampd.ports import Stamp

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from swampd.ports import Transaction


class Base(msgspec.Struct, frozen=True, gc=False):
    """What a path was when local and remote last agreed, and the local file's stamp then.

    `racy`: the file could have been written again within the same tick, so look at its bytes.
    """

    content: Content
    stamp: Stamp
    racy: bool


# --- remote -----------------------------------------------------------------------------------


def _is_pending(record: Record) -> bool:
    """Has the plain key still to be brought up, or its state to be recorded (settled)?"""
    if isinstance(record, Tombstone):
        return not record.swept
    return record.redo is not None


def remote(tx: Transaction, path: CachePath) -> Record | None:
    """What the head of its scope says of a path."""
    for (raw,) in tx.execute("SELECT record FROM remote WHERE path = ?", (path,)):
        return decode_record(raw)
    return None


def remotes(tx: Transaction, paths: Iterable[CachePath]) -> dict[CachePath, Record]:
    """What the heads say of these paths, as far as they say anything."""
    rows = tx.execute(
        "SELECT path, record FROM remote WHERE path IN (SELECT value FROM json_each(?))",
        (these(paths),),
    )
    return {CachePath(path): decode_record(raw) for path, raw in rows}


def remote_in(tx: Transaction, scope: Scope) -> dict[CachePath, Record]:
    """All rows of a scope."""
    rows = tx.execute("SELECT path, record FROM remote WHERE scope = ? ORDER BY path", (scope,))
    return {CachePath(path): decode_record(raw) for path, raw in rows}


def remote_below(tx: Transaction, scope: Scope) -> dict[CachePath, Record]:
    """All rows of paths below a directory, whichever scope has them."""
    low, high = scope + "/", scope + "0"
    rows = tx.execute(
        "SELECT path, record FROM remote WHERE path >= ? AND path < ? ORDER BY path", (low, high)
    )
    return {CachePath(path): decode_record(raw) for path, raw in rows}


def remote_homed(tx: Transaction, scope: Scope, homes: Iterable[Wid]) -> dict[CachePath, Record]:
    """The rows whose newest value stands in one of these manifests."""
    found: dict[CachePath, Record] = {}
    for home in homes:
        rows = tx.execute(
            "SELECT path, record FROM remote WHERE scope = ? AND home = ?", (scope, home)
        )
        found.update((CachePath(path), decode_record(raw)) for path, raw in rows)
    return dict(sorted(found.items()))


def pending_in(tx: Transaction, scope: Scope) -> dict[CachePath, Record]:
    """Entries with a redo copy and tombstones not swept: what is to be mirrored or settled."""
    rows = tx.execute(
        "SELECT path, record FROM remote WHERE scope = ? AND pending ORDER BY path", (scope,)
    )
    return {CachePath(path): decode_record(raw) for path, raw in rows}


def all_pending(tx: Transaction) -> dict[CachePath, Record]:
    """The same of every scope, those without a head of their own yet as well."""
    found = tx.execute("SELECT path, record FROM remote WHERE pending")
    return {CachePath(path): decode_record(raw) for path, raw in found}


def near_any(tx: Transaction, paths: Iterable[CachePath]) -> set[CachePath]:
    """Those of the paths that some head has any row above or below of: names that cannot be both
    file and directory (section 4)."""
    asked = list(paths)
    if not asked:
        return set()
    folders = {path: _folders_above(path) for path in asked}
    above = remotes(tx, {folder for found in folders.values() for folder in found})
    near = {path for path in asked if not above.keys().isdisjoint(folders[path])}
    return near | with_rows_below(tx, asked)


def with_rows_below(tx: Transaction, paths: Iterable[CachePath]) -> set[CachePath]:
    """Those of the paths that some head has any row below of."""
    rows = tx.execute(
        "SELECT value FROM json_each(?) WHERE EXISTS"
        " (SELECT 1 FROM remote WHERE path >= value || '/' AND path < value || '0')",
        (these(paths),),
    )
    return {CachePath(path) for (path,) in rows}


def _folders_above(path: CachePath) -> list[CachePath]:
    parts = path.split("/")
    return [CachePath("/".join(parts[:depth])) for depth in range(1, len(parts))]


def put_remote(
    tx: Transaction, scope: Scope, records: Mapping[CachePath, Record], home: Wid | None
) -> None:
    """Newer rows of a scope: remembered with the manifest they stand in (None: the delta), and
    noted as unapplied where they differ from base."""
    raws = {path: encode_record(record) for path, record in records.items()}
    known = tx.execute(
        "SELECT path, record, scope FROM remote WHERE path IN (SELECT value FROM json_each(?))",
        (these(raws),),
    )
    same = {path for path, raw, of in known if (raw, of) == (raws[path], scope)}
    tx.executemany("UPDATE remote SET home = ? WHERE path = ?", ((home, path) for path in same))
    newer = {path: record for path, record in records.items() if path not in same}
    tx.executemany(
        "INSERT OR REPLACE INTO remote VALUES (?, ?, ?, ?, ?)",
        ((path, scope, raws[path], home, _is_pending(record)) for path, record in newer.items()),
    )
    note_applied_or_not(tx, scope, newer)


def drop_remote(tx: Transaction, scope: Scope, paths: Iterable[CachePath]) -> None:
    """No head says anything of these paths any more (tombstones dropped, or a head went back)."""
    gone = list(paths)
    if not gone:
        return
    tx.execute(
        "DELETE FROM remote WHERE +scope = ? AND path IN (SELECT value FROM json_each(?))",
        (scope, these(gone)),
    )
    note_applied_or_not(tx, scope, dict.fromkeys(gone))


def paths_in(tx: Transaction, scope: Scope) -> set[CachePath]:
    """The paths that a scope has rows for."""
    rows = tx.execute("SELECT path FROM remote WHERE scope = ?", (scope,))
    return {CachePath(path) for (path,) in rows}


def move_below(tx: Transaction, child: Scope) -> None:
    """A scope was declared: what is below it belongs to it from now on."""
    low, high = child + "/", child + "0"
    for table in ("remote", "base", "unapplied", "conflict", "path_state"):
        tx.execute(
            f"UPDATE {table} SET scope = ? WHERE path >= ? AND path < ? AND scope != ?",  # noqa: S608
            (child, low, high, child),
        )


# --- base -------------------------------------------------------------------------------------

_BASE = "size, sha256, x, dev, ino, fsize, mtime_ns, ctime_ns, racy"


def _base(row: tuple[int, str, int, int, int, int, int, int, int]) -> Base:
    size, sha256, x, dev, ino, fsize, mtime_ns, ctime_ns, racy = row
    stamp = Stamp(dev, ino, fsize, mtime_ns, ctime_ns, bool(x))
    return Base(Content(size, Sha256(sha256), bool(x)), stamp, bool(racy))


def base(tx: Transaction, path: CachePath) -> Base | None:
    """What was agreed of a path."""
    for row in tx.execute(f"SELECT {_BASE} FROM base WHERE path = ?", (path,)):  # noqa: S608
        return _base(row)
    return None


def bases(tx: Transaction, paths: Iterable[CachePath]) -> dict[CachePath, Base]:
    """What was agreed of these paths, as far as anything was."""
    rows = tx.execute(
        f"SELECT path, {_BASE} FROM base WHERE path IN (SELECT value FROM json_each(?))",  # noqa: S608
        (these(paths),),
    )
    return {CachePath(row[0]): _base(row[1:]) for row in rows}


def bases_in(tx: Transaction, scope: Scope) -> dict[CachePath, Base]:
    """All bases of a scope."""
    rows = tx.execute(f"SELECT path, {_BASE} FROM base WHERE scope = ?", (scope,))  # noqa: S608
    return {CachePath(row[0]): _base(row[1:]) for row in rows}


def all_base_paths(tx: Transaction) -> list[CachePath]:
    """Every path that something is agreed of."""
    return [CachePath(path) for (path,) in tx.execute("SELECT path FROM base ORDER BY path")]


def put_base(tx: Transaction, scope: Scope, path: CachePath, agreed: Base) -> None:
    """Local and remote agree on this content; the local file had this stamp."""
    put_bases(tx, scope, {path: agreed})


def put_bases(tx: Transaction, scope: Scope, agreed: Mapping[CachePath, Base]) -> None:
    """`put_base` for many paths."""
    if not agreed:
        return
    tx.executemany(
        "INSERT OR REPLACE INTO base VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (_base_row(scope, path, base) for path, base in agreed.items()),
    )
    _note(tx, scope, _now(tx, agreed), {path: base.content for path, base in agreed.items()})


def _base_row(scope: Scope, path: CachePath, agreed: Base) -> tuple[Any, ...]:
    content, stamp = agreed.content, agreed.stamp
    return (
        path,
        scope,
        content.size,
        content.sha256,
        content.x,
        stamp.dev,
        stamp.ino,
        stamp.size,
        stamp.mtime_ns,
        stamp.ctime_ns,
        agreed.racy,
    )


def drop_base(tx: Transaction, scope: Scope, path: CachePath) -> None:
    """Nothing is agreed of this path any more (it is gone on both sides, or the edit won)."""
    drop_bases(tx, scope, (path,))


def drop_bases(tx: Transaction, scope: Scope, paths: Collection[CachePath]) -> None:
    """`drop_base` for many paths."""
    if not paths:
        return
    tx.execute("DELETE FROM base WHERE path IN (SELECT value FROM json_each(?))", (these(paths),))
    _note(tx, scope, _now(tx, paths), {})


def renumber_bases(tx: Transaction, before: int, now: int) -> None:
    """A device has another number: the files on it are the same."""
    tx.execute("UPDATE base SET dev = ? WHERE dev = ?", (now, before))


def drop_all_bases(tx: Transaction) -> None:
    """Join mode begins: nothing is agreed, everything that the heads have is unapplied."""
    tx.execute("DELETE FROM base")
    tx.execute("DELETE FROM unapplied")
    rows = list(tx.execute("SELECT path, scope, record FROM remote ORDER BY path"))
    live = ((path, of) for path, of, raw in rows if isinstance(decode_record(raw), Entry))
    tx.executemany("INSERT INTO unapplied VALUES (?, ?)", live)


def without_record(tx: Transaction, scope: Scope) -> list[CachePath]:
    """Paths of a scope that something was agreed of, and that its head says nothing of."""
    found = tx.execute(
        "SELECT path FROM base WHERE scope = ? AND path NOT IN (SELECT path FROM remote)"
        " ORDER BY path",
        (scope,),
    )
    return [CachePath(path) for (path,) in found]


# --- unapplied --------------------------------------------------------------------------------


def note_applied_or_not(
    tx: Transaction, scope: Scope, records: Mapping[CachePath, Record | None]
) -> None:
    """Which of these remote rows differ from base?  Those paths are on the list of work."""
    if not records:
        return
    agreed = tx.execute(
        "SELECT path, size, sha256, x FROM base WHERE path IN (SELECT value FROM json_each(?))",
        (these(records),),
    )
    contents = {path: Content(size, Sha256(sha256), bool(x)) for path, size, sha256, x in agreed}
    _note(tx, scope, records, contents)


def _note(
    tx: Transaction,
    scope: Scope,
    records: Mapping[CachePath, Record | None],
    contents: Mapping[CachePath, Content],
) -> None:
    differ: list[CachePath] = []
    same: list[CachePath] = []
    for path, record in records.items():
        wanted = record.content if isinstance(record, Entry) else None
        (same if contents.get(path) == wanted else differ).append(path)
    tx.executemany(
        "INSERT OR REPLACE INTO unapplied VALUES (?, ?)", ((path, scope) for path in differ)
    )
    if same:
        tx.execute(
            "DELETE FROM unapplied WHERE path IN (SELECT value FROM json_each(?))", (these(same),)
        )


def _now(tx: Transaction, paths: Collection[CachePath]) -> dict[CachePath, Record | None]:
    """What the heads say of each of these paths."""
    return {**dict.fromkeys(paths), **remotes(tx, paths)}


def unapplied_in(tx: Transaction, scope: Scope) -> list[CachePath]:
    """The paths of a scope whose remote row is not applied here."""
    rows = tx.execute("SELECT path FROM unapplied WHERE scope = ? ORDER BY path", (scope,))
    return [CachePath(path) for (path,) in rows]


def all_unapplied(tx: Transaction) -> Iterator[tuple[CachePath, Scope]]:
    """All of them, with their scopes."""
    for path, scope in tx.execute("SELECT path, scope FROM unapplied ORDER BY path"):
        yield CachePath(path), Scope(scope)
