"""Known-bad engines that the simulator must catch: each a small patch, in test code only.

A mutant is caught when some seed within its limit breaks an invariant; the unmutated engine
passes the same seeds of the same workload.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.sim.mutants import gates, harsh, heads, lease, local, payload, sweeping
from tests.sim.workloads import (
    BAD_DISK,
    BREAKERS,
    COMPACTS,
    DEATHS,
    FOREIGN,
    FULL_DELTAS,
    GATE_BREAKERS,
    GATES,
    JOINS,
    LARGE,
    LATE,
    LATE_DELETES,
    MISFORTUNES,
    NORMAL,
    ORPHANS,
    OUTAGES,
    OWN_PATHS,
    PACED,
    POWER_CUTS,
    RESENDS,
    RESTARTS,
    RESTORES,
    REVERTS,
    SLOW,
    STANDSTILLS,
    Workload,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken engine; it must be caught within so many seeds of its workload, which is one in
    which its fault has many occasions: so many that the chance of none is far below one in a
    hundred, by what share of 60 seeds caught it."""

    apply: Callable[[], Any]
    seeds: int
    load: Workload = NORMAL

    @property
    def name(self) -> str:
        """What its patch is called."""
        return self.apply.__name__


MUTANTS = (
    # Leases.
    Mutant(lease.delete_on_release, 3),
    Mutant(lease.steal_by_delete, 10),
    Mutant(lease.steal_at_once, 20),
    Mutant(lease.heartbeat_unchanged, 5),
    Mutant(lease.clock_stops_in_suspend, 40, STANDSTILLS),
    Mutant(lease.stale_by_remote_time, 20),
    Mutant(lease.deadline_from_last_send, 20, SLOW),
    Mutant(lease.renew_after_lapse, 20),
    Mutant(lease.release_beside_renewal, 20, SLOW),
    Mutant(lease.no_doubt_on_takeover, 10),
    Mutant(lease.no_doubt_on_release, 20, LATE),
    Mutant(lease.renewal_not_journalled, 5),
    Mutant(lease.epoch_stays, 10),
    Mutant(lease.unpaced, 5, PACED),
    Mutant(gates.kept_across_reboot, 20, POWER_CUTS),
    Mutant(gates.half_recovered_is_given_away, 30, RESTARTS),
    Mutant(gates.no_second_look, 40),
    Mutant(gates.look_before_write, 40, GATES),
    Mutant(gates.declared_without_top, 20),
    Mutant(gates.broken_is_free, 20, BREAKERS),
    Mutant(gates.broken_gate_is_free, 100, GATE_BREAKERS),
    Mutant(gates.lingers_under_gate, 80, GATES),
    # Heads.
    Mutant(heads.commit_without_cas, 40),
    Mutant(heads.retried_by_the_client, 20, SLOW),
    Mutant(heads.resend_rejection_believed, 240, RESENDS),
    Mutant(heads.recent_ignored, 80, OWN_PATHS),
    Mutant(heads.unknown_reported_failed, 80, OUTAGES),
    Mutant(heads.commit_intent_not_journalled, 40, OWN_PATHS),
    Mutant(heads.planned_over_open_commit, 40, OUTAGES),
    Mutant(heads.forgotten_on_revert, 80, REVERTS),
    Mutant(heads.pending_over_head, 20),
    Mutant(heads.masked_read_from_parent, 80, FULL_DELTAS),
    Mutant(heads.half_applied_head, 10),
    Mutant(heads.tombstones_dropped, 10),
    Mutant(heads.head_that_went_back, 20, MISFORTUNES),
    Mutant(heads.join_without_claim, 100, JOINS),
    # Plain keys.
    Mutant(payload.sent_without_look, 10),
    Mutant(payload.mirror_before_commit, 20),
    Mutant(payload.tombstone_without_head, 60),
    Mutant(payload.orphan_overwritten, 80, ORPHANS),
    Mutant(payload.orphan_swept, 80, ORPHANS),
    Mutant(payload.redo_dropped_unseen, 60),
    Mutant(payload.settle_in_doubt, 40, LATE),
    Mutant(payload.settle_on_doubtful_look, 40, LATE_DELETES),
    Mutant(payload.look_closes_intent, 40, LATE_DELETES),
    Mutant(payload.intents_closed_by_hope, 40, LATE),
    Mutant(payload.fresh_after_tombstone, 40, LATE),
    Mutant(payload.missing_is_a_delete, 40, FOREIGN),
    Mutant(sweeping.swept_without_claim, 100, COMPACTS),
    Mutant(sweeping.swept_without_tombstone, 200, COMPACTS),
    Mutant(sweeping.staged_copies_kept, 10, COMPACTS),
    # Caches.
    Mutant(local.delete_by_absence, 40),
    Mutant(local.restored_cache_is_ours, 40, RESTORES),
    Mutant(local.pull_over_edits, 20),
    Mutant(local.check_then_rename, 30, DEATHS),
    Mutant(local.size_only, 20),
    Mutant(local.base_before_commit, 40, OUTAGES),
    Mutant(local.base_of_what_is_there_now, 40, OWN_PATHS),
    Mutant(local.placements_not_journalled, 30, DEATHS),
    Mutant(local.not_synced_before_rename, 80),
    Mutant(local.pointers_first, 50, LARGE),
    Mutant(harsh.uploads_left, 10, LARGE),
    Mutant(harsh.completed_without_compare, 10, LARGE),
    Mutant(harsh.sealed_copies_left, 5, LARGE),
    Mutant(harsh.foreign_overwritten, 10, FOREIGN),
    Mutant(harsh.unreadable_is_gone, 20, BAD_DISK),
)
