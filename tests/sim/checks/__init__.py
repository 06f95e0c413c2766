"""The invariants of PROTOCOLS section 9: a module a topic, a function an invariant or a few.

Every check can fail: `tests/sim/mutants/` shows a broken engine for each family.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sim.checks import heads, leases, payload, registers, reports, trees
from tests.sim.checks.log import Log
from tests.sim.checks.trees import TreeWatch
from tests.sim.checks.violations import Violation, digest, fail

if TYPE_CHECKING:
    from tests.sim.users import History
    from tests.sim.world import World

__all__ = ["Log", "TreeWatch", "Violation", "check_all", "check_now", "digest", "fail"]


def check_now(world: World, log: Log, history: History) -> None:
    """What holds at every instant: asked after each request that reached the store."""
    leases.check_holders(world)
    deleted = len(log.gone)
    changed = log.update()
    payload.check_named(log, deleted)
    payload.check_committed(world, log)
    payload.check_changed(world, log, changed)
    payload.check_true(world, changed)
    leases.check_deadlines(world, log)
    leases.check_left_holds(history)
    heads.check_intents(world, log, history)


def check_log(world: World, log: Log, history: History) -> None:
    """What holds of the log so far, whatever is under way."""
    log.update()
    leases.check_locks(world, log)
    leases.check_paced(world)
    leases.check_released_in_doubt(log)
    leases.check_sent_in_time(world, log)
    heads.check_heads(log)
    heads.check_news(log, history)
    heads.check_resurrection(log, history)
    heads.check_acknowledged(log, history)
    heads.check_failed(log, history)
    registers.check_registers(world.network.calls.all, world.network.spoilt)
    reports.check_breaks(log, history)
    reports.check_losses(history)
    reports.check_told(log)
    payload.check_readable(world, log)


def check_all(world: World, log: Log, history: History) -> None:
    """Everything that can be said after quiescence."""
    check_log(world, log, history)
    trees.check_nothing_lost(world, log, history)
    trees.check_own_paths(world, log, history)
    trees.check_converged(world, log)
    payload.check_mirrored(world, log)
    payload.check_uploads(world)
    trees.check_clean(world, log)
    trees.check_scratch(world)
    trees.check_private(world)
    trees.check_commits_closed(world)
    trees.check_requests_closed(world)
