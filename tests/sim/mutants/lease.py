"""Engines whose leases are broken."""

from __future__ import annotations

from typing import Any

import msgspec

from swampd import waiting
from swampd.domain import leases
from swampd.domain.leases import LockState, Sighting
from swampd.locking import book, cas, taking
from swampd.locking import lease as lease_module
from swampd.locking.lease import Lease
from tests.sim import world
from tests.sim.mutants.patching import patched


def steal_at_once() -> Any:
    """A holder is not waited out."""
    return patched((Sighting, "may_be_taken", lambda _self, _now: True))


def steal_by_delete() -> Any:
    """A holder that was waited out is deleted, and its lock created anew."""
    real = taking.Taker._win

    async def win(self: Any, want: Any, above: Any, asker: Any, own: Any, seen: Any) -> Any:
        if seen is not None and not seen.is_free:
            await self._book._store.delete(self._book._keys.lock(want.scope))
            seen = None
        return await real(self, want, above, asker, own, seen)

    return patched((taking.Taker, "_win", win))


def delete_on_release() -> Any:
    """Who gives a lock back deletes its record."""
    real = book.LockBook.write

    async def write(self: Any, record: Any, *rest: Any) -> Any:
        fate = await real(self, record, *rest)
        if record.state is LockState.FREE:
            await self._store.delete(self._keys.lock(record.scope))
        return fate

    return patched((book.LockBook, "write", write))


def stale_by_remote_time() -> Any:
    """A holder is dead when the store says that its record is old, by its clock against ours."""

    async def may_take(self: Any, seen: Any, own: Any) -> bool:
        record, now = seen.record, self._clock.now()
        if record is None or own.is_live(record.nonce):
            return False
        key, network = self._book._keys.lock(record.scope), self._book._store._net
        written = next(m.time for m in reversed(network.log) if m.key == key)
        return bool(now - (world.EPOCH_S + written) >= leases.patience_s(record.ttl_ms))

    return patched((taking.Taker, "_may_take", may_take))


def deadline_from_last_send() -> Any:
    """A renewal's deadline counts from the sending that was answered, not from the first."""
    send_once, renewed = cas.Writer._send_once, Lease._renewed
    last: dict[tuple[Any, str], float] = {}

    async def send(self: Any, write: Any) -> Any:
        last[self, write.key] = self._clock.now()
        return await send_once(self, write)

    async def take_over(self: Any, record: Any, token: Any, _sent_at: float) -> None:
        key = self._book._keys.lock(self.scope)
        await renewed(self, record, token, last[self._book._writer, key])

    return patched((cas.Writer, "_send_once", send), (Lease, "_renewed", take_over))


def renewal_not_journalled() -> Any:
    """A renewal's deadline is relied on, and after a crash nobody knows of it."""

    async def renewed(self: Any, record: Any, token: Any, sent_at: float) -> None:
        self.record, self.token = record, token
        if self.alive():
            self.deadline = max(self.deadline, sent_at + leases.lifetime_s(record.ttl_ms))

    return patched((Lease, "_renewed", renewed))


def release_beside_renewal() -> Any:
    """A release does not wait for the renewal that is under way."""

    async def release(self: Any) -> Any:
        self.going = True
        if self.unanswered:
            self._answered.clear()
            await waiting.wait_for(self._answered, self._clock, lease_module.ANSWERS_WAIT_S)
        self._stopped.set()
        return await self._free()

    return patched((Lease, "release", release))


def renew_after_lapse() -> Any:
    """A lease that lapsed goes on when a renewal is answered late."""

    def alive(self: Lease) -> bool:
        return self.loss in (None, lease_module.Loss.LAPSED) and all(
            gate.alive() for gate in self.under
        )

    return patched((Lease, "alive", alive))


def epoch_stays() -> Any:
    """An acquisition does not raise the epoch."""
    real = leases.acquired

    def acquired(*args: Any) -> Any:
        record = real(*args)
        lower = max(record.epoch - 1, 1)
        return msgspec.structs.replace(record, epoch=lower)

    return patched((leases, "acquired", acquired))


def heartbeat_unchanged() -> Any:
    """A renewal writes the same bytes again."""

    def renewed(record: Any, _wid: Any, *, doubt_is_over: bool = False) -> Any:
        del doubt_is_over
        return record

    return patched((leases, "renewed", renewed))


def no_doubt_on_takeover() -> Any:
    """Who takes over says nothing of the requests that the holder before may have under way."""
    real = leases.acquired

    def acquired(previous: Any, *args: Any) -> Any:
        record = real(previous, *args)
        known = previous.in_doubt if previous is not None else None
        return msgspec.structs.replace(record, in_doubt=known)

    return patched((leases, "acquired", acquired))


def no_doubt_on_release() -> Any:
    """Who releases says nothing of its own unanswered requests."""
    real = leases.released

    def released(record: Any, wid: Any, *, unanswered: bool) -> Any:
        del unanswered
        return real(record, wid, unanswered=False)

    return patched((leases, "released", released))


def clock_stops_in_suspend() -> Any:
    """The clock of a machine stands still while it sleeps."""
    real = world.SimClock.now

    def now(self: Any) -> float:
        node = self._life.node
        asleep: float = node.slept(node.world.time) * self._rate
        return real(self) - asleep

    return patched((world.SimClock, "now", now))


def unpaced() -> Any:
    """Keys are written as fast as it goes."""

    async def turn(_self: object, _key: str) -> None:
        return None

    return patched((waiting.Pace, "turn", turn))
