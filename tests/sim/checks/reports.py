"""L8 and L14: what people were told of breaks and losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampd.domain.leases import LockState
from swampd.domain.values import Scope
from tests.sim.checks.violations import fail

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
