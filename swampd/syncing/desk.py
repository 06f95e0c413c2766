"""One desk a scope: push, pull and settle of a scope take turns here, under the leases they need.

The caller's leases are used where it has them; else a lease is taken for the one operation.  No
desk is kept while waiting for a lease, so a client that holds the scope is never waited for by
somebody who keeps it from pushing.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from swampd.domain import leases, scopes
from swampd.domain.levels import Want
from swampd.domain.states import Halt, PathState
from swampd.errors import Halted, LockBusy, LockTimeout, LowSpace, StoreUnavailable
from swampd.indexing import declaring
from swampd.indexing import ledger as heads_ledger
from swampd.syncing import committing, ledger, local_ledger, mirroring, noting, plans
from swampd.syncing.asking import Asking
from swampd.syncing.bases import Bases, CacheReplacedError, check_halts
from swampd.syncing.compacting import Compactor
from swampd.syncing.conflicts import Resolver
from swampd.syncing.disk import working_in_the_cache
from swampd.syncing.pulling import LEAST_FREE, Pulled, Puller, open_paths
from swampd.syncing.pushing import Pushed, Pusher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection

    from swampd.domain.values import Scope
    from swampd.indexing.ledger import KnownHead
    from swampd.locking.keeper import Grant, Keeper
    from swampd.locking.lease import Lease
    from swampd.ports import Transaction
    from swampd.syncing.context import Sync
    from swampd.syncing.unnamed import Compacted

REFUSED: Final = frozenset({PathState.UNSETTLED, PathState.MISSING})
"""What a path is in whose object is not what the head says."""
READS: Final = 3
"""So often a pull reads the head again because the store refused what the last one named."""
CACHES: Final = 3
"""So often a push or pull begins anew because the cache was replaced meanwhile."""
T = TypeVar("T")
SETTLE_WAIT_S: Final = leases.patience_s(leases.DEFAULT_TTL_MS) + 2 * leases.LONGEST_POLL_S
log = structlog.get_logger()


class Desks:
    """Push, pull, settle and declare for the scopes of one workspace."""

    def __init__(self, sync: Sync, keeper: Keeper, least_free: int = LEAST_FREE) -> None:
        self.sync = sync
        self.bases = Bases(sync)
        self.resolver = Resolver(sync, self.bases)
        self._keeper = keeper
        self._pusher = Pusher(sync, self.bases)
        self._puller = Puller(sync, self.bases, least_free)
        self._desks: dict[Scope, asyncio.Lock] = {}

    def desk(self, scope: Scope) -> asyncio.Lock:
        """Whose turn it is in a scope."""
        return self._desks.setdefault(scope, asyncio.Lock())

    @asynccontextmanager
    async def _lease(self, scope: Scope, asking: Asking) -> AsyncIterator[Lease]:
        """The asker's lease on this scope, or one for this operation (under its own gates)."""
        mine = asking.leases.get(scope)
        if mine is not None:
            mine.demand()
            yield mine
            return
        wants = (Want(scope),)
        grant = await self._keeper.take(
            wants,
            owner=asking.owner,
            wait_s=asking.patience(wants),
            purpose=asking.purpose,
            under=asking.gates_over(scope),
        )
        try:
            yield grant.leases[scope]
        finally:
            self._keeper.give_back(grant)

    # --- push ---------------------------------------------------------------------------------

    async def push(self, scope: Scope, asking: Asking, *, allow_deletes: bool = False) -> Pushed:
        """Push one scope.  Raises what `Pusher.push` raises, and errors.LockTimeout, LockBusy."""
        with working_in_the_cache(scope):
            work = partial(self._push, scope, asking, allow_deletes=allow_deletes)
            return await asking.push_through(scope, partial(_in_one_cache, work))

    async def _begin(self, scope: Scope, asking: Asking, *, allow_deletes: bool) -> None:
        """What comes before every push and pull."""
        await check_halts(self.sync, scope, allow_deletes=allow_deletes)
        if (await self.bases.checked()).joining:
            await self._join(scope, asking)

    async def _push(self, scope: Scope, asking: Asking, *, allow_deletes: bool) -> Pushed:
        await self._begin(scope, asking, allow_deletes=allow_deletes)
        async with self.desk(scope):
            seen, plan = await self._pusher.look(scope)
            if not plan.needs_lease:
                return await self._pusher.without_lease(scope, plan)
        async with self._lease(scope, asking) as lease, self.desk(scope):
            if await self.bases.generation() != plan.generation:
                seen, _ = await self._pusher.look(scope)
            return await self._pusher.push(lease, seen, allow_deletes=allow_deletes)

    # --- pull ---------------------------------------------------------------------------------

    async def pull(self, scope: Scope, asking: Asking, *, allow_deletes: bool = False) -> Pulled:
        """Pull one scope: one conditional GET (none right after a claim), then what changed."""
        with working_in_the_cache(scope):
            work = partial(self._pull, scope, asking, allow_deletes=allow_deletes)
            return await asking.through(partial(_in_one_cache, work))

    async def _pull(self, scope: Scope, asking: Asking, *, allow_deletes: bool) -> Pulled:
        await self._begin(scope, asking, allow_deletes=allow_deletes)
        async with self.desk(scope):
            lease = asking.leases.get(scope)
            if lease is not None and lease.claimed and lease.valid():
                known = await self.sync.reader.known(scope)
            else:
                known = await self.sync.reader.refresh(scope)
            return await self._take(scope, known, allow_deletes=allow_deletes)

    async def apply(self, scope: Scope, *, allow_deletes: bool = False) -> Pulled:
        """Apply an already adopted head (after a LIST told which ones changed); no request."""
        with working_in_the_cache(scope):
            work = partial(self._apply, scope, allow_deletes=allow_deletes)
            return await _in_one_cache(work)

    async def _apply(self, scope: Scope, *, allow_deletes: bool) -> Pulled:
        await self._begin(scope, Asking("join", 60.0), allow_deletes=allow_deletes)
        async with self.desk(scope):
            known = await self.sync.reader.known(scope)
            return await self._take(scope, known, allow_deletes=allow_deletes)

    async def at_rest(self, asked: Collection[Scope]) -> set[Scope]:
        """Those of the scopes in which `apply` has nothing to do and to show: one look at the cache
        and one read for all of them.  None while the cache cannot be worked in."""
        try:
            with working_in_the_cache("the cache"):
                await self.bases.check()
        except (Halted, LowSpace):
            return set()
        return await self.sync.journal.read(
            lambda tx: {
                scope
                for scope in asked
                if _is_at_rest(tx, scope) and not heads_ledger.stops(tx, scope)
            }
        )

    async def _take(self, scope: Scope, known: KnownHead | None, *, allow_deletes: bool) -> Pulled:
        """Apply a head; where the store refuses what it names, or has lost it, the head is read
        again, and a newer one applied (section 4, a reader)."""
        total = Pulled()
        if await self.sync.journal.read(lambda tx: _is_at_rest(tx, scope)):
            return total
        for _ in range(READS):
            await committing.find_out(self.sync, self.bases, scope, known)
            pulled = await self._puller.pull(scope, allow_deletes=allow_deletes)
            pulled.placed += total.placed
            pulled.deleted += total.deleted
            total = pulled
            if not REFUSED & set(pulled.held.values()):
                break
            before = known
            try:
                known = await self.sync.reader.refresh(scope)
            except StoreUnavailable:
                break
            if known == before:
                break
        return total

    async def _join(self, scope: Scope, asking: Asking) -> None:
        """Join mode begins with a claim, so that no commit of the life before lands after it has
        looked (section 7)."""
        if not await self.sync.journal.read(lambda tx: _must_claim(tx, scope)):
            return
        async with self._lease(scope, asking) as lease, self.desk(scope):
            await self.sync.writer.claim(lease)
            await self.sync.journal.write(lambda tx: local_ledger.note_join_claimed(tx, scope))

    # --- claims and declaring -----------------------------------------------------------------

    async def claim(self, lease: Lease) -> None:
        """A lease is given to a client: nobody older can commit any more, and what is open of
        this scope's commits is found out."""
        async with self.desk(lease.scope):
            known = await self.sync.writer.claim(lease)
            with working_in_the_cache(lease.scope):
                await committing.find_out(self.sync, self.bases, lease.scope, known)

    async def declare(self, child_lease: Lease, top_lease: Lease) -> None:
        """Make a directory a scope of its own."""
        top, child = self.desk(top_lease.scope), self.desk(child_lease.scope)
        async with top, child:
            await declaring.declare(
                child_lease,
                top_lease,
                self.sync.reader,
                self.sync.writer,
                self.sync.manifests,
                self.sync.journal,
            )

    # --- settling and sweeping ----------------------------------------------------------------

    async def settle(self, scope: Scope) -> int:
        """Mirror and settle one scope now, if nobody holds it: waits just long enough to take
        over a lock whose holder has died.  In a halted scope nothing is touched."""
        if await self.sync.journal.read(lambda tx: heads_ledger.stops(tx, scope)):
            return 0
        asking = Asking("settle", SETTLE_WAIT_S, purpose="settle")
        try:
            async with self._lease(scope, asking) as lease, self.desk(scope):
                with working_in_the_cache(scope):
                    return await mirroring.settle(self.sync, lease)
        except (LockBusy, LockTimeout):
            return 0

    async def compact(self, asking: Asking) -> Compacted:
        """Delete what no head names (section 4).  The asker holds a lock on everything, with no
        scope beside it.  Raises what `Compactor.run` raises."""

        @asynccontextmanager
        async def holding(scope: Scope) -> AsyncIterator[Lease]:
            async with self._lease(scope, asking) as lease, self.desk(scope):
                yield lease

        everything = asking.leases[scopes.ALL]
        return await Compactor(self.sync, self.bases, everything, holding).run()

    def give_back(self, grant: Grant) -> None:
        """End a grant."""
        self._keeper.give_back(grant)


async def _in_one_cache(work: Callable[[], Awaitable[T]]) -> T:
    """Begin anew when the cache is replaced meanwhile.  Raises errors.Halted when it is again and
    again."""
    for _ in range(CACHES):
        with suppress(CacheReplacedError):
            return await work()
    raise Halted(
        f"the cache was replaced {CACHES} times meanwhile",
        Halt.CACHE_MISSING.way_out,
        halt=Halt.CACHE_MISSING.value,
    )


def _is_at_rest(tx: Transaction, scope: Scope) -> bool:
    """Has a pull of this scope, as its head is in the journal, nothing to do and to show?"""
    return (
        not ledger.is_committing(tx, scope)
        and not open_paths(tx, scope)
        and noting.is_quiet(tx, scope)
        and plans.applied_is_noted(tx, scope)
    )


def _must_claim(tx: Transaction, scope: Scope) -> bool:
    """Are there joining paths in this scope whose head was not claimed since?"""
    return bool(local_ledger.joining_in(tx, scope)) and not local_ledger.join_claimed(tx, scope)
