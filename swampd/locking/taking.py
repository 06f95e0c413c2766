"""Taking locks on the store: one record, its ancestors, what is below a gate, several scopes.

*Write your own record, then look at the others* (section 3, levels).  Keeps L1, L2, L6 on the
acquirer's side, and L11: whoever meets a gate gives all back before it waits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from swampd.domain import leases, scopes
from swampd.domain.leases import Acquisition, Identity, LockRecord, LockState, Sighting
from swampd.domain.levels import Want
from swampd.domain.scopes import Covers
from swampd.domain.values import Epoch, Nonce, Scope
from swampd.errors import LockBusy, LockTimeout
from swampd.locking import ledger
from swampd.locking.book import LockBook, Watch
from swampd.locking.cas import Landed, NotSent, Refused
from swampd.locking.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from swampd.domain.values import Token
    from swampd.ports import Clock, Rng

log = structlog.get_logger()
LEAST_S: Final = 3.0
"""A store that does not answer is tried for so long even for those who may not wait."""
FINDING_OUT_S: Final = 10.0
"""A write that frees somebody's dead record is followed up for at most so long."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who takes, for how long it waits (local time), and what it says of itself."""

    until: float
    ttl_ms: int
    purpose: str
    no_wait: bool = False
    given_up: Callable[[], bool] = lambda: False

    @property
    def at_once(self) -> Asker:
        """The same one, who may not wait."""
        return replace(self, no_wait=True)


@dataclass(frozen=True, slots=True)
class Gate:
    """Somebody's gate that stands above: give back, wait for it, begin again."""

    scope: Scope
    seen: Sighting


