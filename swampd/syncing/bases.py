"""Changing what is agreed (base), and knowing when that memory no longer fits the cache (join).

The marker `.swampd/cache-id` and the journal carry one generation, raised with each transaction
that changes base: first in the marker, then in the journal.  A marker that is gone or differs means
that the cache is not the one the journal speaks of.  Keeps S4 (no delete by ignorance).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import structlog

from swampd.domain.markers import Marker, decode_marker, encode_marker
from swampd.domain.paths import PathProblem, parse_cache_path, prunes
from swampd.domain.states import ConflictKind, Halt
from swampd.errors import Halted
from swampd.indexing import ledger as heads_ledger
from swampd.indexing import rows
from swampd.ports import Kind, Seen, Unreadable
from swampd.syncing import ledger, local_ledger, sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from swampd.domain.values import CachePath, Scope
    from swampd.ports import Transaction
    from swampd.syncing.context import Sync
    from swampd.syncing.local_ledger import Conflict

T = TypeVar("T")
GENERATION = "generation"
DEVICE = "device"
"""The number of the cache's disk, as base has it."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Cache:
    """A cache as it stands."""

    marker: Marker | None
    dev: int


@dataclass(frozen=True, slots=True)
class _KnownCache:
    """The cache as the journal knows it."""

    generation: int
    dev: int | None
    joining: bool
    """Something is in join mode."""
    blind: list[str]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found."""

    fits: bool
    joining: bool
    """Something is in join mode, here or in another scope."""


class CacheReplacedError(Exception):
    """Join mode began after a plan was made: what it saw was in another cache, and is void."""


def _known_cache(tx: Transaction) -> _KnownCache:
    ((generation, dev, joining),) = tx.execute(
        "SELECT (SELECT value FROM meta WHERE key = ?), (SELECT value FROM meta WHERE key = ?),"
        " EXISTS (SELECT 1 FROM joining)",
        (GENERATION, DEVICE),
    )
    return _KnownCache(
        int(generation) if generation is not None else 0,
        int(dev) if dev is not None else None,
        bool(joining),
        local_ledger.blind(tx) if joining else [],
    )


class Bases:
    """The one writer of base."""

    def __init__(self, sync: Sync) -> None:
        self._sync = sync
        self._changing = asyncio.Lock()
        self.cache = 0
        """Which cache this is, of those that this daemon has met one after the other here: what was
        seen in one says nothing of the next (S4)."""

    async def change(self, work: Callable[[Transaction], T], *, seen_in: int | None = None) -> T:
        """Run a transaction that changes base: the tree is synced, then the marker, the journal.

        Base is durable, so the files it speaks of must be: one that a power cut takes back would
        look like a delete (S4).  A marker that does not fit is left as it is: to write it would
        pass off an emptied cache as ours, so the next check finds it and join mode begins.
        `seen_in`: the cache in which was seen what it rests on; raises CacheReplacedError when
        that is another one by now.
        """
        async with self._changing:
            before = await self._sync.journal.read(generation_of)
            generation = await self._sync.threads.io(lambda: self._sync_and_mark(before))

            def both(tx: Transaction) -> T:
                self.demand(seen_in)
                _set_generation(tx, generation)
                return work(tx)

            return await self._sync.journal.write(both)

    def demand(self, seen_in: int | None) -> None:
        """Raise CacheReplacedError unless the cache is still that one (None: any will do); asked
        within a transaction this holds for all that it writes."""
        if seen_in is not None and seen_in != self.cache:
            raise CacheReplacedError

    def _sync_and_mark(self, generation: int) -> int:
        """The tree is on the disk, and so is the next generation in its marker, if that fits."""
        self._sync.tree.sync()
        marker = self._marker()
        if marker is None or not self._fits(marker, generation):
            return generation
        self._write_marker(generation + 1)
        return generation + 1

    async def generation(self) -> int:
        """Raised with each change of base: a survey made under another one is stale."""
        return await self._sync.journal.read(generation_of)

    async def is_ours(self) -> bool:
        """Does the marker fit, or was there never one?  Nothing follows from it yet."""
        here = await self._sync.threads.io(self._look_at_cache)
        generation = await self.generation()
        if here is None or here.marker is None:
            return here is not None and generation == 0
        return self._fits(here.marker, generation)

    async def check(self) -> bool:
        """Does the marker fit?  If not, join mode begins.  Asked before every plan, and again
        after a survey: what is missing counts only if the cache was ours all along (S4).

        Raises errors.Halted when the cache directory itself is not there.
        """
        return (await self.checked()).fits

    async def checked(self) -> Checked:
        """`check`, and whether anything joins then."""
        async with self._changing:
            here = await self._sync.threads.io(self._look_at_cache)
            if here is None:
                raise Halted(
                    "the cache directory is gone or was replaced",
                    Halt.CACHE_MISSING.way_out,
                    halt=Halt.CACHE_MISSING.value,
                )
            known = await self._sync.journal.read(_known_cache)
            if here.marker is None or not self._fits(here.marker, known.generation):
                await self._begin_join(known.generation, here.marker)
                return Checked(fits=False, joining=True)
            if here.dev != known.dev:
                await self._renumber(known.dev, here.dev)
            if known.blind:
                await self._join_blind(known.blind)
            return Checked(fits=True, joining=known.joining)

    def _look_at_cache(self) -> _Cache | None:
        """What the cache says of itself; None when it is not there."""
        tree = self._sync.tree
        if not tree.present():
            return None
        return _Cache(self._marker(), tree.above("").dev)

    async def _renumber(self, before: int | None, dev: int) -> None:
        """The disk of the cache may have another number after a reboot: what was on it is no less
        there, or gone, for that."""

        def work(tx: Transaction) -> None:
            if before is not None:
                rows.renumber_bases(tx, before, dev)
            tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (DEVICE, str(dev)))

        await self._sync.journal.write(work)

    def _marker(self) -> Marker | None:
        raw = self._sync.tree.marker()
        return decode_marker(raw) if raw is not None else None

    def _fits(self, marker: Marker, generation: int) -> bool:
        """Ours, and the journal's generation or one ahead (a crash between the two writes)."""
        return (
            marker.datastore_id == self._sync.reader.datastore_id
            and marker.workspace == self._sync.workspace
            and marker.generation in (generation, generation + 1)
        )

    async def _begin_join(self, generation: int, marker: Marker | None) -> None:
        local, blind = await self._sync.threads.io(lambda: self._local_files([""]))
        known = await self._sync.journal.read(local_ledger.conflicts)
        kept = await self._sync.threads.io(lambda: [c for c in known if self._has_kept(c)])
        generation = max(generation, marker.generation if marker is not None else 0) + 2

        def work(tx: Transaction) -> None:
            rows.drop_all_bases(tx)
            local_ledger.begin_join(tx, local)
            local_ledger.note_blind(tx, blind)
            for conflict in kept:
                local_ledger.open_conflict(tx, conflict)
            ledger.forget_commits(tx)
            sent.forget_all_sent(tx)
            _set_generation(tx, generation)

        self.cache += 1
        await self._sync.journal.write(work)
        await self._sync.threads.io(lambda: self._write_marker(generation))
        log.info("join_mode", files=len(local), marker="other" if marker else "none")

    def _has_kept(self, conflict: Conflict) -> bool:
        """Is it about bytes of a user that are nowhere else, and still there?"""
        if conflict.kind is not ConflictKind.KEPT_BYTES or conflict.copy is None:
            return False
        return self._sync.tree.stat(conflict.copy) is not None

    async def _join_blind(self, before: list[str]) -> None:
        """What could not be read when join mode began joins as soon as it can be, but what has a
        base by then."""
        local, blind = await self._sync.threads.io(lambda: self._local_files(before))
        if blind == before and not local:
            return

        def work(tx: Transaction) -> None:
            local_ledger.end_blind(tx, before)
            local_ledger.note_blind(tx, blind)
            local_ledger.enter_join(tx, (path for path in local if rows.base(tx, path) is None))

        await self._sync.journal.write(work)

    def _local_files(self, names: list[str]) -> tuple[list[CachePath], list[str]]:
        """The files at and below these names, and what below them could not be read."""
        found: list[CachePath] = []
        blind: list[str] = []
        for row in chain.from_iterable(self._sync.tree.scan(name, prunes) for name in names):
            if isinstance(row, Unreadable):
                blind.append(row.path)
            elif isinstance(row, Seen) and row.kind is Kind.FILE:
                path = parse_cache_path(row.path)
                if not isinstance(path, PathProblem):
                    found.append(path)
        return sorted(found), sorted(blind)

    def _write_marker(self, generation: int) -> None:
        marker = Marker(self._sync.reader.datastore_id, self._sync.workspace, generation)
        self._sync.tree.write_marker(encode_marker(marker))


