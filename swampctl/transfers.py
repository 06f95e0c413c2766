"""Push and pull as a client sees them: progress while they run, one result, one exit code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from swampctl.client import LONG_S, as_seconds, duration, error_of, request_id
from swampctl.documents import document
from swampctl.durations import spell
from swampd.errors import EXIT_PARTIAL, DaemonUnreachable
from swampd.v1 import datastore_pb2, sync_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swampctl.client import Client
    from swampctl.output import Output
    from swampd.v1 import common_pb2

_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """What a push or pull is to do."""

    workspace: common_pb2.WorkspaceChoice
    caller: common_pb2.Caller
    scopes: Sequence[str]
    allow_deletes: bool = False
    wait_s: float | None = None


def push(client: Client, asked: Asked, output: Output) -> sync_pb2.PushResult:
    """Push; raises what the daemon raised."""
    request = sync_pb2.PushRequest(
        request_id=request_id(),
        workspace=asked.workspace,
        caller=asked.caller,
        scopes=asked.scopes,
        allow_deletes=asked.allow_deletes,
        wait=duration(asked.wait_s) if asked.wait_s is not None else None,
    )
    told = ""
    for event in client.sync.Push(request, timeout=LONG_S):
        if event.HasField("result"):
            output.end_progress()
            return event.result
        told = _tell_trouble(event.progress, output, told=told)
        output.progress(f"pushing, {spell(as_seconds(event.progress.elapsed))}")
    raise _no_result()


def pull(client: Client, asked: Asked, output: Output) -> sync_pb2.PullResult:
    """Pull; raises what the daemon raised."""
    request = sync_pb2.PullRequest(
        request_id=request_id(),
        workspace=asked.workspace,
        caller=asked.caller,
        scopes=asked.scopes,
        allow_deletes=asked.allow_deletes,
        wait=duration(asked.wait_s) if asked.wait_s is not None else None,
    )
    told = ""
    for event in client.sync.Pull(request, timeout=LONG_S):
        if event.HasField("result"):
            output.end_progress()
            return event.result
        told = _tell_trouble(event.progress, output, told=told)
        left = event.progress.unapplied
        output.progress(f"pulling, {left} to go, {spell(as_seconds(event.progress.elapsed))}")
    raise _no_result()


def compact(
    client: Client, asked: Asked, output: Output, *, dry_run: bool
) -> datastore_pb2.CompactResult:
    """Compact the datastore; raises what the daemon raised."""
    request = datastore_pb2.CompactRequest(
        request_id=request_id(),
        workspace=asked.workspace,
        caller=asked.caller,
        wait=duration(asked.wait_s) if asked.wait_s is not None else None,
        dry_run=dry_run,
    )
    told = ""
    for event in client.datastore.Compact(request, timeout=LONG_S):
        if event.HasField("result"):
            output.end_progress()
            return event.result
        told = _tell_trouble(event.progress, output, told=told)
        output.progress(f"compacting, {spell(as_seconds(event.progress.elapsed))}")
    raise _no_result()


def _tell_trouble(progress: sync_pb2.Progress, output: Output, *, told: str) -> str:
    """Say once, on a line of its own, what the work waits for; what was said."""
    state = progress.trouble.partition(":")[0]
    if state and state != told:
        output.end_progress()
        output.warn(f"the store is {progress.trouble}; waiting for it")
    return state or told


def _no_result() -> DaemonUnreachable:
    return DaemonUnreachable("the daemon ended the call without a result", "run it again")


# --- what came of it --------------------------------------------------------------------------


def print_pushed(result: sync_pb2.PushResult, output: Output) -> int:
    """Print a push; its exit code.  Raises the error of a push that failed as a whole."""
    lines: list[str] = []
    for one in result.done:
        if one.committed:
            late = f", {one.mirror_pending} keys to be mirrored" if one.mirror_pending else ""
            lines.append(
                f"{one.scope}: committed {one.seq}, {one.sent} sent, {one.deleted} deleted{late}"
            )
    return _print(result, lines or _when_quiet(result, "nothing to push"), output)


def print_pulled(result: sync_pb2.PullResult, output: Output) -> int:
    """Print a pull; its exit code.  Raises the error of a pull that failed as a whole."""
    lines = [
        f"{one.scope}: {one.placed} placed, {one.deleted} deleted"
        for one in result.done
        if one.placed or one.deleted
    ]
    return _print(result, lines or _when_quiet(result, "up to date"), output)


def exit_code(result: sync_pb2.PushResult | sync_pb2.PullResult) -> int:
    """0, or the one code of everything that failed, or 3."""
    left_out = any(one.problems or one.left_out for one in result.done)
    codes = {one.exit_code for one in result.failed}
    if not codes:
        return EXIT_PARTIAL if left_out else 0
    return codes.pop() if len(codes) == 1 and not result.done else EXIT_PARTIAL


def _when_quiet(result: sync_pb2.PushResult | sync_pb2.PullResult, text: str) -> list[str]:
    return [] if exit_code(result) else [text]


def _print(
    result: sync_pb2.PushResult | sync_pb2.PullResult, lines: Iterable[str], output: Output
) -> int:
    if len(result.failed) == 1 and not result.done:
        (one,) = result.failed
        raise error_of(one.code, one.summary, one.hint, one.fields)
    found: dict[str, Any] = {**document(result), "exit_code": exit_code(result)}
    output.result(found, lines)
    _warn(result, output)
    return exit_code(result)


def _warn(result: sync_pb2.PushResult | sync_pb2.PullResult, output: Output) -> None:
    for failed in result.failed:
        hint = f" ({failed.hint})" if failed.hint else ""
        output.warn(f"{failed.scope}: {failed.summary}{hint}")
    problems = [problem for one in result.done for problem in one.problems]
    for problem in problems[:_SHOWN]:
        output.warn(f"{problem.path}: {problem.state}; {problem.way_out}")
    more = len(problems) - _SHOWN + sum(one.left_out for one in result.done)
    if more > 0:
        output.warn(f"and {more} more paths; see `swampctl status`")


def warn_only(result: sync_pb2.PushResult, output: Output) -> int:
    """Say what is wrong with a push whose stdout is a command's; its exit code."""
    if len(result.failed) == 1 and not result.done:
        (one,) = result.failed
        raise error_of(one.code, one.summary, one.hint, one.fields)
    _warn(result, output)
    return exit_code(result)
