"""What `status` shows of paths: noted by the push or pull that finds it, taken back by the next one
that does not.

A state of an unapplied path is the pull's, for a pull plans every such path; any other is the
push's, which has looked at the whole scope.  So neither takes back what only the other can see.
Unsettled and applied: the mirror's, which could not bring the plain key up; over when it could.
A name collision is no decision to be made: it ends with its reason, mostly a rename.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from swampd.domain.paths import PathProblem, parse_cache_path
from swampd.domain.planning import Present
from swampd.domain.states import ConflictKind, PathState
from swampd.domain.values import CachePath
from swampd.indexing import rows
from swampd.syncing import local_ledger, nesting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swampd.domain.planning import Local
    from swampd.domain.values import Scope
    from swampd.ports import Transaction
    from swampd.syncing.local_ledger import Conflict

SURVEYED: Final = (
    PathState.BUSY,
    PathState.UNREADABLE,
    PathState.SYMLINK,
    PathState.NOT_A_FILE,
    PathState.REFUSED_NAME,
)
"""States that a scan finds."""


def surveyed(tx: Transaction, scope: Scope) -> dict[str, tuple[PathState, str]]:
    """What `note_survey` noted last."""
    return {
        path: (state, detail)
        for path, _, state, detail in local_ledger.states(tx, scope)
        if state in SURVEYED
    }


def note_survey(tx: Transaction, scope: Scope, listed: Mapping[str, tuple[PathState, str]]) -> None:
    """A scan has looked at the whole scope."""
    local_ledger.clear_scope_states(tx, scope, SURVEYED)
    for path, (state, detail) in listed.items():
        local_ledger.set_state(tx, scope, path, state, detail)


@dataclass(frozen=True, slots=True)
class Collided:
    """What is shown of names that collide."""

    held: frozenset[str]
    in_conflict: frozenset[CachePath]

    def is_all(
        self, conflicts: Mapping[CachePath, ConflictKind], held: Mapping[CachePath, PathState]
    ) -> bool:
        """Would `note_push` change nothing?"""
        found = {path for path, state in held.items() if state is PathState.NAME_COLLISION}
        return self.held == found and self.in_conflict <= conflicts.keys()


NOT_COLLIDED: Final = Collided(frozenset(), frozenset())


def collided(tx: Transaction, scope: Scope) -> Collided:
    """What is shown now."""
    held = local_ledger.in_state(tx, scope, PathState.NAME_COLLISION)
    return Collided(frozenset(held), frozenset(c.path for c in collisions(tx, scope)))


def note_push(
    tx: Transaction,
    scope: Scope,
    conflicts: Mapping[CachePath, ConflictKind],
    held: Mapping[CachePath, PathState],
) -> None:
    """A push has planned the whole scope: collisions that it did not find are over."""
    over = [c.path for c in collisions(tx, scope) if c.path not in conflicts]
    _end_collisions(tx, over)
    local_ledger.clear_scope_states(tx, scope, (PathState.NAME_COLLISION,))
    for path, state in held.items():
        if state is PathState.NAME_COLLISION:
            local_ledger.set_state(tx, scope, path, state)


def note_pull(
    tx: Transaction,
    scope: Scope,
    conflicts: Iterable[CachePath],
    held: Mapping[CachePath, PathState],
    failed: Mapping[CachePath, str],
    looks: Mapping[CachePath, Local],
) -> None:
    """A pull has planned every unapplied path; `looks` is what stands at the names that collide."""
    collided = {
        path
        for path, local in looks.items()
        if isinstance(local, Present) and nesting.crowded(tx, (path,))
    }
    _end_collisions(tx, [c.path for c in collisions(tx, scope) if c.path not in collided])
    found = {*conflicts, *held, *failed}
    stale = [row for row in local_ledger.states(tx, scope) if row[0] not in found]
    unapplied = frozenset(rows.unapplied_in(tx, scope)) if stale else frozenset()
    over = frozenset((*stuck_over(tx), *_decided(tx, scope))) if stale else frozenset()
    gone = [
        path
        for path, _, state, why in stale
        if path not in collided
        and (path in over or not _still_holds(path, state, why, unapplied=path in unapplied))
    ]
    local_ledger.clear_states(tx, gone)
    for path, state in held.items():
        local_ledger.set_state(tx, scope, path, state)
    for path, detail in failed.items():
        local_ledger.set_state(tx, scope, path, PathState.UNSETTLED, detail)


def is_quiet(tx: Transaction, scope: Scope) -> bool:
    """Is nothing shown of this scope, so that a pull which finds nothing has nothing to note?"""
    return not local_ledger.states(tx, scope) and not collisions(tx, scope)


def note_stuck(tx: Transaction, scope: Scope, path: CachePath, why: str) -> None:
    """The plain key of a path cannot be brought up; what else it is in comes first."""
    known = local_ledger.state_of(tx, path)
    if known is None or known is PathState.UNSETTLED:
        local_ledger.set_state(tx, scope, path, PathState.UNSETTLED, why)


def end_stuck(tx: Transaction, path: CachePath) -> None:
    """Its plain key is brought up; of an unapplied path a pull says what it is in."""
    if local_ledger.state_of(tx, path) is PathState.UNSETTLED:
        local_ledger.clear_applied_states(tx, (path,))


def stuck_over(tx: Transaction) -> list[CachePath]:
    """Applied paths that are shown as unsettled and are not: another machine has settled them."""
    found = tx.execute(
        "SELECT path FROM path_state WHERE state = ? AND path NOT IN (SELECT path FROM unapplied)"
        " AND path NOT IN (SELECT path FROM remote WHERE pending)",
        (PathState.UNSETTLED.value,),
    )
    return [CachePath(path) for (path,) in found]


def _decided(tx: Transaction, scope: Scope) -> set[CachePath]:
    """Paths that are shown as in conflict, and no conflict is known of them: its copy was gone, and
    it came to nothing before another was made."""
    shown = local_ledger.in_state(tx, scope, PathState.CONFLICT)
    return {*map(CachePath, shown)} - {c.path for c in local_ledger.conflicts(tx)}


def collisions(tx: Transaction, scope: Scope) -> list[Conflict]:
    """The conflicts of a scope that are about names, not contents."""
    found = local_ledger.conflicts(tx, scope)
    return [conflict for conflict in found if conflict.kind is ConflictKind.NAME_COLLISION]


def colliding(tx: Transaction, scope: Scope) -> list[CachePath]:
    """Every path of a scope whose name was found to collide."""
    held = local_ledger.in_state(tx, scope, PathState.NAME_COLLISION)
    return sorted({*map(CachePath, held), *(conflict.path for conflict in collisions(tx, scope))})


def _still_holds(path: str, state: PathState, why: str, *, unapplied: bool) -> bool:
    """Is this state, which a pull did not find, still to be shown?"""
    if state is PathState.CONFLICT:
        return True
    if unapplied:
        # What the store has lost stays lost until a push has brought it back.
        return state is PathState.MISSING
    if state is PathState.UNSETTLED:
        return True
    if state is PathState.REFUSED_NAME:
        # Of a name that can be spelt, and fits a key, only a placement says so.
        problem = parse_cache_path(path)
        return isinstance(problem, PathProblem) or why == PathProblem.TOO_LONG.value
    return state in SURVEYED


def _end_collisions(tx: Transaction, paths: Iterable[CachePath]) -> None:
    for path in paths:
        local_ledger.forget_conflict(tx, path)
        local_ledger.clear_states(tx, (path,))
