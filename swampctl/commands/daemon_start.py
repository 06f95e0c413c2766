"""`daemon start`: start the daemon, if none runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl import autostart
from swampctl.arguments import new_parser
from swampd import locations

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from swampctl.context import Context


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments."""
    return new_parser(prog, summary).parse_args(argv)


def run(context: Context) -> int:
    """Start it, wait until it answers."""
    before = locations.client_socket(context.environ)
    running = autostart.answers(before)
    path = before if running else autostart.start_daemon(context.environ)
    from swampctl.client import connected_to  # noqa: PLC0415 - loads grpc, after the fork

    with connected_to(path) as client:
        pid = client.info.pid
    text = f"swampd is already running, pid {pid}" if running else f"swampd started, pid {pid}"
    context.output.result({"pid": pid, "socket": str(path), "started": not running}, [text])
    return 0
