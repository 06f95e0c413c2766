"""One desk a scope: push, pull and settle of a scope take turns here, under the leases they need.

The caller's leases are used where it has them; else a lease is taken for the one operation.  No
desk is kept while waiting for a lease, so a client that holds the scope is never waited for by
somebody who keeps it from pushing.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from swampd.domain import leases, scopes
from swampd.domain.levels import Want
from swampd.domain.states import Halt, PathState
from swampd.errors import LockBusy, LockTimeout, StoreUnavailable, SwampdError
from swampd.indexing import declaring
from swampd.indexing import ledger as heads_ledger
from swampd.syncing import committing, ledger, local_ledger, mirroring, noting
from swampd.syncing.asking import Asking
from swampd.syncing.bases import Bases, check_halts
from swampd.syncing.compacting import Compactor
from swampd.syncing.conflicts import ConflictKeeper, Resolver
from swampd.syncing.disk import working_in_the_cache
from swampd.syncing.large import abort_left
from swampd.syncing.leftovers import drop_copies
from swampd.syncing.pulling import LEAST_FREE, Pulled, Puller
from swampd.syncing.pushing import Pushed, Pusher
from swampd.syncing.rolling import roll_forward
from swampd.syncing.trash import empty_trash

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from swampd.domain.values import Scope
    from swampd.indexing.ledger import KnownHead
    from swampd.locking.keeper import Grant, Keeper
    from swampd.locking.lease import Lease
    from swampd.ports import Transaction
    from swampd.syncing.context import Sync
    from swampd.syncing.unnamed import Compacted

SETTLE_OWN_S: Final = 60.0
"""The writer settles so long after its last commit (section 4.5)."""
SETTLE_OTHERS_S: Final = 600.0
"""Others do it after so long, with jitter."""
REFUSED: Final = frozenset({PathState.UNSETTLED, PathState.MISSING})
"""What a path is in whose object is not what the head says."""
FIND_OUT_S: Final = 30.0
"""The fate of an open commit is asked for so often, with jitter."""
READS: Final = 3
"""So often a pull reads the head again because the store refused what the last one named."""
SETTLE_WAIT_S: Final = leases.patience_s(leases.DEFAULT_TTL_MS) + 2 * leases.LONGEST_POLL_S
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Due:
    """When a scope is to be settled (local time), and how long the pause before it was."""

    at: float
    pause: float


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
        self._due: dict[Scope, _Due] = {}
        self._ask_at: dict[Scope, float] = {}
        """When the fate of open commits is asked for next."""

    def _desk(self, scope: Scope) -> asyncio.Lock:
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
            return await asking.push_through(scope, work)

    async def _push(self, scope: Scope, asking: Asking, *, allow_deletes: bool) -> Pushed:
        await check_halts(self.sync, scope, allow_deletes=allow_deletes)
        await self.bases.check()
        await self._join(scope, asking)
        async with self._desk(scope):
            seen, plan = await self._pusher.look(scope)
            generation = await self.bases.generation()
            if not await self._pusher.needs_lease(scope, plan):
                return await self._pusher.without_lease(scope, plan)
        async with self._lease(scope, asking) as lease, self._desk(scope):
            if await self.bases.generation() != generation:
                seen, _ = await self._pusher.look(scope)
            return await self._pusher.push(lease, seen, allow_deletes=allow_deletes)

    # --- pull ---------------------------------------------------------------------------------

    async def pull(self, scope: Scope, asking: Asking, *, allow_deletes: bool = False) -> Pulled:
        """Pull one scope: one conditional GET (none right after a claim), then what changed."""
        with working_in_the_cache(scope):
            work = partial(self._pull, scope, asking, allow_deletes=allow_deletes)
            return await asking.through(work)

    async def _pull(self, scope: Scope, asking: Asking, *, allow_deletes: bool) -> Pulled:
        await check_halts(self.sync, scope, allow_deletes=allow_deletes)
        await self.bases.check()
        await self._join(scope, asking)
        async with self._desk(scope):
            lease = asking.leases.get(scope)
            if lease is not None and lease.claimed and lease.valid():
                known = await self.sync.reader.known(scope)
            else:
                known = await self.sync.reader.refresh(scope)
            return await self._take(scope, known, allow_deletes=allow_deletes)

    async def apply(self, scope: Scope, *, allow_deletes: bool = False) -> Pulled:
        """Apply an already adopted head (after a LIST told which ones changed); no request."""
        with working_in_the_cache(scope):
            return await self._apply(scope, allow_deletes=allow_deletes)

    async def _apply(self, scope: Scope, *, allow_deletes: bool) -> Pulled:
        await check_halts(self.sync, scope, allow_deletes=allow_deletes)
        await self.bases.check()
        await self._join(scope, Asking("join", 60.0))
        async with self._desk(scope):
            known = await self.sync.reader.known(scope)
            return await self._take(scope, known, allow_deletes=allow_deletes)

    async def _take(self, scope: Scope, known: KnownHead | None, *, allow_deletes: bool) -> Pulled:
        """Apply a head; where the store refuses what it names, or has lost it, the head is read
        again, and a newer one applied (section 4, a reader)."""
        total = Pulled()
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
        async with self._lease(scope, asking) as lease, self._desk(scope):
            await self.sync.writer.claim(lease)
            await self.sync.journal.write(lambda tx: local_ledger.note_join_claimed(tx, scope))

    # --- claims and declaring -----------------------------------------------------------------

    async def claim(self, lease: Lease) -> None:
        """A lease is given to a client: nobody older can commit any more, and what is open of
        this scope's commits is found out."""
        async with self._desk(lease.scope):
            known = await self.sync.writer.claim(lease)
            with working_in_the_cache(lease.scope):
                await committing.find_out(self.sync, self.bases, lease.scope, known)

    async def declare(self, child_lease: Lease, top_lease: Lease) -> None:
        """Make a directory a scope of its own."""
        top, child = self._desk(top_lease.scope), self._desk(child_lease.scope)
        async with top, child:
            await declaring.declare(
                child_lease,
                top_lease,
                self.sync.reader,
                self.sync.writer,
                self.sync.manifests,
                self.sync.journal,
            )

    # --- in the background --------------------------------------------------------------------

    async def is_anything_open(self) -> bool:
        """Is there anything for the background to look at?  One read, so that rest costs little."""
        return await self.sync.journal.read(_is_anything_open)

    async def expire_requests(self) -> None:
        """Close the requests that can no longer land: their paths are out of doubt (section 3)."""
        now, boot_id = self.sync.clock.now(), self.sync.clock.boot_id
        journal = self.sync.journal
        if await journal.read(lambda tx: ledger.requests_to_expire(tx, now, boot_id)):
            awaited = tuple(self.sync.awaited)
            await journal.write(lambda tx: ledger.expire_requests(tx, now, boot_id, awaited))

    async def find_out_due(self) -> None:
        """Ask for the fate of open commits, each scope's now and then: one conditional GET."""
        found = await self.sync.journal.read(_with_open_commits)
        for scope in sorted(set(self._ask_at) - found):
            del self._ask_at[scope]
        for scope in sorted(found):
            now = self.sync.clock.now()
            if now < self._ask_at.get(scope, now) or self._desk(scope).locked():
                continue
            self._ask_at[scope] = now + FIND_OUT_S * self.sync.rng.uniform(1.0, 1.5)
            try:
                await self._find_out(scope)
            except SwampdError as error:
                log.info("not_found_out", scope=scope, error=error.code, detail=error.summary)

    async def _find_out(self, scope: Scope) -> None:
        async with self._desk(scope):
            if scope in await self.sync.journal.read(ledger.open_scopes):
                known = await self.sync.reader.refresh(scope)
                with working_in_the_cache(scope):
                    await committing.find_out(self.sync, self.bases, scope, known)

    async def settle_due(self) -> None:
        """Settle the scopes whose time has come; one that is held or still in doubt waits longer
        each time, up to what others wait."""
        await self._end_over()
        pending = await self.sync.journal.read(_pending)
        now, boot_id = self.sync.clock.now(), self.sync.clock.boot_id
        for scope in sorted(set(self._due) - set(pending)):
            del self._due[scope]
        for scope, (at, boot) in pending.items():
            if scope not in self._due:
                own = at is not None and boot == boot_id
                others = SETTLE_OTHERS_S * self.sync.rng.uniform(1.0, 1.5)
                self._due[scope] = (
                    _Due(at + SETTLE_OWN_S, SETTLE_OWN_S)
                    if own and at is not None
                    else _Due(now + others, others)
                )
            due = self._due[scope]
            if now >= due.at:
                pause = min(due.pause * 2, SETTLE_OTHERS_S * self.sync.rng.uniform(1.0, 1.5))
                self._due[scope] = _Due(now + pause, pause)
                await self.settle(scope)

    async def _end_over(self) -> None:
        """What is shown of paths that another machine has settled since."""

        def work(tx: Transaction) -> None:
            mirroring.end_foreign(tx, foreign)
            local_ledger.clear_states(tx, stuck)
            for scope in denied:
                heads_ledger.lift_halt(tx, scope, Halt.MIRROR_DENIED)

        foreign, stuck, denied = await self.sync.journal.read(
            lambda tx: (
                mirroring.foreign_over(tx),
                noting.stuck_over(tx),
                mirroring.denied_over(tx),
            )
        )
        if foreign or stuck or denied:
            await self.sync.journal.write(work)

    async def settle(self, scope: Scope) -> int:
        """Mirror and settle one scope now, if nobody holds it: waits just long enough to take
        over a lock whose holder has died.  In a halted scope nothing is touched."""
        if await self.sync.journal.read(lambda tx: heads_ledger.stops(tx, scope)):
            return 0
        asking = Asking("settle", SETTLE_WAIT_S, purpose="settle")
        try:
            async with self._lease(scope, asking) as lease, self._desk(scope):
                with working_in_the_cache(scope):
                    return await mirroring.settle(self.sync, lease)
        except (LockBusy, LockTimeout):
            return 0

    async def compact(self, asking: Asking) -> Compacted:
        """Delete what no head names (section 4).  The asker holds a lock on everything, with no
        scope beside it.  Raises what `Compactor.run` raises."""

        @asynccontextmanager
        async def holding(scope: Scope) -> AsyncIterator[Lease]:
            async with self._lease(scope, asking) as lease, self._desk(scope):
                yield lease

        everything = asking.leases[scopes.ALL]
        return await Compactor(self.sync, self.bases, everything, holding).run()

    async def empty_trash(self, least_age_s: float) -> None:
        """What was swapped out goes after a while; written to meanwhile, it is kept (section 6).
        Copies of conflicts that are over go at once."""
        with working_in_the_cache("the trash"):
            await drop_copies(self.sync)
            await empty_trash(self.sync, ConflictKeeper(self.sync), least_age_s)

    async def recover(self) -> None:
        """After a restart: requests of another boot, unfinished placements.  Raises
        errors.LowSpace, errors.Halted."""
        await self.expire_requests()
        with working_in_the_cache("the cache"):
            await roll_forward(self.sync, self.bases, ConflictKeeper(self.sync))

    async def abort_uploads(self) -> None:
        """Abort what nobody here is sending any more (section 5.4)."""
        await abort_left(self.sync)

    def give_back(self, grant: Grant) -> None:
        """End a grant."""
        self._keeper.give_back(grant)


