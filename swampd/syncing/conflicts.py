"""Conflicts: nothing is overwritten, both contents stay, a person decides (section 7).

Ours stays in the cache, theirs goes to `.swampd/conflicts/`; the rest of the scope syncs on.
Keeps S2.
"""

from __future__ import annotations

from enum import Enum
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from swampd.domain import scopes
from swampd.domain.entries import Entry, Record
from swampd.domain.paths import PathProblem, parse_cache_path
from swampd.domain.planning import Opaque
from swampd.domain.states import ConflictKind
from swampd.domain.values import CachePath, Content
from swampd.errors import BadRequest, LowSpace, StoreUnavailable
from swampd.indexing import rows
from swampd.indexing.rows import Base
from swampd.ports import FileRead, PlaceProblem, ReadProblem, SealedFile, Stamp
from swampd.syncing import local_ledger
from swampd.syncing.bases import CacheReplacedError
from swampd.syncing.disk import working_in_the_cache
from swampd.syncing.fetching import Fetched, fetch
from swampd.syncing.leftovers import drop_copies
from swampd.syncing.local_ledger import Conflict, Placement, Trashed
from swampd.syncing.placing import Placer
from swampd.syncing.scoping import scope_of
from swampd.syncing.survey import look_at

if TYPE_CHECKING:
    from swampd.domain.planning import Local
    from swampd.domain.values import Scope
    from swampd.ports import Body, FileTree, Transaction
    from swampd.syncing.bases import Bases
    from swampd.syncing.context import Sync
    from swampd.syncing.placing import Placed
    from swampd.syncing.survey import LocalFile

NAME_BYTES: Final = 200
"""So much of a name is kept in a second one made of it."""
CHUNK: Final = 8 * 1024 * 1024
"""A large conflict copy is copied so many bytes at a time."""
NO_STAMP = Stamp(0, 0, -1, 0, 0, x=False)
"""The stamp of no file: whatever is there differs from it."""
log = structlog.get_logger()


Look: TypeAlias = "tuple[Local, LocalFile | None]"
"""What stands at a path."""


class Side(Enum):
    """What a person chooses: the cache's content, the conflict copy's, or both under two names."""

    OURS = "ours"
    THEIRS = "theirs"
    BOTH = "both"


class ConflictKeeper:
    """Records conflicts and keeps the other side's bytes."""

    def __init__(self, sync: Sync) -> None:
        self._sync = sync

    async def keep(
        self, scope: Scope, path: CachePath, kind: ConflictKind, record: Record | None
    ) -> None:
        """Both sides changed a path: fetch theirs as a copy, and stop touching the path.

        Kept bytes of the path come first: they are a user's, and nowhere else.
        """
        known = await self._sync.journal.read(lambda tx: local_ledger.conflict(tx, path))
        if known is not None and known.record == record and known.kind is kind:
            return
        if known is not None and known.kind is ConflictKind.KEPT_BYTES:
            return
        copy = sha256 = None
        if isinstance(record, Entry):
            sha256 = record.sha256
            try:
                fetched = await fetch(self._sync, {path: record})
            except StoreUnavailable:
                return
            ready = fetched.ready.get(path)
            if ready is None:
                return
            copy = await self._sync.threads.io(lambda: self._to_conflicts(ready.name, path))
        wall_ms = self._sync.clock.wall_ms()
        conflict = Conflict(path, scope, kind, record, copy, wall_ms, sha256)
        await self._sync.journal.write(lambda tx: local_ledger.open_conflict(tx, conflict))
        log.warning("conflict", path=path, kind=kind.value)
        await drop_copies(self._sync)

    def _to_conflicts(self, name: str, path: CachePath) -> str:
        """The bytes are on disk before the name is, so that a copy is never half of one, and the
        copy before the journal names it."""
        self._sync.tree.sync()
        copy = self._sync.tree.tmp_to_conflicts(name, path)
        self._sync.tree.sync()
        return copy

    async def keep_bytes(self, scope: Scope | None, path: CachePath, copy: str) -> None:
        """Local bytes that nobody planned for were swapped out: they are this conflict's copy.

        Where the path is in conflict already, they are listed under a name of their own beside it,
        so that neither copy is forgotten.
        """
        read = await self._sync.threads.io(lambda: self._read_kept(copy))
        sha256 = read.sha256 if isinstance(read, FileRead) else None
        wall_ms = self._sync.clock.wall_ms()
        kind = ConflictKind.KEPT_BYTES

        def work(tx: Transaction) -> Conflict:
            of = scope if scope is not None else scope_of(tx, path)
            name = _free_name(tx, path, wall_ms)
            conflict = Conflict(name, of, kind, None, copy, wall_ms, sha256)
            local_ledger.open_conflict(tx, conflict)
            return conflict

        saved = await self._sync.journal.write(work)
        log.warning("conflict", path=saved.path, kind=kind.value, of=path)

    def _read_kept(self, copy: str) -> FileRead | ReadProblem:
        self._sync.tree.sync()
        return self._sync.tree.read(CachePath(copy), keep=False)


