"""`lock run`: acquire, pull, run a command, push, release.

The command runs in the caller's directory.  It finds the cache in SWAMP_CACHE and the first scope's
directory in SWAMP_SCOPE_PATH.  Under SWAMP_LOCK_TOKEN (a `lock run` inside another) nothing is
acquired and nothing released.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl import arguments
from swampd.errors import BadRequest

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from swampctl.context import Context


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments; the command stands behind `--`."""
    before, command = arguments.split_command(argv)
    parser = arguments.new_parser(prog, summary)
    parser.usage = f"{prog} [options] SCOPE... -- COMMAND [ARGUMENT...]"
    arguments.add_repo(parser)
    arguments.add_token(parser)
    arguments.add_scopes(parser, "+")
    arguments.add_waiting(parser)
    parser.add_argument("--no-pull", action="store_true", help="leave the cache as it is")
    parser.add_argument("--purpose", default="", help="what others read while they wait")
    parser.add_argument("--ttl", type=arguments.seconds, help="how long it outlives a dead holder")
    parser.add_argument(
        "--allow-deletes", action="store_true", help="push however many deletes there are"
    )
    args = parser.parse_args(before)
    if not command:
        raise BadRequest("no command was given", "put it behind `--`: lock run SCOPE -- COMMAND")
    args.command = command
    return args


def run(context: Context) -> int:
    """The command's exit code; 13 when the lock was lost; the push's when that failed."""
    from swampctl import acquiring  # noqa: PLC0415 - loads grpc
    from swampctl.running import run_under_lock  # noqa: PLC0415

    args = context.args
    request = acquiring.new_request(
        context.workspace(), context.caller(), context.scopes(), arguments.wait_s(args)
    )
    request.bound_to_stream, request.no_pull = True, args.no_pull
    request.purpose = args.purpose or args.command[0]
    acquiring.set_times(request, ttl_s=args.ttl, max_hold_s=None)
    with context.client() as client:
        return run_under_lock(client, request, context)
