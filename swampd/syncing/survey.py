"""What the local tree holds of a scope, compared with base: the scan that decides (section 5).

Runs in a worker thread.  A file whose stamp is that of base is the same; any difference is looked
at by its bytes.  Keeps S4: what could not be read is Opaque, and nothing below an unreadable
directory counts as gone; nor does what was on another disk than its directory is now (it may be
unmounted), or what is behind a link.  Keeps S9: only allowed names inside the scope are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from swampd.domain import scopes
from swampd.domain.paths import PathProblem, never_synced, parse_cache_path, prunes
from swampd.domain.planning import Absent, Local, Opaque, Present
from swampd.domain.states import PathState
from swampd.domain.values import CachePath, Content, Scope
from swampd.indexing.rows import Base
from swampd.ports import FileRead, Kind, NotUtf8, ReadProblem, Seen, Stamp, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from swampd.ports import FileTree, ScanRow


class LocalFile(msgspec.Struct, frozen=True, gc=False):
    """A local file as it was read: its content, its stamp, and whether that can be relied on."""

    content: Content
    stamp: Stamp
    racy: bool

    @property
    def as_base(self) -> Base:
        """The same as a base row."""
        return Base(self.content, self.stamp, self.racy)


def bases_of(files: Mapping[CachePath, LocalFile]) -> dict[CachePath, Base]:
    """The same as base rows."""
    return {path: file.as_base for path, file in files.items()}


@dataclass(slots=True)
class Survey:
    """The paths of a scope that differ from base, and what else was met on the way."""

    changed: dict[CachePath, Local] = field(default_factory=dict)
    files: dict[CachePath, LocalFile] = field(default_factory=dict)
    """Stamps of the Present ones."""
    touched: dict[CachePath, LocalFile] = field(default_factory=dict)
    """Same bytes as base under another stamp: only base's stamp is to be renewed."""
    listed: dict[str, tuple[PathState, str]] = field(default_factory=dict)
    """Names that are not synced, each with the state that says why."""
    skipped: int = 0
    """Names of section 1's never-synced list."""
    cache: int = 0
    """The cache that was surveyed (`Bases.cache`)."""


def survey(
    tree: FileTree,
    scope: Scope,
    children: Iterable[Scope],
    bases: Mapping[CachePath, Base],
    *,
    prefix_bytes: int = 0,
) -> Survey:
    """Scan a scope and hash what differs from base.

    `prefix_bytes` is what the store's prefix takes of each key (`layout.Keys`).
    """
    result = Survey()
    children = frozenset(children)
    now_ns = tree.now_ns()
    seen: set[str] = set()
    blind: list[str] = []
    unread: list[CachePath] = []
    for row in _rows(tree, scope, children):
        if isinstance(row, Unreadable):
            blind.append(row.path)
            result.listed[row.path] = (PathState.UNREADABLE, row.reason)
        elif isinstance(row, NotUtf8):
            result.listed[row.path] = (PathState.REFUSED_NAME, "not UTF-8")
        elif never_synced(row.path):
            result.skipped += 1
        else:
            seen.add(row.path)
            path = parse_cache_path(row.path, prefix_bytes=prefix_bytes)
            if isinstance(path, PathProblem):
                result.listed[row.path] = (PathState.REFUSED_NAME, path.value)
            else:
                _look(path, row, bases.get(path), result, unread)
    for path, read in zip(unread, tree.read_each(unread, keep=False), strict=True):
        _note(path, Kind.FILE, bases.get(path), *_as_local(read, now_ns), result)
    for path in sorted(bases.keys() - seen):
        if not any(path == dark or path.startswith(dark + "/") or not dark for dark in blind):
            _look_for(tree, path, now_ns, result)
            if isinstance(result.changed.get(path), Absent):
                _believe(tree, path, bases[path], result)
    return result


def _believe(tree: FileTree, path: CachePath, base: Base, result: Survey) -> None:
    """Take a path for gone only where that can be known."""
    try:
        doubt = out_of_sight(tree, path, base)
    except OSError as error:
        doubt = PathState.UNREADABLE, str(error)
    if doubt is not None:
        result.changed[path] = Opaque(doubt[0].value)
        result.listed[path] = doubt


def out_of_sight(tree: FileTree, path: CachePath, base: Base) -> tuple[PathState, str] | None:
    """Why what base speaks of may be there though nothing is seen, asked after the look; None: it
    is gone (S4).  Raises OSError."""
    above = tree.above(path)
    if above.kind is Kind.SYMLINK:
        return PathState.SYMLINK, f"{above.path} is a link now"
    had_file = base.stamp.size >= 0
    if had_file and above.kind is Kind.DIRECTORY and above.dev != base.stamp.dev:
        return PathState.UNREADABLE, "it was on another disk than its directory: mount that again"
    return None


