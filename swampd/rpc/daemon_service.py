"""`DaemonService`: the daemon as a process."""
# ruff: noqa: N802 - the names are those of the .proto

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from swampd import __version__, logs
from swampd.errors import BadRequest
from swampd.rpc.faults import answering
from swampd.v1 import daemon_pb2, daemon_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

    from swampd.opening import World

CAPABILITIES: Final[tuple[str, ...]] = ()
_LEVELS: Final = {
    daemon_pb2.LOG_LEVEL_DEBUG: "debug",
    daemon_pb2.LOG_LEVEL_INFO: "info",
    daemon_pb2.LOG_LEVEL_WARNING: "warning",
    daemon_pb2.LOG_LEVEL_ERROR: "error",
}


class DaemonServicer(daemon_pb2_grpc.DaemonServiceServicer):
    """Answers at any version skew."""

    def __init__(self, world: World, shut_down: Callable[[], None]) -> None:
        self._world = world
        self._shut_down = shut_down

    @answering
    async def GetInfo(
        self,
        _request: daemon_pb2.GetInfoRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> daemon_pb2.GetInfoResponse:
        """Who answers, in which version."""
        instance = self._world.instance
        return daemon_pb2.GetInfoResponse(
            version=__version__,
            pid=self._world.identity.pid,
            instance_id=instance.instance_id,
            capabilities=CAPABILITIES,
            daemon_id=instance.daemon_id,
            socket=str(instance.socket),
            state_dir=str(instance.state),
        )

    @answering
    async def Shutdown(
        self,
        _request: daemon_pb2.ShutdownRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> daemon_pb2.ShutdownResponse:
        """Begin to end; doing it twice is the same."""
        self._shut_down()
        return daemon_pb2.ShutdownResponse(pid=self._world.identity.pid)

    @answering
    async def SetLogLevel(
        self,
        request: daemon_pb2.SetLogLevelRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> daemon_pb2.SetLogLevelResponse:
        """How much is logged from now on; doing it twice is the same."""
        level = _LEVELS.get(request.level)
        if level is None:
            raise BadRequest("no log level was named", "name debug, info, warning or error")
        before = logs.set_level(level)
        values = {name: value for value, name in _LEVELS.items()}
        return daemon_pb2.SetLogLevelResponse(
            previous=values.get(before, daemon_pb2.LOG_LEVEL_UNSPECIFIED)
        )