class Taker:
    """Takes locks on the store for this daemon."""

    def __init__(
        self,
        book: LockBook,
        clock: Clock,
        rng: Rng,
        identity: Identity,
        start: Callable[[Lease], None],
    ) -> None:
        """`start` keeps a lease alive from the moment its record is written."""
        self._book = book
        self._clock = clock
        self._rng = rng
        self._identity = identity
        self._start = start

    async def take(
        self, wants: tuple[Want, ...], gates: tuple[Lease, ...], asker: Asker, own: Own
    ) -> list[Lease]:
        """All of these locks or none, in the given (sorted) order, but for what is reused of
        `own`; `gates` are held by the asker.  Whoever meets somebody's gate gives all back, what
        was reused included, and begins again when it is free (section 3, several scopes).

        Raises errors.LockTimeout or errors.LockBusy naming holder and age; errors.StoreUnavailable.
        """
        watch = Watch(self._book)
        while True:
            taken: list[Lease] = []
            reused = {lease.scope for lease in own.reused}
            rest = tuple(want for want in wants if want.scope not in reused)
            try:
                gate = await self._take_each(rest, (*gates, *own.reused), asker, own, watch, taken)
            except BaseException:
                await self.give_back(taken)
                raise
            if gate is None:
                return taken
            await self.give_back(taken)
            await own.give_back_reused()
            if own.has_below(gate.scope):
                raise _not_obtained(gate.scope, gate.seen, asker.at_once, self._clock.now())
            await self._wait_out(gate.scope, _all_watched(wants), asker, own, watch)

    async def give_back(self, taken: list[Lease]) -> None:
        """Release in the opposite order."""
        for lease in reversed(taken):
            await lease.release()

    async def _take_each(
        self,
        wants: tuple[Want, ...],
        gates: tuple[Lease, ...],
        asker: Asker,
        own: Own,
        watch: Watch,
        taken: list[Lease],
    ) -> Gate | None:
        for want in wants:
            above = tuple(
                gate for gate in (*gates, *taken) if scopes.is_below(want.scope, gate.scope)
            )
            watched = _all_watched(wants)
            lease = await self._take_record(want, above, asker, own, watched, watch)
            taken.append(lease)
            gate = await self._look_above(lease, above, watch)
            if gate is not None:
                return gate
            if want.tree:
                await self._drain(lease, asker, own, watch, watched)
            lease.demand()
            lease.granted = True
        return None

    # --- one record ---------------------------------------------------------------------------

    async def _take_record(
        self,
        want: Want,
        above: tuple[Lease, ...],
        asker: Asker,
        own: Own,
        watched: tuple[Scope, ...],
        watch: Watch,
    ) -> Lease:
        seen = await self._known_free(want.scope)
        if seen is None and await self._book.known_epoch(want.scope):
            seen = await watch.look(want.scope)
        raced = False
        while True:
            if seen is None or seen.is_free or await self._may_take(seen, own):
                for gate in above:
                    gate.demand()
                lease = await self._win(want, above, asker, own, seen)
                if lease is not None:
                    return lease
                await self._book.journal.write(
                    lambda tx: ledger.forget_free(tx, want.scope), durable=False
                )
                seen = await watch.look(want.scope)
                if seen is None or seen.is_free:
                    if raced:
                        self._check(want.scope, seen, asker)
                    raced = True  # the first refusal may only mean that we knew too little
                    continue
            await self._poll(want.scope, seen, asker)
            await watch.look_at_all(tuple(s for s in watched if s != want.scope))
            seen = await watch.look(want.scope)

    async def _known_free(self, scope: Scope) -> Sighting | None:
        """The record at our own last look, while it was free: saves the read before the CAS."""
        known = await self._book.journal.read(lambda tx: ledger.known_free(tx, scope))
        return None if known is None else Sighting(known[1], known[0], self._clock.now())

    async def _may_take(self, seen: Sighting, own: Own) -> bool:
        """Has its holder lapsed, or is it a record that this daemon left behind?"""
        record = seen.record
        if record is not None and own.is_live(record.nonce):
            return False
        if seen.may_be_taken(self._clock.now()):
            return True
        if record is None or record.state is not LockState.HELD:
            return False
        nonce = record.nonce
        return await self._book.journal.read(lambda tx: ledger.is_mine(tx, nonce))

    async def _win(
        self,
        want: Want,
        above: tuple[Lease, ...],
        asker: Asker,
        own: Own,
        seen: Sighting | None,
    ) -> Lease | None:
        """CAS on exactly what was seen; None when somebody else was there first."""
        record = await self._record(want, asker, seen)
        with own.sending(record.nonce):
            return await self._send(record, above, seen.token if seen is not None else None, asker)

    async def _send(
        self, record: LockRecord, above: tuple[Lease, ...], token: Token | None, asker: Asker
    ) -> Lease | None:
        boot_id = self._clock.boot_id
        await self._book.journal.write(lambda tx: ledger.begin_acquisition(tx, record, boot_id))
        sent_at = self._clock.now()
        deadline = sent_at + leases.lifetime_s(record.ttl_ms)

        def in_time() -> bool:
            return self._clock.now() < deadline and all(lock.alive() for lock in above)

        until = min(deadline, max(asker.until, sent_at + LEAST_S))
        fate = await self._book.write(record, token, in_time, until)
        if isinstance(fate, Refused | NotSent):
            nonce = record.nonce
            await self._book.journal.write(lambda tx: ledger.forget_nonce(tx, nonce), durable=False)
        if not isinstance(fate, Landed):
            return None
        won = fate.token
        await self._book.journal.write(lambda tx: ledger.note_deadline(tx, record, won, deadline))
        under = tuple(gate for gate in above if gate.record.covers is Covers.TREE)
        lease = Lease(self._book, self._clock, record, won, deadline, under)
        if not lease.alive():
            return None
        self._start(lease)
        return lease

    async def _record(self, want: Want, asker: Asker, seen: Sighting | None) -> LockRecord:
        previous = seen.record if seen is not None else None
        # A record says its epoch itself.
        known = await self._book.known_epoch(want.scope) if previous is None else Epoch(0)
        record = leases.acquired(
            previous,
            known,
            self._identity,
            Acquisition(
                want.scope,
                want.covers,
                Nonce(self._rng.uuid()),
                self._book.fresh_wid(),
                asker.ttl_ms,
                _iso(self._clock.wall_ms()),
                asker.purpose,
            ),
        )
        if seen is not None and previous is None:
            return leases.after_damage(record, known)
        in_doubt = record.in_doubt
        carried = previous is not None and previous.in_doubt == in_doubt
        if (
            carried
            and in_doubt is not None
            and await self._book.doubt_is_over(want.scope, in_doubt)
        ):
            record = leases.renewed(record, record.wid, doubt_is_over=True)
        return record

    # --- the others ---------------------------------------------------------------------------

    async def _look_above(
        self, lease: Lease, above: tuple[Lease, ...], watch: Watch
    ) -> Gate | None:
        """The second half of the level rule for a child: a gate above that is not free (held *or*
        broken) wins.  Skips its own gates and what is above them."""
        highest = {gate.scope for gate in above}
        for scope in scopes.ancestors(lease.scope):
            if scope in highest:
                if any(gate.record.covers is Covers.TREE for gate in above):
                    return None
                continue
            seen = await watch.look(scope)
            if seen is not None and seen.is_gate:
                return Gate(scope, seen)
        return None

    async def _drain(
        self, lease: Lease, asker: Asker, own: Own, watch: Watch, watched: tuple[Scope, ...]
    ) -> None:
        """Wait until every lock below the gate was seen free; top-down.

        All that is not free is watched from the first look on, with what else is wanted, so that
        several dead holders are waited out side by side (L11).
        """
        busy: list[Scope] = []
        for scope in await self._below(lease.scope, own):
            await own.give_back_idle(scope)
            seen = await watch.look(scope)
            if seen is not None and not seen.is_free:
                busy.append(scope)
            lease.demand()
        others = tuple(scope for scope in watched if scope != lease.scope)
        while busy:
            await self._wait_out(busy[0], (*busy, *others), asker, own, watch, lease)
            busy.pop(0)

    async def _below(self, gate: Scope, own: Own) -> list[Scope]:
        """The locks below a gate that are not its holder's, nor known to be free."""
        listed = await self._book.listed()
        known = await self._book.journal.read(ledger.known_free_tokens)
        below = (s for s in listed if scopes.is_below(s, gate) and known.get(s) != listed[s])
        chosen = [scope for scope in below if not own.holds(scope)]
        return sorted(chosen, key=lambda scope: (not scopes.is_top(scope), scope))

    async def _wait_out(
        self,
        scope: Scope,
        watched: tuple[Scope, ...],
        asker: Asker,
        own: Own,
        watch: Watch,
        lease: Lease | None = None,
    ) -> None:
        """Wait until a record is free; set an expired or broken one to `free, in_doubt`."""
        while True:
            await watch.look_at_all(tuple(s for s in watched if s != scope))
            seen = await watch.look(scope)
            if lease is not None:
                lease.demand()
            if seen is None or seen.is_free:
                return
            if await self._may_take(seen, own):
                dead = seen.record or await self._record(Want(scope), asker, seen)
                await self._book.set_free(dead, seen.token, self._clock.now() + FINDING_OUT_S)
                continue
            await self._poll(scope, seen, asker)

    async def _poll(self, scope: Scope, seen: Sighting | None, asker: Asker) -> None:
        """One pause between two looks, within the asker's time."""
        self._check(scope, seen, asker)
        now = self._clock.now()
        low, high = leases.POLL_S * (1 - leases.POLL_JITTER), leases.LONGEST_POLL_S
        await self._clock.sleep(min(self._rng.uniform(low, high), max(asker.until - now, 0.001)))

    def _check(self, scope: Scope, seen: Sighting | None, asker: Asker) -> None:
        """Raise when the asker's time is over or nobody asks any more."""
        now = self._clock.now()
        if asker.given_up() or now >= asker.until:
            raise _not_obtained(scope, seen, asker, now)


