"""`lock break`: break a lock whose holder is not to be waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl import arguments
from swampctl.durations import spell

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from swampctl.context import Context


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments."""
    parser = arguments.new_parser(prog, summary)
    arguments.add_repo(parser)
    parser.add_argument("scope", metavar="SCOPE", help="a path in the cache")
    parser.add_argument(
        "--epoch",
        type=arguments.natural,
        required=True,
        help="the epoch that `lock show` showed: no other holder is broken by mistake",
    )
    parser.add_argument(
        "--now",
        action="store_true",
        help="set it free at once: only when you know that its holder is dead",
    )
    return parser.parse_args(argv)


def run(context: Context) -> int:
    """Without --now whoever acquires still waits the lock's ttl."""
    from swampctl.client import STORE_S, as_seconds, request_id  # noqa: PLC0415 - loads grpc
    from swampctl.documents import document  # noqa: PLC0415
    from swampd.v1 import lock_pb2  # noqa: PLC0415

    args = context.args
    request = lock_pb2.BreakRequest(
        request_id=request_id(),
        workspace=context.workspace(),
        scope=args.scope,
        epoch=args.epoch,
        now=args.now,
    )
    with context.client() as client:
        done = client.locks.Break(request, timeout=STORE_S)
    was = done.broken
    text = (
        f"broke the lock on {was.scope}, epoch {was.epoch}, held for"
        f" {spell(as_seconds(done.age))} by {was.holder}@{was.hostname} (pid {was.pid})"
    )
    context.output.result(document(done), [text])
    if not args.now:
        context.output.say(f"note: others still wait its ttl, {spell(as_seconds(was.ttl))}")
    return 0
