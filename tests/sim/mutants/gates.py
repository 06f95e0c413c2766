"""Engines that take, break and declare scopes against the level rule, or lose them in a restart."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from swampd.domain.leases import LockState, Sighting
from swampd.domain.scopes import Covers
from swampd.locking import keeper, recovery, taking
from swampd.locking import ledger as locks
from swampd.syncing import desk
from tests.sim.mutants.patching import patched


def no_second_look() -> Any:
    """A child does not look at its ancestors after its own write."""

    async def look(*_args: object) -> None:
        return None

    return patched((taking.Taker, "_look_above", look))


def look_before_write() -> Any:
    """A child looks at its ancestors before it writes its own record, and not after."""
    look, take = taking.Taker._look_above, taking.Taker._take_record
    found: dict[str, Any] = {}

    async def take_record(self: Any, want: Any, above: Any, *rest: Any) -> Any:
        child, watch = SimpleNamespace(scope=want.scope), rest[-1]
        gate = await look(self, child, above, watch)  # type: ignore[arg-type]
        lease = await take(self, want, above, *rest)
        found[lease.nonce] = gate
        return lease

    async def look_above(_self: Any, lease: Any, _above: Any, _watch: Any) -> Any:
        return found.pop(lease.nonce)

    return patched(
        (taking.Taker, "_take_record", take_record), (taking.Taker, "_look_above", look_above)
    )


def broken_is_free() -> Any:
    """A broken lock is taken as free at once."""

    def is_free(self: Sighting) -> bool:
        return self.record is not None and self.record.state is not LockState.HELD

    return patched((Sighting, "is_free", property(is_free)))


def broken_gate_is_free() -> Any:
    """A child takes a broken gate above it for a free one."""

    def is_gate(self: Sighting) -> bool:
        record = self.record
        held = record is not None and record.state is LockState.HELD
        return held and record is not None and record.covers is Covers.TREE

    return patched((Sighting, "is_gate", property(is_gate)))


def declared_without_top() -> Any:
    """A child is named in the head of its top-level scope when the lease on that is given back."""
    real = desk.Desks.declare

    async def declare(self: Any, child_lease: Any, top_lease: Any) -> None:
        await top_lease.release()
        top_lease.may_act, top_lease.demand = lambda: True, lambda: None
        await real(self, child_lease, top_lease)

    return patched((desk.Desks, "declare", declare))


def lingers_under_gate() -> Any:
    """A lock that was taken under a gate stays for a moment, whatever becomes of the gate."""
    real = keeper.Keeper._drop_use

    def drop(self: Any, lease: Any, turn: Any) -> None:
        if lease.under:
            for gate in lease.under:
                gate._listeners.clear()
            lease.under = ()
        real(self, lease, turn)

    return patched((keeper.Keeper, "_drop_use", drop))


def kept_across_reboot() -> Any:
    """A restart keeps its leases without asking whether it is still the same boot."""
    real = recovery._renew

    async def renew(book: Any, ports: Any, one: Any) -> Any:
        return await real(book, ports, replace(one, boot_id=ports.clock.boot_id))

    return patched((recovery, "_renew", renew))


def half_recovered_is_given_away() -> Any:
    """A hold of which one lease was lost in a restart blocks nothing of the rest."""

    async def block(_keeper: Any, world: Any, row: dict[str, Any], _parts: Any) -> None:
        await world.journal.write(lambda tx: locks.drop_hold(tx, row["token"]))

    return patched((recovery, "_block", block))
