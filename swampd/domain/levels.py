"""The level rule: which two locks exclude each other (section 3, levels).

One rule for remote and local alike: two wants of one scope exclude each other, and a gate excludes
everything below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swampd.domain import scopes
from swampd.domain.scopes import Covers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swampd.domain.values import Scope


@dataclass(frozen=True, slots=True, order=True)
class Want:
    """A scope, and what the lock on it is to cover."""

    scope: Scope
    tree: bool = False

    @property
    def covers(self) -> Covers:
        """The same as a lock record says it."""
        return Covers.TREE if self.tree else Covers.OWN


def client_want(scope: Scope) -> Want:
    """What a client's lock on a scope takes: a gate on `*` and on a top-level directory, which may
    have declared scopes below it; the scope's own files else."""
    return Want(scope, tree=scope == scopes.ALL or (scopes.is_top(scope) and scope != scopes.ROOT))


def exclude(one: Want, other: Want) -> bool:
    """True when two different clients may not have both."""
    if one.scope == other.scope:
        return True
    return (one.tree and scopes.is_below(other.scope, one.scope)) or (
        other.tree and scopes.is_below(one.scope, other.scope)
    )


def any_exclude(some: Iterable[Want], others: Iterable[Want]) -> bool:
    """True when one of these excludes one of those."""
    those = tuple(others)
    return any(exclude(one, other) for one in some for other in those)


def in_order(wants: Iterable[Want]) -> tuple[Want, ...]:
    """The order in which several locks are taken: sorted, so that gates come before what is below
    them and no two clients wait for each other; `*` covers all, a gate covers its scope."""
    unique: dict[Scope, Want] = {}
    for want in wants:
        known = unique.get(want.scope)
        unique[want.scope] = want if known is None else Want(want.scope, known.tree or want.tree)
    return tuple(sorted(unique.values(), key=_rank))


def sorts_before_held(wants: Iterable[Want], held: Iterable[Want]) -> bool:
    """True when a client that holds `held` asks for something that sorts before it: it must not
    wait then, or two clients could wait for each other (section 3, several scopes; L11).

    A gate over what it holds is no exception: somebody else below the gate may wait for just that.
    What the client holds itself is passed by its drain, so with nobody in the way it has it at
    once.
    """
    first = min((_rank(want) for want in wants), default=None)
    return first is not None and any(first < _rank(mine) for mine in held)


def _rank(want: Want) -> tuple[bool, Scope]:
    return (want.scope != scopes.ALL, want.scope)
