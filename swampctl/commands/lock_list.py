"""`lock list`: the locks that are held in the datastore, and the holds on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl import arguments
from swampctl.output import table

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from swampctl.context import Context


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments."""
    parser = arguments.new_parser(prog, summary)
    arguments.add_repo(parser)
    return parser.parse_args(argv)


def run(context: Context) -> int:
    """As the store has them now."""
    from swampctl.client import STORE_S  # noqa: PLC0415 - loads grpc
    from swampctl.documents import document  # noqa: PLC0415
    from swampctl.locks import HOLD_HEAD, LOCK_HEAD, hold_row, lock_row  # noqa: PLC0415
    from swampd.v1 import lock_pb2  # noqa: PLC0415

    request = lock_pb2.ListRequest(workspace=context.workspace())
    with context.client() as client:
        found = client.locks.List(request, timeout=STORE_S)
    lines = table(LOCK_HEAD, [lock_row(one) for one in found.locks])
    lines += table(HOLD_HEAD, [hold_row(one) for one in found.holds])
    context.output.result(document(found), lines or ["no lock is held"])
    if found.left_out:
        context.output.say(f"and {found.left_out} more")
    return 0
