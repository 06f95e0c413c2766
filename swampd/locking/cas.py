"""One conditional write and its fate (section 2): sent, read back where the answer was unclear.

For documents whose bytes are unique (locks, heads, layout), so that a token never comes back:
once the object is seen with another token, an earlier sending can no longer land.  Keeps L5 (what
is reported refused never lands) and L9 (each sending carries the wid of its write).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from swampd.domain.outcomes import Applied, Found, Missing, Rejected, Unchanged, Unknown
from swampd.errors import SwampdError
from swampd.waiting import asked_s, passes

if TYPE_CHECKING:
    from collections.abc import Callable

    from swampd.domain.outcomes import WriteOutcome
    from swampd.domain.values import RemoteKey, Token
    from swampd.ports import Clock, ObjectStore, Rng
    from swampd.waiting import Pace

log = structlog.get_logger()
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Landed:
    """The write is in the store (or was, and has a successor); `token` is the object's.

    `found` is the object as read back, where a look and no direct answer told of it: it may be a
    successor, so whoever adopts it adopts what was found.
    """

    token: Token
    found: Found | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The write is not in the store and will never be.  `found` is what a look showed, if any."""

    found: Found | Missing | None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """At least one sending may still land; nothing more was sent or could be learnt in time."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """The right to send was gone before the first sending."""


Fate = Landed | Refused | Unanswered | NotSent


@dataclass(frozen=True, slots=True)
class Write:
    """A write of one document on condition of `token` (None: create)."""

    key: RemoteKey
    body: bytes
    token: Token | None
    is_mine: Callable[[Found], bool]
    """Does this object, as read back, show that the write landed?"""
    may_send: Callable[[], bool]
    """Asked before every sending (L7)."""
    until: float
    """Local time at which finding out is given up."""


@dataclass(slots=True)
class _Unknowns:
    """How many sendings of one write had no clear answer."""

    count: int = 0


class Writer:
    """Sends conditional writes and finds out what became of them."""

    def __init__(self, store: ObjectStore, clock: Clock, rng: Rng, pace: Pace) -> None:
        self._store = store
        self._clock = clock
        self._rng = rng
        self._pace = pace

    async def send(self, write: Write) -> Fate:
        """`_send`; what was Unknown on the way is logged with what became of it."""
        unknown = _Unknowns()
        fate = await self._send(write, unknown)
        if unknown.count:
            log.info(
                "unknown_resolved",
                key=write.key,
                fate=type(fate).__name__.lower(),
                unknown=unknown.count,
            )
        return fate

    async def _send(self, write: Write, unknown: _Unknowns) -> Fate:
        """Send until the fate is known, the right to send is gone, or time is up.

        A write that raises did not land: it does not count as sent.  A store that is away, or
        whose credentials have expired, is waited for.  Raises errors.StoreDenied and
        errors.KeyRefused, and then nothing of the write can land any more.
        """
        sendings = 0
        pause = FIRST_PAUSE_S
        while True:
            await self._pace.turn(write.key)
            if not write.may_send():
                return Unanswered("the lease lapsed") if sendings else NotSent()
            try:
                outcome = await self._send_once(write)
            except SwampdError as error:
                if not passes(error) and not sendings:
                    raise
                if self._clock.now() >= write.until or not passes(error):
                    return Unanswered(error.summary) if sendings else NotSent()
                await self._wait(write, pause, error)
                pause = min(pause * 2, LONGEST_PAUSE_S)
                continue
            sendings += 1
            unknown.count += isinstance(outcome, Unknown)
            if isinstance(outcome, Applied) and outcome.token is not None:
                return Landed(outcome.token)
            if isinstance(outcome, Rejected) and sendings == 1:
                return Refused(None)
            if asked_s(outcome):
                await self._wait(write, pause, outcome)
            fate, pause = await self._read_back(write, pause)
            if fate is not None:
                return fate
            await self._wait(write, pause)

    async def _send_once(self, write: Write) -> WriteOutcome:
        if write.token is None:
            return await self._store.create(write.key, write.body, {})
        return await self._store.replace(write.key, write.body, write.token, {})

    async def _read_back(self, write: Write, pause: float) -> tuple[Fate | None, float]:
        """What the object says of the write; None when it is unchanged, so send again."""
        while True:
            try:
                found = await self._look(write)
            except SwampdError as error:
                if self._clock.now() >= write.until or not passes(error):
                    return Unanswered(error.summary), pause
                await self._wait(write, pause, error)
                pause = min(pause * 2, LONGEST_PAUSE_S)
                continue
            if isinstance(found, Found):
                if write.is_mine(found):
                    return Landed(found.token, found), pause
                return Refused(found), pause
            if isinstance(found, Missing) and write.token is not None:
                return Refused(found), pause
            if self._clock.now() >= write.until:
                return Unanswered("no answer in time"), pause
            return None, min(pause * 2, LONGEST_PAUSE_S)

    async def _look(self, write: Write) -> Found | Missing | Unchanged:
        if write.token is None:
            found = await self._store.get(write.key)
            return found if isinstance(found, Found) else Missing()
        return await self._store.get_if_changed(write.key, write.token)

    async def _wait(self, write: Write, pause: float, answer: object = None) -> None:
        """A pause, as long as the store asked for with its answer, if that is in time at all."""
        asked = min(asked_s(answer), max(write.until - self._clock.now(), 0.0))
        await self._clock.sleep(asked + self._rng.uniform(pause / 2, pause))
