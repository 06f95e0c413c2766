"""Names that are a file here and a directory there: no head has both `a` and `a/b` (section 4).

Push sends neither name beside a live entry of the other: the second is a conflict, or, of a file at
the root against a scope, `name_collision`.  Pull downloads nothing that has no room.  What is
replaced on purpose, a file by a directory or the other way, is no such case: the delete makes room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampd.domain import scopes
from swampd.domain.entries import Entry
from swampd.domain.paths import PathProblem, never_synced, parse_cache_path, prunes
from swampd.domain.planning import Absent, Local, Opaque
from swampd.domain.pointers import folders_above
from swampd.domain.states import ConflictKind, PathState
from swampd.domain.values import CachePath, Scope
from swampd.indexing import ledger as heads_ledger
from swampd.indexing import rows
from swampd.ports import Kind, Seen
from swampd.syncing.scoping import scope_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from swampd.ports import FileTree, Transaction
    from swampd.syncing.plans import Plan
    from swampd.syncing.survey import LocalFile

NOT_A_FILE = Opaque(PathState.NOT_A_FILE.value)


# --- what is sent -------------------------------------------------------------------------------


def keep_apart(tx: Transaction, plan: Plan) -> bool:
    """Take out of the plan what cannot stand beside a live entry; what the plan deletes is in
    nobody's way.  True if there was any."""
    found = crowded(tx, plan.push, frozenset(plan.bury))
    plan.beside.update(found)
    for path, other in found.items():
        del plan.push[path]
        if plan.held.get(other) is PathState.HELD_BACK:
            plan.held[path] = PathState.HELD_BACK  # its delete waits, and so does this
        elif scopes.top_of(path) == scopes.top_of(other):
            plan.conflicts[path] = ConflictKind.NAME_COLLISION
        else:
            plan.held[path] = PathState.NAME_COLLISION
    return bool(found)


def crowded(
    tx: Transaction, paths: Iterable[CachePath], gone: Collection[CachePath] = ()
) -> dict[CachePath, CachePath]:
    """Those of the paths that are below a live entry, or have one below them, with that one.

    Not those that have a live entry themselves: they were first, or a head has both already.
    Entries in `gone` do not count.
    """
    asked = list(paths)
    folders = {folder for path in asked for folder in folders_above(path)}
    around = rows.remotes(tx, (*asked, *map(CachePath, folders)))
    live = {path for path, record in around.items() if isinstance(record, Entry)}
    below = rows.with_rows_below(tx, asked)
    found: dict[CachePath, CachePath] = {}
    for path in asked:
        if path in live:
            continue
        above = (CachePath(folder) for folder in folders_above(path))
        other = next((p for p in above if p in live and p not in gone), None)
        if other is None and path in below:
            records = rows.remote_below(tx, Scope(path))
            entries = (p for p, record in records.items() if isinstance(record, Entry))
            other = next((p for p in entries if p not in gone), None)
        if other is not None:
            found[path] = other
    return found


def speakers(tx: Transaction, plan: Plan) -> list[Scope]:
    """The scopes whose heads have what the plan's paths cannot stand beside."""
    return sorted({scope_of(tx, path) for path in set(plan.beside.values())})


def to_be_asked(tx: Transaction, scope: Scope, plan: Plan) -> list[Scope]:
    """The other scopes whose heads may have a name that this plan's new paths cannot stand beside.

    Of a new file, a scope of its name; of the first files of a scope, the ones above it.  Any
    other new path is beside entries of its own head, which was first.
    """
    records = rows.remotes(tx, plan.push)
    new = [path for path in plan.push if not isinstance(records.get(path), Entry)]
    if scope == scopes.ROOT:
        return [Scope(path) for path in new]
    children = heads_ledger.children_of(tx, scope)
    asked = [scope for scope in map(Scope, new) if scope in children]
    if new and not plan.known:
        asked += sorted({scopes.ROOT, scopes.top_scope(scope)} - {scope})
    return asked


def count_as_gone(tree: FileTree, looks: dict[CachePath, tuple[Local, LocalFile | None]]) -> None:
    """A directory with files to sync in the place of a file that was agreed on: somebody has put
    it there, so the file is gone.  An empty one says nothing (S4)."""
    for path, (local, _) in looks.items():
        if local == NOT_A_FILE and _has_files(tree, path):
            looks[path] = Absent(), None


def _has_files(tree: FileTree, path: CachePath) -> bool:
    return any(
        isinstance(row, Seen)
        and row.kind is Kind.FILE
        and not never_synced(row.path)
        and not isinstance(parse_cache_path(row.path), PathProblem)
        for row in tree.scan(path, prunes)
    )


# --- what is placed -----------------------------------------------------------------------------


def hold_blocked(tree: FileTree, plan: Plan) -> None:
    """Hold what has no room here: a path below a file, or one where a directory is.  One that a
    delete of the same plan makes room for has it in the next round."""
    kinds: dict[str, Kind | None] = {}

    def kind(path: str) -> Kind | None:
        if path not in kinds:
            try:
                seen = tree.stat(path)
            except OSError:
                seen = None  # what cannot be looked at, the placement finds out
            kinds[path] = seen.kind if seen is not None else None
        return kinds[path]

    for path in sorted(plan.place):
        if any(p in plan.place or kind(p) is Kind.FILE for p in folders_above(path)):
            del plan.place[path]
            plan.held[path] = PathState.NAME_COLLISION
    for path, state in plan.held.items():
        wanted = isinstance(plan.records.get(path), Entry)
        if wanted and state is PathState.NOT_A_FILE and kind(path) is Kind.DIRECTORY:
            plan.held[path] = PathState.NAME_COLLISION