class Own(Protocol):
    """What this daemon itself holds: the drain of a gate passes its own client's locks, and gives
    back what merely lingers."""

    @property
    def reused(self) -> Sequence[Lease]:
        """Leases that lingered and are part of what is being taken."""

    async def give_back_reused(self) -> None:
        """Free them on the store; they are taken anew then."""

    def has_below(self, gate: Scope) -> bool:
        """Does the same client hold something below this gate, besides what is being taken?  Then
        it must not wait for it: the gate's drain waits for that (L11)."""

    def holds(self, scope: Scope) -> bool:
        """Is this scope held here for the same client?"""

    def is_live(self, nonce: Nonce) -> bool:
        """Is this nonce that of a lease which this process holds now, or is just taking?  Such a
        record is never taken over or freed, only released."""

    def sending(self, nonce: Nonce) -> AbstractContextManager[None]:
        """While an acquisition of this nonce is under way."""

    async def give_back_idle(self, scope: Scope) -> None:
        """Release the lease on this scope if nobody uses it."""


def _all_watched(wants: tuple[Want, ...]) -> tuple[Scope, ...]:
    """All wanted records and their ancestors."""
    return tuple(dict.fromkeys(s for w in wants for s in (w.scope, *scopes.ancestors(w.scope))))


def _iso(wall_ms: int) -> str:
    return datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _not_obtained(
    scope: Scope, seen: Sighting | None, asker: Asker, now: float
) -> LockTimeout | LockBusy:
    record = seen.record if seen is not None else None
    if seen is None or record is None:
        holder, age = "an unreadable record" if seen is not None else "another attempt", 0.0
    else:
        holder = f"{record.holder} (pid {record.pid} on {record.hostname}, epoch {record.epoch}"
        holder += f", {record.purpose})" if record.purpose else ")"
        age = now - seen.since
    fields = {"scope": scope, "holder": holder, "unchanged_s": f"{age:.1f}"}
    since = f"since {record.acquired_at}" if record is not None else "unchanged"
    summary = f"{scope} is locked by {holder} {since}"
    hint = f"wait longer, or look with `swampctl lock show {scope}`"
    if asker.no_wait or asker.given_up():
        return LockBusy(summary, hint, **fields)
    return LockTimeout(summary, hint, **fields)
