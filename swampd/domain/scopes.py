"""Scopes: parts of the tree with one head and one lock each (section 1 and 3, levels).

`*` is the whole datastore (a lock only), `.` the files at the root, else a path.  Every top-level
directory is a scope by itself; a deeper one is declared.
"""

from __future__ import annotations

import itertools
import urllib.parse
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from swampd.domain.values import CachePath, Scope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

ALL: Final = Scope("*")
ROOT: Final = Scope(".")
ESCAPED_LIMIT: Final = 200
"""A scope whose escaped name has more bytes than this is not declared; it stays in its parent."""


class Covers(Enum):
    """What a lock covers: the scope's own files, or everything below it as a gate."""

    OWN = "own"
    TREE = "tree"


@lru_cache(maxsize=1024)
def escape(scope: Scope) -> str:
    """The scope as one key segment: every byte outside `[A-Za-z0-9._@-]` percent-encoded."""
    if scope == ALL:
        return "%all"
    if scope == ROOT:
        return "%root"
    return urllib.parse.quote(scope, safe="@").replace("~", "%7E")


def unescape(segment: str) -> Scope | None:
    """The scope that `escape` spells so, or None when it spells none so.

    Of the spelling only: that the scope is a cache path is for `paths.parse_scope` to say
    (`layout.Keys.scope_of` asks it).
    """
    if segment == "%all":
        return ALL
    if segment == "%root":
        return ROOT
    try:
        scope = Scope(urllib.parse.unquote(segment, errors="strict"))
        return scope if scope and escape(scope) == segment else None
    except UnicodeError:
        return None


def fits_a_key(scope: Scope) -> bool:
    """True when the scope's lock and head have keys: no scope without them is declared."""
    if scope.isascii() and len(scope) * len("%00") <= ESCAPED_LIMIT:
        return True
    return len(escape(scope)) <= ESCAPED_LIMIT


def is_top(scope: Scope) -> bool:
    """True for `.` and for top-level directories: scopes that need no declaring."""
    return scope != ALL and "/" not in scope


def top_of(path: str) -> Scope:
    """The top-level scope that a path is in: its first segment, `.` for a file at the root."""
    head, sep, _ = path.partition("/")
    return Scope(head) if sep else ROOT


def top_scope(scope: Scope) -> Scope:
    """The top-level scope whose head names this scope as a child (itself, for a top-level one)."""
    return Scope(scope.partition("/")[0])


def is_child(scope: Scope, top: Scope) -> bool:
    """True for a scope below the top level whose head `top` would name it."""
    return not is_top(scope) and top_scope(scope) == top


def ancestors(scope: Scope) -> tuple[Scope, ...]:
    """The locks that may stand as a gate over this scope, nearest first: at most two.

    Declared scopes never nest, so a deep scope has its top-level scope and `*` above it.
    """
    if scope == ALL:
        return ()
    if is_top(scope):
        return (ALL,)
    return (top_scope(scope), ALL)


def is_below(scope: Scope, gate: Scope) -> bool:
    """True when a gate on `gate` covers `scope` (and is not `scope` itself)."""
    return gate in ancestors(scope)


def contains(scope: Scope, path: str) -> bool:
    """True when a path lies in the part of the tree that the scope spells, masks aside."""
    if scope == ALL:
        return True
    if scope == ROOT:
        return "/" not in path
    return path.startswith(scope + "/")


def entangled(scope: Scope, others: Iterable[Scope]) -> Scope | None:
    """One of the others that the scope is in, or that is in it: declared scopes never nest."""
    return next((one for one in others if contains(one, scope) or contains(scope, one)), None)


def nested(declared: Collection[Scope]) -> Scope | None:
    """One of these scopes that is in another of them, or None: the same for all at once."""
    spelt = sorted(scope + "/" for scope in declared)
    for outer, inner in itertools.pairwise(spelt):
        if inner.startswith(outer):
            return Scope(inner[:-1])
    return None


def owner_of(path: CachePath, children: Iterable[Scope]) -> Scope:
    """The scope whose head speaks for `path`: the declared child it is below, else its top one."""
    for child in children:
        if contains(child, path):
            return child
    return top_of(path)
