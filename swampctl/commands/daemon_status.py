"""`daemon status`: does the daemon answer?  Starts none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl import autostart
from swampctl.arguments import new_parser
from swampd import locations
from swampd.errors import DaemonUnreachable

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from swampctl.context import Context


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments."""
    return new_parser(prog, summary).parse_args(argv)


def run(context: Context) -> int:
    """Exit 4 when none answers."""
    path = locations.client_socket(context.environ)
    if not autostart.answers(path):
        raise DaemonUnreachable(
            f"no daemon answers on {path}", "start it: `swampctl daemon start`", path=str(path)
        )
    from swampctl.client import connected_to  # noqa: PLC0415 - loads grpc
    from swampctl.documents import document  # noqa: PLC0415

    with connected_to(path) as client:
        info = client.info
    lines = [
        f"swampd {info.version}, pid {info.pid}",
        f"socket  {info.socket}",
        f"state   {info.state_dir}",
    ]
    context.output.result(document(info), lines)
    return 0
