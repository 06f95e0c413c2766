"""`lock acquire`: take a lock that later commands of this session, or a token, may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl import arguments
from swampctl.owner import start_ticks
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
    arguments.add_scopes(parser, "*")
    arguments.add_waiting(parser)
    parser.add_argument("--all", action="store_true", help="the whole datastore (`*`)")
    parser.add_argument("--no-pull", action="store_true", help="leave the cache as it is")
    parser.add_argument("--purpose", default="", help="what others read while they wait")
    parser.add_argument("--ttl", type=arguments.seconds, help="how long it outlives a dead holder")
    life = parser.add_mutually_exclusive_group()
    life.add_argument("--pid", type=arguments.natural, help="end the hold with this process")
    life.add_argument("--max-hold", type=arguments.seconds, help="end the hold after so long")
    args = parser.parse_args(argv)
    if bool(args.scope) == args.all:
        raise BadRequest("name scopes, or --all", f"see `{prog} --help`")
    return args


def run(context: Context) -> int:
    """Print the token; exit 11 when somebody else has it."""
    from swampctl import acquiring  # noqa: PLC0415 - loads grpc

    args = context.args
    scopes = ["*"] if args.all else context.scopes()
    request = acquiring.new_request(
        context.workspace(), context.caller(), scopes, arguments.wait_s(args)
    )
    request.no_pull, request.purpose = args.no_pull, args.purpose
    acquiring.set_times(request, ttl_s=args.ttl, max_hold_s=args.max_hold)
    if args.pid is not None:
        started = start_ticks(args.pid)
        if started is None:
            raise BadRequest(f"there is no process {args.pid}", "name one that runs")
        request.process.pid, request.process.start_ticks = args.pid, started
    with context.client() as client:
        held = acquiring.acquire(client, request, context.output)
    context.output.result(acquiring.held_document(held), [held.token])
    for one in held.scopes:
        if one.asked != one.scope:
            context.output.say(f"note: {one.asked} is in the scope {one.scope}, which was locked")
    return 0
