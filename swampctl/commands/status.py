"""`status`: the daemon, the repo, its scopes, locks, halts and what is not through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampctl.arguments import add_repo, new_parser
from swampctl.durations import spell
from swampctl.output import table
from swampctl.stores import store_lines
from swampd.errors import NoRepo

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from swampctl.context import Context
    from swampd.v1 import status_pb2


def parse(prog: str, summary: str, argv: Sequence[str]) -> Namespace:
    """The arguments."""
    parser = new_parser(prog, summary)
    add_repo(parser)
    return parser.parse_args(argv)


def run(context: Context) -> int:
    """Of the repo; outside of one: of all open workspaces."""
    from swampctl.client import STORE_S  # noqa: PLC0415 - loads grpc
    from swampctl.documents import document  # noqa: PLC0415
    from swampd.v1 import status_pb2  # noqa: PLC0415

    request = status_pb2.GetStatusRequest()
    try:
        request.workspace.CopyFrom(context.workspace())
    except NoRepo:
        if context.args.repo or context.environ.get("SWAMP_REPO_DIR"):
            raise
    with context.client() as client:
        found = client.status.GetStatus(request, timeout=STORE_S)
    context.output.result(document(found), _lines(found))
    return 0


def _lines(found: status_pb2.GetStatusResponse) -> Iterator[str]:
    yield f"daemon     swampd {found.version}, pid {found.pid}"
    for workspace in found.workspaces:
        yield ""
        yield from _workspace(workspace)
    if not found.workspaces:
        yield "no workspace is open"


def _workspace(found: status_pb2.WorkspaceStatus) -> Iterator[str]:
    yield f"repo       {found.repo}"
    yield f"cache      {found.cache}"
    which = f" ({found.datastore_id})" if found.datastore_id else ""
    yield f"datastore  {found.datastore}{which}"
    yield from store_lines(found.store)
    if not found.open:
        yield "workspace  not open"
        return
    rows = [
        [one.scope, str(one.seq), str(one.files), str(one.unapplied), str(one.unsettled)]
        for one in found.scopes
    ]
    yield from table(["SCOPE", "SEQ", "FILES", "TO PULL", "UNSETTLED"], rows)
    for lease in found.leases:
        left = lease.left.ToNanoseconds() / 1e9
        yield f"lease      {lease.scope}, epoch {lease.epoch}, {spell(left)} left"
    for hold in found.holds:
        state = "LOST" if hold.lost else f"ends with {hold.ends_with}"
        yield f"hold       {', '.join(hold.scopes)} by {hold.owner}, {state}"
    for halt in found.halts:
        yield f"HALT       {halt.scope}: {halt.halt} ({halt.detail}); {halt.way_out}"
    yield from _troubles(found)


def _troubles(found: status_pb2.WorkspaceStatus) -> Iterator[str]:
    for problem in found.problems:
        yield f"{problem.state:<10} {problem.path}; {problem.way_out}"
    if found.problems_left_out:
        yield f"           and {found.problems_left_out} more"
    if found.quarantined_journal:
        yield f"journal    a damaged one was put aside: {found.quarantined_journal}"
    if found.joining:
        yield f"joining    {found.joining} files join one by one"
    if found.uncommitted:
        yield f"commits    {found.uncommitted} not answered yet; the daemon goes on finding out"
    if found.refused_keys:
        yield f"keys       {found.refused_keys} in the store have names that are refused"
    if found.never_synced:
        yield f"skipped    {found.never_synced} names in the cache are never synced"
    if not found.atomic_exchange:
        yield "cache      its file system cannot exchange files: a reader may miss one briefly"
