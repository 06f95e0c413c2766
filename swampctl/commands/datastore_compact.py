"""`datastore compact`: delete what no head names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl import arguments
from swampd.errors import EXIT_PARTIAL

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from swampctl.context import Context
    from swampd.v1 import datastore_pb2


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments."""
    parser = arguments.new_parser(prog, summary)
    arguments.add_repo(parser)
    arguments.add_token(parser)
    arguments.add_waiting(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would be deleted; locks nothing"
    )
    return parser.parse_args(argv)


def run(context: Context) -> int:
    """Exit 3 when some scopes were left as they are."""
    from swampctl import transfers  # noqa: PLC0415 - loads grpc
    from swampctl.documents import document  # noqa: PLC0415

    args = context.args
    with context.client() as client:
        asked = transfers.Asked(
            context.workspace(), context.caller(), (), wait_s=arguments.wait_s(args)
        )
        result = transfers.compact(client, asked, context.output, dry_run=args.dry_run)
    code = EXIT_PARTIAL if result.left else 0
    context.output.result({**document(result), "exit_code": code}, _lines(result))
    for scope, why in sorted(result.left.items()):
        context.output.warn(f"{scope}: left as it is: {why}")
    return code


def _lines(result: datastore_pb2.CompactResult) -> list[str]:
    counts = (
        (result.orphans, "object of a crashed push", "objects of crashed pushes"),
        (result.staged, "staged copy", "staged copies"),
        (result.manifests, "manifest", "manifests"),
        (result.tombstones, "old tombstone", "old tombstones"),
    )
    verb = "would delete" if result.dry_run else "deleted"
    found = [f"{n} {one if n == 1 else many}" for n, one, many in counts if n]
    lines = [f"{verb} {', '.join(found)} ({result.bytes} bytes)" if found else "nothing to delete"]
    if result.foreign:
        lines.append(f"not swampd's, and left alone: {result.foreign}")
    return lines
