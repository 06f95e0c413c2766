"""`conflicts resolve`: ours, theirs or both; the next push or pull carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl.arguments import add_repo, new_parser
from swampd.errors import EXIT_PARTIAL, BadRequest

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from swampctl.context import Context


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments."""
    parser = new_parser(prog, summary)
    add_repo(parser)
    parser.add_argument("path", nargs="*", metavar="PATH", help="a conflict, or a directory")
    parser.add_argument("--all", action="store_true", help="every conflict")
    side = parser.add_mutually_exclusive_group(required=True)
    for name, text in (
        ("ours", "keep what is in the cache"),
        ("theirs", "take the conflict copy"),
        ("both", "keep both, under two names"),
    ):
        side.add_argument(f"--{name}", dest="side", action="store_const", const=name, help=text)
    return parser.parse_args(argv)


def run(context: Context) -> int:
    """Exit 3 when some could not be resolved."""
    args = context.args
    if bool(args.path) == args.all:
        raise BadRequest("name conflicts, or --all", "see `swampctl conflicts list`")
    from swampctl.client import STORE_S, error_of, request_id  # noqa: PLC0415 - loads grpc
    from swampctl.documents import document  # noqa: PLC0415
    from swampd.v1 import sync_pb2  # noqa: PLC0415

    side = {
        "ours": sync_pb2.SIDE_OURS,
        "theirs": sync_pb2.SIDE_THEIRS,
        "both": sync_pb2.SIDE_BOTH,
    }[args.side]
    request = sync_pb2.ResolveConflictsRequest(
        request_id=request_id(), workspace=context.workspace(), paths=args.path, side=side
    )
    with context.client() as client:
        done = client.sync.ResolveConflicts(request, timeout=STORE_S)
    if len(done.failed) == 1 and not done.resolved:
        (one,) = done.failed
        raise error_of(one.code, one.summary, one.hint, one.fields)
    context.output.result(document(done), [f"resolved {path}" for path in done.resolved])
    for one in done.failed:
        context.output.warn(f"{one.scope}: {one.summary}")
    return EXIT_PARTIAL if done.failed else 0
