"""The gRPC server: every service on one Unix socket, with health and reflection."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from swampd.answers import Answers
from swampd.errors import UnsafeLocation
from swampd.rpc.daemon_service import DaemonServicer
from swampd.rpc.datastore_service import DatastoreServicer
from swampd.rpc.lock_service import LockServicer
from swampd.rpc.status_service import StatusServicer
from swampd.rpc.sync_service import SyncServicer
from swampd.v1 import (
    daemon_pb2,
    daemon_pb2_grpc,
    datastore_pb2,
    datastore_pb2_grpc,
    lock_pb2,
    lock_pb2_grpc,
    status_pb2,
    status_pb2_grpc,
    sync_pb2,
    sync_pb2_grpc,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from pathlib import Path

    from swampd.serving import Workspaces

MESSAGE_LIMIT_BYTES: Final = 16 * 1024 * 1024
OPTIONS: Final = (
    ("grpc.default_authority", "localhost"),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
    ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
)
GRACE_S: Final = 0.3
"""Answers that are ready may still go out when the daemon ends."""
SERVICES: Final = tuple(
    file.DESCRIPTOR.services_by_name[name].full_name
    for file, name in (
        (daemon_pb2, "DaemonService"),
        (lock_pb2, "LockService"),
        (sync_pb2, "SyncService"),
        (status_pb2, "StatusService"),
        (datastore_pb2, "DatastoreService"),
    )
)


class Server:
    """The face of the daemon."""

    def __init__(
        self, workspaces: Workspaces, ttl: timedelta, shut_down: Callable[[], None]
    ) -> None:
        answers = Answers(workspaces.world.clock)
        self._server = grpc.aio.server(options=OPTIONS)
        self._health = health.HealthServicer()
        server = self._server
        daemon_pb2_grpc.add_DaemonServiceServicer_to_server(
            DaemonServicer(workspaces.world, shut_down), server
        )
        lock_pb2_grpc.add_LockServiceServicer_to_server(
            LockServicer(workspaces, answers, ttl), server
        )
        sync_pb2_grpc.add_SyncServiceServicer_to_server(SyncServicer(workspaces, answers), server)
        status_pb2_grpc.add_StatusServiceServicer_to_server(StatusServicer(workspaces), server)
        datastore_pb2_grpc.add_DatastoreServiceServicer_to_server(
            DatastoreServicer(workspaces, answers), server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*SERVICES, HEALTH, reflection.SERVICE_NAME), server)

    async def start(self, socket: Path) -> None:
        """Bind and answer.  Raises UnsafeLocation when the socket cannot be made."""
        try:
            self._server.add_insecure_port(f"unix:{socket}")
        except RuntimeError as error:
            raise UnsafeLocation(
                f"the socket {socket} cannot be made: {error}",
                "set SWAMPD_SOCKET to another path",
                path=str(socket),
            ) from error
        await self._server.start()
        os.chmod(socket, 0o600)  # noqa: PTH101 - at once, no thread is needed for it
        for name in ("", *SERVICES):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Take no more calls, and cancel those under way."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(GRACE_S)
