"""To the wire: times, errors and paths, as every service says them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from swampd.domain.states import ConflictKind, PathState
from swampd.v1 import common_pb2

if TYPE_CHECKING:
    from swampd.errors import SwampdError


def duration(value: float) -> Duration:
    """Seconds as a Duration."""
    found = Duration()
    found.FromTimedelta(timedelta(seconds=value))
    return found


def timestamp(wall_ms: int) -> Timestamp:
    """Milliseconds since 1970 as a Timestamp."""
    return Timestamp(seconds=wall_ms // 1000, nanos=wall_ms % 1000 * 1_000_000)


def iso(text: str) -> Timestamp | None:
    """An ISO 8601 time as a Timestamp; None for what is none (a record is hostile)."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    found = Timestamp()
    found.FromDatetime(at.astimezone(UTC))
    return found


def scope_error(scope: str, error: SwampdError) -> common_pb2.ScopeError:
    """A failure of one scope (or path) among others."""
    return common_pb2.ScopeError(
        scope=scope,
        code=error.code,
        summary=error.summary,
        hint=error.hint,
        exit_code=error.meaning.exit_code,
        fields=error.fields,
    )


def path_problem(
    path: str, scope: str, state: PathState | ConflictKind, detail: str = ""
) -> common_pb2.PathProblem:
    """A path that is not through.  The detail of a conflict is its kind: that has the way out."""
    told = ConflictKind(detail) if detail and state is PathState.CONFLICT else state
    return common_pb2.PathProblem(
        path=path, scope=scope, state=state.value, detail=detail, way_out=told.way_out
    )