def _free_name(tx: Transaction, path: CachePath, wall_ms: int) -> CachePath:
    """The path itself, or a name beside it that no conflict has yet."""
    name, number = path, 0
    while local_ledger.conflict(tx, name) is not None:
        name = _beside(path, f"kept-{wall_ms + number:x}")
        number += 1
    return name


def _beside(path: CachePath, mark: str) -> CachePath:
    """A second name in the directory of a path; where that gets too long, below its first."""
    folder, slash, name = path.rpartition("/")
    short = name.encode()[:NAME_BYTES].decode(errors="ignore")
    found = parse_cache_path(f"{folder}{slash}{short}.{mark}")
    return CachePath(f"{scopes.top_of(path)}/{mark}") if isinstance(found, PathProblem) else found


class Resolver:
    """Does what a person decided."""

    def __init__(self, sync: Sync, bases: Bases) -> None:
        self._sync = sync
        self._bases = bases
        self._keeper = ConflictKeeper(sync)

    async def resolve(self, path: CachePath, side: Side) -> None:
        """Resolve one conflict; the next push or pull carries it out.

        Raises errors.BadRequest when there is no conflict, or nothing to take; errors.LowSpace,
        errors.Halted.
        """
        with working_in_the_cache(path):
            await self._resolve(path, side)

    async def _resolve(self, path: CachePath, side: Side) -> None:
        # First of all: what was decided against is what stands here now, and no later edit.
        cache, ours = self._bases.cache, await self._look(path)
        await self._bases.check()
        if cache != self._bases.cache:  # what was seen in another one says nothing of this one
            cache, ours = self._bases.cache, await self._look(path)
        conflict = await self._sync.journal.read(lambda tx: local_ledger.conflict(tx, path))
        if conflict is None:
            raise BadRequest(
                f"{path} is not in conflict", "see `swampctl conflicts list`", path=path
            )
        if conflict.kind is ConflictKind.NAME_COLLISION:
            raise BadRequest(
                f"{path} has no second content: its name is a file on one side and a directory on"
                " the other",
                conflict.kind.way_out,
                path=path,
            )
        await self._must_be_shown(conflict)
        if side is Side.BOTH:
            await self._place_beside(conflict)
        elif side is Side.THEIRS and conflict.kind is ConflictKind.KEPT_BYTES:
            await self._place_copy(conflict, ours)
        try:
            await self._decide(conflict, side, ours, cache)
        except CacheReplacedError:
            raise BadRequest(
                f"the cache was replaced while {path} was decided",
                "pull, and decide what is in conflict then",
                path=path,
            ) from None
        await drop_copies(self._sync)

    async def _must_be_shown(self, conflict: Conflict) -> None:
        """Nobody decides on a content that they cannot have seen: a copy that is gone is fetched
        anew by the next pull, which finds the conflict again.  One that only cannot be read now
        stays the conflict's: it may be bytes that are nowhere else."""
        copy, path = conflict.copy, conflict.path
        if copy is None:
            return
        problem = await self._sync.threads.io(lambda: self._look_at_copy(copy))
        if problem is None:
            return
        if problem is not ReadProblem.GONE:
            raise BadRequest(
                f"the other content of {path} cannot be read now: {copy} is {problem.value}",
                "let the user of the daemon read it, then decide",
                path=path,
            )

        def work(tx: Transaction) -> None:
            local_ledger.forget_conflict(tx, path)
            local_ledger.note_gone(tx, (copy,))
            rows.note_applied_or_not(tx, scope_of(tx, path), {path: rows.remote(tx, path)})

        await self._sync.journal.write(work)
        raise BadRequest(
            f"the other content of {path} is gone from {copy}",
            "pull again: it is fetched anew, then decide",
            path=path,
        )

    def _look_at_copy(self, copy: str) -> ReadProblem | None:
        """None: it can be read."""
        read = self._sync.tree.read_conflict(copy)
        if isinstance(read, ReadProblem):
            return read
        if isinstance(read.body, SealedFile):
            self._sync.tree.drop_sealed(read.body)
        return None

    async def _look(self, path: CachePath) -> Look:
        looks = await self._sync.threads.io(lambda: look_at(self._sync.tree, [path], {}))
        return looks[path]

    async def _decide(self, conflict: Conflict, side: Side, ours: Look, cache: int) -> None:
        """Ours: it is an edit of theirs, as it was shown (a newer one conflicts again).  Theirs:
        ours counts as seen, so that it is replaced; one that was edited since conflicts again."""
        path, (_, file) = conflict.path, ours

        def work(tx: Transaction) -> None:
            scope = scope_of(tx, path)
            local_ledger.drop_conflict(tx, path)
            if conflict.kind in (ConflictKind.KEPT_BYTES, ConflictKind.FOREIGN_OBJECT):
                return
            record = conflict.record
            if side is Side.THEIRS:
                if file is not None:
                    rows.put_base(tx, scope, path, file.as_base)
                else:
                    rows.drop_base(tx, scope, path)
            elif isinstance(record, Entry):
                rows.put_base(tx, scope, path, Base(record.content, NO_STAMP, racy=True))
            else:
                rows.drop_base(tx, scope, path)

        await self._bases.change(work, seen_in=cache)

    async def _place_beside(self, conflict: Conflict) -> None:
        """Bring a conflict copy into the cache under a second name, over no other file: one that
        was placed before a crash and is not decided yet may have been edited since."""
        copy = _second(conflict)
        name, tree = self._sync.rng.uuid(), self._sync.tree

        def work() -> None:
            fresh = _copy_to_tmp(tree, copy, name, conflict.path)
            for wall_ms in count(conflict.wall_ms):
                target = _beside(conflict.path, f"theirs-{wall_ms:x}")
                problem = tree.place_new(name, target)
                if problem is None:
                    break
                there = tree.read(target, keep=False)
                if isinstance(there, FileRead) and there.sha256 == fresh.content.sha256:
                    tree.drop_tmp(name)
                    break
                if problem is not PlaceProblem.OCCUPIED:
                    tree.drop_tmp(name)
                    raise BadRequest(f"{target} cannot be placed: {problem.value}", "look at it")
            tree.sync()

        await self._sync.threads.io(work)

    async def _place_copy(self, conflict: Conflict, ours: Look) -> None:
        """Bring a conflict copy into the cache as a local edit, by the rules of a pull: what stood
        there when it was decided goes to trash, and an edit since then stays, or is kept."""
        copy, target = _second(conflict), conflict.path
        (local, saw), name, tree = ours, self._sync.rng.uuid(), self._sync.tree
        if isinstance(local, Opaque):
            raise BadRequest(f"{target} cannot be replaced: {local.reason}", "look at it")
        fresh = await self._sync.threads.io(lambda: _copy_to_tmp(tree, copy, name, target))
        old = saw.content.sha256 if saw is not None else None
        intent = Placement(name, target, fresh.content.sha256, old, decided=True)
        await self._sync.journal.write(lambda tx: local_ledger.begin_placements(tx, [intent]))
        placed, error = await self._sync.threads.io(lambda: _placed(tree, fresh, saw))
        for kept in placed.kept.values():
            await self._keeper.keep_bytes(None, target, kept)
        now, boot_id = self._sync.clock.now(), self._sync.clock.boot_id

        def work(tx: Transaction) -> None:
            for of, sha256 in placed.trashed.values():
                local_ledger.note_trash(tx, Trashed(name, of, sha256, now, boot_id))
            if error is None:  # else the next start looks at it again
                local_ledger.end_placements(tx, [name])

        await self._sync.journal.write(work)
        if error is not None:
            raise error
        _demand_placed(target, placed)


