"""L8 and L14: what people were told of breaks and losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampd.domain.leases import LockState
from swampd.domain.values import Scope
from swampd.locking.lease import Loss
from tests.sim.checks.violations import fail
from tests.sim.hearing import EAR

if TYPE_CHECKING:
    from tests.sim.checks.log import Log
    from tests.sim.users import History


def check_breaks(log: Log, history: History) -> None:
    """L8: a break that was acknowledged broke just the epoch that the person had read."""
    for told in history.breaks:
        broken = [
            record.epoch
            for mutation, record in log.locks.get(Scope(told.scope), ())
            if record.state is LockState.BROKEN
            and mutation.node == told.node
            and told.began <= mutation.sent_at <= told.ended
        ]
        if told.epoch not in broken:
            fail("L8", f"{told.node} was told that e{told.epoch} of {told.scope} is broken")


def check_losses(history: History) -> None:
    """L14: each subscriber of a lease, and of a hold, hears of its loss once, and of nothing
    else."""
    for grant in history.grants:
        for scope, lease in grant.leases.items():
            heard = grant.heard.get(scope, 0)
            if heard != (lease.loss is not None):
                fail("L14", f"the loss of {scope} e{lease.epoch} was told {heard} times")
        if grant.told != (grant.hold.lost is not None):
            fail("L14", f"the loss of {grant.hold.scopes} was told {grant.told} times")
        lost_in_use = [
            scope
            for scope, lease in grant.leases.items()
            if lease.loss is not None and not grant.ended and grant.hold.lost is None
        ]
        if lost_in_use:
            fail("L14", f"{lost_in_use} is lost, and nobody told whose hold it is")


def check_told(log: Log) -> None:
    """L14: a lease that is told as broken or taken over was; its own release is neither.

    One whose release was not answered may be told as taken over by whoever came next.
    """
    for scope, epoch, reason in EAR.losses:
        if reason not in (Loss.TAKEN_OVER.value, Loss.BROKEN.value):
            continue
        history = log.locks.get(Scope(scope), [])
        mine = [(mutation, record) for mutation, record in history if record.epoch == epoch]
        by = (mine[0][0].node, mine[0][0].life) if mine else None
        others = [
            record
            for mutation, record in mine
            if record.state is LockState.BROKEN
            or (record.state is LockState.FREE and (mutation.node, mutation.life) != by)
        ]
        later = any(record.epoch > epoch for _, record in history)
        if not others and (reason == Loss.BROKEN.value or not later):
            fail("L14", f"{scope} e{epoch} is told to be {reason}, and nobody else touched it")
