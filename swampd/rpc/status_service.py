"""`StatusService`: what the daemon knows, without asking any store.

A workspace that is not open is opened for this, but no answer waits for its store for long.
"""
# ruff: noqa: N802 - the names are those of the .proto

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from swampd import __version__, reporting
from swampd.opening import locate
from swampd.reopening import Opening
from swampd.rpc.convert import requests
from swampd.rpc.convert.status import located_status, unopened_status, workspace_status
from swampd.rpc.faults import answering
from swampd.v1 import status_pb2, status_pb2_grpc

if TYPE_CHECKING:
    import grpc

    from swampd.serving import Served, Workspaces

PATIENCE_S: Final = 3.0
"""So long it waits for a workspace to open before it tells that it is not."""


class StatusServicer(status_pb2_grpc.StatusServiceServicer):
    """Looks at journals only, once a workspace is open."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    @answering
    async def GetStatus(
        self,
        request: status_pb2.GetStatusRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> status_pb2.GetStatusResponse:
        """The state of one workspace, or of all open ones."""
        world = self._workspaces.world
        response = status_pb2.GetStatusResponse(version=__version__, pid=world.identity.pid)
        if not request.HasField("workspace"):
            for served in self._workspaces.all():
                response.workspaces.append(await _status(served))
            response.workspaces.extend(map(unopened_status, self._workspaces.unopened()))
        elif request.locate_only:
            located = await locate(world, requests.choice(request.workspace))
            response.workspaces.append(located_status(located))
        else:
            choice = requests.choice(request.workspace)
            found = await self._workspaces.look(choice, PATIENCE_S)
            response.workspaces.append(
                unopened_status(found) if isinstance(found, Opening) else await _status(found)
            )
        return response


async def _status(served: Served) -> status_pb2.WorkspaceStatus:
    return workspace_status(served, await reporting.report(served.workspace))