def generation_of(tx: Transaction) -> int:
    """See `Bases.generation`."""
    for (value,) in tx.execute("SELECT value FROM meta WHERE key = ?", (GENERATION,)):
        return int(value)
    return 0


def _set_generation(tx: Transaction, generation: int) -> None:
    tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (GENERATION, str(generation)))


async def check_halts(sync: Sync, scope: Scope, *, allow_deletes: bool) -> None:
    """Raise errors.Halted if this scope is stopped for safety; `allow_deletes` is the decision
    that lifts TOO_MANY_DELETES.  What its head was the cause of is looked at again: one request,
    for a halted scope only.

    Raises what `HeadReader.refresh` raises.
    """
    found = await sync.journal.read(lambda tx: heads_ledger.stops(tx, scope))
    if allow_deletes and any(halt is Halt.TOO_MANY_DELETES for halt, _ in found):
        await sync.journal.write(
            lambda tx: heads_ledger.lift_halt(tx, scope, Halt.TOO_MANY_DELETES)
        )
        found = await sync.journal.read(lambda tx: heads_ledger.stops(tx, scope))
    if any(halt is not Halt.TOO_MANY_DELETES for halt, _ in found):
        await sync.reader.look_again(scope)
        found = await sync.journal.read(lambda tx: heads_ledger.stops(tx, scope))
    for halt, detail in found:
        raise Halted(
            f"{scope} is halted: {halt.value} ({detail})",
            halt.way_out,
            scope=scope,
            halt=halt.value,
        )
