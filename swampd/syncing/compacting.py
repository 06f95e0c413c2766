"""`compact`: what no head names is deleted, and tombstones that are old enough are dropped.

Under a lock on everything, so that no push is half through.  Keeps section 4, orphans: each is
swept like any delete, its tombstone (without a digest, so that a join trashes nothing for it)
committed first, so that no late commit can name what is being deleted, and never in doubt.  Staged
copies and manifests go only when a head was written under our own lease, in every scope, *after*
they were listed: a commit of an earlier holder that would name one cannot land any more.

A second run changes nothing.  What cannot be judged now (a halt, a doubt, an open commit) is left,
with its reason.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from swampd.domain import scopes
from swampd.domain.entries import Tombstone
from swampd.domain.outcomes import Applied
from swampd.domain.values import Seq, Wid
from swampd.errors import LockBusy, LockLost, LockTimeout, SwampdError
from swampd.indexing import ledger as heads_ledger
from swampd.indexing import rows
from swampd.syncing import committing, ledger, mirroring, unnamed
from swampd.syncing.unnamed import Compacted
from swampd.waiting import for_each

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager

    from swampd.domain.values import CachePath, Scope
    from swampd.indexing.ledger import KnownHead
    from swampd.locking.lease import Lease
    from swampd.ports import Transaction
    from swampd.syncing.bases import Bases
    from swampd.syncing.context import Sync
    from swampd.syncing.unnamed import Object

    Holding = Callable[[Scope], AbstractAsyncContextManager[Lease]]

BATCH: Final = 1_000
"""So many orphans are swept by one commit."""
IN_DOUBT: Final = "requests of an earlier holder may still land"
OPEN: Final = "the fate of a commit of this machine is not known yet"
NOT_ALL: Final = "not every head can be written, so what none names cannot be told"
HELD: Final = "somebody holds it"
log = structlog.get_logger()


class Compactor:
    """One run, under `everything`: a lease on `*`."""

    def __init__(self, sync: Sync, bases: Bases, everything: Lease, holding: Holding) -> None:
        """`holding(scope)` gives the lease of a scope and its desk for a block."""
        self._sync = sync
        self._bases = bases
        self._everything = everything
        self._holding = holding
        self._done = Compacted()
        self._unread = False
        """Some heads cannot be read."""

    async def run(self) -> Compacted:
        """Do it.  Raises errors.LockLost, errors.StoreUnavailable, errors.StoreDenied."""
        listed, unread = await unnamed.look(self._sync)
        self._done.left.update(unread)
        self._unread = bool(unread)
        self._done.foreign = listed.strange
        orphans = await unnamed.at_plain_keys(self._sync, listed.plain)
        known = await self._sync.journal.read(heads_ledger.known_scopes)
        for scope in sorted({*known, *orphans}):
            await self._in_scope(scope, orphans.get(scope, ()), listed.plain)
        await self._control(listed.locked)
        log.info("compacted", **self._done.counts())
        return self._done

    # --- one scope ----------------------------------------------------------------------------

    async def _in_scope(
        self, scope: Scope, paths: Collection[CachePath], listed: Mapping[CachePath, Object]
    ) -> None:
        if scope in self._done.left:
            return
        pending = await self._sync.journal.read(lambda tx: bool(rows.pending_in(tx, scope)))
        if not pending and not paths and not await unnamed.forgettable(self._sync, scope):
            return
        found = await unnamed.ours(self._sync, paths)
        self._done.foreign += len(paths) - len(found)
        try:
            async with self._holding(scope) as lease:
                why = await self._not_now(lease)
                if why is None:
                    await mirroring.settle(self._sync, lease)
                    await self._sweep(lease, found, listed)
                    await self._forget(lease)
        except (LockBusy, LockTimeout):
            why = HELD
        if why is not None:
            self._done.left[scope] = why

    async def _not_now(self, lease: Lease) -> str | None:
        """Why nothing of this scope can be judged now."""
        sync, scope = self._sync, lease.scope
        stops = await sync.journal.read(lambda tx: heads_ledger.stops(tx, scope))
        if stops:
            return f"halted: {stops[0][0].value}"
        if lease.in_doubt or lease.left_unanswered:
            return IN_DOUBT
        known = await sync.reader.refresh(scope)
        await sync.writer.check_epoch(lease, known)
        await committing.find_out(sync, self._bases, scope, known)
        if scope in await sync.journal.read(ledger.open_scopes):
            return OPEN
        return None

    async def _sweep(
        self, lease: Lease, paths: list[CachePath], listed: Mapping[CachePath, Object]
    ) -> None:
        """Commit tombstones of these, delete what is there, and settle that."""
        sync, scope = self._sync, lease.scope
        for start in range(0, len(paths), BATCH):
            batch = paths[start : start + BATCH]
            sure = await sync.journal.read(partial(unnamed.still_unnamed, paths=batch))
            if len(sure) < len(batch):
                self._done.left[scope] = IN_DOUBT
            if not sure:
                continue
            known = await sync.reader.known(scope)
            records = await self._tombstones(known, sure)
            fate = await committing.commit(
                sync, self._bases, lease, known, records, {}, seen_in=None
            )
            if isinstance(fate, committing.Overtaken):
                lease.demand()
                raise LockLost(
                    f"somebody wrote the head of {scope} meanwhile", "run it again", scope=scope
                )
            await mirroring.settle(sync, lease)
            gone = await sync.journal.read(partial(unnamed.swept, paths=sure))
            self._done.orphans += len(gone)
            self._done.size += sum(listed[path].size for path in gone)

    async def _tombstones(
        self, known: KnownHead | None, paths: Iterable[CachePath]
    ) -> dict[CachePath, Tombstone]:
        seq = Seq((known.head.seq if known is not None else 0) + 1)
        at = self._sync.clock.wall_ms()
        return {
            path: Tombstone(Wid(self._sync.rng.uuid()), None, seq, at, swept=False)
            for path in paths
        }

    async def _forget(self, lease: Lease) -> None:
        """Drop the tombstones that nobody needs any more (section 4)."""
        old = await unnamed.forgettable(self._sync, lease.scope)
        if old:
            await mirroring.settle(self._sync, lease, whole=True)
            left = await unnamed.forgettable(self._sync, lease.scope)
            self._done.tombstones += len(old) - len(left)

    # --- staged copies and manifests ----------------------------------------------------------

    async def _control(self, locked: Collection[Scope]) -> None:
        """Delete those that no head names, once no commit of somebody else can name them."""
        sync = self._sync
        listed = await unnamed.in_control(sync)
        if not listed:
            return
        if self._unread or await sync.journal.read(_anything_halted):
            self._done.left[scopes.ALL] = NOT_ALL
            return
        known = await sync.journal.read(heads_ledger.known_scopes)
        for scope in sorted({*known, *locked}):
            if not await self._has_head(scope):
                continue
            if not await self._claim(scope):
                self._done.left[scopes.ALL] = NOT_ALL
                return
        named = await sync.journal.read(unnamed.named)
        gone: list[Object] = []

        async def one(wid: Wid) -> None:
            key = listed[wid].key
            await sync.pace.turn(key)
            self._everything.demand()
            if isinstance(await sync.store.delete(key), Applied):
                gone.append(listed[wid])

        async with self._everything.guarding():
            at_once = sync.store.capabilities.side_by_side
            await for_each(sorted(listed.keys() - named), one, at_once)
        unnamed.count(sync, self._done, gone)

    async def _has_head(self, scope: Scope) -> bool:
        """Has it a head, or can one be made?  Of a child that is locked and was never declared its
        parent decides, whose head is claimed before it."""
        top = scopes.top_scope(scope)
        parent = await self._sync.reader.known(top)
        return scope == top or (parent is not None and scope in parent.head.children)

    async def _claim(self, scope: Scope) -> bool:
        """Write the head of a scope, so that nobody's older commit lands; False: it cannot be."""
        try:
            async with self._holding(scope) as lease:
                await self._sync.writer.claim(lease)
        except LockLost:
            raise
        except SwampdError as error:
            log.warning("not_claimed", scope=scope, error=error.code, detail=error.summary)
            return False
        return True


def _anything_halted(tx: Transaction) -> bool:
    return any(halt.stops for _, halt, _ in heads_ledger.halts(tx))
