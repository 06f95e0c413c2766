"""Known-bad engines that the simulator must catch: each a small patch, in test code only.

A mutant is caught when some seed within its limit breaks an invariant; the unmutated engine
passes the same seeds of the same workload.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.sim.mutants import harsh, lease, local, payload
from tests.sim.workloads import (
    BAD_DISK,
    BREAKERS,
    DEATHS,
    FOREIGN,
    LARGE,
    LATE,
    NORMAL,
    OUTAGES,
    OWN_PATHS,
    PACED,
    POWER_CUTS,
    RESENDS,
    Workload,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken engine; it must be caught within so many seeds of its workload, which is one in
    which its fault has many occasions."""

    apply: Callable[[], Any]
    seeds: int
    load: Workload = NORMAL

    @property
    def name(self) -> str:
        """What its patch is called."""
        return self.apply.__name__


MUTANTS = (
    Mutant(lease.steal_at_once, 20),
    Mutant(lease.no_second_look, 40),
    Mutant(lease.renew_after_lapse, 20),
    Mutant(lease.broken_is_free, 20, BREAKERS),
    Mutant(lease.heartbeat_unchanged, 5),
    Mutant(lease.no_doubt_on_takeover, 10),
    Mutant(lease.no_doubt_on_release, 20, LATE),
    Mutant(lease.kept_across_reboot, 20, POWER_CUTS),
    Mutant(lease.unpaced, 5, PACED),
    Mutant(lease.clock_stops_in_suspend, 20),
    Mutant(lease.epoch_stays, 10),
    Mutant(payload.commit_without_cas, 40),
    Mutant(payload.sent_without_look, 10),
    Mutant(payload.tombstone_without_head, 60),
    Mutant(payload.redo_dropped_unseen, 60),
    Mutant(payload.recent_ignored, 40, OWN_PATHS),
    Mutant(payload.resend_rejection_believed, 240, RESENDS),
    Mutant(payload.commit_intent_not_journalled, 40, OWN_PATHS),
    Mutant(payload.unknown_reported_failed, 40, OUTAGES),
    Mutant(payload.half_applied_head, 10),
    Mutant(payload.tombstones_dropped, 10),
    Mutant(payload.intents_closed_by_hope, 40, LATE),
    Mutant(payload.fresh_after_tombstone, 40, LATE),
    Mutant(local.delete_by_absence, 40),
    Mutant(local.pull_over_edits, 20),
    Mutant(local.check_then_rename, 30, DEATHS),
    Mutant(local.size_only, 20),
    Mutant(local.base_before_commit, 40, OUTAGES),
    Mutant(local.placements_not_journalled, 30, DEATHS),
    Mutant(local.not_synced_before_rename, 80),
    Mutant(local.pointers_first, 40),
    Mutant(harsh.uploads_left, 10, LARGE),
    Mutant(harsh.completed_without_compare, 10, LARGE),
    Mutant(harsh.sealed_copies_left, 5, LARGE),
    Mutant(harsh.foreign_overwritten, 10, FOREIGN),
    Mutant(harsh.unreadable_is_gone, 20, BAD_DISK),
)
