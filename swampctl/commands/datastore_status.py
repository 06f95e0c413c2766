"""`datastore status`: what a repo's store is, and whether it keeps what it must."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl.arguments import add_repo, new_parser
from swampd.errors import EXIT_CONFIG

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
    """Exit 10 for a store that must not be used."""
    from swampctl.client import STORE_S  # noqa: PLC0415 - loads grpc
    from swampctl.documents import document  # noqa: PLC0415
    from swampd.v1 import datastore_pb2  # noqa: PLC0415

    request = datastore_pb2.StatusRequest(workspace=context.workspace())
    with context.client() as client:
        found = client.datastore.Status(request, timeout=STORE_S)
    lines = [
        f"datastore {found.datastore} ({found.named_by})",
        f"id        {found.datastore_id}",
        *(f"  {one.verdict:<13} {one.check}" for one in found.verdicts),
    ]
    context.output.result(document(found), lines)
    if found.refused:
        context.output.warn(found.refused)
        return EXIT_CONFIG
    return 0
