"""To the wire: locks and holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampd import processes
from swampd.domain.scopes import Covers
from swampd.rpc.convert.words import duration, iso, timestamp
from swampd.v1 import lock_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swampd.domain.leases import LockRecord, Sighting
    from swampd.domain.values import Scope
    from swampd.locking.holds import Hold
    from swampd.locking.lease import Lease


def held(
    hold: Hold, asked: Mapping[str, Scope], cache: str, ttl: int, *, joined: bool = False
) -> lock_pb2.AcquireResponse:
    """The hold as its holder sees it."""
    trees = {want.scope: want.tree for want in hold.wants}
    scopes = [
        lock_pb2.HeldScope(
            asked=text,
            scope=scope,
            epoch=hold.leases[scope].epoch if scope in hold.leases else 0,
            covers_tree=trees.get(scope, False),
        )
        for text, scope in asked.items()
    ]
    return lock_pb2.AcquireResponse(
        held=lock_pb2.HoldGranted(
            token=hold.token,
            scopes=scopes,
            joined=joined,
            cache=cache,
            deadline=duration(hold.deadline),
            ttl=duration(ttl / 1000),
            acquired_at=timestamp(hold.life["wall_ms"]) if "wall_ms" in hold.life else None,
        )
    )


def renewed(hold: Hold) -> lock_pb2.AcquireResponse:
    """A new deadline."""
    return lock_pb2.AcquireResponse(renewed=lock_pb2.HoldRenewed(deadline=duration(hold.deadline)))


def lost(hold: Hold) -> lock_pb2.HoldLost:
    """A hold that is lost."""
    reason = hold.lost.value if hold.lost is not None else "lapsed"
    return lock_pb2.HoldLost(scopes=hold.scopes, reason=reason)


def lock_info(scope: Scope, seen: Sighting, mine: Iterable[Lease]) -> lock_pb2.LockInfo:
    """A lock as its record says."""
    record = seen.record
    if record is None:
        return lock_pb2.LockInfo(scope=scope, state="unreadable", covers=Covers.TREE.value)
    nonces = {lease.nonce for lease in mine}
    return lock_of(record, mine=record.nonce in nonces and not seen.is_free)


def lock_of(record: LockRecord, *, mine: bool = False) -> lock_pb2.LockInfo:
    """The same of a record alone."""
    return lock_pb2.LockInfo(
        scope=record.scope,
        state=record.state.value,
        covers=record.covers.value,
        epoch=record.epoch,
        holder=record.holder,
        hostname=record.hostname,
        pid=record.pid,
        purpose=record.purpose,
        acquired_at=iso(record.acquired_at),
        ttl=duration(record.ttl_ms / 1000),
        in_doubt=record.in_doubt or 0,
        mine=mine,
    )


def hold_info(hold: Hold, now: float, boot_id: str) -> lock_pb2.HoldInfo:
    """A hold as others may see it: without its token."""
    return lock_pb2.HoldInfo(
        scopes=hold.scopes,
        owner=hold.owner.label or hold.owner.key,
        purpose=hold.purpose,
        ends_with=_ends_with(hold, boot_id),
        ends_in=duration(max(0.0, hold.ends_at - now)) if hold.ends_at is not None else None,
        lost=hold.lost is not None,
        acquired_at=timestamp(hold.life["wall_ms"]) if "wall_ms" in hold.life else None,
        token_only=not hold.owner.shared,
    )


def _ends_with(hold: Hold, boot_id: str) -> str:
    watched = processes.from_row(hold.life)
    if watched is None:
        return str(hold.life.get("kind", "release"))
    if not processes.can_be_watched(watched, boot_id):
        return "release"
    return f"{watched.kind} {watched.pid}"
