"""A command under a lock: what it is told, when it is ended, what is pushed after it.

Keeps true: when the lock is lost the command does not outlive the deadline that was last told, and
nothing is pushed.  The deadline is on the machine's clock that runs in suspend, which this process
reads itself: a daemon that hangs does not keep a command alive.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc

from swampctl import transfers
from swampctl.client import STORE_S, as_seconds, rebuilt, request_id
from swampctl.commands.cache_path import below
from swampctl.supervising import Child, Limit
from swampd.errors import DaemonUnreachable, LockLost
from swampd.v1 import lock_pb2

if TYPE_CHECKING:
    from swampctl.client import Client
    from swampctl.context import Context
    from swampd.errors import SwampdError

STREAM_S: Final = 30 * 24 * 3600.0
"""A command under a lock may run for so long."""
_GRACE_S: Final = 10.0
_SIGNALLED: Final = 128
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC_RAW", 0))


def clock() -> float:
    """Seconds on the clock that the daemon's deadlines are on."""
    return time.clock_gettime(_CLOCK)


class Holding:
    """The hold as its stream tells of it; the stream is read by a thread."""

    def __init__(self, client: Client, request: lock_pb2.AcquireRequest) -> None:
        self._call: Any = client.locks.Acquire(request, timeout=STREAM_S)
        self._changed = threading.Condition()
        self._failure: SwampdError | None = None
        self.granted: lock_pb2.HoldGranted | None = None
        self.deadline = 0.0
        self.lost = ""
        self._reader = threading.Thread(target=self._read, name="hold", daemon=True)
        self._reader.start()

    def wait(self) -> lock_pb2.HoldGranted:
        """Until it is granted.  Raises what the daemon raised."""
        with self._changed:
            while self.granted is None and self._failure is None:
                self._changed.wait(1.0)
            if self.granted is None:
                raise self._failure or DaemonUnreachable("the daemon ended the call", "try again")
            return self.granted

    def end(self) -> None:
        """Close the stream: the hold ends with it."""
        self._call.cancel()
        self._reader.join(STORE_S)

    def limit(self) -> Limit:
        """How long the command may run on, as known now."""
        granted = self.granted
        if granted is None or granted.joined:
            return Limit(None, None)
        if self.lost:
            return Limit(0.0, min(self.deadline, clock() + _GRACE_S))
        ttl = as_seconds(granted.ttl)
        margin = min(2.0, ttl / 10)
        begun = self.deadline - (ttl - margin)
        return Limit(max(self.deadline - _GRACE_S, begun + ttl / 2), self.deadline)

    def _read(self) -> None:
        try:
            for event in self._call:
                with self._changed:
                    self._take(event)
                    self._changed.notify_all()
        except grpc.RpcError as error:
            failure = rebuilt(error)
        else:
            failure = DaemonUnreachable("the daemon ended the call without an answer", "try again")
        with self._changed:
            self._failure = failure
            self._changed.notify_all()

    def _take(self, event: lock_pb2.AcquireResponse) -> None:
        if event.HasField("held"):
            self.granted = event.held
            self.deadline = as_seconds(event.held.deadline)
        elif event.HasField("renewed"):
            self.deadline = max(self.deadline, as_seconds(event.renewed.deadline))
        elif event.HasField("lost"):
            self.lost = event.lost.reason


def run_under_lock(client: Client, request: lock_pb2.AcquireRequest, context: Context) -> int:
    """The whole course; the exit code."""
    context.output.progress(f"waiting for {', '.join(request.scopes)}")
    holding = Holding(client, request)
    try:
        granted = holding.wait()
        context.output.end_progress()
        if granted.joined and not request.no_pull:
            _pull(client, request, granted, context)
        code = _run(holding, granted, context)
        if code != 0:
            context.output.warn(
                f"the command failed (exit {code}): nothing was pushed, its files stay marked"
            )
            return code
        pushed = transfers.push(client, _asked(request, granted, context), context.output)
        code = _report(pushed, context)
        if not granted.joined:
            _release(client, request, granted)
        return code
    finally:
        holding.end()


def _run(holding: Holding, granted: lock_pb2.HoldGranted, context: Context) -> int:
    """Run the command; its exit code.  Raises LockLost, after the command has ended."""
    child = Child(context.args.command, _environment(granted, context))
    ended = child.supervise(holding.limit, clock)
    if ended.cut_short or holding.lost:
        reason = holding.lost or "no renewal came through in time"
        scopes = ", ".join(one.scope for one in granted.scopes)
        raise LockLost(
            f"the lock on {scopes} was lost while the command ran: {reason}",
            "nothing was pushed; what was edited is still in the cache, marked",
            scope=granted.scopes[0].scope,
            reason=reason,
        )
    return ended.code if ended.code >= 0 else _SIGNALLED - ended.code


def _environment(granted: lock_pb2.HoldGranted, context: Context) -> dict[str, str]:
    first = granted.scopes[0]
    return {
        **context.environ,
        "SWAMP_LOCK_TOKEN": granted.token,
        "SWAMP_LOCK_EPOCH": str(first.epoch),
        "SWAMP_CACHE": granted.cache,
        "SWAMP_SCOPE_PATH": str(below(Path(granted.cache), first.scope)),
    }


def _asked(
    request: lock_pb2.AcquireRequest, granted: lock_pb2.HoldGranted, context: Context
) -> transfers.Asked:
    caller = type(request.caller)()
    caller.CopyFrom(request.caller)
    caller.token = granted.token
    return transfers.Asked(
        request.workspace,
        caller,
        list(request.scopes),
        allow_deletes=context.args.allow_deletes,
    )


def _pull(
    client: Client,
    request: lock_pb2.AcquireRequest,
    granted: lock_pb2.HoldGranted,
    context: Context,
) -> None:
    asked = _asked(request, granted, context)
    transfers.exit_code(transfers.pull(client, asked, context.output))


def _report(pushed: Any, context: Context) -> int:
    """With --json one object about the push; else only what is wrong is said."""
    if context.output.as_json:
        return transfers.print_pushed(pushed, context.output)
    return transfers.warn_only(pushed, context.output)


def _release(
    client: Client, request: lock_pb2.AcquireRequest, granted: lock_pb2.HoldGranted
) -> None:
    caller = type(request.caller)()
    caller.CopyFrom(request.caller)
    caller.token = granted.token
    client.locks.Release(
        lock_pb2.ReleaseRequest(
            request_id=request_id(), workspace=request.workspace, caller=caller
        ),
        timeout=STORE_S,
    )
