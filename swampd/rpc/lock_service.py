"""`LockService`: acquiring, releasing, looking at and breaking locks."""
# ruff: noqa: N802 - the names are those of the .proto

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from swampd import lockviews
from swampd.domain import scopes
from swampd.domain.values import Epoch
from swampd.errors import NotHolder
from swampd.rpc.acquiring import Acquisition
from swampd.rpc.asking import asker_of, parse
from swampd.rpc.convert import locks, requests
from swampd.rpc.convert.words import duration
from swampd.rpc.faults import answering, streaming
from swampd.rpc.waited import Waited
from swampd.v1 import lock_pb2, lock_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    import grpc

    from swampd.answers import Answers
    from swampd.domain.values import Scope
    from swampd.locking.holds import Hold
    from swampd.serving import Served, Workspaces
    from swampd.workspace import Asker, Workspace


class LockServicer(lock_pb2_grpc.LockServiceServicer):
    """Locks of all workspaces."""

    def __init__(self, workspaces: Workspaces, answers: Answers, ttl: timedelta) -> None:
        """`ttl` is that of a lock whose request names none."""
        self._workspaces = workspaces
        self._answers = answers
        self._ttl = ttl

    @streaming
    async def Acquire(
        self,
        request: lock_pb2.AcquireRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[lock_pb2.AcquireResponse]:
        """Queue, hold, and for a bound hold go on until it ends."""
        opening = Waited(self._workspaces, request)
        async for _ in opening.steps():
            pass  # its client shows no progress before it is in the queue
        acquisition = Acquisition(self._workspaces, opening, self._answers, request, self._ttl)
        async for event in acquisition.events():
            yield event

    @answering
    async def Release(
        self,
        request: lock_pb2.ReleaseRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> lock_pb2.ReleaseResponse:
        """End a hold, by its token or by a scope that the asker holds."""
        served = await self._workspaces.get(requests.choice(request.workspace))
        workspace = served.workspace

        async def work() -> bytes:
            asker = asker_of(self._workspaces, served, request.caller, 0.0)
            hold = await _hold_to_end(served, asker, request.scope)
            await workspace.holds.tell_loss([hold], set(hold.scopes))
            await workspace.release(hold)
            return lock_pb2.ReleaseResponse(scopes=hold.scopes).SerializeToString()

        answer = await self._answers.once(
            "Release", request.request_id, work, workspace.ports.journal
        )
        return lock_pb2.ReleaseResponse.FromString(answer)

    @answering
    async def List(
        self,
        request: lock_pb2.ListRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> lock_pb2.ListResponse:
        """All locks that are not free, as the store has them now."""
        served = await self._workspaces.get(requests.choice(request.workspace))
        workspace = served.workspace
        found, left_out = await lockviews.look_at_all(workspace)
        mine = workspace.keeper.held
        return lock_pb2.ListResponse(
            locks=[locks.lock_info(scope, seen, mine) for scope, seen in found],
            holds=_hold_infos(workspace),
            left_out=left_out,
        )

    @answering
    async def Inspect(
        self,
        request: lock_pb2.InspectRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> lock_pb2.InspectResponse:
        """One lock, and the gates above it."""
        served = await self._workspaces.get(requests.choice(request.workspace))
        workspace = served.workspace
        scope = (await workspace.names.resolve(parse(served, request.scope))).scope
        mine = workspace.keeper.held
        response = lock_pb2.InspectResponse(scope=scope)
        seen = await workspace.book.look(scope)
        if seen is not None:
            response.lock.CopyFrom(locks.lock_info(scope, seen, mine))
        for gate in scopes.ancestors(scope):
            above = await workspace.book.look(gate)
            if above is not None and above.is_gate:
                response.gates.append(locks.lock_info(gate, above, mine))
        response.holds.extend(_hold_infos(workspace, scope))
        return response

    @answering
    async def Break(
        self,
        request: lock_pb2.BreakRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> lock_pb2.BreakResponse:
        """Break the lock that was looked at, and no other."""
        served = await self._workspaces.get(requests.choice(request.workspace))
        workspace = served.workspace

        async def work() -> bytes:
            scope = (await workspace.names.resolve(parse(served, request.scope))).scope
            epoch = Epoch(request.epoch)
            record = await workspace.book.break_lock(scope, epoch, now=request.now)
            age = lockviews.age_s(record, workspace.ports.clock.wall_ms())
            return lock_pb2.BreakResponse(
                broken=locks.lock_of(record), age=duration(age)
            ).SerializeToString()

        answer = await self._answers.once(
            "Break", request.request_id, work, workspace.ports.journal
        )
        return lock_pb2.BreakResponse.FromString(answer)

    @streaming
    async def Watch(
        self,
        request: lock_pb2.WatchRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[lock_pb2.WatchResponse]:
        """Each loss once, until the caller goes."""
        served = await self._workspaces.get(requests.choice(request.workspace))
        queue: asyncio.Queue[Hold] = asyncio.Queue()
        with served.losses(queue.put_nowait):
            while True:
                yield lock_pb2.WatchResponse(lost=locks.lost(await queue.get()))


def _hold_infos(workspace: Workspace, scope: Scope | None = None) -> list[lock_pb2.HoldInfo]:
    clock = workspace.ports.clock
    return [
        locks.hold_info(hold, clock.now(), clock.boot_id)
        for hold in workspace.holds
        if scope is None or scope in hold.scopes
    ]


async def _hold_to_end(served: Served, asker: Asker, text: str) -> Hold:
    """The hold that a release means.  Raises NotHolder."""
    workspace = served.workspace
    usable = workspace.holds.usable(asker.owner, asker.token)
    if not text:
        if asker.token is None:
            raise NotHolder("no hold was named", "name a scope, or show a token with --token")
        return usable[0]
    scope = (await workspace.names.resolve(parse(served, text))).scope
    for hold in usable:
        if scope in hold.scopes:
            return hold
    raise NotHolder(
        f"you do not hold {scope}",
        "see `swampctl lock list`; a hold of another session is released there, or with its token",
        scope=scope,
    )
