"""Lock records and the rules by which they change hands (section 3).

A lease is a lock record that this process wrote, with a deadline on the local clock.  Every rule
here is a function of records and local times; nothing reads a clock.  Keeps: L1 (epochs go up
with each acquisition), L6 (waiting out a holder), L8 (release and break keep epoch and nonce).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from swampd.domain.scopes import Covers
from swampd.domain.values import BootId, Count, Epoch, Nonce, Pid, Scope, Token, Wid

if TYPE_CHECKING:
    from swampd.domain.outcomes import Found

SCHEMA: Final = 1
DEFAULT_TTL_MS: Final = 30_000
LEAST_TTL_MS: Final = 2_000
MOST_TTL_MS: Final = 120_000
CLOCK_RATE: Final = 1.02
"""A waiter waits so much longer than the holder's ttl: clock rates may differ by 2 % (L6)."""
HORIZON_S: Final = 20 * 60.0
"""After so many seconds a request that was sent can no longer land (section 2)."""
POLL_S: Final = 1.0
"""How often a waiter looks, in seconds, before jitter."""
POLL_JITTER: Final = 0.25
"""A poll is drawn from this part below to this part above POLL_S."""
LONGEST_POLL_S: Final = POLL_S * (1 + POLL_JITTER)

TtlMs = Annotated[int, msgspec.Meta(ge=1, le=int(HORIZON_S) * 1000)]
"""What a record may say.  Nobody here grants less than LEAST_TTL_MS or more than MOST_TTL_MS; a
record that says so is read all the same, since a damaged one would hide its epoch and be waited
out too soon (L1, L6), and `patience_s` brings it within the limits."""


class LockState(Enum):
    """What a lock record says of itself."""

    HELD = "held"
    FREE = "free"
    BROKEN = "broken"


class LockRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`locks/<esc>.json`.  `in_doubt` N: requests of epochs up to N may land on plain keys."""

    schema: Count = SCHEMA
    scope: Scope
    state: LockState
    covers: Covers
    epoch: Epoch
    nonce: Nonce
    wid: Wid
    beat: Count
    ttl_ms: TtlMs
    in_doubt: Epoch | None
    holder: str
    hostname: str
    pid: Pid
    daemon: str
    boot_id: BootId
    version: str
    acquired_at: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this daemon is, as its lock records say it to people."""

    holder: str
    hostname: str
    pid: int
    daemon: str
    boot_id: BootId
    version: str


def margin_s(ttl_ms: int) -> float:
    """The safety margin of a lease, in seconds: min(2 s, ttl/10)."""
    return min(2.0, ttl_ms / 10_000)


def lifetime_s(ttl_ms: int) -> float:
    """How long a lease is valid after the *first* sending of the write that won or renewed it."""
    return ttl_ms / 1000 - margin_s(ttl_ms)


def renewal_s(ttl_ms: int) -> float:
    """How often a lease is renewed."""
    return lifetime_s(ttl_ms) / 3


def patience_s(ttl_ms: int) -> float:
    """How long a record must be seen unchanged before it may be taken over (L6, L11)."""
    ttl = min(max(ttl_ms, LEAST_TTL_MS), MOST_TTL_MS)
    return ttl / 1000 * CLOCK_RATE + margin_s(ttl)


# --- how a record changes ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What an acquirer brings: who, for what, and the fresh ids of this one write."""

    scope: Scope
    covers: Covers
    nonce: Nonce
    wid: Wid
    ttl_ms: int
    acquired_at: str
    purpose: str


