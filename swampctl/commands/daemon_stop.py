"""`daemon stop`: end the daemon; it frees its leases first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl import autostart
from swampctl.arguments import new_parser
from swampd import locations
from swampd.errors import SwampdError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from swampctl.context import Context


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments."""
    return new_parser(prog, summary).parse_args(argv)


def run(context: Context) -> int:
    """Ask it to end, and wait until it has."""
    path = locations.client_socket(context.environ)
    if not autostart.answers(path):
        context.output.result({"stopped": False}, ["swampd is not running"])
        return 0
    from swampctl.client import SHORT_S, connected_to, request_id  # noqa: PLC0415 - loads grpc
    from swampd.v1 import daemon_pb2  # noqa: PLC0415

    with connected_to(path) as client:
        request = daemon_pb2.ShutdownRequest(request_id=request_id())
        pid = client.daemon.Shutdown(request, timeout=SHORT_S).pid
        state = locations.state_dir(context.environ)
    if not autostart.wait_until_gone(pid, state):
        raise SwampdError(
            f"swampd, pid {pid}, was told to end and still runs", "see its log", pid=str(pid)
        )
    context.output.result({"stopped": True, "pid": pid}, [f"swampd stopped, pid {pid}"])
    return 0
