"""`lock release`: end a hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl import arguments
from swampd.errors import BadRequest

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from swampctl.context import Context


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments."""
    parser = arguments.new_parser(prog, summary)
    arguments.add_repo(parser)
    arguments.add_token(parser)
    arguments.add_scopes(parser, "?")
    args = parser.parse_args(argv)
    if not args.scope and not args.token:
        raise BadRequest("name a scope, or --token", f"see `{prog} --help`")
    return args


def run(context: Context) -> int:
    """By scope (of this session's holds) or by token; what others hold is not touched."""
    from swampctl.client import STORE_S, request_id  # noqa: PLC0415 - loads grpc
    from swampctl.documents import document  # noqa: PLC0415
    from swampd.v1 import lock_pb2  # noqa: PLC0415

    request = lock_pb2.ReleaseRequest(
        request_id=request_id(),
        workspace=context.workspace(),
        caller=context.caller(),
        scope=context.args.scope or "",
    )
    with context.client() as client:
        done = client.locks.Release(request, timeout=STORE_S)
    context.output.result(document(done), [f"released {', '.join(done.scopes)}"])
    return 0
