"""To the wire: what pushes and pulls did, conflicts, scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampd import reporting
from swampd.domain.states import PathState
from swampd.rpc.convert.words import path_problem, scope_error, timestamp
from swampd.syncing.pushing import Pushed, PushKind
from swampd.v1 import sync_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swampd.domain.states import ConflictKind
    from swampd.domain.values import CachePath, Scope
    from swampd.reporting import ScopeReport
    from swampd.syncing.local_ledger import Conflict
    from swampd.syncing.pulling import Pulled
    from swampd.v1 import common_pb2
    from swampd.workspace import Outcome


def push_result(outcome: Outcome) -> sync_pb2.PushResult:
    """What became of each scope."""
    done = [
        pushed_scope(scope, one) for scope, one in outcome.done.items() if isinstance(one, Pushed)
    ]
    failed = [scope_error(scope, error) for scope, error in outcome.failed.items()]
    return sync_pb2.PushResult(done=done, failed=failed)


def pushed_scope(scope: Scope, pushed: Pushed) -> sync_pb2.PushedScope:
    """What a push of one scope did."""
    problems = _problems(scope, pushed.conflicts, pushed.held, {}, pushed.kinds)
    return sync_pb2.PushedScope(
        scope=scope,
        committed=pushed.kind is PushKind.COMMITTED,
        seq=pushed.seq,
        sent=pushed.sent,
        deleted=pushed.deleted,
        mirror_pending=pushed.mirror_pending,
        problems=problems[: reporting.MOST],
        left_out=max(0, len(problems) - reporting.MOST),
    )


def pull_result(outcome: Outcome) -> sync_pb2.PullResult:
    """What became of each scope."""
    done = [
        pulled_scope(scope, one)
        for scope, one in outcome.done.items()
        if not isinstance(one, Pushed)
    ]
    failed = [scope_error(scope, error) for scope, error in outcome.failed.items()]
    return sync_pb2.PullResult(done=done, failed=failed)


def pulled_scope(scope: Scope, pulled: Pulled) -> sync_pb2.PulledScope:
    """What a pull of one scope did."""
    problems = _problems(scope, pulled.conflicts, pulled.held, pulled.failed)
    return sync_pb2.PulledScope(
        scope=scope,
        placed=pulled.placed,
        deleted=pulled.deleted,
        problems=problems[: reporting.MOST],
        left_out=max(0, len(problems) - reporting.MOST),
    )


def _problems(
    scope: Scope,
    conflicts: Iterable[CachePath],
    kept: Mapping[CachePath, PathState],
    failed: Mapping[CachePath, str],
    kinds: Mapping[CachePath, ConflictKind] | None = None,
) -> list[common_pb2.PathProblem]:
    told = {path: kind.value for path, kind in (kinds or {}).items()}
    found = [
        path_problem(path, scope, PathState.CONFLICT, told.get(path, ""))
        for path in dict.fromkeys(conflicts)
    ]
    found += [path_problem(path, scope, state) for path, state in kept.items()]
    found += [path_problem(path, scope, PathState.UNSETTLED, why) for path, why in failed.items()]
    return found


def conflict_info(conflict: Conflict) -> sync_pb2.Conflict:
    """A conflict as a person is to see it."""
    return sync_pb2.Conflict(
        path=conflict.path,
        scope=conflict.scope,
        kind=conflict.kind.value,
        copy=conflict.copy or "",
        since=timestamp(conflict.wall_ms),
        way_out=conflict.kind.way_out,
    )


def scope_info(report: ScopeReport) -> sync_pb2.ScopeInfo:
    """A scope in a list."""
    return sync_pb2.ScopeInfo(
        scope=report.scope,
        declared=report.declared,
        epoch=report.epoch,
        seq=report.seq,
        files=report.files,
    )
