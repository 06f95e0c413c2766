"""What a workspace does by itself: it closes requests that can no longer land, aborts uploads that
were left, finds out what became of commits, ends what is shown and over, settles, empties trash.

One read says what of it there is.  While there is nothing, and nothing is written to the journal,
it does not wake up: rest costs nothing, however many workspaces a daemon serves.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from swampd.domain.states import Halt
from swampd.errors import SwampdError
from swampd.indexing import ledger as heads_ledger
from swampd.syncing import committing, ledger, local_ledger, mirroring, noting
from swampd.syncing.conflicts import ConflictKeeper
from swampd.syncing.disk import working_in_the_cache
from swampd.syncing.large import abort_left
from swampd.syncing.leftovers import drop_copies
from swampd.syncing.rolling import roll_forward
from swampd.syncing.trash import empty_trash

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from swampd.domain.values import BootId, CachePath, Scope
    from swampd.ports import Journal, Transaction
    from swampd.syncing.context import Sync
    from swampd.syncing.desk import Desks

    Guarded = Callable[[Coroutine[object, object, None], str], Coroutine[object, object, None]]
    """Runs a piece of work under its name, and lives through its failure."""

LastCommit = tuple[float | None, str | None]
"""When this daemon last committed to a scope, and in which boot."""
T = TypeVar("T")
LOOK_S: Final = 15.0
"""How often the journal is asked whether something is due: while there is anything open."""
SETTLE_OWN_S: Final = 60.0
"""The writer settles so long after its last commit (section 4.5)."""
SETTLE_OTHERS_S: Final = 600.0
"""Others do it after so long, with jitter."""
FIND_OUT_S: Final = 30.0
"""The fate of an open commit is asked for so often, with jitter."""
TRASH_AGE_S: Final = 60.0
"""So long what was swapped out stays (section 6)."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Due:
    """When a scope is to be settled (local time), and how long the pause before it was."""

    at: float
    pause: float


@dataclass(frozen=True, slots=True)
class Over:
    """What is shown, and is over: another machine has settled it since."""

    foreign: list[CachePath] = field(default_factory=list)
    stuck: list[CachePath] = field(default_factory=list)
    denied: list[Scope] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.foreign or self.stuck or self.denied)


@dataclass(frozen=True, slots=True)
class Open:
    """What of the journal there is to look at."""

    anything: bool
    expired: bool
    """Requests that can no longer land."""
    commits: bool
    uploads: bool
    trash: bool
    over: Over
    unsettled: dict[Scope, LastCommit]


