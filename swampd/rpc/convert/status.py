"""To the wire: what a workspace and its store are like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampd import reporting
from swampd.rpc.convert.locks import hold_info
from swampd.rpc.convert.words import duration, path_problem, timestamp
from swampd.v1 import datastore_pb2, status_pb2

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from swampd.domain.health import Health, StoreIdentity
    from swampd.locking.lease import Lease
    from swampd.opening import Located
    from swampd.reopening import Opening
    from swampd.reporting import Report, ScopeReport
    from swampd.serving import Served
    from swampd.stores.probe import ProbeReport
    from swampd.syncing.unnamed import Compacted


def located_status(located: Located) -> status_pb2.WorkspaceStatus:
    """Where things are, of a workspace that need not be open."""
    config = located.config
    return status_pb2.WorkspaceStatus(
        repo=str(config.path), cache=str(located.cache), datastore=str(config.datastore)
    )


def unopened_status(opening: Opening) -> status_pb2.WorkspaceStatus:
    """Of one that is not open, for its store does not let itself be opened."""
    found = located_status(opening.located)
    found.store.CopyFrom(_store(opening.health, None))
    return found


def workspace_status(served: Served, report: Report) -> status_pb2.WorkspaceStatus:
    """All of an open one."""
    found = located_status(served.located)
    ports = served.workspace.ports
    now, boot_id = ports.clock.now(), ports.clock.boot_id
    found.open = True
    store = served.opened.store
    found.store.CopyFrom(_store(store.health, store.identity()))
    found.datastore_id = served.opened.datastore_id
    found.scopes.extend(_scope(one) for one in report.scopes[: reporting.MOST])
    found.leases.extend(_lease(lease, now) for lease in served.workspace.keeper.held)
    found.holds.extend(hold_info(hold, now, boot_id) for hold in served.workspace.holds)
    found.halts.extend(
        status_pb2.HaltStatus(scope=scope, halt=halt.value, detail=detail, way_out=halt.way_out)
        for scope, halt, detail in report.halts
    )
    found.problems.extend(
        path_problem(path, scope, state, detail)
        for path, scope, state, detail in report.problems[: reporting.MOST]
    )
    found.problems_left_out = max(0, len(report.problems) - reporting.MOST)
    found.refused_keys = report.refused_keys
    found.joining = report.joining
    found.quarantined_journal = served.opened.quarantined
    found.uncommitted = report.uncommitted
    found.atomic_exchange = ports.tree.exchange_supported
    found.conflicts = report.conflicts
    found.never_synced = report.never_synced
    return found


def _store(health: Health, identity: StoreIdentity | None) -> status_pb2.StoreStatus:
    def at(wall_ms: int | None) -> Timestamp | None:
        return None if wall_ms is None else timestamp(wall_ms)

    return status_pb2.StoreStatus(
        state=health.state.value,
        detail=health.detail,
        hint=health.hint,
        since=at(health.since_ms),
        next_try=at(health.next_try_ms),
        last_answer=at(health.last_answer_ms),
        goes_on=health.state.passes,
        credentials=identity.chain if identity else "",
        identity=identity.name if identity else "",
    )


def _scope(report: ScopeReport) -> status_pb2.ScopeStatus:
    return status_pb2.ScopeStatus(
        scope=report.scope,
        epoch=report.epoch,
        seq=report.seq,
        files=report.files,
        unapplied=report.unapplied,
        unsettled=report.unsettled,
    )


def _lease(lease: Lease, now: float) -> status_pb2.LeaseStatus:
    return status_pb2.LeaseStatus(
        scope=lease.scope,
        epoch=lease.epoch,
        valid=lease.valid(),
        left=duration(max(0.0, lease.deadline - now)),
    )


def verdicts(report: ProbeReport) -> list[datastore_pb2.ProbeVerdict]:
    """What the probe found, check by check."""
    return [
        datastore_pb2.ProbeVerdict(check=check.value, verdict=verdict.value)
        for check, verdict in report.verdicts.items()
    ]


def compact_result(done: Compacted, *, dry_run: bool) -> datastore_pb2.CompactResult:
    """What a compaction deleted, or would delete."""
    return datastore_pb2.CompactResult(
        dry_run=dry_run,
        orphans=done.orphans,
        staged=done.staged,
        manifests=done.manifests,
        tombstones=done.tombstones,
        bytes=done.size,
        foreign=done.foreign,
        left={str(scope): why for scope, why in done.left.items()},
    )
