"""`SyncService`: push, pull, conflicts, scopes."""
# ruff: noqa: N802 - the names are those of the .proto

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swampd import reporting
from swampd.errors import BadRequest, LockBusy, LockTimeout, SwampdError
from swampd.rpc.asking import asker_of, parse, spelt_all, with_names
from swampd.rpc.convert import requests
from swampd.rpc.convert.sync import conflict_info, pull_result, push_result, scope_info
from swampd.rpc.convert.words import scope_error
from swampd.rpc.faults import answering, streaming
from swampd.rpc.progress import Working, with_progress
from swampd.rpc.waited import Waited
from swampd.v1 import sync_pb2, sync_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from swampd.answers import Answers
    from swampd.domain.values import CachePath
    from swampd.serving import Served, Workspaces
    from swampd.workspace import Outcome, Workspace


class SyncServicer(sync_pb2_grpc.SyncServiceServicer):
    """Transfers of all workspaces."""

    def __init__(self, workspaces: Workspaces, answers: Answers) -> None:
        self._workspaces = workspaces
        self._answers = answers

    @streaming
    async def Push(
        self,
        request: sync_pb2.PushRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[sync_pb2.PushResponse]:
        """Progress, then the result."""
        opening = Waited(self._workspaces, request)
        async for waiting in opening.steps():
            yield sync_pb2.PushResponse(progress=waiting)
        served = opening.served
        workspace = served.workspace
        asker = asker_of(self._workspaces, served, request.caller, opening.left_s)

        async def work() -> bytes:
            outcome = await workspace.push(
                spelt_all(served, request.scopes) or None,
                asker,
                allow_deletes=request.allow_deletes,
            )
            return push_result(_named(workspace, outcome)).SerializeToString()

        once = self._answers.once("Push", request.request_id, work)
        async for step in with_progress(once, self._workspaces):
            if isinstance(step, Working):
                yield sync_pb2.PushResponse(progress=opening.progress(step))
            else:
                yield sync_pb2.PushResponse(result=sync_pb2.PushResult.FromString(step))

    @streaming
    async def Pull(
        self,
        request: sync_pb2.PullRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[sync_pb2.PullResponse]:
        """Progress, then the result."""
        opening = Waited(self._workspaces, request)
        async for waiting in opening.steps():
            yield sync_pb2.PullResponse(progress=waiting)
        served = opening.served
        workspace = served.workspace
        asker = asker_of(self._workspaces, served, request.caller, opening.left_s)

        async def work() -> bytes:
            outcome = await workspace.pull(
                spelt_all(served, request.scopes) or None,
                asker,
                allow_deletes=request.allow_deletes,
            )
            return pull_result(_named(workspace, outcome)).SerializeToString()

        once = self._answers.once("Pull", request.request_id, work)
        async for step in with_progress(once, self._workspaces):
            if isinstance(step, Working):
                progress = opening.progress(step)
                progress.unapplied = await reporting.unapplied(workspace)
                yield sync_pb2.PullResponse(progress=progress)
            else:
                yield sync_pb2.PullResponse(result=sync_pb2.PullResult.FromString(step))

    @answering
    async def ListConflicts(
        self,
        request: sync_pb2.ListConflictsRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> sync_pb2.ListConflictsResponse:
        """The open conflicts."""
        served = await self._workspaces.get(requests.choice(request.workspace))
        scope = parse(served, request.scope) if request.scope else None
        found = [
            one
            for one in await reporting.conflicts(served.workspace)
            if scope is None or _is_in(one.path, scope)
        ]
        return sync_pb2.ListConflictsResponse(
            conflicts=[conflict_info(one) for one in found[: reporting.MOST]],
            left_out=max(0, len(found) - reporting.MOST),
        )

    @answering
    async def ResolveConflicts(
        self,
        request: sync_pb2.ResolveConflictsRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> sync_pb2.ResolveConflictsResponse:
        """Do what a person decided; one that fails does not stop the others."""
        served = await self._workspaces.get(requests.choice(request.workspace))

        async def work() -> bytes:
            return (await _resolve(served, request)).SerializeToString()

        answer = await self._answers.once("ResolveConflicts", request.request_id, work)
        return sync_pb2.ResolveConflictsResponse.FromString(answer)

    @answering
    async def ListScopes(
        self,
        request: sync_pb2.ListScopesRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> sync_pb2.ListScopesResponse:
        """Every scope of the datastore, after one look at the store."""
        served = await self._workspaces.get(requests.choice(request.workspace))
        await served.workspace.reader.refresh_all()
        found = (await reporting.report(served.workspace)).scopes
        return sync_pb2.ListScopesResponse(
            scopes=[scope_info(one) for one in found[: reporting.MOST]],
            left_out=max(0, len(found) - reporting.MOST),
        )


def _named(workspace: Workspace, outcome: Outcome) -> Outcome:
    """The outcome with local holders by their names."""
    for scope, error in outcome.failed.items():
        if isinstance(error, LockBusy | LockTimeout):
            outcome.failed[scope] = with_names(workspace, error)
    return outcome


async def _resolve(
    served: Served, request: sync_pb2.ResolveConflictsRequest
) -> sync_pb2.ResolveConflictsResponse:
    workspace = served.workspace
    side = requests.side(request.side)
    known = [conflict.path for conflict in await reporting.conflicts(workspace)]
    response = sync_pb2.ResolveConflictsResponse()
    chosen: dict[CachePath, None] = {}
    for text in request.paths:
        asked = parse(served, text)
        meant = [path for path in known if _is_in(path, asked)]
        if not meant:
            error = BadRequest(
                f"{asked} is not in conflict", "see `swampctl conflicts list`", path=asked
            )
            response.failed.append(scope_error(asked, error))
        chosen |= dict.fromkeys(meant)
    for path in chosen if request.paths else known:
        try:
            await workspace.desks.resolver.resolve(path, side)
            response.resolved.append(path)
        except SwampdError as error:
            response.failed.append(scope_error(path, error))
    return response


def _is_in(path: CachePath, asked: str) -> bool:
    return (
        asked in {"*", path} or path.startswith(asked + "/") or (asked == "." and "/" not in path)
    )
