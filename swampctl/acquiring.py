"""Acquiring a lock: the request, the wait in the queue, what was granted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from swampctl.client import LONG_S, as_seconds, duration, request_id
from swampctl.documents import document
from swampd.errors import DaemonUnreachable
from swampd.v1 import lock_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swampctl.client import Client
    from swampctl.output import Output
    from swampd.v1 import common_pb2

_DEFAULT_WAIT_S: Final = 60.0
_PULL_S: Final = LONG_S


def new_request(
    workspace: common_pb2.WorkspaceChoice,
    caller: common_pb2.Caller,
    scopes: Sequence[str],
    wait_s: float | None,
) -> lock_pb2.AcquireRequest:
    """A request for these scopes."""
    return lock_pb2.AcquireRequest(
        request_id=request_id(),
        workspace=workspace,
        caller=caller,
        scopes=scopes,
        wait=duration(_DEFAULT_WAIT_S if wait_s is None else wait_s),
    )


def set_times(
    request: lock_pb2.AcquireRequest, *, ttl_s: float | None, max_hold_s: float | None
) -> None:
    """The times that were asked for."""
    if ttl_s is not None:
        request.ttl.CopyFrom(duration(ttl_s))
    if max_hold_s is not None:
        request.max_hold.CopyFrom(duration(max_hold_s))


def acquire(
    client: Client, request: lock_pb2.AcquireRequest, output: Output
) -> lock_pb2.HoldGranted:
    """Wait for it.  Raises what the daemon raised."""
    limit = as_seconds(request.wait) + _PULL_S
    for event in client.locks.Acquire(request, timeout=limit):
        if event.HasField("held"):
            output.end_progress()
            return event.held
        output.progress(f"waiting for {', '.join(request.scopes)}")
    raise DaemonUnreachable("the daemon ended the call without an answer", "run it again")


def held_document(held: lock_pb2.HoldGranted) -> dict[str, Any]:
    """A hold for programs; `deadline` is on the clock that runs in suspend."""
    return {**document(held), "is_new": not held.joined}