def _placed(tree: FileTree, fresh: Fetched, saw: LocalFile | None) -> tuple[Placed, OSError | None]:
    """What became of it, and what stopped it."""
    placer = Placer(tree)
    try:
        placer.place(fresh, saw)
        tree.sync()
    except OSError as error:
        return placer.result, error
    return placer.result, None


def _demand_placed(path: CachePath, placed: Placed) -> None:
    if placed.files or placed.trashed:
        return
    if placed.no_space:
        raise LowSpace(
            f"{path}: the disk of the cache is full",
            "free some space, then decide again; nothing was lost",
        )
    if path in placed.held:
        raise BadRequest(f"{path} cannot be replaced: {placed.held[path].value}", "look at it")
    raise BadRequest(f"{path} was edited meanwhile", "look at it, then decide again")


def _second(conflict: Conflict) -> str:
    if conflict.copy is None:
        raise BadRequest(
            f"the conflict of {conflict.path} has no second content",
            "use --ours or --theirs",
            path=conflict.path,
        )
    return conflict.copy


def _copy_to_tmp(tree: FileTree, copy: str, name: str, path: CachePath) -> Fetched:
    """A conflict copy as `tmp/<name>`, on disk, to be placed at a path."""
    read = tree.read_conflict(copy)
    if not isinstance(read, FileRead) or read.body is None:
        raise BadRequest(f"the conflict copy {copy} cannot be read", "use --ours")
    _copy(tree, read.body, name, x=read.stamp.x)
    stamp = tree.finish_tmp(name, read.stamp.mtime_ns)
    tree.sync()
    return Fetched(path, Content(stamp.size, read.sha256, stamp.x), name, stamp, b"")


def _copy(tree: FileTree, body: Body, name: str, *, x: bool) -> None:
    """Write a body to `tmp/<name>`; a sealed one is done with then."""
    try:
        with tree.write_tmp(name, x=x) as sink:
            if isinstance(body, bytes):
                sink(body)
            else:
                for start in range(0, body.size, CHUNK):
                    sink(tree.sealed_part(body, start, CHUNK))
    finally:
        if isinstance(body, SealedFile):
            tree.drop_sealed(body)
