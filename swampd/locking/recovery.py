"""After a restart: which leases and holds of the life before go on (section 3, restart).

A lease is kept only for a hold that can be recovered whole, and is renewed before anybody relies
on it.  What else is ours is set free; a hold that cannot be recovered whole blocks its scopes here
until its journalled deadline, because its owner may still rely on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import structlog

from swampd.domain import leases
from swampd.domain.levels import Want
from swampd.domain.scopes import Covers, is_below
from swampd.domain.values import Scope
from swampd.errors import SwampdError
from swampd.locking import ledger
from swampd.locking.cas import Fate, Landed, Refused
from swampd.locking.holds import Hold, Owner
from swampd.locking.keeper import Grant
from swampd.locking.lease import Lease
from swampd.locking.queue import Turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from swampd.domain.values import Epoch
    from swampd.locking.book import LockBook
    from swampd.locking.holds import Holds
    from swampd.locking.keeper import Keeper
    from swampd.locking.ledger import Remembered
    from swampd.ports import Clock, Journal

log = structlog.get_logger()
FINDING_OUT_S = 5.0
LOST = "lost"
"""In the row of a hold that was not recovered whole."""


class World(Protocol):
    """The ports that recovery needs."""

    @property
    def clock(self) -> Clock:
        """Local time."""

    @property
    def journal(self) -> Journal:
        """The memory of the life before."""


async def recover_leases(
    book: LockBook,
    keeper: Keeper,
    holds: Holds,
    world: World,
    has_unanswered: Callable[[Epoch], Awaitable[bool]],
) -> None:
    """Go through what the journal remembers of locks.  An unreachable store loses the leases, not
    the start.  `has_unanswered`: did the life before send requests on plain keys under an epoch
    that may still land?"""
    remembered = await world.journal.read(ledger.acquisitions)
    rows = await world.journal.read(ledger.holds)
    mine = {one.nonce: one for one in remembered}
    kept: set[str] = set()
    for row in rows:
        parts = [mine.get(nonce) for _, _, nonce in row["leases"]]
        lost = row.get(LOST, False)
        recovered = [await _renew(book, world, p) for p in parts if p is not None and not lost]
        whole = len(recovered) == len(row["leases"]) and all(recovered)
        kept |= {part.nonce for part in parts if part is not None}
        for lease in recovered:
            if lease is not None:
                lease.inherits_doubt = left = mine[lease.nonce].declares
                lease.left_unanswered = left or await has_unanswered(lease.epoch)
        if whole:
            _restore(keeper, holds, row, [lease for lease in recovered if lease is not None])
        else:
            await _block(keeper, world, row, [part for part in parts if part is not None])
    for one in remembered:
        if one.nonce not in kept:
            await _give_back(book, world, one, has_unanswered)


async def _renew(book: LockBook, world: World, one: Remembered) -> Lease | None:
    """Renew a remembered lease before its deadline; None when it is lost."""
    clock = world.clock
    deadline, record, token = one.deadline, one.record, one.token
    if deadline is None or record is None or token is None or one.boot_id != clock.boot_id:
        return None
    if clock.now() >= deadline:
        return None
    lease = Lease(book, clock, record, token, deadline)
    await lease.renew_now()
    return lease if lease.alive() else None


def _restore(keeper: Keeper, holds: Holds, row: dict[str, Any], recovered: list[Lease]) -> None:
    wants = tuple(Want(Scope(scope), tree) for scope, tree in row["wants"])
    turn = Turn(wants, row["owner"], row["purpose"])
    keeper.queue.enter(turn)
    gates = [lease for lease in recovered if lease.record.covers is Covers.TREE]
    for lease in recovered:
        lease.stand_under(gate for gate in gates if is_below(lease.scope, gate.scope))
        keeper.adopt(lease)
    grant = Grant(turn, {lease.scope: lease for lease in recovered})
    owner = Owner(row["owner"], row["shared"], row["label"])
    hold = Hold(row["token"], owner, wants, row["purpose"], grant, row["ends_at"], row["life"])
    holds.watch(hold)
    log.info("hold_recovered", scopes=hold.scopes)


async def _block(
    keeper: Keeper, world: World, row: dict[str, Any], parts: list[Remembered]
) -> None:
    """Its other leases are neither freed nor given away before its journalled deadline; the next
    life after a crash keeps to that too, so the hold stays in the journal, as lost."""
    now, token = world.clock.now(), row["token"]
    until = max(
        (p.deadline for p in parts if p.deadline and p.boot_id == world.clock.boot_id), default=now
    )
    if until <= now:
        await world.journal.write(lambda tx: ledger.drop_hold(tx, token))
    elif not row.get(LOST, False):
        await world.journal.write(lambda tx: ledger.save_hold(tx, token, {**row, LOST: True}))
    log.warning("hold_lost_in_restart", scopes=[scope for scope, _ in row["wants"]])
    if until > now:
        wants = tuple(Want(Scope(scope), tree) for scope, tree in row["wants"])
        turn = Turn(wants, f"recovering {token}", row["purpose"])
        keeper.queue.enter(turn)
        keeper.end_later(turn, until - now)


async def _give_back(
    book: LockBook,
    world: World,
    one: Remembered,
    has_unanswered: Callable[[Epoch], Awaitable[bool]],
) -> None:
    """Free a lease that no hold needs; requests that it left put its epoch in doubt."""
    record, token, clock = one.record, one.token, world.clock
    if record is None or token is None or one.deadline is None or one.boot_id != clock.boot_id:
        return
    deadline = one.deadline

    def in_time() -> bool:
        return clock.now() < deadline

    fate: Fate | None = None
    unanswered = one.declares or await has_unanswered(record.epoch)
    try:
        while in_time():
            free = leases.released(record, book.fresh_wid(), unanswered=unanswered)
            fate = await book.write(free, token, in_time, clock.now() + FINDING_OUT_S)
            if not isinstance(fate, Refused):
                break
            seen = await book.look(one.scope)
            if seen is None or seen.record is None or seen.record.nonce != one.nonce:
                break
            record, token = seen.record, seen.token
    except SwampdError as error:
        log.warning("release_failed", scope=one.scope, error=error.code)
        return
    if isinstance(fate, Landed | Refused):
        await world.journal.write(lambda tx: ledger.forget_nonce(tx, one.nonce), durable=False)
