"""`datastore setup`: probe a store, create or join its layout, write it into `.swamp.yaml`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from swampctl.arguments import new_parser
from swampd import locations
from swampd.errors import BadRequest, NotBuilt

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from swampctl.context import Context

_LATER: Final = frozenset(
    {"filesystem", "s3", "gcs", "@swamp/s3-datastore", "@swamp/gcs-datastore"}
)


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments."""
    parser = new_parser(prog, summary)
    parser.add_argument("--repo", help="the repo (else SWAMP_REPO_DIR, the nearest one, or here)")
    parser.add_argument(
        "type", nargs="?", help="`directory`; without it: the store that .swamp.yaml names"
    )
    parser.add_argument("--path", help="the folder of a `directory` store")
    later = next((word for word in argv if word in _LATER), None)
    if later is not None:
        raise NotBuilt(
            f"the datastore type {later!r} is not built yet",
            "use a store in a folder: `swampctl datastore setup directory --path PATH`",
            type=later,
        )
    return parser.parse_args(argv)


def run(context: Context) -> int:
    """Set it up; doing it twice changes nothing."""
    args = context.args
    if args.type not in {None, "directory"}:
        raise BadRequest(f"there is no datastore type {args.type!r}", "known is: directory")
    if (args.type is None) != (args.path is None):
        raise BadRequest(
            "`directory` and --path belong together",
            "run `swampctl datastore setup directory --path PATH`",
        )
    repo = locations.find_repo_to_set_up(args.repo, context.environ, context.cwd)
    from swampctl.client import STORE_S, request_id  # noqa: PLC0415 - loads grpc
    from swampctl.documents import document  # noqa: PLC0415
    from swampd.v1 import datastore_pb2  # noqa: PLC0415

    request = datastore_pb2.SetupRequest(request_id=request_id(), repo=str(repo))
    if args.path is not None:
        request.directory.path = os.path.normpath(context.cwd / args.path)
    with context.client() as client:
        done = client.datastore.Setup(request, timeout=STORE_S)
    verb = "created" if done.created else "joined"
    lines = [
        f"{verb} the datastore {done.datastore_id} at {done.datastore}",
        f"repo    {repo / locations.REPO_FILE}",
        f"cache   {done.cache}",
    ]
    context.output.result({**document(done), "repo": str(repo)}, lines)
    return 0
