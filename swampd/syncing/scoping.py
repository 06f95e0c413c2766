"""Which scope a path means (section 4, scopes).

Declared scopes never nest: a path inside one means that scope, a path above some means all of them
(for a lock: their top-level scope as a gate), a file means the scope that it is in, and any other
directory is to be declared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swampd.domain import scopes
from swampd.domain.entries import Entry
from swampd.domain.paths import PathProblem, never_synced, parse_cache_path
from swampd.domain.values import Scope
from swampd.indexing import ledger as heads_ledger
from swampd.indexing import rows
from swampd.ports import Kind
from swampd.syncing import local_ledger
from swampd.syncing.disk import working_in_the_cache

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swampd.domain.values import CachePath
    from swampd.ports import Transaction
    from swampd.syncing.context import Sync


@dataclass(frozen=True, slots=True)
class Named:
    """A scope that a request means, and whether it has to be declared first."""

    scope: Scope
    to_declare: bool = False


def outermost(named: Iterable[Named]) -> list[Named]:
    """A path inside what the same request declares means that scope: declared ones never nest."""
    asked = list(named)
    fresh = sorted(one.scope for one in asked if one.to_declare)

    def outer(one: Named) -> Named:
        around = (Named(scope, to_declare=True) for scope in fresh)
        return next((new for new in around if scopes.contains(new.scope, one.scope)), one)

    return list(dict.fromkeys(outer(one) for one in asked))


class ScopeNames:
    """Finds the scopes that requests mean."""

    def __init__(self, sync: Sync) -> None:
        self._sync = sync

    async def resolve(self, asked: Scope) -> Named:
        """The one scope that a lock on this path takes."""
        if asked == scopes.ALL or scopes.is_top(asked):
            return Named(await self._root_file(asked))
        top = scopes.top_scope(asked)
        children = await self._sync.journal.read(lambda tx: heads_ledger.children_of(tx, top))
        for child in children:
            if child == asked or asked.startswith(child + "/"):
                return Named(child)
        if any(child.startswith(asked + "/") for child in children):
            return Named(top)
        if len(scopes.escape(asked)) > scopes.ESCAPED_LIMIT or await self._is_file(asked):
            return Named(top)
        return Named(asked, to_declare=True)

    async def meant(self, asked: Scope) -> list[Named]:
        """All scopes that a push or pull of this path means."""
        if asked == scopes.ALL:
            return await self.every(local=True)
        one = await self.resolve(asked)
        if one.to_declare or one.scope == scopes.ROOT:
            return [one]
        top = scopes.top_scope(one.scope)
        if one.scope != top:
            return [one]
        children = await self._sync.journal.read(lambda tx: heads_ledger.children_of(tx, top))
        below = [c for c in children if asked in (top, one.scope) or c.startswith(asked + "/")]
        if asked not in (top, one.scope):
            return [Named(child) for child in below] or [one]
        return [one, *(Named(child) for child in below)]

    async def every(self, *, local: bool) -> list[Named]:
        """Every scope of the repo: those with heads, and top-level directories that are here."""
        known = await self._sync.journal.read(_every_known)
        if local:
            with working_in_the_cache("the cache"):
                known |= await self._sync.threads.io(self._local_tops)
        return [Named(scope) for scope in sorted(known)]

    def _local_tops(self) -> set[Scope]:
        found: set[Scope] = set()
        for row in self._sync.tree.children(""):
            path = parse_cache_path(row.path)
            if isinstance(path, PathProblem) or never_synced(row.path):
                continue
            found.add(Scope(path) if row.kind is Kind.DIRECTORY else scopes.ROOT)
        return found

    async def _root_file(self, asked: Scope) -> Scope:
        """A file at the root means the scope of the root files."""
        if asked in (scopes.ALL, scopes.ROOT) or not await self._is_file(asked):
            return asked
        return scopes.ROOT

    async def _is_file(self, asked: Scope) -> bool:
        path = parse_cache_path(asked)
        if isinstance(path, PathProblem):
            return False
        with working_in_the_cache(path):
            seen = await self._sync.threads.io(lambda: self._sync.tree.stat(path))
        if seen is not None:
            return seen.kind is not Kind.DIRECTORY
        return await self._sync.journal.read(lambda tx: _is_entry(tx, path))


def scope_of(tx: Transaction, path: CachePath) -> Scope:
    """The scope that speaks for a path, as the journal knows the declared ones."""
    return scopes.owner_of(path, heads_ledger.children_of(tx, scopes.top_of(path)))


def scopes_of(tx: Transaction, paths: Iterable[CachePath]) -> dict[Scope, list[CachePath]]:
    """`scope_of` for many paths: those of each scope."""
    children: dict[Scope, list[Scope]] = {}
    found: dict[Scope, list[CachePath]] = {}
    for path in paths:
        top = scopes.top_of(path)
        if top not in children:
            children[top] = heads_ledger.children_of(tx, top)
        found.setdefault(scopes.owner_of(path, children[top]), []).append(path)
    return found


def _is_entry(tx: Transaction, path: CachePath) -> bool:
    return isinstance(rows.remote(tx, path), Entry)


def _every_known(tx: Transaction) -> set[Scope]:
    """Scopes with adopted heads, the declared ones that they name, and those that something is
    remembered of here."""
    found = set(heads_ledger.known_scopes(tx))
    for scope in tuple(found):
        found.update(heads_ledger.children_of(tx, scope))
    for (scope,) in tx.execute("SELECT scope FROM base UNION SELECT scope FROM path_state"):
        found.add(scope)
    return found.union(scopes_of(tx, local_ledger.joining(tx)))
