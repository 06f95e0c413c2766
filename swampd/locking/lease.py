"""One lease: a lock record that this process holds, kept alive until it is given back or lost.

Keeps L7 and L13 (`alive` is asked before every remote mutation; once the deadline is over nothing
revives it), L8 (release changes only my epoch and nonce), L14 (loss is told once).
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from enum import Enum
from typing import TYPE_CHECKING, Final

import structlog

from swampd.domain import leases
from swampd.domain.leases import LockRecord, LockState
from swampd.errors import LockLost, SwampdError
from swampd.locking import ledger
from swampd.locking.cas import Landed, Refused
from swampd.operation import operation
from swampd.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from swampd.domain.values import Epoch, Nonce, Scope, Token
    from swampd.locking.book import LockBook
    from swampd.ports import Clock, Transaction

ANSWERS_WAIT_S: Final = 5.0
"""A release waits so long for the answers to requests that are under way."""
log = structlog.get_logger()


class Loss(Enum):
    """Why a lease is gone."""

    LAPSED = "lapsed"
    TAKEN_OVER = "taken_over"
    BROKEN = "broken"
    GATE_LOST = "gate_lost"


class Lease:
    """A held lock record.  `granted` once the level rule is through; before, it allows nothing."""

    def __init__(
        self,
        book: LockBook,
        clock: Clock,
        record: LockRecord,
        token: Token,
        deadline: float,
        under: tuple[Lease, ...] = (),
    ) -> None:
        self._book = book
        self._clock = clock
        self._writing = asyncio.Lock()
        self._answered = asyncio.Event()
        self._stopped = asyncio.Event()
        self._listeners: list[Callable[[Lease, Loss], None]] = []
        self.record = record
        self.token = token
        self.deadline = deadline
        self.taken_at = clock.now()
        self.granted = False
        self.going = False
        self.claimed = False
        """The head says this epoch, and no head write since is unanswered."""
        self.unanswered = 0
        """Requests on plain keys under this epoch that may still land."""
        self.left_unanswered = False
        """Such requests of the life before, or a declare, may land any time under this epoch."""
        self.inherits_doubt = False
        """Its scope was declared while its parent's lease was in doubt (ADR 0016)."""
        self.loss: Loss | None = None
        self.stand_under(under)

    def stand_under(self, gates: Iterable[Lease]) -> None:
        """It ends when one of these gates is lost."""
        self.under = tuple(gates)
        for gate in self.under:
            gate.on_loss(lambda _gate, _reason: self._lose(Loss.GATE_LOST))

    @property
    def scope(self) -> Scope:
        """The scope it locks."""
        return self.record.scope

    @property
    def epoch(self) -> Epoch:
        """The number of this acquisition."""
        return self.record.epoch

    @property
    def nonce(self) -> Nonce:
        """What makes the record mine."""
        return self.record.nonce

    @property
    def in_doubt(self) -> bool:
        """True while requests of earlier epochs may still land on plain keys."""
        return self.record.in_doubt is not None or self.inherits_doubt

    @property
    def leaves_doubt(self) -> bool:
        """May requests under this epoch still land, or what its scope was declared with?"""
        return self.unanswered > 0 or self.left_unanswered or self.inherits_doubt

    @property
    def must_claim(self) -> bool:
        """A declare of an earlier holder, or of the life before, may land: then a path belongs to a
        scope that this lease does not lock.  A claim shuts it out before the first request on a
        plain key (section 3, in doubt; ADR 0015)."""
        return not self.claimed and (self.in_doubt or self.left_unanswered)

    def alive(self) -> bool:
        """Is it neither lost nor lapsed?  (L7, L13)."""
        return (
            self.loss is None
            and self._clock.now() < self.deadline
            and all(gate.alive() for gate in self.under)
        )

    def may_act(self) -> bool:
        """May work be sent under this lease now?  Not while it is being given back: what its record
        says of unanswered requests must stay true (section 3, release)."""
        return not self.going and self.alive()

    def valid(self) -> bool:
        """May its holder act now?"""
        return self.granted and self.may_act()

    def demand(self) -> None:
        """Raise errors.LockLost unless something may be sent under this lease now (L7)."""
        if not self.alive():
            self._lose(Loss.LAPSED)
        if not self.may_act():
            reason = self.loss.value if self.loss else "released"
            raise LockLost(
                f"the lock on {self.scope} (epoch {self.epoch}) was lost: {reason}",
                "acquire it again; what was edited meanwhile is still in the cache",
                scope=self.scope,
                epoch=str(self.epoch),
                reason=reason,
            )

    def request_sent(self) -> None:
        """A request on a plain key is under way."""
        self.unanswered += 1

    def request_answered(self) -> None:
        """It got a definite answer."""
        self.unanswered -= 1
        if self.unanswered == 0:
            self._answered.set()

    # --- loss ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def guarding(self) -> AsyncIterator[None]:
        """Work that is cancelled at once when the lease is lost (section 3, loss).

        For what may be cut off anywhere; a commit is not, for it may be applied already.  Raises
        errors.LockLost then; an error of the work itself comes out as it is.
        """
        lost = asyncio.Event()

        def tell(_lease: Lease, _reason: Loss) -> None:
            lost.set()

        async def demand_when_lost() -> None:
            await lost.wait()
            self.demand()

        self.on_loss(tell)
        try:
            async with asyncio.TaskGroup() as group:
                guard = group.create_task(demand_when_lost())
                try:
                    yield
                finally:
                    guard.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            self._listeners = [one for one in self._listeners if one is not tell]

    def on_loss(self, listener: Callable[[Lease, Loss], None]) -> None:
        """Call this once when the lease is lost (at once if it is)."""
        if self.loss is not None:
            listener(self, self.loss)
        else:
            self._listeners.append(listener)

    def _lose(self, reason: Loss) -> None:
        if self.loss is not None:
            return
        self.loss = reason
        self._stopped.set()
        log.warning("lease_lost", scope=self.scope, epoch=self.epoch, reason=reason.value)
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener(self, reason)

    # --- keeping ------------------------------------------------------------------------------

    async def watch_deadline(self) -> None:
        """Tell the loss at the deadline, whatever the store does meanwhile."""
        while self.loss is None and not self._stopped.is_set():
            if not self.alive():
                gone = self._clock.now() >= self.deadline
                self._lose(Loss.LAPSED if gone else Loss.GATE_LOST)
                return
            await wait_for(
                self._stopped, self._clock, max(self.deadline - self._clock.now(), 0.001)
            )

    async def keep(self) -> None:
        """Renew until it is given back or lost."""
        interval = leases.renewal_s(self.record.ttl_ms)
        while self.loss is None and not self.going:
            if await wait_for(self._stopped, self._clock, interval):
                return
            try:
                async with self._writing:
                    with operation("renew"):
                        await self._renew()
            except SwampdError as error:  # a full disk: the next heartbeat may find room
                log.warning("renewal_failed", scope=self.scope, error=error.code)

    async def renew_now(self) -> None:
        """One heartbeat at once; after a restart, before anybody relies on the lease."""
        async with self._writing:
            await self._renew()

    async def _renew(self) -> None:
        """One heartbeat.  A renewal sent after the deadline is forbidden, one answered after it
        revives nothing; the new deadline counts from the *first* sending."""
        while self.loss is None and not self.going and self.alive():
            doubt_is_over = await self._doubt_is_over()
            sent_at = self._clock.now()
            record = leases.renewed(
                self.record, self._book.fresh_wid(), doubt_is_over=doubt_is_over
            )
            try:
                fate = await self._book.write(record, self.token, self.alive, self.deadline)
            except SwampdError as error:
                log.warning("renewal_failed", scope=self.scope, error=error.code)
                return
            if isinstance(fate, Landed):
                await self._renewed(record, fate.token, sent_at)
                return
            if not isinstance(fate, Refused) or not await self._still_mine():
                return

    async def _renewed(self, record: LockRecord, token: Token, sent_at: float) -> None:
        """Take over the new deadline, once the journal has it.  An answer that comes after the old
        one revives nothing, in this life or the next (L13)."""
        self.record, self.token = record, token
        if not self.alive():
            return
        deadline, journal = sent_at + leases.lifetime_s(record.ttl_ms), self._book.journal
        await journal.write(lambda tx: ledger.note_deadline(tx, record, token, deadline))
        if self.alive():
            self.deadline = max(self.deadline, deadline)
        else:
            await journal.write(lambda tx: ledger.forget_nonce(tx, record.nonce))

    async def _doubt_is_over(self) -> bool:
        """Has this journal known this value of `in_doubt` for a horizon, in this boot?"""
        in_doubt, scope = self.record.in_doubt, self.scope
        if in_doubt is None:
            return False
        return await self._book.doubt_is_over(scope, in_doubt)

    async def _still_mine(self) -> bool:
        """After a refusal: is the record still mine (an earlier renewal landed late)?"""
        try:
            seen = await self._book.look(self.scope)
        except SwampdError as error:
            log.warning("lock_look_failed", scope=self.scope, error=error.code)
            return False
        record = seen.record if seen is not None else None
        if seen is None or record is None or record.nonce != self.nonce:
            self._lose(Loss.TAKEN_OVER)
            return False
        if record.state is not LockState.HELD:
            self._lose(Loss.BROKEN)
            return False
        self.record, self.token = record, seen.token
        return True

    # --- giving back --------------------------------------------------------------------------

    async def release(self) -> bool:
        """Give it back: CAS to `free`, same epoch, never a delete.  False: it was lost before.

        From the first line on nobody is handed it.  Waits up to 5 s for answers to what is under
        way; what stays unanswered puts its epoch in doubt.
        """
        self.going = True
        if self.unanswered:
            self._answered.clear()
            await wait_for(self._answered, self._clock, ANSWERS_WAIT_S)
        self._stopped.set()
        async with self._writing:
            return await self._free()

    async def _free(self) -> bool:
        while self.alive():
            held = self.record
            if await self._doubt_is_over():
                held = leases.renewed(held, held.wid, doubt_is_over=True)
            wid, unanswered = self._book.fresh_wid(), self.leaves_doubt
            record = leases.released(held, wid, unanswered=unanswered)
            try:
                fate = await self._book.write(record, self.token, self.alive, self.deadline)
            except SwampdError as error:
                log.warning("release_failed", scope=self.scope, error=error.code)
                return False
            if isinstance(fate, Landed):
                await self._freed(record, fate.token)
                return True
            if not isinstance(fate, Refused) or not await self._still_mine():
                break
        self._lose(Loss.LAPSED)
        log.warning("lost_before_release", scope=self.scope, epoch=self.epoch)
        return False

    async def _freed(self, record: LockRecord, token: Token) -> None:
        def note(tx: Transaction) -> None:
            ledger.note_free(tx, record, token)
            ledger.forget_nonce(tx, record.nonce)

        self.record, self.token = record, token
        self.deadline = self._clock.now()
        await self._book.journal.write(note, durable=False)
