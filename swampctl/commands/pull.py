"""`pull`: bring the datastore into the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl import arguments

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
    parser.add_argument(
        "--allow-deletes", action="store_true", help="pull however many deletes there are"
    )
    return parser.parse_args(argv)


def run(context: Context) -> int:
    """Exit 3 when some scopes or paths were left out."""
    from swampctl import transfers  # noqa: PLC0415 - loads grpc

    workspace, caller = context.workspace(), context.caller()
    with context.client() as client:
        asked = transfers.Asked(
            workspace,
            caller,
            context.scopes(),
            allow_deletes=context.args.allow_deletes,
            wait_s=arguments.wait_s(context.args),
        )
        result = transfers.pull(client, asked, context.output)
    return transfers.print_pulled(result, context.output)
