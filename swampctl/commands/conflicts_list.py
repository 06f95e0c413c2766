"""`conflicts list`: what waits for a person's decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl.arguments import add_repo, new_parser
from swampctl.output import table

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from swampctl.context import Context


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments."""
    parser = new_parser(prog, summary)
    add_repo(parser)
    parser.add_argument("scope", nargs="?", metavar="SCOPE", help="a path in the cache")
    return parser.parse_args(argv)


def run(context: Context) -> int:
    """All, or those below a path."""
    from swampctl.client import SHORT_S, STORE_S  # noqa: PLC0415 - loads grpc
    from swampctl.documents import document  # noqa: PLC0415
    from swampd.v1 import sync_pb2  # noqa: PLC0415

    request = sync_pb2.ListConflictsRequest(
        workspace=context.workspace(), scope=context.args.scope or ""
    )
    with context.client() as client:
        found = client.sync.ListConflicts(request, timeout=SHORT_S + STORE_S)
    rows = [[one.path, one.kind, one.copy or "-"] for one in found.conflicts]
    context.output.result(document(found), table(["PATH", "KIND", "THEIRS"], rows))
    if found.left_out:
        context.output.say(f"and {found.left_out} more")
    if found.conflicts:
        context.output.say("decide: `swampctl conflicts resolve PATH --ours|--theirs|--both`")
    return 0