def _look_for(tree: FileTree, path: CachePath, now_ns: int, result: Survey) -> None:
    """A base path that the scan did not meet: a scan is no snapshot, so the name itself decides."""
    try:
        row = tree.stat(path)
    except OSError as error:
        result.listed[path] = (PathState.UNREADABLE, str(error))
        return
    local, file = read_local(tree, path, row, now_ns)
    result.changed[path] = local
    if file is not None:
        result.files[path] = file


def _rows(tree: FileTree, scope: Scope, children: frozenset[Scope]) -> Iterator[ScanRow]:
    """The names of a scope, those of its declared children left out."""
    if scope == scopes.ROOT:
        yield from (row for row in tree.children("") if row.kind is not Kind.DIRECTORY)
        return
    yield from tree.scan(scope, lambda path: path in children or prunes(path))


def _look(
    path: CachePath, row: Seen, base: Base | None, result: Survey, unread: list[CachePath]
) -> None:
    """What a row of the scan says by itself; whose bytes are to be looked at goes to `unread`."""
    if row.stamp is not None and base is not None and not base.racy and row.stamp == base.stamp:
        return
    if row.kind is Kind.FILE:
        unread.append(path)
    else:
        _note(path, row.kind, base, _not_a_file(row.kind), None, result)


def _note(
    path: CachePath,
    kind: Kind,
    base: Base | None,
    local: Local,
    file: LocalFile | None,
    result: Survey,
) -> None:
    """What a look at a path found."""
    if file is not None and base is not None and file.content == base.content:
        result.touched[path] = file
        return
    if isinstance(local, Absent) and base is None:
        return
    if isinstance(local, Opaque):
        state = PathState(local.reason)
        result.listed[path] = (state, kind.value)
        if state is PathState.SYMLINK or state is PathState.NOT_A_FILE:
            result.changed.pop(path, None)
            if base is None:
                return
    result.changed[path] = local
    if file is not None:
        result.files[path] = file


def read_local(
    tree: FileTree, path: CachePath, row: Seen | None, now_ns: int
) -> tuple[Local, LocalFile | None]:
    """One path as the planner wants it; `now_ns` is a timestamp the file system gave before."""
    if row is None:
        return Absent(), None
    if row.kind is not Kind.FILE:
        return _not_a_file(row.kind), None
    return _as_local(tree.read(path, keep=False), now_ns)


def _not_a_file(kind: Kind) -> Opaque:
    state = PathState.SYMLINK if kind is Kind.SYMLINK else PathState.NOT_A_FILE
    return Opaque(state.value)


def _as_local(read: FileRead | ReadProblem, now_ns: int) -> tuple[Local, LocalFile | None]:
    """What a read says of a path."""
    if isinstance(read, FileRead):
        file = local_file(read, now_ns)
        return Present(file.content), file
    if read is ReadProblem.GONE:
        return Absent(), None
    if read is ReadProblem.BUSY:
        return Opaque(PathState.BUSY.value), None
    if read is ReadProblem.NOT_A_FILE:
        return Opaque(PathState.NOT_A_FILE.value), None
    return Opaque(PathState.UNREADABLE.value), None


def local_file(read: FileRead, now_ns: int) -> LocalFile:
    """What was read, and whether the file could be written again without a trace: its stamp is
    racy unless it is older than a timestamp that the file system gave before the read."""
    stamp = read.stamp
    racy = stamp.mtime_ns >= now_ns or stamp.ctime_ns >= now_ns
    return LocalFile(Content(stamp.size, read.sha256, stamp.x), stamp, racy)


def look_at(
    tree: FileTree, paths: Iterable[CachePath], bases: Mapping[CachePath, Base]
) -> dict[CachePath, tuple[Local, LocalFile | None]]:
    """The local state of these paths only; unchanged files are taken from base unread."""
    now_ns = tree.now_ns()
    return {path: _look_at(tree, path, bases.get(path), now_ns) for path in paths}


def _look_at(
    tree: FileTree, path: CachePath, base: Base | None, now_ns: int
) -> tuple[Local, LocalFile | None]:
    try:
        row = tree.stat(path)
        if row is not None and base is not None and not base.racy and row.stamp == base.stamp:
            return Present(base.content), LocalFile(base.content, base.stamp, racy=False)
        local, file = read_local(tree, path, row, now_ns)
        doubt = out_of_sight(tree, path, base) if local == Absent() and base is not None else None
    except OSError:
        return Opaque(PathState.UNREADABLE.value), None
    return (local, file) if doubt is None else (Opaque(doubt[0].value), None)
