"""`scope list`: every scope of the datastore."""

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
    return parser.parse_args(argv)


def run(context: Context) -> int:
    """After one look at the store."""
    from swampctl.client import STORE_S  # noqa: PLC0415 - loads grpc
    from swampctl.documents import document  # noqa: PLC0415
    from swampd.v1 import sync_pb2  # noqa: PLC0415

    request = sync_pb2.ListScopesRequest(workspace=context.workspace())
    with context.client() as client:
        found = client.sync.ListScopes(request, timeout=STORE_S)
    rows = [
        [one.scope, "declared" if one.declared else "top", str(one.seq), str(one.files)]
        for one in found.scopes
    ]
    context.output.result(document(found), table(["SCOPE", "KIND", "SEQ", "FILES HERE"], rows))
    if found.left_out:
        context.output.say(f"and {found.left_out} more")
    return 0
