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
    from swampd.v1 import datastore_pb2

_LATER: Final = frozenset({"filesystem", "gcs", "@swamp/gcs-datastore"})
_OPTIONS: Final = {
    "directory": ("path",),
    "s3": ("bucket", "prefix", "region", "endpoint", "path_style"),
}
"""Each type with its options, the first of which it needs."""
_EXAMPLES: Final = {
    "directory": "run `swampctl datastore setup directory --path PATH`",
    "s3": "run `swampctl datastore setup s3 --bucket BUCKET`",
}
_OTHER_NAMES: Final = {"@swamp/s3-datastore": "s3"}


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments."""
    parser = new_parser(prog, summary)
    parser.add_argument("--repo", help="the repo (else SWAMP_REPO_DIR, the nearest one, or here)")
    parser.add_argument(
        "type", nargs="?", help="`directory` or `s3`; without it: the store of .swamp.yaml"
    )
    folder = parser.add_argument_group("directory")
    folder.add_argument("--path", help="the folder of the store")
    bucket = parser.add_argument_group("s3")
    bucket.add_argument("--bucket", help="its bucket")
    bucket.add_argument("--prefix", help="before every key, as it is, with a slash between")
    bucket.add_argument("--region", help="of the bucket (else that of the environment)")
    bucket.add_argument("--endpoint", help="the URL of a server that is not AWS")
    bucket.add_argument(
        "--path-style", action="store_true", default=None, help="the bucket is in the path of URLs"
    )
    later = next((word for word in argv if word in _LATER), None)
    if later is not None:
        raise NotBuilt(
            f"the datastore type {later!r} is not built yet",
            "use a store in a folder or in S3: `swampctl datastore setup directory --path PATH`,"
            " or `swampctl datastore setup s3 --bucket BUCKET`",
            type=later,
        )
    args = parser.parse_args(argv)
    args.type = _OTHER_NAMES.get(args.type, args.type)
    _check_options(args)
    return args


def _check_options(args: Namespace) -> None:
    """Raise BadRequest for options that are not those of the type."""
    if args.type is not None and args.type not in _OPTIONS:
        raise BadRequest(
            f"there is no datastore type {args.type!r}", f"known are: {', '.join(_OPTIONS)}"
        )
    for kind, options in _OPTIONS.items():
        given = [name for name in options if getattr(args, name) is not None]
        wrong = given if kind != args.type else [] if options[0] in given else [options[0]]
        for name in wrong:
            raise BadRequest(
                f"`{kind}` and --{name.replace('_', '-')} belong together", _EXAMPLES[kind]
            )


def run(context: Context) -> int:
    """Set it up; doing it twice changes nothing."""
    args = context.args
    repo = locations.find_repo_to_set_up(args.repo, context.environ, context.cwd)
    from swampctl.client import STORE_S, request_id  # noqa: PLC0415 - loads grpc
    from swampctl.documents import document  # noqa: PLC0415
    from swampd.v1 import datastore_pb2  # noqa: PLC0415

    request = datastore_pb2.SetupRequest(
        request_id=request_id(), repo=str(repo), environment=context.environment()
    )
    _name_store(request, context)
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


def _name_store(request: datastore_pb2.SetupRequest, context: Context) -> None:
    args = context.args
    if args.type == "directory":
        request.directory.path = os.path.normpath(context.cwd / args.path)
    elif args.type == "s3":
        request.s3.bucket = args.bucket
        request.s3.prefix = args.prefix or ""
        request.s3.region = args.region or ""
        request.s3.endpoint = args.endpoint or ""
        if args.path_style:
            request.s3.force_path_style = True
