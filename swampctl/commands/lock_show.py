"""`lock show`: one lock, as its record says, and what stands above it."""

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
    parser.add_argument("scope", metavar="SCOPE", help="a path in the cache")
    return parser.parse_args(argv)


def run(context: Context) -> int:
    """As the store has it now."""
    from swampctl.client import STORE_S  # noqa: PLC0415 - loads grpc
    from swampctl.documents import document  # noqa: PLC0415
    from swampctl.locks import HOLD_HEAD, LOCK_HEAD, hold_row, lock_row  # noqa: PLC0415
    from swampd.v1 import lock_pb2  # noqa: PLC0415

    request = lock_pb2.InspectRequest(workspace=context.workspace(), scope=context.args.scope)
    with context.client() as client:
        found = client.locks.Inspect(request, timeout=STORE_S)
    rows = [lock_row(found.lock)] if found.HasField("lock") else []
    rows += [lock_row(gate) for gate in found.gates]
    lines = table(LOCK_HEAD, rows) or [f"{found.scope} was never locked"]
    lines += table(HOLD_HEAD, [hold_row(one) for one in found.holds])
    context.output.result(document(found), lines)
    return 0
