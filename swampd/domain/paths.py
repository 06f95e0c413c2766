"""Names: which strings are cache paths and scopes, which are never synced, which would collide.

Keys from a store, names of the local tree and what a person types all pass here (section 8), so
nothing outside the allowed names is read, written or deleted (S9) and no name escapes (S10).
Whether a name can be had on the file system at hand is not known here.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from typing import TYPE_CHECKING, Final

from swampd.domain import scopes
from swampd.domain.values import CachePath, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEGMENT_LIMIT: Final = 255
"""A segment is at most so many bytes of UTF-8: what file systems hold."""
KEY_LIMIT: Final = 1024
"""A full key, prefix included, is at most so many bytes of UTF-8: what stores hold."""
PRIVATE: Final = ".swampd"
"""The daemon's own directory in a cache."""
ROOT_ONLY: Final = frozenset(
    {
        "_control",
        "_index",
        ".datastore-index.json",
        ".datastore.lock",
        ".datastore-sync-state.json",
        ".push-queue.json",
        ".locks",
        PRIVATE,
        "secrets",
        "bundles",
        "vault-bundles",
        "driver-bundles",
        "report-bundles",
    }
)
"""Never synced at the root, as a file or with all that is below."""
ANY_DEPTH: Final = frozenset({".lock", ".namespace.json", "_catalog.db"})
"""Basenames that are never synced, wherever they are."""
_CATALOG_SIDE: Final = "_catalog.db-"
_TEMPORARY: Final = re.compile(
    r"\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.tmp", re.IGNORECASE
)
_IGNORED: Final = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""Characters that HFS+ takes for nothing when it compares names."""


class PathProblem(Enum):
    """Why a string is no cache path or no scope."""

    EMPTY = "empty"
    ABSOLUTE = "absolute"
    DOT_SEGMENT = "dot_segment"
    EMPTY_SEGMENT = "empty_segment"
    TRAILING_SLASH = "trailing_slash"
    CONTROL_CHARACTER = "control_character"
    BACKSLASH = "backslash"
    SEGMENT_TOO_LONG = "segment_too_long"
    TOO_LONG = "too_long"
    NOT_UTF8 = "not_utf8"
    NEVER_SYNCED = "never_synced"
    RESERVED_SCOPE = "reserved_scope"
    SCOPE_TOO_LONG = "scope_too_long"

    @property
    def summary(self) -> str:
        """The same for people: what follows "this name is refused, because"."""
        return _SUMMARIES[self]


_SUMMARIES: Final = {
    PathProblem.EMPTY: "it is empty",
    PathProblem.ABSOLUTE: "it begins with a slash",
    PathProblem.DOT_SEGMENT: "a part of it is `.` or `..`",
    PathProblem.EMPTY_SEGMENT: "it has two slashes in a row",
    PathProblem.TRAILING_SLASH: "it ends with a slash",
    PathProblem.CONTROL_CHARACTER: "it has a control character",
    PathProblem.BACKSLASH: "it has a backslash",
    PathProblem.SEGMENT_TOO_LONG: f"a part of it is longer than {SEGMENT_LIMIT} bytes",
    PathProblem.TOO_LONG: f"its key in the store would be longer than {KEY_LIMIT} bytes",
    PathProblem.NOT_UTF8: "it is not UTF-8",
    PathProblem.NEVER_SYNCED: "names like this are never synced",
    PathProblem.RESERVED_SCOPE: "`*` at the top level means the whole datastore",
    PathProblem.SCOPE_TOO_LONG: (
        "the name of its top-level directory is too long for a scope: percent-encoded, it is over"
        f" {scopes.ESCAPED_LIMIT} bytes"
    ),
}


_MISSPELT: Final = (
    (re.compile(r"\A\Z"), PathProblem.EMPTY),
    (re.compile(r"[\x00-\x1f\x7f]"), PathProblem.CONTROL_CHARACTER),
    (re.compile(r"\\"), PathProblem.BACKSLASH),
    (re.compile(r"\A/"), PathProblem.ABSOLUTE),
    (re.compile(r"/\Z"), PathProblem.TRAILING_SLASH),
    (re.compile(r"//"), PathProblem.EMPTY_SEGMENT),
    (re.compile(r"(?:\A|/)\.\.?(?:/|\Z)"), PathProblem.DOT_SEGMENT),
)
_SEGMENT: Final = r"(?!\.\.?(?:/|\Z))[^/\\\x00-\x1f\x7f]+"
_WELL_SPELT: Final = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
"""The opposite of all of `_MISSPELT`, in one look."""


# --- cache paths ------------------------------------------------------------------------------


def parse_cache_path(raw: str, *, prefix_bytes: int = 0) -> CachePath | PathProblem:
    """The one constructor of a cache path (section 8).

    `prefix_bytes` is the length of what stands before the path in its key, the slash included.
    """
    problem = _malformed(raw, prefix_bytes)
    if problem is not None:
        return problem
    first, below, _ = raw.partition("/")
    if first == scopes.ALL:
        return PathProblem.RESERVED_SCOPE
    if never_synced(raw):
        return PathProblem.NEVER_SYNCED
    if below and not scopes.fits_a_key(Scope(first)):
        return PathProblem.SCOPE_TOO_LONG
    return CachePath(raw)


def _malformed(raw: str, prefix_bytes: int) -> PathProblem | None:
    """What is wrong with the spelling, whatever the name is."""
    try:
        encoded = raw.encode()
    except UnicodeEncodeError:
        return PathProblem.NOT_UTF8
    if not _WELL_SPELT.fullmatch(raw):
        return next(problem for wrong, problem in _MISSPELT if wrong.search(raw))
    if max(map(len, encoded.split(b"/"))) > SEGMENT_LIMIT:
        return PathProblem.SEGMENT_TOO_LONG
    if prefix_bytes + len(encoded) > KEY_LIMIT:
        return PathProblem.TOO_LONG
    return None


def parse_scope(raw: str, *, allow_all: bool = False) -> Scope | PathProblem:
    """A scope as a person or a key spells it: `.`, or a path with or without `./` before and `/`
    behind it; `*` where the whole datastore is allowed."""
    if raw == scopes.ALL:
        return scopes.ALL if allow_all else PathProblem.RESERVED_SCOPE
    if raw in {".", "./"}:
        return scopes.ROOT
    path = parse_cache_path(raw.removeprefix("./").removesuffix("/") or raw)
    if isinstance(path, PathProblem):
        return path
    scope = Scope(path)
    if scopes.is_top(scope) and not scopes.fits_a_key(scope):
        return PathProblem.SCOPE_TOO_LONG
    return scope


# --- never synced -----------------------------------------------------------------------------


def never_synced(path: str) -> bool:
    """The one function of section 1: True for what push, pull, scan, watch, discovery and migration
    pass over.  The names for any depth are those of files: what is *in* a directory called `.lock`
    is synced like anything else."""
    name = path.rpartition("/")[2]
    return (
        prunes(path)
        or name in ANY_DEPTH
        or name.startswith(_CATALOG_SIDE)
        or _TEMPORARY.fullmatch(name) is not None
    )


def prunes(path: str) -> bool:
    """True for the root-only names and all below them: a scan need not go into them.

    The daemon's own directory is meant in every spelling that some file system takes for it (case,
    Unicode; vfat drops dots and spaces at the end), so that no key from a store is ever written
    there (S9).
    """
    first = path.partition("/")[0]
    return first in ROOT_ONLY or fold(first).rstrip(". ") == PRIVATE


# --- names that are one name on some file systems ---------------------------------------------


def fold(path: str) -> str:
    """Names with equal folds are one name on a case-insensitive or normalising file system.

    Canonical caseless matching (Unicode 3.13, D145), and what HFS+ ignores: more than any one file
    system folds.
    """
    if path.isascii():
        return path.lower()
    folded = unicodedata.normalize("NFD", _IGNORED.sub("", path)).casefold()
    return unicodedata.normalize("NFC", folded)


def collisions(
    paths: Iterable[CachePath], *, there: Iterable[CachePath] = (), folding: bool = True
) -> dict[CachePath, str]:
    """The paths that cannot stand beside an earlier one, each with the name it runs into.

    The first stays (section 8): what is `there` already, then in sorted order.  Two paths collide
    when they spell a file or any directory above it differently but fold alike, or when one is a
    file where the other has a directory; `folding` false, on a file system that tells all names
    apart, leaves the latter.  What folds like a never-synced name of the root collides with that.
    """
    taken: dict[str, tuple[str, bool]] = {}
    if folding:
        taken = {fold(name): (name, True) for name in sorted(ROOT_ONLY)}
    lost: dict[CachePath, str] = {}
    first = set(there)
    for path in (*sorted(first), *sorted(set(paths) - first)):
        names = [
            (fold(name) if folding else name, (name, is_dir)) for name, is_dir in _levels(path)
        ]
        rival = next((taken[key] for key, name in names if taken.get(key, name) != name), None)
        if rival is None:
            taken.update(names)
        elif path not in first:
            lost[path] = rival[0]
    return lost


def _levels(path: CachePath) -> Iterator[tuple[str, bool]]:
    """Each directory above a path, the topmost first, and the path; True for directories."""
    at = path.find("/")
    while at >= 0:
        yield path[:at], True
        at = path.find("/", at + 1)
    yield path, False
