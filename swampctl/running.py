"""A command under a lock: what it is told, when it is ended, what is pushed after it.

Keeps true: when the lock is lost the command does not outlive the deadline that was last told, and
nothing is pushed.  The deadline is on the machine's clock that runs in suspend, which this process
reads itself: a daemon that hangs does not keep a command alive.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from swampctl import transfers
from swampctl.client import STORE_S, request_id
from swampctl.commands.cache_path import below
from swampctl.holding import Holding, clock
from swampctl.supervising import Child
from swampd.errors import LockLost
from swampd.v1 import lock_pb2

if TYPE_CHECKING:
    from swampctl.client import Client
    from swampctl.context import Context

_SIGNALLED: Final = 128


def run_under_lock(client: Client, request: lock_pb2.AcquireRequest, context: Context) -> int:
    """The whole course; the exit code."""
    context.output.progress(f"waiting for {', '.join(request.scopes)}")
    holding = Holding(client, request, context.environ)
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
        # Anew: the daemon may be another one by now.
        with context.client() as after:
            pushed = transfers.push(after, _asked(request, granted, context), context.output)
            code = _report(pushed, context)
            if not granted.joined:
                holding.let_go()
                _release(after, request, granted)
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
