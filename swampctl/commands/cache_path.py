"""`cache path`: where the files of a repo, or of a scope, are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from swampctl.arguments import add_repo, new_parser
from swampd.errors import BadRequest

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
    """Print the path; opens nothing."""
    from swampctl.client import SHORT_S  # noqa: PLC0415 - loads grpc
    from swampd.v1 import status_pb2  # noqa: PLC0415

    request = status_pb2.GetStatusRequest(workspace=context.workspace(), locate_only=True)
    with context.client() as client:
        (workspace,) = client.status.GetStatus(request, timeout=SHORT_S).workspaces
    path = below(Path(workspace.cache), context.args.scope)
    context.output.result({"path": str(path), "cache": workspace.cache}, [str(path)])
    return 0


def below(cache: Path, scope: str | None) -> Path:
    """Where a scope is.  Raises BadRequest for one that leads out of the cache."""
    if scope is None or scope in {".", "./", "*"}:
        return cache
    path = Path(scope)
    if ".." in path.parts or (path.is_absolute() and not path.is_relative_to(cache)):
        raise BadRequest(f"{scope} is not in the cache {cache}", "name a path in it", scope=scope)
    return cache / path
