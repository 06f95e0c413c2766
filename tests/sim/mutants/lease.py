"""Engines whose leases are broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from swampd import waiting
from swampd.domain import leases
from swampd.domain.leases import LockState, Sighting
from swampd.locking import lease as lease_module
from swampd.locking import recovery, taking
from swampd.locking.lease import Lease
from tests.sim import world
from tests.sim.mutants.patching import patched


def steal_at_once() -> Any:
    """A holder is not waited out."""
    return patched((Sighting, "may_be_taken", lambda _self, _now: True))


def no_second_look() -> Any:
    """A child does not look at its ancestors after its own write."""

    async def look(*_args: object) -> None:
        return None

    return patched((taking.Taker, "_look_above", look))


def renew_after_lapse() -> Any:
    """A lease that lapsed goes on when a renewal is answered late."""

    def alive(self: Lease) -> bool:
        return self.loss in (None, lease_module.Loss.LAPSED) and all(
            gate.alive() for gate in self.under
        )

    return patched((Lease, "alive", alive))


def broken_is_free() -> Any:
    """A broken lock is taken as free at once."""

    def is_free(self: Sighting) -> bool:
        return self.record is not None and self.record.state is not LockState.HELD

    return patched((Sighting, "is_free", property(is_free)))


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


def kept_across_reboot() -> Any:
    """A restart keeps its leases without asking whether it is still the same boot."""
    real = recovery._renew

    async def renew(book: Any, ports: Any, one: Any) -> Any:
        return await real(book, ports, replace(one, boot_id=ports.clock.boot_id))

    return patched((recovery, "_renew", renew))


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