def acquired(
    previous: LockRecord | None, known_epoch: Epoch, who: Identity, what: Acquisition
) -> LockRecord:
    """The record that acquires: always a higher epoch (L1).

    `known_epoch` is the highest epoch that the head or the journal has seen: it counts where the
    record is missing or damaged.  Taking over a record that is not free leaves its epoch in doubt:
    its holder may have requests under way.
    """
    epoch = known_epoch
    in_doubt = None
    if previous is not None:
        epoch = max(epoch, previous.epoch)
        in_doubt = previous.in_doubt
        if previous.state is not LockState.FREE:
            in_doubt = doubt(in_doubt, previous.epoch)
    return LockRecord(
        scope=what.scope,
        state=LockState.HELD,
        covers=what.covers,
        epoch=Epoch(epoch + 1),
        nonce=what.nonce,
        wid=what.wid,
        beat=0,
        ttl_ms=what.ttl_ms,
        in_doubt=in_doubt,
        holder=who.holder,
        hostname=who.hostname,
        pid=who.pid,
        daemon=who.daemon,
        boot_id=who.boot_id,
        version=who.version,
        acquired_at=what.acquired_at,
        purpose=what.purpose,
    )


def after_damage(record: LockRecord, known_epoch: Epoch) -> LockRecord:
    """An acquisition over a record that could not be read: whoever held it may have requests under
    way, so what is known of it stays in doubt (section 3, in doubt)."""
    return msgspec.structs.replace(record, in_doubt=known_epoch)


def doubt(known: Epoch | None, epoch: Epoch) -> Epoch:
    """The higher of two values of `in_doubt`."""
    return epoch if known is None else max(known, epoch)


def renewed(record: LockRecord, wid: Wid, *, doubt_is_over: bool = False) -> LockRecord:
    """The next heartbeat: the same acquisition, other bytes (L9)."""
    in_doubt = None if doubt_is_over else record.in_doubt
    return msgspec.structs.replace(record, wid=wid, beat=record.beat + 1, in_doubt=in_doubt)


def released(record: LockRecord, wid: Wid, *, unanswered: bool) -> LockRecord:
    """The record set free by its holder; with `unanswered` requests its epoch is in doubt."""
    in_doubt = doubt(record.in_doubt, record.epoch) if unanswered else record.in_doubt
    return msgspec.structs.replace(record, wid=wid, state=LockState.FREE, in_doubt=in_doubt)


def broken(record: LockRecord, wid: Wid) -> LockRecord:
    """The record broken by a person: acquirers still wait its ttl."""
    in_doubt = doubt(record.in_doubt, record.epoch)
    return msgspec.structs.replace(record, wid=wid, state=LockState.BROKEN, in_doubt=in_doubt)


def freed(record: LockRecord, wid: Wid) -> LockRecord:
    """The record set free by somebody else, who waited it out or knows that its holder is dead."""
    in_doubt = doubt(record.in_doubt, record.epoch)
    return msgspec.structs.replace(record, wid=wid, state=LockState.FREE, in_doubt=in_doubt)


# --- waiting ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sighting:
    """A lock object as a waiter saw it: unchanged since the local time `since` (seconds).

    `record` is None for a damaged object, which counts as held for the default ttl.
    """

    token: Token
    record: LockRecord | None
    since: float

    @property
    def is_free(self) -> bool:
        """True when nobody holds it."""
        return self.record is not None and self.record.state is LockState.FREE

    @property
    def is_gate(self) -> bool:
        """True when it stands over everything below its scope; a damaged record may be one."""
        return not self.is_free and (self.record is None or self.record.covers is Covers.TREE)

    def may_be_taken(self, now: float) -> bool:
        """True when its holder has lapsed by any clock that is 2 % off (L6): unchanged for the
        record's ttl x 1.02 + margin, counted from *after* the first read that showed it."""
        ttl_ms = self.record.ttl_ms if self.record is not None else DEFAULT_TTL_MS
        return now - self.since >= patience_s(ttl_ms)


def sight(
    previous: Sighting | None, found: Found, record: LockRecord | None, now: float
) -> Sighting:
    """What a read that ended at `now` showed: a new token restarts the wait."""
    if previous is not None and previous.token == found.token:
        return previous
    return Sighting(found.token, record, now)
