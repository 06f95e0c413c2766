"""Changing what is agreed (base), and knowing when that memory no longer fits the cache (join).

The marker `.swampd/cache-id` and the journal carry one generation, raised with each transaction
that changes base: first in the marker, then in the journal.  A marker that is gone or differs means
that the cache is not the one the journal speaks of.  Keeps S4 (no delete by ignorance).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import structlog

from swampd.domain.markers import Marker, decode_marker, encode_marker
from swampd.domain.paths import PathProblem, parse_cache_path, prunes
from swampd.domain.states import Halt
from swampd.errors import Halted
from swampd.indexing import ledger as heads_ledger
from swampd.indexing import rows
from swampd.ports import Kind, Seen
from swampd.syncing import ledger, local_ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from swampd.domain.values import CachePath, Scope
    from swampd.ports import Transaction
    from swampd.syncing.context import Sync

T = TypeVar("T")
GENERATION = "generation"
log = structlog.get_logger()


class Bases:
    """The one writer of base."""

    def __init__(self, sync: Sync) -> None:
        self._sync = sync
        self._changing = asyncio.Lock()

    async def change(self, work: Callable[[Transaction], T]) -> T:
        """Run a transaction that changes base: the tree is synced, then the marker, the journal.

        Base is durable, so the files it speaks of must be: one that a power cut takes back would
        look like a delete (S4).  A marker that does not fit is left as it is: to write it would
        pass off an emptied cache as ours, so the next check finds it and join mode begins.
        """
        async with self._changing:
            await self._sync.threads.io(self._sync.tree.sync)
            generation = await self._sync.journal.read(_generation)
            if await self._marker_fits(generation):
                generation += 1
                await self._write_marker(generation)

            def both(tx: Transaction) -> T:
                _set_generation(tx, generation)
                return work(tx)

            return await self._sync.journal.write(both)

    async def generation(self) -> int:
        """Raised with each change of base: a survey made under another one is stale."""
        return await self._sync.journal.read(_generation)

    async def check(self) -> bool:
        """Does the marker fit?  If not, join mode begins.  Asked before every plan, and again
        after a survey: what is missing counts only if the cache was ours all along (S4).

        Raises errors.Halted when the cache directory itself is not there.
        """
        async with self._changing:
            if not await self._sync.threads.io(self._sync.tree.present):
                raise Halted(
                    "the cache directory is gone or was replaced",
                    Halt.CACHE_MISSING.way_out,
                    halt=Halt.CACHE_MISSING.value,
                )
            generation = await self._sync.journal.read(_generation)
            if await self._marker_fits(generation):
                return True
            await self._begin_join(generation, await self._marker())
            return False

    async def _marker(self) -> Marker | None:
        raw = await self._sync.threads.io(self._sync.tree.marker)
        return decode_marker(raw) if raw is not None else None

    async def _marker_fits(self, generation: int) -> bool:
        marker = await self._marker()
        return marker is not None and self._fits(marker, generation)

    def _fits(self, marker: Marker, generation: int) -> bool:
        """Ours, and the journal's generation or one ahead (a crash between the two writes)."""
        return (
            marker.datastore_id == self._sync.reader.datastore_id
            and marker.workspace == self._sync.workspace
            and marker.generation in (generation, generation + 1)
        )

    async def _begin_join(self, generation: int, marker: Marker | None) -> None:
        local = await self._sync.threads.io(self._local_files)
        generation = max(generation, marker.generation if marker is not None else 0) + 2

        def work(tx: Transaction) -> None:
            rows.drop_all_bases(tx)
            local_ledger.begin_join(tx, local)
            ledger.forget_commits(tx)
            _set_generation(tx, generation)

        await self._sync.journal.write(work)
        await self._write_marker(generation)
        log.info("join_mode", files=len(local), marker="other" if marker else "none")

    def _local_files(self) -> list[CachePath]:
        found: list[CachePath] = []
        for row in self._sync.tree.scan("", prunes):
            if isinstance(row, Seen) and row.kind is Kind.FILE:
                path = parse_cache_path(row.path)
                if not isinstance(path, PathProblem):
                    found.append(path)
        return sorted(found)

    async def _write_marker(self, generation: int) -> None:
        marker = Marker(self._sync.reader.datastore_id, self._sync.workspace, generation)
        content = encode_marker(marker)
        await self._sync.threads.io(lambda: self._sync.tree.write_marker(content))


def _generation(tx: Transaction) -> int:
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
    if allow_deletes:
        await sync.journal.write(
            lambda tx: heads_ledger.lift_halt(tx, scope, Halt.TOO_MANY_DELETES)
        )
    found = await sync.journal.read(lambda tx: heads_ledger.halts_of(tx, scope))
    if any(halt is not Halt.TOO_MANY_DELETES for halt, _ in found):
        await sync.reader.look_again(scope)
        found = await sync.journal.read(lambda tx: heads_ledger.halts_of(tx, scope))
    for halt, detail in found:
        raise Halted(
            f"{scope} is halted: {halt.value} ({detail})",
            halt.way_out,
            scope=scope,
            halt=halt.value,
        )