def _is_anything_open(tx: Transaction) -> bool:
    ((found,),) = tx.execute(
        "SELECT EXISTS (SELECT 1 FROM request) OR EXISTS (SELECT 1 FROM commit_intent)"
        " OR EXISTS (SELECT 1 FROM upload) OR EXISTS (SELECT 1 FROM trash)"
        " OR EXISTS (SELECT 1 FROM path_state) OR EXISTS (SELECT 1 FROM dropped_copy)"
        " OR EXISTS (SELECT 1 FROM remote WHERE pending) OR EXISTS (SELECT 1 FROM halt)"
    )
    return bool(found)


def _must_claim(tx: Transaction, scope: Scope) -> bool:
    """Are there joining paths in this scope whose head was not claimed since?"""
    if local_ledger.join_claimed(tx, scope):
        return False
    return bool(local_ledger.joining_in(tx, scope, heads_ledger.children_of(tx, scope)))


def _halted(tx: Transaction) -> set[Scope]:
    return {scope for scope, halt, _ in heads_ledger.halts(tx) if halt.stops}


def _with_open_commits(tx: Transaction) -> set[Scope]:
    """Scopes with commits whose fate is open; a halted one is looked at when it is asked for."""
    return ledger.open_scopes(tx) - _halted(tx)


def _pending(tx: Transaction) -> dict[Scope, tuple[float | None, str | None]]:
    """Scopes with rows to settle that are not halted, and when this daemon last committed there."""
    found: dict[Scope, tuple[float | None, str | None]] = {}
    halted = _halted(tx)
    for (scope,) in tx.execute("SELECT DISTINCT scope FROM remote WHERE pending ORDER BY scope"):
        if scope in halted:
            continue
        found[scope] = (None, None)
        for at, boot in tx.execute(
            "SELECT at, boot_id FROM committed_at WHERE scope = ?", (scope,)
        ):
            found[scope] = (at, boot)
    return found