class WatchedJournal:
    """A journal that says when it is written to."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.written = asyncio.Event()

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """See `ports.Journal`."""
        try:
            return await self._journal.write(work, durable=durable)
        finally:
            self.written.set()

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """See `ports.Journal`."""
        return await self._journal.read(work)


class Background:
    """What one workspace does by itself; it takes its turn at the desks."""

    def __init__(self, sync: Sync, desks: Desks, journal: WatchedJournal) -> None:
        self._sync = sync
        self._desks = desks
        self._written = journal.written
        self._due: dict[Scope, _Due] = {}
        self._ask_at: dict[Scope, float] = {}
        """When the fate of open commits is asked for next."""
        self._at_rest = False

    async def recover(self) -> None:
        """After a restart: requests of another boot, unfinished placements.  Raises
        errors.LowSpace, errors.Halted."""
        await self.expire_requests()
        with working_in_the_cache("the cache"):
            await roll_forward(self._sync, self._desks.bases, ConflictKeeper(self._sync))

    async def run(self, guarded: Guarded) -> None:
        """Until cancelled: look, now and then, whether something is due."""
        while True:
            await self._sync.clock.sleep(LOOK_S)
            self._written.clear()
            self._at_rest = False
            await guarded(self._look_around(guarded), "look_around")
            if self._at_rest:
                await self._written.wait()

    async def _look_around(self, guarded: Guarded) -> None:
        what = await self.what_is_open()
        self._at_rest = not what.anything
        if what.over:
            await guarded(self.end_over(), "end_over")
        if what.expired:
            await guarded(self.expire_requests(), "expire")
        if what.uploads:
            await guarded(self.abort_uploads(), "abort_uploads")
        if what.commits or self._ask_at:
            await guarded(self.find_out_due(), "find_out")
        if what.unsettled or self._due:
            await guarded(self._settle_due(what.unsettled), "settle")
        if what.trash:
            await guarded(self.empty_trash(TRASH_AGE_S), "trash")

    async def what_is_open(self) -> Open:
        """What is there to look at?  One read, so that what is only open costs little."""
        now, boot_id = self._sync.clock.now(), self._sync.clock.boot_id
        return await self._sync.journal.read(lambda tx: _what_is_open(tx, now, boot_id))

    async def expire_requests(self) -> None:
        """Close the requests that can no longer land: their paths are out of doubt (section 3)."""
        now, boot_id = self._sync.clock.now(), self._sync.clock.boot_id
        journal = self._sync.journal
        if await journal.read(lambda tx: ledger.requests_to_expire(tx, now, boot_id)):
            awaited = tuple(self._sync.awaited)
            await journal.write(lambda tx: ledger.expire_requests(tx, now, boot_id, awaited))

    async def find_out_due(self) -> None:
        """Ask for the fate of open commits, each scope's now and then: one conditional GET."""
        found = await self._sync.journal.read(_with_open_commits)
        for scope in sorted(set(self._ask_at) - found):
            del self._ask_at[scope]
        for scope in sorted(found):
            now = self._sync.clock.now()
            if now < self._ask_at.get(scope, now) or self._desks.desk(scope).locked():
                continue
            self._ask_at[scope] = now + FIND_OUT_S * self._sync.rng.uniform(1.0, 1.5)
            try:
                await self._find_out(scope)
            except SwampdError as error:
                log.info("not_found_out", scope=scope, error=error.code, detail=error.summary)

    async def _find_out(self, scope: Scope) -> None:
        async with self._desks.desk(scope):
            if scope in await self._sync.journal.read(ledger.open_scopes):
                known = await self._sync.reader.refresh(scope)
                with working_in_the_cache(scope):
                    await committing.find_out(self._sync, self._desks.bases, scope, known)

    async def _settle_due(self, pending: Mapping[Scope, LastCommit]) -> None:
        """Settle the scopes whose time has come; one that is held or still in doubt waits longer
        each time, up to what others wait."""
        now, boot_id = self._sync.clock.now(), self._sync.clock.boot_id
        for scope in sorted(set(self._due) - set(pending)):
            del self._due[scope]
        for scope, (at, boot) in pending.items():
            if scope not in self._due:
                own = at is not None and boot == boot_id
                others = SETTLE_OTHERS_S * self._sync.rng.uniform(1.0, 1.5)
                self._due[scope] = (
                    _Due(at + SETTLE_OWN_S, SETTLE_OWN_S)
                    if own and at is not None
                    else _Due(now + others, others)
                )
            due = self._due[scope]
            if now >= due.at:
                pause = min(due.pause * 2, SETTLE_OTHERS_S * self._sync.rng.uniform(1.0, 1.5))
                self._due[scope] = _Due(now + pause, pause)
                await self._desks.settle(scope)

    async def end_over(self) -> None:
        """Nothing is shown any more that another machine has settled since."""

        def work(tx: Transaction) -> None:
            over = _over(tx)
            mirroring.end_foreign(tx, over.foreign)
            local_ledger.clear_states(tx, over.stuck)
            for scope in over.denied:
                heads_ledger.lift_halt(tx, scope, Halt.MIRROR_DENIED)

        await self._sync.journal.write(work)

    async def empty_trash(self, least_age_s: float) -> None:
        """What was swapped out goes after a while; written to meanwhile, it is kept (section 6).
        Copies of conflicts that are over go at once."""
        with working_in_the_cache("the trash"):
            await drop_copies(self._sync)
            await empty_trash(self._sync, ConflictKeeper(self._sync), least_age_s)

    async def abort_uploads(self) -> None:
        """Abort what nobody here is sending any more (section 5.4)."""
        await abort_left(self._sync)


def _what_is_open(tx: Transaction, now: float, boot_id: BootId) -> Open:
    ((requests, commits, uploads, trash, shown, unsettled),) = tx.execute(
        "SELECT EXISTS (SELECT 1 FROM request), EXISTS (SELECT 1 FROM commit_intent),"
        " EXISTS (SELECT 1 FROM upload),"
        " EXISTS (SELECT 1 FROM trash) OR EXISTS (SELECT 1 FROM dropped_copy),"
        " EXISTS (SELECT 1 FROM path_state) OR EXISTS (SELECT 1 FROM conflict)"
        " OR EXISTS (SELECT 1 FROM halt),"
        " EXISTS (SELECT 1 FROM remote WHERE pending)"
    )
    return Open(
        anything=any((requests, commits, uploads, trash, shown, unsettled)),
        expired=bool(requests) and ledger.requests_to_expire(tx, now, boot_id),
        commits=bool(commits),
        uploads=bool(uploads),
        trash=bool(trash),
        over=_over(tx) if shown else Over(),
        unsettled=_unsettled(tx) if unsettled else {},
    )


def _over(tx: Transaction) -> Over:
    return Over(mirroring.foreign_over(tx), noting.stuck_over(tx), mirroring.denied_over(tx))


def _halted(tx: Transaction) -> set[Scope]:
    return {scope for scope, halt, _ in heads_ledger.halts(tx) if halt.stops}


def _with_open_commits(tx: Transaction) -> set[Scope]:
    """Scopes with commits whose fate is open; a halted one is looked at when it is asked for."""
    return ledger.open_scopes(tx) - _halted(tx)


def _unsettled(tx: Transaction) -> dict[Scope, LastCommit]:
    """Scopes with rows to settle that are not halted."""
    found = tx.execute(
        "SELECT scope, at, boot_id FROM (SELECT DISTINCT scope FROM remote WHERE pending)"
        " LEFT JOIN committed_at USING (scope) ORDER BY scope"
    )
    pending = {scope: (at, boot) for scope, at, boot in found}
    halted = _halted(tx) if pending else ()
    return {scope: last for scope, last in pending.items() if scope not in halted}
